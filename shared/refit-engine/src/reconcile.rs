//! One pass: from what is stored and observed to commits, and to the calls they intend.

mod newest;

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use refit_core::commit::Commit;
use refit_core::error::{Error, ErrorKind};
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::mutant::{self, Mutant};
use refit_core::notice::Delivery;
use refit_core::plan::{
    Deleted, Found, Inputs, Listing, Observation, Plan, RegistryReport, Segment, plan,
};
use refit_core::rules::Rules;
use refit_core::run::Phase;
use refit_core::state::State;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::{SNAPSHOT_COMMITS_MAX, Timing};

use refit_wire::listing::Buckets;

use crate::act::registries::visit;
use crate::act::{Agenda, Scene, act};
use crate::call::Caller;
use crate::courier::{Bag, Courier};
use crate::gather::{Gatherer, ReadRules};
use crate::house::{self, House};
use crate::inbox::{self, Progress};
use crate::intake::Intake;
use crate::ledger::{Draft, Ledger, View, Written};
use crate::nonce::Nonces;
use crate::patient::Patient;
use crate::port::{Clock, Store, StoreClock, Transport};
use crate::reread::reread;
use crate::sweep::{Eyes, Sweep};
use newest::Cached;

/// Commits one pass makes at the most.
const COMMITS_MAX: usize = 8;
/// How often the planner may ask for more before it is a bug.
const NEEDS_ROUNDS_MAX: usize = 16;

/// Pages of listings of buckets one pass looks at.
const SWEEP_PAGES: usize = 10;

/// The shortest time wakes wait after a pass.
const PACE_MIN: Span = Span::secs(1);

/// What a reconciler is made of.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports have nothing to print")]
pub struct Parts {
    /// The ledger's store.
    pub store: Arc<dyn Store>,
    /// Where requests go.
    pub transport: Arc<dyn Transport>,
    /// The clock of the process.
    pub clock: Arc<dyn Clock>,
    /// Reads rule files.
    pub read_rules: ReadRules,
    /// Names no other process uses.
    pub nonces: Nonces,
    /// The URI of the ledger's folder, without a slash at its end.
    pub root: String,
    /// The lengths of time of the ledger, should it have to be founded.
    pub timing: Timing,
    /// Whose clock the store's times are taken from.
    pub store_clock: StoreClock,
    /// Where the buckets of data are listed once a day; none if they are not.
    pub buckets: Option<Buckets>,
}

/// How far a process has read the inbox again, a page in each pass.
#[derive(Clone, Debug, Default)]
struct Rereading {
    /// Where the next page begins, while there is one.
    from: Option<String>,
    /// When housekeeping was last done, when it last came to the end.
    over: Option<Timestamp>,
}

/// Decides and acts, one pass at a time.
pub struct Reconciler {
    parts: Parts,
    ledger: Ledger,
    intake: Intake,
    gatherer: Gatherer,
    agenda: Agenda,
    house: House,
    progress: Progress,
    view: Option<Cached>,
    /// The last commit this process has seen, with its nonce where it was read.
    seen: Option<(u64, Option<String>)>,
    rereading: Rereading,
    sweeping: Sweeping,
    observations: Vec<Observation>,
    reports: Vec<RegistryReport>,
    courier: Courier,
    /// The time of the last pass.
    now: Timestamp,
    deleted: Deleted,
}

/// What a pass came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// How long until something is due, if nothing else happens; none if nothing is.
    pub next: Option<Span>,
    /// Commits made.
    pub commits: usize,
    /// How long wakes wait after a pass, so that a burst of them is one: the shortest quiet time of any trigger,
    /// within bounds.
    pub pace: Span,
    /// How old the oldest event is that is recorded and was left for the next pass; zero if none was.
    pub behind: Span,
    /// Runs of which nobody knows whether they were started: a person settles each.
    pub uncertain: usize,
    /// How many of the letters something came of are settled.
    settled: usize,
}

/// What one commit may be about.
#[derive(Clone, Copy)]
struct Heard<'a> {
    listing: Listing,
    segments: &'a [Segment],
    deliveries: &'a [Delivery],
}

impl Passed {
    /// How long to rest before the next pass: not at all where something is due.
    #[must_use]
    pub fn rest(&self) -> Span {
        self.next.map_or(self.pace, |next| next.min(self.pace))
    }
}

