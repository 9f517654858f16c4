//! Calls that fail, and calls whose callers are gone.

use std::sync::Arc;

use bytes::Bytes;
use refit_core::error::ErrorKind;

use super::{Stage, lost, names_under, read, won};
use crate::fault::{Fault, FaultyStore};

pub(super) async fn after_a_lost_answer_the_retry_loses_and_the_body_is_ours(stage: Stage) {
    let store = FaultyStore::scripted(stage.store().await, [Fault::After(ErrorKind::Unavailable)]);
    let answer = store_create(&store, "log/1", "ours").await;
    assert_eq!(answer, Some(ErrorKind::Unavailable));
    lost(&store, "log/1", "ours").await;
    assert_eq!(read(&store, "log/1").await.as_deref(), Some(&b"ours"[..]));
}

pub(super) async fn after_a_failure_before_the_effect_the_retry_wins(stage: Stage) {
    let store = FaultyStore::scripted(stage.store().await, [Fault::Before(ErrorKind::Unavailable)]);
    let answer = store_create(&store, "log/1", "ours").await;
    assert_eq!(answer, Some(ErrorKind::Unavailable));
    assert_eq!(read(&store, "log/1").await, None);
    won(&store, "log/1", "ours").await;
}

async fn store_create(store: &FaultyStore, name: &str, body: &str) -> Option<ErrorKind> {
    use refit_engine::port::Store as _;
    store.create(name, body.to_owned().into()).await.err().map(|error| error.kind())
}

pub(super) async fn a_create_given_up_midway_left_all_or_nothing(stage: Stage) {
    let store = stage.store().await;
    let whole = Bytes::from(vec![b'x'; 1 << 20]);
    for round in 0..20 {
        let name = format!("log/{round:02}");
        let create = tokio::spawn({
            let (store, name, whole) = (Arc::clone(&store), name.clone(), whole.clone());
            async move { store.create(&name, whole).await }
        });
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        create.abort();
        // Won by this try, or lost to the one given up: either way it is there now, and whole.
        store.create(&name, whole.clone()).await.expect("the store can be written");
        assert!(read(&*store, &name).await.as_ref() == Some(&whole), "in part");
    }
    assert_eq!(names_under(&*store, "").await.len(), 20);
}
