//! Stores that fail reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use refit_core::error::ErrorKind;
use refit_core::run::Phase;
use refit_testkit::fake::stage::Vertex;
use refit_testkit::fault::{Call, Fault, FaultyStore};

use crate::world::World;

const RULES: &str = "services:
  x: { vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme } }
triggers:
  churn:
    on: { message: { type: new } }
    batch: { quiet: 1m, max_wait: 30m, min_count: 30 }
    run: { service: x, template: https://europe-west4-kfp.pkg.dev/acme/pipelines/churn/stable, \
                     parameters: { manifest: \"${ batch.manifest }\" } }
";

#[tokio::test]
async fn what_was_read_while_something_else_could_not_be_is_kept_for_the_next_pass() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let script = move |call: Call<'_>| match call {
        Call::Get(name) if name.starts_with("parts/") => {
            let failing = !counted.fetch_add(1, Ordering::Relaxed).is_multiple_of(3);
            if failing { Fault::Before(ErrorKind::Unavailable) } else { Fault::None }
        }
        _ => Fault::None,
    };
    let between = |store| Arc::new(FaultyStore::new(store, script)) as _;
    let world = World::under(Box::new(Vertex), RULES, between).await;
    for number in 0..30 {
        world.deliver(&format!("event-{number}")).await;
        world.passes(1).await;
    }
    assert_eq!(reads.load(Ordering::Relaxed), 0, "nothing of an open batch is read");
    world.until("the run starts", |run| run.attempt().phase != Phase::Pending).await;
    assert_eq!(world.run().await.facts.count, 30);
    assert!(reads.load(Ordering::Relaxed) >= 30, "its lines lie in thirty objects");
}

#[tokio::test]
async fn a_process_that_begins_reads_a_long_log_though_one_read_in_eight_fails() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let script = move |call: Call<'_>| match call {
        Call::Get(_) | Call::List(_) => {
            let failing = counted.fetch_add(1, Ordering::Relaxed) % 8 == 7;
            if failing { Fault::Before(ErrorKind::Unavailable) } else { Fault::None }
        }
        Call::Create(_) | Call::Delete(_) => Fault::None,
    };
    let between = |store| Arc::new(FaultyStore::new(store, script)) as _;
    let world = World::under(Box::new(Vertex), RULES, between).await;
    for number in 0..40 {
        world.deliver(&format!("event-{number}")).await;
        world.passes(1).await;
    }
    let before = reads.load(Ordering::Relaxed);
    let mut begins = world.begin("third");
    let passed = world.within_time(begins.pass()).await;
    assert!(passed.is_ok(), "{passed:?}");
    assert!(reads.load(Ordering::Relaxed) >= before + 8, "one of these reads has failed");
}

#[tokio::test]
async fn a_read_that_keeps_failing_is_tried_three_times() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let script = move |_: Call<'_>| {
        counted.fetch_add(1, Ordering::Relaxed);
        Fault::Before(ErrorKind::Unavailable)
    };
    let between = |store| Arc::new(FaultyStore::new(store, script)) as _;
    let world = World::under(Box::new(Vertex), RULES, between).await;
    reads.store(0, Ordering::Relaxed);
    let mut begins = world.begin("third");
    let passed = world.within_time(begins.pass()).await;
    assert_eq!(passed.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(reads.load(Ordering::Relaxed), 3);
}