/// What came of one attempt to commit.
enum Step {
    /// There was nothing to write down.
    Nothing(Option<Timestamp>),
    /// It is written; more may be decided at once.
    Written(Option<Timestamp>),
    /// Someone else was first.
    Lost(Box<Commit>),
}

/// The sweep of the day.
#[derive(Default)]
struct Sweeping {
    begun: Option<Timestamp>,
    under_way: Option<Sweep>,
}

impl Sweeping {
    /// What is to be looked at now: the sweep under way, or a new one where the day's work is due and has had none.
    fn due(
        &mut self,
        state: &State,
        now: Timestamp,
        (rules, ledger): (&Rules, &str),
    ) -> Option<&mut Sweep> {
        let is_new = self.begun.is_none_or(|begun| begun < state.marks.kept + state.timing.keep);
        if self.under_way.is_none() && house::is_due(state, now) && is_new {
            self.begun = Some(now);
            self.under_way = Some(Sweep::new(rules, ledger)).filter(|sweep| !sweep.is_over());
        }
        self.under_way.as_mut()
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reconciler")
    }
}

impl Reconciler {
    /// A reconciler that has read nothing yet.
    #[must_use]
    pub fn new(mut parts: Parts) -> Self {
        parts.store = Arc::new(Patient::new(&parts.store, &parts.clock));
        let buckets = parts.buckets.clone().unwrap_or_default();
        let (store, read_rules) = (Arc::clone(&parts.store), Arc::clone(&parts.read_rules));
        let gatherer = Gatherer::new(store, read_rules, buckets);
        Self {
            ledger: Ledger::new(Arc::clone(&parts.store)),
            intake: Intake::new(
                Arc::clone(&parts.store),
                Arc::clone(&parts.clock),
                parts.nonces.clone(),
                parts.timing.call,
            ),
            gatherer,
            agenda: Agenda::default(),
            house: House::default(),
            progress: Progress::default(),
            view: None,
            seen: None,
            rereading: Rereading::default(),
            sweeping: Sweeping::default(),
            observations: Vec::new(),
            reports: Vec::new(),
            courier: Courier::default(),
            now: Timestamp::EPOCH,
            deleted: Deleted::default(),
            parts,
        }
    }

    /// Makes one pass: reads what is new, decides, and makes the calls that are due.
    ///
    /// # Errors
    /// Whatever kept it from ending; nothing is lost, and the next pass goes on from what is stored.
    pub async fn pass(&mut self) -> Result<Passed, Error> {
        let deliveries = self.courier.done().to_vec();
        let mut courier = std::mem::take(&mut self.courier);
        let passed = courier.alongside(self.pass_with(&deliveries).boxed()).await;
        self.courier = courier;
        let mut passed = passed?;
        self.courier.settle(passed.settled);
        self.send_letters().await?;
        if !self.courier.done().is_empty() {
            passed.next = Some(Span::ZERO);
        }
        Ok(passed)
    }

    async fn pass_with(&mut self, deliveries: &[Delivery]) -> Result<Passed, Error> {
        let passed = self.try_pass(deliveries).await;
        if passed.as_ref().is_err_and(|error| error.kind() == ErrorKind::Conflict) {
            // A listed segment is gone: the state was older than it should be.
            self.view = None;
            return self.try_pass(deliveries).await;
        }
        passed
    }

    /// Whether letters are on their way, which a process should not be put to sleep with.
    #[must_use]
    pub fn is_delivering(&self) -> bool {
        self.courier.is_busy()
    }

    /// Waits until something came of a letter that is on its way, which the next pass writes down; for ever where
    /// none is.
    pub async fn delivered(&mut self) {
        self.courier.delivered().await;
    }

    /// Sends the letters that are due. Nobody waits for them.
    async fn send_letters(&mut self) -> Result<(), Error> {
        let Some(cached) = self.view.as_ref() else { return Ok(()) };
        let state = &cached.view.state;
        let Some(revision) = state.rules.as_ref().filter(|_| !state.outboxes.is_empty()) else {
            return Ok(());
        };
        let Ok(book) = self.gatherer.book(revision).await? else { return Ok(()) };
        let bag = Bag {
            transport: &self.parts.transport,
            clock: &self.parts.clock,
            tellers: &book.tellers,
            root: &self.parts.root,
        };
        let agenda = &self.agenda;
        self.courier.send((state, self.now), |nonce| agenda.is_own(nonce), &bag);
        Ok(())
    }

