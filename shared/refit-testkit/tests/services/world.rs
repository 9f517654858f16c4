//! A ledger in memory, two reconcilers, and one service.

use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use refit_core::error::Error;
use refit_core::event::{Command, Event, Fact, Identity, Message, PauseMode};
use refit_core::key::sha256_hex;
use refit_core::run::Run;
use refit_core::state::State;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock as _, Store, StoreClock};
use refit_engine::reconcile::{Parts, Passed, Reconciler};
use refit_engine::record::write_segment;
use refit_engine::submit::{Answer, answer, command_event};
use refit_host::function::read_rules;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::fake::stage::{Double, Stage};
use refit_wire::config;
use tokio::sync::Mutex as AsyncMutex;

use crate::guards::Guards;
use crate::post::Post;
use crate::shelf::Shelf;

/// Passes that are made before a test gives up.
const PASSES_MAX: usize = 400;

/// Lines of a rule file beside the service and the run.
#[derive(Clone, Copy, Default)]
pub(crate) struct Extra<'a> {
    /// At the top of the file.
    pub(crate) top: &'a str,
    /// After the run of the trigger.
    pub(crate) of_trigger: &'a str,
}

/// The world of a test.
pub(crate) struct World {
    pub(crate) stage: Arc<Stage>,
    pub(crate) post: Arc<Post>,
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) guards: Arc<Guards>,
    clock: Arc<ManualClock>,
    ledger: Ledger,
    intake: Intake,
    /// The store as reconcilers see it.
    read: Arc<dyn Store>,
    reconcilers: Vec<AsyncMutex<Reconciler>>,
}

impl World {
    /// A world in which one trigger starts runs of this service.
    pub(crate) async fn new(double: Box<dyn Double + Sync>, service: &str, run: &str) -> Self {
        Self::with(double, service, run, Extra::default()).await
    }

    /// The same, with lines that say who is told.
    pub(crate) async fn telling(
        double: Box<dyn Double + Sync>,
        service: &str,
        run: &str,
        notify: &str,
    ) -> Self {
        let of_trigger = "    notify: [ml-team]\n";
        Self::with(double, service, run, Extra { top: notify, of_trigger }).await
    }

    /// The same, with more lines.
    pub(crate) async fn with(
        double: Box<dyn Double + Sync>,
        service: &str,
        run: &str,
        Extra { top, of_trigger }: Extra<'_>,
    ) -> Self {
        let rules = format!(
            "{top}services:\n  x: {{ {service} }}\ntriggers:\n  churn:\n    on: {{ message: {{ type: new }} }}\n    \
             batch: {{ quiet: 1s, max_wait: 1m }}\n    run: {{ service: x, {run} }}\n{of_trigger}"
        );
        Self::under(double, &rules, |store| store).await
    }

    /// A world under these rules, with something between the reconcilers and their store.
    pub(crate) async fn under(
        double: Box<dyn Double + Sync>,
        rules: &str,
        between: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>,
    ) -> Self {
        let start: Timestamp = "2026-11-21T09:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        let stage = Arc::new(Stage::new(double));
        let post = Arc::new(Post::new(Arc::<Stage>::clone(&stage)));
        let shelf = Arc::new(Shelf::new(Arc::clone(&post)));
        let guards = Arc::new(Guards::new(Arc::clone(&shelf)));
        let ledger = Ledger::new(Arc::clone(&store));
        ledger.found("services", &Timing::default()).await.unwrap();
        let read = between(Arc::clone(&store));
        let intake = Intake::new(
            Arc::clone(&store),
            Arc::<ManualClock>::clone(&clock),
            Nonces::new("intake"),
            Span::secs(30),
        );
        let mut world = Self {
            stage,
            post,
            shelf,
            guards,
            clock,
            ledger,
            intake,
            read,
            reconcilers: Vec::new(),
        };
        let begun = ["first", "second"].map(|name| AsyncMutex::new(world.begin(name)));
        world.reconcilers.extend(begun);
        world.apply(&store, rules).await;
        world
    }

    /// The reconciler of a process that begins.
    pub(crate) fn begin(&self, process: &str) -> Reconciler {
        Reconciler::new(Parts {
            store: Arc::clone(&self.read),
            transport: Arc::<Guards>::clone(&self.guards),
            clock: Arc::<ManualClock>::clone(&self.clock),
            read_rules: read_rules(),
            nonces: Nonces::new(process),
            root: "memory://services".to_owned(),
            timing: Timing::default(),
            store_clock: StoreClock::Service,
            buckets: None,
        })
    }

