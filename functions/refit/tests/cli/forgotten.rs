//! Events without a time that the ledger's memory has forgotten and the log has not: none is judged again unless forced.
//!
//! The ledger is made by the reconciler in this process, over a clock that is told what time it is, and then written
//! into a directory, where all of it is as young as that.

use std::path::Path;
use std::sync::Arc;

use refit_core::commit::Decision;
use refit_core::event::{Command, Event, Held, PauseMode, Replay, ReplayMode};
use refit_core::key::sha256_hex;
use refit_core::reason::Refusal;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock as _, Store as _, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_engine::submit::command_event;
use refit_host::function::read_rules;
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::transport::ScriptedTransport;
use refit_wire::sample::read_sample;
use refit_wire::source::{Understood, understand};
use tempfile::TempDir;

use crate::process::refit;

const SAMPLE: &str = "POST /object
content-type: application/json
ce-specversion: 1.0
ce-id: untimed
ce-type: google.cloud.storage.object.v1.finalized
ce-source: //storage.googleapis.com/projects/_/buckets/acme-data
ce-subject: objects/churn/a

{\"bucket\": \"acme-data\", \"name\": \"churn/a\", \"generation\": \"9\", \"size\": \"7\"}
";

/// Members wait, so that nothing is started here.
const RULES: &str = "services: { x: { kubeflow: { endpoint: \"http://kfp\" } } }
triggers:
  churn:
    on: { objects: { bucket: acme-data } }
    batch: { min_count: 9, max_wait: 90d }
    run: { service: x, pipeline: churn }
";

/// A ledger in memory, at a time that moves when it is told to.
struct Past {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    intake: Intake,
    reconciler: Reconciler,
}

impl Past {
    /// One that was founded so long ago.
    fn since(ago: Span) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now() - ago));
        let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        let intake = Intake::new(
            Arc::new(store.clone()),
            Arc::<ManualClock>::clone(&clock),
            Nonces::new("intake"),
            Span::secs(30),
        );
        let reconciler = Reconciler::new(Parts {
            store: Arc::new(store.clone()),
            transport: Arc::new(ScriptedTransport::new()),
            clock: Arc::<ManualClock>::clone(&clock),
            read_rules: read_rules(),
            nonces: Nonces::new("past"),
            root: "memory://past".to_owned(),
            timing: Timing::default(),
            store_clock: StoreClock::Service,
            buckets: None,
        });
        Self { clock, store, intake, reconciler }
    }

    /// Records an event, and has it judged: why it was refused, if it was.
    async fn hear(&mut self, event: Event) -> Option<Refusal> {
        self.intake.append(vec![event]).await.unwrap();
        self.reconciler.pass().await.unwrap();
        self.clock.advance(Span::mins(1));
        let ledger = Ledger::new(Arc::new(self.store.clone()));
        let seq = ledger.load().await.unwrap().unwrap().state.seq;
        let decisions = ledger.commit(seq).await.unwrap().unwrap().decisions;
        decisions.into_iter().find_map(|decision| match decision {
            Decision::Refused { reason, .. } => Some(reason),
            Decision::Accepted { .. } | Decision::Answered { .. } => None,
        })
    }

    async fn obey(&mut self, command: Command) {
        let nonce = self.clock.now().to_string();
        assert_eq!(self.hear(command_event(command, "test", &nonce)).await, None);
    }

    async fn apply(&mut self) {
        self.reconciler.pass().await.unwrap();
        let revision = sha256_hex(RULES.as_bytes());
        self.store.create(&layout::rules(&revision), RULES.into()).await.unwrap();
        self.obey(Command::Apply { revision, replaces: None, start: false }).await;
    }

    /// Deletes the segments that are older than the window, as housekeeping does.
    async fn keep_house(&self) {
        let old = self.clock.now() - Timing::default().window;
        let inbox = self.store.list(layout::INBOX, layout::INBOX, 1000).await.unwrap().entries;
        for entry in inbox.iter().filter(|entry| entry.created < old) {
            self.store.delete(&entry.name).await.unwrap();
        }
    }

    /// Writes the ledger into a directory.
    async fn write(&self, folder: &Path) {
        let page = self.store.list("", "", 1000).await.unwrap();
        assert_eq!(page.next, None);
        for entry in page.entries {
            let path = folder.join(&entry.name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, self.store.get(&entry.name).await.unwrap().unwrap()).unwrap();
        }
    }
}

/// An upload of which no source says when it was.
fn untimed() -> Event {
    let sample = read_sample(SAMPLE, SystemClock.now()).unwrap();
    let Ok(Understood::Record(mut events)) = understand(&sample.delivery()) else {
        panic!("no event")
    };
    let event = events.remove(0);
    assert_eq!(event.time, None);
    event
}

/// A ledger of an upload that was taken 38 days ago, and came again, and was replayed, while its trigger was paused.
async fn ledger(folder: &Path) {
    let mut past = Past::since(Span::days(38));
    past.apply().await;
    assert_eq!(past.hear(untimed()).await, None);
    past.clock.advance(Span::days(37));
    past.obey(Command::Pause { trigger: "churn".to_owned(), mode: PauseMode::Ignore }).await;
    assert_eq!(past.hear(untimed()).await, Some(Refusal::Paused), "it is not known any more");
    let replay = Some(Replay { mode: ReplayMode::Again, trigger: None });
    let replayed = Event { time: Some(past.clock.now()), replay, ..untimed() };
    assert_eq!(past.hear(replayed).await, Some(Refusal::Paused));
    past.obey(Command::Resume { trigger: "churn".to_owned(), held: Held::Ask }).await;
    past.keep_house().await;
    past.write(folder).await;
}

#[test]
fn what_was_taken_before_the_window_is_not_judged_again_unless_forced() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    tokio::runtime::Runtime::new().unwrap().block_on(ledger(&folder.join("ledger")));
    std::fs::write(folder.join("a.http"), SAMPLE).unwrap();
    let replay = |line: &str| refit(folder, &format!("replay {line} --shadow --ledger ledger"));
    let before = "churn: accepted before";
    let lines = ["--since 5d", "--since 5d --trigger churn", "a.http", "a.http --trigger churn"];
    let check =
        || lines.map(|line| replay(line).ends(0).says(&format!("nothing to record: {before}")));
    check();
    // What a person replayed has a time, that of the upload that came again.
    let inbox = std::fs::read_dir(folder.join("ledger/inbox")).unwrap();
    let mut segments: Vec<_> = inbox.map(|entry| entry.unwrap().path()).collect();
    segments.sort();
    let [_, came_again, ..] = &segments[..] else { panic!("{segments:?}") };
    assert!(std::fs::read_to_string(came_again).unwrap().contains("churn/a"));
    std::fs::remove_file(came_again).unwrap();
    check();
    replay("--since 5d --force").ends(0).says("churn: accepted into batch");
}