    async fn try_pass(&mut self, deliveries: &[Delivery]) -> Result<Passed, Error> {
        let mut cached = self.refresh().await?;
        let result = self.pass_on(&mut cached, deliveries).await;
        self.seen = Some((cached.view.state.seq, cached.view.tip.clone()));
        self.view = Some(cached);
        result
    }

    async fn pass_on(
        &mut self,
        cached: &mut Cached,
        deliveries: &[Delivery],
    ) -> Result<Passed, Error> {
        let heard =
            inbox::read(&self.parts.store, &*self.parts.clock, &cached.view.state, self.progress)
                .await?;
        let mut listing = Listing { now: self.now(cached, heard.listing.now), ..heard.listing };
        self.now = listing.now;
        let (mut segments, reread) = self.hidden(cached, listing.now).await?;
        segments.retain(|hidden| heard.segments.iter().all(|segment| segment.name != hidden.name));
        segments.extend(heard.segments);
        let mut passed = Passed::default();
        let (mut losses, mut is_settled) = (0, true);
        let due = loop {
            let heard_of =
                Heard { listing, segments: &segments, deliveries: &deliveries[passed.settled..] };
            match self.commit(cached, heard_of).await? {
                Step::Lost(winner) if losses > 0 || covers(&winner, &segments) => {
                    is_settled = false;
                    break None;
                }
                Step::Lost(winner) => {
                    losses += 1;
                    segments.retain(|segment| !winner.segments.contains(&segment.name));
                    continue;
                }
                Step::Nothing(due) => {
                    passed.settled = deliveries.len();
                    (self.progress, self.rereading) = (heard.progress, reread.clone());
                    if self.act(cached, listing.now).await? == 0 || passed.commits >= COMMITS_MAX {
                        break due;
                    }
                }
                Step::Written(due) => {
                    (self.progress, self.rereading) = (heard.progress, reread.clone());
                    passed.settled = deliveries.len();
                    passed.commits += 1;
                    listing.more = false;
                    segments.clear();
                    let acted = self.act(cached, listing.now).await?;
                    let at_once = due.is_some_and(|due| due <= listing.now);
                    if passed.commits >= COMMITS_MAX || (acted == 0 && !at_once) {
                        break due;
                    }
                }
            }
        };
        let is_looking = self.look_after(cached, listing.now, is_settled).await;
        if let Err(error) =
            self.ledger.keep_snapshot(&mut cached.view, SNAPSHOT_COMMITS_MAX / 2).await
        {
            tracing::warn!(%error, "a snapshot could not be kept; it is tried again");
        }
        let more = heard.listing.more || is_looking || self.rereading.from.is_some();
        passed.next = self.wait(due, listing, more);
        passed.pace = self.pace(&cached.view.state).await?;
        if heard.listing.more {
            passed.behind = heard.listing.now.since(heard.listing.fast);
        }
        let runs = cached.view.state.runs.values();
        passed.uncertain = runs.filter(|run| run.attempt().phase == Phase::Uncertain).count();
        Ok(passed)
    }

