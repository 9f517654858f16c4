//! What a process remembers of its own commits.

use std::sync::Arc;

use refit_core::state::State;
use refit_core::time::{Span, Timestamp};
use refit_engine::act::{Agenda, Scene, act};
use refit_engine::call::Caller;
use refit_engine::gather::Gatherer;
use refit_engine::port::{Clock, Store, StoreClock, Transport};
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::transport::ScriptedTransport;
use refit_wire::listing::Buckets;

/// A pass with nothing to do.
async fn pass(agenda: &mut Agenda) {
    let now = Timestamp::from_millis(1_700_000_000_000);
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now));
    let transport: Arc<dyn Transport> = Arc::new(ScriptedTransport::default());
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&clock)));
    let read = Arc::new(|_: &str| Err("there are no rules".to_owned()));
    let mut gatherer = Gatherer::new(Arc::clone(&store), read, Buckets::default());
    let state = State::new(String::new(), Default::default());
    let caller = Caller { transport: &transport, clock: &clock, limit: Span::secs(1) };
    let store_clock = StoreClock::Service;
    let scene = Scene { now, state: &state, store: &store, store_clock, caller: &caller };
    assert_eq!(act(scene, agenda, &mut gatherer).await.unwrap(), []);
}

#[tokio::test]
async fn the_newest_commits_are_remembered_however_they_are_numbered() {
    let mut agenda = Agenda::default();
    let nonce = |number: u32| format!("tick-{number:06}");
    for number in 999_900..1_000_100 {
        agenda.writing(&nonce(number), Span::secs(i64::from(number)));
    }
    pass(&mut agenda).await;
    let kept = (999_900..1_000_100).filter(|number| agenda.is_own(&nonce(*number)));
    assert_eq!(kept.collect::<Vec<_>>(), Vec::from_iter(1_000_036..1_000_100));
}
