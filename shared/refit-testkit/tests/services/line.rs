//! The line of events before a store that does not answer.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::FutureExt as _;
use futures::future::join_all;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::{Command, Event};
use refit_core::time::Span;
use refit_core::timing::SEGMENT_EVENTS_MAX;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Created, Page, Store};
use refit_engine::record::read_segment;
use refit_engine::submit::command_event;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use tokio::sync::watch;

const DEADLINE: Span = Span::secs(4);

/// A store whose creates wait until they are let through.
struct Stuck {
    inner: MemoryStore,
    is_open: watch::Sender<bool>,
}

#[async_trait]
impl Store for Stuck {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.inner.get(name).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.is_open.subscribe().wait_for(|is_open| *is_open).await.unwrap();
        self.inner.create(name, body).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.inner.list(prefix, from, limit).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.inner.delete(name).await
    }
}

/// As many events as a segment holds.
fn full(name: &str) -> Vec<Event> {
    let command = |n| {
        let cancel = Command::Cancel { run: "b1".to_owned() };
        command_event(cancel, "test", &format!("{name}-{n}"))
    };
    (0..SEGMENT_EVENTS_MAX).map(command).collect()
}

#[tokio::test]
async fn a_store_that_hangs_is_waited_for_by_two_segments_and_no_more() {
    let clock = Arc::new(ManualClock::new("2026-11-22T09:00:00Z".parse().unwrap()));
    let inner = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
    let store = Arc::new(Stuck { inner: inner.clone(), is_open: watch::Sender::new(false) });
    let line = Arc::<ManualClock>::clone(&clock);
    let intake = Intake::new(Arc::<Stuck>::clone(&store), line, Nonces::new("line"), DEADLINE);

    let mut callers = Box::pin(join_all(["a", "b", "c", "d"].map(|it| intake.append(full(it)))));
    assert!(callers.as_mut().now_or_never().is_none(), "they wait");
    clock.advance(DEADLINE);
    for answer in callers.await {
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Unavailable, "it is to be sent again");
    }
    store.is_open.send_replace(true);
    intake.append(full("e")).await.unwrap();

    let mut stored = Vec::new();
    for entry in inner.list(layout::INBOX, layout::INBOX, 1000).await.unwrap().entries {
        let body = inner.get(&entry.name).await.unwrap().unwrap();
        stored.push(read_segment(&entry.name, &body).unwrap()[0].name());
    }
    stored.sort();
    assert_eq!(
        stored,
        ["command/test/a-0", "command/test/b-0", "command/test/e-0"],
        "what found no room is kept nowhere"
    );
}