    /// What is done once a day beside the commits, of which nothing is urgent: the sweep, and housekeeping. Says whether
    /// there is more to look at.
    async fn look_after(&mut self, cached: &Cached, now: Timestamp, is_settled: bool) -> bool {
        let state = &cached.view.state;
        let is_sweeping = self.sweep(state, now).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the buckets could not be swept; they are again");
            false
        });
        if is_settled {
            match self.house.keep(&self.ledger, state, now).await {
                Ok(deleted) => self.deleted = deleted,
                Err(error) => {
                    tracing::warn!(%error, "what is needed no more could not be deleted; it is tried again");
                }
            }
        }
        is_sweeping
    }

    /// A page of the segments that listings do not show, and how far the inbox is read again with it: once a day, and by a
    /// process that has just begun where the store's clock may have been wrong before.
    async fn hidden(
        &self,
        cached: &Cached,
        now: Timestamp,
    ) -> Result<(Vec<Segment>, Rereading), Error> {
        let (state, clock) = (&cached.view.state, self.parts.store_clock);
        let Rereading { from, over } = &self.rereading;
        let is_new = over.is_none() && clock == StoreClock::Machine;
        let is_due = house::is_due(state, now) && *over != Some(state.marks.kept);
        if !is_new && !is_due && from.is_none() {
            return Ok((Vec::new(), self.rereading.clone()));
        }
        // The marks go back with the store's clock; what this process lists does not.
        let full = self.progress.full.max(state.marks.full);
        let store = &self.parts.store;
        let (hidden, from) = reread(store, state, (full, clock), from.as_deref()).await?;
        let over = if from.is_some() { *over } else { Some(state.marks.kept) };
        Ok((hidden, Rereading { from, over }))
    }

    /// Once a day looks into the buckets, a bounded number of pages in each pass; says whether there is more to look at.
    async fn sweep(&mut self, state: &State, now: Timestamp) -> Result<bool, Error> {
        let Some(buckets) = &self.parts.buckets else { return Ok(false) };
        let Some(revision) = &state.rules else { return Ok(false) };
        let Ok(book) = self.gatherer.book(revision).await? else { return Ok(false) };
        let Some(sweep) = self.sweeping.due(state, now, (&book.rules, &self.parts.root)) else {
            return Ok(false);
        };
        let limit = state.timing.call;
        let caller = Caller { transport: &self.parts.transport, clock: &self.parts.clock, limit };
        let gatherer = &mut self.gatherer;
        let mut eyes = Eyes { buckets, caller, gatherer, state, now, rules: &book.rules };
        let swept = match sweep.look_on(&mut eyes, &self.intake, SWEEP_PAGES).await {
            Ok(()) => &sweep.swept,
            Err(error) => {
                // Nothing is known to be recorded: it begins anew.
                self.sweeping = Sweeping::default();
                return Err(error);
            }
        };
        if !sweep.is_over() {
            return Ok(!sweep.is_stuck());
        }
        tracing::info!(?swept, "the buckets were swept");
        let is_news = swept.missed > 0;
        self.sweeping.under_way = None;
        Ok(is_news)
    }

    /// Plans and writes one commit.
    async fn commit(&mut self, cached: &mut Cached, heard: Heard<'_>) -> Result<Step, Error> {
        let listing = heard.listing;
        let nonce = self.parts.nonces.next();
        let planned = self.plan(cached, heard, &nonce).await?;
        let Some(commit) = planned.commit else {
            self.forget_answers();
            return Ok(Step::Nothing(planned.next));
        };
        self.check(cached, &commit).await?;
        self.prove(cached).await?;
        let objects: Vec<(String, Bytes)> =
            planned.objects.into_iter().map(|(name, body)| (name, Bytes::from(body))).collect();
        self.agenda.writing(&nonce, self.parts.clock.elapsed());
        if mutant::is(Mutant::CallWithoutIntent) {
            self.act_on(cached, &commit, listing.now).await?;
        }
        let draft = Draft { commit: &commit, objects: &objects };
        let agenda = &self.agenda;
        let is_ours = |nonce: &str| agenda.is_own(nonce);
        let written =
            self.ledger.write(&mut cached.view, &draft, &*self.parts.clock, &is_ours).await?;
        cached.view.tip = Some(written.commit().nonce.clone());
        match written {
            Written::Ours { commit: stored, .. } if stored.nonce == nonce => {
                fold(&mut cached.view.state, &stored);
                self.forget_answers();
                self.deleted = Deleted::default();
                Ok(Step::Written(planned.next))
            }
            Written::Foreign(stored) if mutant::is(Mutant::ForeignNotFolded) => {
                cached.view.state.seq = stored.seq;
                Ok(Step::Lost(stored))
            }
            Written::Ours { commit: stored, .. } | Written::Foreign(stored) => {
                if mutant::is(Mutant::LoserActs) {
                    self.act_on(cached, &commit, listing.now).await?;
                }
                fold(&mut cached.view.state, &stored);
                Ok(Step::Lost(stored))
            }
        }
    }

    /// Refuses a commit that breaks an invariant, so that a bug does not become history, and one made from a state
    /// that may be too old.
    async fn check(&mut self, cached: &Cached, commit: &Commit) -> Result<(), Error> {
        let state = &cached.view.state;
        let age = self.parts.clock.elapsed().as_millis() - cached.confirmed.as_millis();
        let is_blind = mutant::is(Mutant::LogDeleted);
        if age >= state.timing.state_age_max().as_millis() && !is_blind {
            return Err(Error::new(ErrorKind::Unavailable, "the state is too old to commit from"));
        }
        let book = match commit.applied().next_back().or(state.rules.as_ref()) {
            Some(revision) => self.gatherer.book(revision).await?.ok(),
            None => None,
        };
        let violations = invariants::check(state, commit, book.as_ref().map(|book| &*book.rules));
        violations.first().map_or(Ok(()), |first| {
            Err(Error::new(ErrorKind::Internal, format!("a commit breaks an invariant: {first}")))
        })
    }

    async fn plan(
        &mut self,
        cached: &Cached,
        heard: Heard<'_>,
        nonce: &str,
    ) -> Result<Plan, Error> {
        let Heard { listing, segments, deliveries } = heard;
        let state = &cached.view.state;
        let mut found = Found::default();
        for _ in 0..NEEDS_ROUNDS_MAX {
            let inputs = Inputs {
                root: &self.parts.root,
                nonce,
                listing,
                segments,
                observations: &self.observations,
                reports: &self.reports,
                deliveries,
                deleted: &self.deleted,
                found: &found,
            };
            let planned = plan(state, &inputs);
            if planned.needs.is_empty() {
                return usable(state, &found, planned);
            }
            let caller = Caller {
                transport: &self.parts.transport,
                clock: &self.parts.clock,
                limit: state.timing.call,
            };
            self.gatherer.satisfy(state, planned.needs, &caller, &mut found).await?;
        }
        Err(Error::new(ErrorKind::Internal, "the planner asks for more and more"))
    }

    /// Makes the calls a commit would allow if it were in the log: what only mutants do.
    async fn act_on(
        &mut self,
        cached: &Cached,
        commit: &Commit,
        now: Timestamp,
    ) -> Result<(), Error> {
        let mut state = cached.view.state.clone();
        fold(&mut state, commit);
        let view = View { state, snapshot: None, tip: None };
        let confirmed = cached.confirmed;
        let ghost = Cached { view, confirmed, is_proved: false, behind: None };
        self.act(&ghost, now).await?;
        Ok(())
    }

    /// Makes the calls that are due, and says how many answers there are to be written down.
    async fn act(&mut self, cached: &Cached, now: Timestamp) -> Result<usize, Error> {
        let caller = Caller {
            transport: &self.parts.transport,
            clock: &self.parts.clock,
            limit: cached.view.state.timing.call,
        };
        let scene = Scene {
            now,
            state: &cached.view.state,
            store: &self.parts.store,
            store_clock: self.parts.store_clock,
            caller: &caller,
        };
        // What services answered is kept, whatever becomes of the calls to registries.
        self.observations.extend(act(scene, &mut self.agenda, &mut self.gatherer).await?);
        self.reports.extend(visit(scene, &mut self.agenda, &mut self.gatherer).await?);
        Ok(self.observations.len() + self.reports.len())
    }

    /// What services and registries answered is written down, or is no news.
    fn forget_answers(&mut self) {
        self.observations.clear();
        self.reports.clear();
    }

    async fn pace(&mut self, state: &State) -> Result<Span, Error> {
        let book = match &state.rules {
            Some(revision) => self.gatherer.book(revision).await?.ok(),
            None => None,
        };
        let quiet = book
            .iter()
            .flat_map(|book| book.rules.triggers.values())
            .filter_map(|rule| rule.batch.quiet);
        let longest = Span::from_millis(state.timing.ping.as_millis() / 6).max(PACE_MIN);
        Ok(quiet.min().unwrap_or(longest).min(longest).max(PACE_MIN))
    }

    /// How long until something is due.
    fn wait(&self, due: Option<Timestamp>, listing: Listing, more: bool) -> Option<Span> {
        if more || !self.observations.is_empty() || !self.reports.is_empty() {
            return Some(Span::ZERO);
        }
        let elapsed = self.parts.clock.elapsed().as_millis();
        let look = self.agenda.next().map(|at| Span::from_millis(at.as_millis() - elapsed));
        let due = due.map(|due| due.since(listing.now));
        due.into_iter().chain(look).min()
    }
}

/// The plan, unless nothing can be decided because the rules in force cannot be used.
fn usable(state: &State, found: &Found, planned: Plan) -> Result<Plan, Error> {
    match state.rules.as_ref().and_then(|revision| found.rules.get(revision)) {
        Some(Err(why)) if planned.commit.is_none() => {
            let message = format!("the rules in force cannot be used: {why}");
            Err(Error::new(ErrorKind::Data, message))
        }
        _ => Ok(planned),
    }
}

/// Whether a commit consumed everything we would have.
fn covers(winner: &Commit, segments: &[Segment]) -> bool {
    !segments.is_empty() && segments.iter().all(|segment| winner.segments.contains(&segment.name))
}
