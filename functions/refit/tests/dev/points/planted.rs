//! Ledgers that are old or large, made in no time: the engine works on a store in memory, under a clock that is moved,
//! and what it has stored is laid into a folder.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::commit::Commit;
use refit_core::event::{
    Command, DataRef, Event, Fact, Identity, Invalid, Message, ObjectChange, ObjectKind,
};
use refit_core::key::{Hash128, sha256_hex};
use refit_core::memory::Fresh;
use refit_core::state::VERSION;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::{MEMORY_LIVE_MAX, SNAPSHOT_COMMITS_MAX, STORM_LETTERS, Timing};
use refit_engine::layout;
use refit_engine::ledger::{Ledger, SNAPSHOTS_KEPT};
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock as _, Store, StoreClock, Transport};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_engine::record::{write_commit, write_segment};
use refit_engine::submit::command_event;
use refit_host::function::read_rules;
use refit_platform::clock::SystemClock;
use refit_platform::store::{LocalStore, MemoryStore};
use refit_testkit::clock::ManualClock;
use refit_wire::http::{Failure, Reply, Request};

use super::{RULES, SLOW};

/// How old the old ledger is: beyond its window, so that housekeeping has everything to do.
const AGE: Span = Span::days(40);
/// Commits after which there is a snapshot.
const SNAPSHOT_EVERY: u64 = SNAPSHOT_COMMITS_MAX / 2;
/// Commits of its first day, after which as many snapshots are there as are kept, and of the days after it.
const COMMITS: [u64; 2] = [SNAPSHOTS_KEPT as u64 * SNAPSHOT_EVERY + 2, 2 * SNAPSHOT_EVERY + 2];
/// How long ago the storm was: beyond the waits between tries.
const STORM_AGE: Span = Span::mins(10);
/// Notices of the storm that are told in its summary.
const SUMMARY: usize = 2;
const PAGE: usize = 1000;

/// The lengths of time of every ledger here: those of `refit dev`, and shorter where lives wait for them.
fn timing() -> Timing {
    Timing {
        lease: Span::secs(2),
        margin: Span::from_millis(300),
        call: Span::secs(1),
        settle: Span::secs(1),
        ping: Span::secs(1),
        poll: Span::from_millis(200),
        garbage: Span::from_millis(1),
        ..Timing::dev()
    }
}

/// The way to nobody.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn send(&self, _: Request) -> Reply {
        Err(Failure::NotSent("nobody is there".to_owned()))
    }
}

/// A ledger under construction.
struct Planted {
    store: Arc<dyn Store>,
    clock: Arc<ManualClock>,
    reconciler: Reconciler,
    segments: u64,
}

impl Planted {
    /// One that was founded at this time.
    async fn new(now: Timestamp) -> Self {
        let clock = Arc::new(ManualClock::new(now));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        Ledger::new(Arc::clone(&store)).found("planted", &timing()).await.unwrap();
        let reconciler = Reconciler::new(Parts {
            store: Arc::clone(&store),
            transport: Arc::new(Nowhere),
            clock: Arc::<ManualClock>::clone(&clock),
            read_rules: read_rules(),
            nonces: Nonces::new("planter"),
            root: "file:///planted".to_owned(),
            timing: timing(),
            store_clock: StoreClock::Service,
            buckets: None,
        });
        Self { store, clock, reconciler, segments: 0 }
    }

    async fn create(&self, name: &str, body: impl Into<Bytes>) {
        self.store.create(name, body.into()).await.unwrap();
    }

    /// Stores an event, unread.
    async fn accept(&mut self, event: Event) {
        self.segments += 1;
        let name = layout::segment(self.clock.now(), &format!("planted-{}", self.segments));
        self.create(&layout::segment_object(&name), write_segment(&[event])).await;
    }

    /// A second later, a pass.
    async fn pass(&mut self) {
        self.clock.advance(Span::secs(1));
        self.reconciler.pass().await.unwrap();
    }

    async fn apply(&mut self, rules: &str) {
        let revision = refit_wire::config::read(rules).0.unwrap().rules.revision.clone();
        self.create(&layout::rules(&revision), rules.to_owned()).await;
        let command = Command::Apply { revision, replaces: None, start: false };
        self.accept(command_event(command, "planter", "1")).await;
        self.pass().await;
    }

    /// So many uploads, each of which is a commit.
    async fn upload(&mut self, count: u64) {
        for _ in 0..count {
            self.accept(upload(self.segments, self.clock.now())).await;
            self.pass().await;
        }
    }

    async fn names(&self, folder: &str) -> Vec<String> {
        let page = self.store.list(folder, folder, PAGE).await.unwrap();
        assert!(page.next.is_none(), "a page holds all of {folder}");
        page.entries.into_iter().map(|entry| entry.name).collect()
    }

    /// Lays it into a folder.
    async fn lay(&self, folder: &Path) {
        let local = LocalStore::open(folder.join(".refit")).await.unwrap();
        for name in self.names("").await {
            let body = self.store.get(&name).await.unwrap().unwrap();
            local.create(&name, body).await.unwrap();
        }
    }
}

