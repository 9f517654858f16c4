//! Stores that fail reads, or change while they are read.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::run::Phase;
use refit_engine::audit::{audit, fsck};
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::port::{Created, Page, Store};
use refit_host::function::read_rules;
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

/// A store in which one object is read as absent and listed: it is created in between.
struct Between {
    inner: Arc<dyn Store>,
    name: String,
}

#[async_trait]
impl Store for Between {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        if name == self.name { Ok(None) } else { self.inner.get(name).await }
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.inner.create(name, body).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.inner.list(prefix, from, limit).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.inner.delete(name).await
    }
}

#[tokio::test]
async fn a_commit_that_is_written_while_fsck_ends_is_no_gap() {
    let (world, store) = world_and_store(RULES).await;
    for event in ["one", "another"] {
        world.deliver(event).await;
        world.passes(1).await;
    }
    let last = world.state().await.seq;
    let found = async |store: Arc<dyn Store>| {
        let report = fsck(&Ledger::new(store), &read_rules(), &|_| {}).await.unwrap();
        report.findings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let between = Between { inner: Arc::clone(&store), name: layout::commit(last) };
    assert_eq!(found(Arc::new(between)).await, [""; 0]);
    let (missing, present) = (layout::commit(last - 1), layout::commit(last));
    store.delete(&missing).await.unwrap();
    let gap = format!("the log has no gap: missing=`{missing}`, present=`{present}`");
    assert!(found(store).await.contains(&gap), "one before the last is missing");
}

#[tokio::test]
async fn how_much_was_read_is_told_as_it_is_read() {
    let (world, store) = world_and_store(RULES).await;
    for number in 0..20 {
        world.deliver(&format!("event-{number}")).await;
        world.passes(1).await;
    }
    let mut objects = 0;
    for folder in ["inbox/", "log/", "manifests/", "parts/", "rules/", "seen/", "snapshot/"] {
        objects += store.list(folder, folder, 1000).await.unwrap().entries.len() as u64;
    }
    let ledger = Ledger::new(store);
    let told = Mutex::new(Vec::new());
    let tell = |count| told.lock().unwrap().push(count);
    let audited = audit(&ledger, &read_rules(), &tell).await.unwrap();
    let commits: Vec<u64> = (1..=audited.commits).collect();
    assert!(commits.len() >= 20);
    assert_eq!(std::mem::take(&mut *told.lock().unwrap()), commits, "by an audit, each commit");
    let proved = fsck(&ledger, &read_rules(), &tell).await.unwrap();
    assert_eq!(proved.findings, []);
    // All but the commit that founds the ledger.
    let all: Vec<u64> = (1..objects).collect();
    assert_eq!(*told.lock().unwrap(), all, "by fsck, each object");
}

#[tokio::test]
async fn an_audit_reads_what_several_open_batches_lie_in_once() {
    let each = RULES.replace("quiet: 1m,", "quiet: 1m, by: event.id,");
    let (world, store) = world_and_store(&each).await;
    for number in 0..5 {
        world.deliver(&format!("event-{number}")).await;
    }
    world.passes(1).await;
    let open = world.state().await.triggers["churn"].open.len();
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let script = move |call: Call<'_>| {
        let is_part = matches!(call, Call::Get(name) if name.starts_with("parts/"));
        counted.fetch_add(usize::from(is_part), Ordering::Relaxed);
        Fault::None
    };
    let ledger = Ledger::new(Arc::new(FaultyStore::new(store, script)));
    let report = audit(&ledger, &read_rules(), &|_| {}).await.unwrap();
    assert_eq!((open, report.accepted, &report.findings[..]), (5, 5, &[][..]));
    assert_eq!(reads.load(Ordering::Relaxed), 1, "one commit, one part");
}

/// A world under these rules, and its store.
async fn world_and_store(rules: &str) -> (World, Arc<dyn Store>) {
    let mut kept = None;
    let keep = |store: Arc<dyn Store>| Arc::clone(kept.insert(store));
    let world = World::under(Box::new(Vertex), rules, keep).await;
    (world, kept.expect("a world has a store"))
}