    /// Waits for something, while as much time passes as it needs.
    pub(crate) async fn within_time<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        loop {
            if let Poll::Ready(result) = futures::poll!(future.as_mut()) {
                return result;
            }
            self.clock.advance(Span::from_millis(100));
            tokio::task::yield_now().await;
        }
    }

    async fn apply(&self, store: &Arc<dyn Store>, rules: &str) {
        let (config, found) = config::read(rules);
        assert!(config.is_some(), "{}", config::render("refit.yaml", rules, &found, false));
        let revision = sha256_hex(rules.as_bytes());
        store.create(&layout::rules(&revision), Bytes::from(rules.to_owned())).await.unwrap();
        let replaces = self.state().await.rules;
        self.command(Command::Apply { revision, replaces, start: false }).await;
    }

    /// Gives a command, and has it heard.
    pub(crate) async fn command(&self, command: Command) {
        let nonce = self.clock.elapsed().to_string();
        self.intake.append(vec![command_event(command, "test", &nonce)]).await.unwrap();
        self.passes(1).await;
    }

    /// Gives a command that a pass hears after so long, and waits so long for the answer.
    pub(crate) async fn answered(&self, heard_after: Span, wait: Span) -> Option<Answer> {
        let (from, nonce) = (self.state().await.seq, self.clock.elapsed().to_string());
        let command = Command::Pause { trigger: "churn".to_owned(), mode: PauseMode::Hold };
        let event = command_event(command, "test", &nonce);
        let id = event.id();
        self.intake.append(vec![event]).await.unwrap();
        let hear = async {
            self.clock.sleep(heard_after).await;
            self.reconcilers[0].lock().await.pass().await.unwrap();
        };
        let asked = answer(&self.ledger, &*self.clock, from, id, wait);
        let (answered, ()) = self.within_time(futures::future::join(asked, hear)).await;
        answered.unwrap()
    }

    /// Has passes made, and runs end well, until the state is as wanted.
    pub(crate) async fn until_over(
        &self,
        what: &str,
        is_so: impl Fn(&State) -> bool + Send + Sync,
    ) {
        for _ in 0..PASSES_MAX {
            if is_so(&self.state().await) {
                return;
            }
            self.stage.finish();
            self.passes(1).await;
        }
        let state = self.state().await;
        panic!("never: {what}\n{:#?}\n{:#?}", state.models, state.runs);
    }

    /// Delivers an event; one of the same id is the same event.
    pub(crate) async fn deliver(&self, id: &str) {
        self.intake.append(vec![self.event(id)]).await.unwrap();
    }

    fn event(&self, id: &str) -> Event {
        let message = Message {
            source: "test".to_owned(),
            id: id.to_owned(),
            ty: "new".to_owned(),
            ..Message::default()
        };
        Event {
            identity: Identity(vec!["test".to_owned(), id.to_owned()]),
            origin: "test".to_owned(),
            time: Some(self.clock.now()),
            delivery: None,
            replay: None,
            fact: Fact::Message(message),
        }
    }

    /// Writes an event as a process does whose clock is so far behind, and that is not told so.
    pub(crate) async fn hide(&self, id: &str, behind: Span) {
        let name = layout::segment_object(&layout::segment(self.clock.now() - behind, "hidden"));
        self.ledger.store().create(&name, write_segment(&[self.event(id)])).await.unwrap();
    }

    /// Takes every commit from this one on out of the ledger, and the snapshots that know of it.
    pub(crate) async fn forget(&self, from: u64) {
        let store = self.ledger.store();
        let snapshots = store.list(layout::SNAPSHOT, layout::SNAPSHOT, 1000).await.unwrap();
        for entry in snapshots.entries {
            if layout::snapshot_seq(&entry.name).is_some_and(|seq| seq >= from) {
                store.delete(&entry.name).await.unwrap();
            }
        }
        for seq in from..=self.state().await.seq {
            store.delete(&layout::commit(seq)).await.unwrap();
        }
    }

    /// Whether the log has a commit of that number.
    pub(crate) async fn is_written(&self, seq: u64) -> bool {
        self.ledger.commit(seq).await.unwrap().is_some()
    }

    /// Has the first make a pass, and says what came of it.
    pub(crate) async fn pass_of_first(&self) -> Result<Passed, Error> {
        let passed = self.within_time(self.reconcilers[0].lock().await.pass()).await;
        self.clock.advance(Span::secs(15));
        passed
    }

    /// The time.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Lets time pass in which no pass is made.
    pub(crate) fn rest(&self, span: Span) {
        self.clock.advance(span);
    }

    /// Has both make so many passes, fifteen seconds apart.
    pub(crate) async fn passes(&self, count: usize) {
        for _ in 0..count {
            let (first, second) = (&self.reconcilers[0], &self.reconcilers[1]);
            let (mut first, mut second) = (first.lock().await, second.lock().await);
            // Losing a race is no error, and what is is made up for by the next pass.
            let _ = self.within_time(futures::future::join(first.pass(), second.pass())).await;
            self.clock.advance(Span::secs(15));
        }
    }

    /// Has passes made until the run is as wanted.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Run) -> bool) {
        for _ in 0..PASSES_MAX {
            if self.state().await.runs.values().any(&is_so) {
                return;
            }
            self.passes(1).await;
        }
        let state = self.state().await;
        panic!("never: {what}\n{:#?}\n{:#?}", state.triggers, state.runs);
    }

    pub(crate) async fn state(&self) -> State {
        self.ledger.load().await.unwrap().unwrap().state
    }

    /// The only run there is.
    pub(crate) async fn run(&self) -> Run {
        let state = self.state().await;
        assert_eq!(state.runs.len(), 1, "{:#?}", state.runs);
        state.runs.into_values().next().unwrap()
    }
}