/// A ledger that was just founded.
pub(super) async fn new(folder: &Path) {
    Planted::new(SystemClock.now()).await.lay(folder).await;
}

/// A ledger nobody has looked at for longer than its window, with a batch that is due, a snapshot that is due, and
/// something of every kind to be deleted.
pub(super) async fn old(folder: &Path) {
    let start = Timestamp::from_millis(SystemClock.now().as_millis() - AGE.as_millis());
    let mut planted = Planted::new(start).await;
    planted.apply(RULES).await;
    planted.upload(COMMITS[0]).await;
    planted.clock.advance(Span::days(1));
    planted.upload(COMMITS[1]).await;
    // A snapshot is a cache: without the newest, one is due.
    let newest = planted.names(layout::SNAPSHOT).await.remove(0);
    planted.store.delete(&newest).await.unwrap();
    let last = planted.names(layout::LOG).await.pop().unwrap();
    let last = layout::commit_seq(&last).unwrap();
    let digest = sha256_hex(b"lost");
    for folder in layout::COMMIT_OBJECTS {
        let suffix = if folder == "manifests/" { ".jsonl" } else { "" };
        planted.create(&format!("{folder}{last:020}-{digest}{suffix}"), "lost").await;
    }
    planted.lay(folder).await;
}

/// A ledger under these rules that has told nobody of a storm: of what is more than a few, a summary is due.
#[tokio::main(flavor = "current_thread")]
pub(super) async fn storm(folder: &Path, rules: &str) {
    let start = Timestamp::from_millis(SystemClock.now().as_millis() - STORM_AGE.as_millis());
    let mut planted = Planted::new(start).await;
    planted.apply(rules).await;
    for number in 0..STORM_LETTERS + SUMMARY {
        planted.accept(nonsense(number)).await;
        planted.pass().await;
    }
    planted.lay(folder).await;
}

/// A ledger with as many identities as the state may hold, and one more; and the same after they were moved out of the
/// state, with one of them in the inbox again.
pub(super) async fn full(before: &Path, after: &Path) {
    let mut planted = filled().await;
    planted.lay(before).await;
    planted.apply(RULES).await;
    assert_eq!(planted.names("seen/").await.len(), 1);
    let ledger = Ledger::new(Arc::clone(&planted.store));
    let mut view = ledger.load().await.unwrap().unwrap();
    ledger.keep_snapshot(&mut view, 1).await.unwrap();
    planted.accept(known()).await;
    planted.lay(after).await;
}

async fn filled() -> Planted {
    let planted = Planted::new(SystemClock.now()).await;
    let others = (0..MEMORY_LIVE_MAX as u128).map(|number| (Hash128(number), true));
    let mut identities: Vec<_> = others.chain([(known().id(), true)]).collect();
    identities.sort_unstable();
    let commit = Commit {
        v: VERSION,
        seq: 1,
        nonce: "filler".to_owned(),
        now: planted.clock.now(),
        segments: Vec::new(),
        changes: Vec::new(),
        decisions: Vec::new(),
        fresh: Fresh { identities, objects: Vec::new() },
        uses: Vec::new(),
        members: None,
    };
    planted.create(&layout::commit(1), write_commit(&commit)).await;
    planted
}

/// An upload to the trigger that waits for a month.
fn upload(number: u64, at: Timestamp) -> Event {
    let name = format!("{number:05}.csv");
    let kind = ObjectKind::Finalized;
    let identity = ["object", "gs", SLOW, &name, "1", kind.name()].map(str::to_owned);
    let object = DataRef {
        scheme: "gs".to_owned(),
        bucket: SLOW.to_owned(),
        name,
        generation: Some("1".to_owned()),
        size: Some(1),
        created: Some(at),
        metadata: BTreeMap::new(),
        ..DataRef::default()
    };
    let change = ObjectChange { kind, object, overwrote: None, overwritten_by: None };
    event(identity.to_vec(), Some(at), Fact::Object(change))
}

/// A message the full ledger knows.
fn known() -> Event {
    let (source, id) = ("/known".to_owned(), "1".to_owned());
    let message = Message { source, id, ty: "known".to_owned(), ..Message::default() };
    event(vec!["known".to_owned()], None, Fact::Message(message))
}

/// A delivery that nobody understands.
fn nonsense(number: usize) -> Event {
    let fact = Fact::Invalid(Invalid {
        reason: "not an event".to_owned(),
        content_type: None,
        size: 1,
        head: "Pw==".to_owned(),
        headers: BTreeMap::new(),
    });
    event(vec!["nonsense".to_owned(), number.to_string()], None, fact)
}

fn event(identity: Vec<String>, time: Option<Timestamp>, fact: Fact) -> Event {
    let origin = "planted".to_owned();
    Event { identity: Identity(identity), origin, time, delivery: None, replay: None, fact }
}
