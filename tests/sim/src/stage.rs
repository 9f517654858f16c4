//! A world with processes of the product in it: started, killed, paused, and given events.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::FutureExt as _;
use futures::channel::mpsc;
use refit_core::event::Event;
use refit_core::state::State;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::gather::{ReadRules, RuleBook};
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Store, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_wire::listing::Buckets;

use crate::check::{self, Verdict};
use crate::executor::{Executor, ProcessId};
use crate::faults::{Fault, Faults};
use crate::outside::{Door, Outside, lock};
use crate::process::{SimClock, Skew, Tick};
use crate::random::Random;
use crate::service::SimTransport;
use crate::store::{Calls, RawStore, SimStore};
use crate::world::World;

/// Steps of the executor before a world counts as one that never comes to rest.
const STEPS_MAX: u64 = 400_000;
/// The process of those who deliver, which no fault touches.
const OUTSIDE: ProcessId = 0;
/// How long an intake takes to answer at the most.
const INTAKE_DEADLINE: Span = Span::secs(8);
/// A clock that is off by more is off by minutes, in milliseconds.
const MINUTES: i64 = 300_000;
/// A clock that is off by more is off by days.
const DAY: i64 = 86_400_000;

/// A process of the product.
#[derive(Clone, Default)]
#[expect(missing_debug_implementations, reason = "an intake has nothing to print")]
pub struct Machine {
    /// Whether it reconciles, or takes events in.
    pub is_tick: bool,
    /// How far its clock is off.
    pub skew: Skew,
    /// Whether it runs.
    pub alive: bool,
    lives: u32,
    intake: Arc<Mutex<Option<Intake>>>,
    wake: Option<mpsc::UnboundedSender<()>>,
}

impl Machine {
    /// A process that does not run yet.
    #[must_use]
    pub fn new(is_tick: bool, skew: i64) -> Self {
        Self { is_tick, skew: Skew::new(skew), ..Self::default() }
    }
}

/// What a stage is set with.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "services have nothing to print")]
pub struct Setting {
    /// The world.
    pub world: World,
    /// The processes.
    pub machines: Vec<Machine>,
    /// The revisions of the rules, by name.
    pub books: BTreeMap<String, RuleBook>,
    /// The lengths of time of the ledger.
    pub timing: Timing,
    /// Whose clock the store's times are taken from.
    pub store_clock: StoreClock,
    /// Where buckets of data are listed; where nowhere, they are not swept.
    pub buckets: Option<Buckets>,
}

/// The world, its processes and those who deliver.
#[expect(missing_debug_implementations, reason = "futures have nothing to print")]
pub struct Stage {
    /// The world.
    pub world: World,
    /// Its processes.
    pub machines: Vec<Machine>,
    /// Those who deliver.
    pub outside: Outside,
    /// Steps of the executor.
    pub steps: u64,
    executor: Executor,
    random: Random,
    setting: Setting,
    read_rules: ReadRules,
    /// The revisions of the rules.
    pub books: Arc<BTreeMap<String, RuleBook>>,
    errors: Arc<Mutex<Vec<String>>>,
    seen: Option<State>,
    faults_before_rest: u64,
}

impl Stage {
    /// A stage with everything stored that rules need, and nothing started.
    #[must_use]
    pub fn new(setting: Setting, executor: Executor, random: Random) -> Self {
        let world = setting.world.clone();
        let machines = setting.machines.clone();
        let doors = (1..).zip(&machines).filter(|(_, machine)| !machine.is_tick);
        let doors = doors
            .map(|(process, machine)| Door { process, intake: Arc::clone(&machine.intake) })
            .collect();
        let books = Arc::new(setting.books.clone());
        let raw = RawStore(world.clone());
        for revision in books.keys() {
            let body = Bytes::from(revision.clone());
            drop(raw.create(&layout::rules(revision), body).now_or_never());
        }
        let revisions = books.iter();
        let rules = revisions.map(|(name, book)| (name.clone(), Arc::clone(&book.rules))).collect();
        {
            let mut inner = world.lock();
            inner.watch.rules = rules;
            inner.counts = Default::default();
        }
        Self {
            outside: Outside::new(world.clone(), doors),
            world,
            machines,
            steps: 0,
            executor,
            random,
            setting,
            read_rules: read_rules(&books),
            books,
            errors: Arc::default(),
            seen: None,
            faults_before_rest: 0,
        }
    }

    /// Starts a process, for the first time or again.
    pub fn start(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.lives += 1;
        machine.alive = true;
        let kind = if machine.is_tick { "tick" } else { "door" };
        let who: Arc<str> = Arc::from(format!("{kind}{at}.{}", machine.lives));
        let off = machine.skew.get().abs();
        if off > MINUTES {
            let fault = if off > DAY { Fault::SkewDays } else { Fault::SkewMinutes };
            self.world.inject(fault);
        }
        match self.machines[at].is_tick {
            true => self.start_tick(at, who),
            false => self.start_door(at, &who),
        }
    }

    fn start_door(&mut self, at: usize, who: &Arc<str>) {
        let machine = &self.machines[at];
        let clock = SimClock { time: self.world.time().clone(), skew: machine.skew.clone() };
        let store = SimStore::new(self.world.clone(), Arc::clone(who), Arc::default());
        let nonces = Nonces::new(who);
        let intake = Intake::new(Arc::new(store), Arc::new(clock), nonces, INTAKE_DEADLINE);
        *lock(&machine.intake) = Some(intake);
    }

    fn start_tick(&mut self, at: usize, who: Arc<str>) {
        let calls = Arc::new(Calls::default());
        let skew = self.machines[at].skew.clone();
        let clock = SimClock { time: self.world.time().clone(), skew };
        let store = SimStore::new(self.world.clone(), Arc::clone(&who), Arc::clone(&calls));
        let (wake, woken) = mpsc::unbounded();
        self.machines[at].wake = Some(wake);
        let reconciler = Reconciler::new(Parts {
            store: Arc::new(store),
            transport: Arc::new(SimTransport::new(self.world.clone(), Arc::clone(&who))),
            clock: Arc::new(clock),
            read_rules: Arc::clone(&self.read_rules),
            nonces: Nonces::new(&who),
            root: "sim://ledger".to_owned(),
            timing: self.setting.timing.clone(),
            store_clock: self.setting.store_clock,
            buckets: self.setting.buckets.clone(),
        });
        let tick = Tick {
            who,
            world: self.world.clone(),
            reconciler,
            ping: self.setting.timing.ping,
            woken,
            calls,
            errors: Arc::clone(&self.errors),
        };
        self.executor.spawn(at + 1, tick.run());
        let wakes = self.machines.iter().filter_map(|machine| machine.wake.clone());
        self.outside.set_wakes(wakes.collect());
    }

    /// Ends everything a process does, in the middle of whatever it is.
    pub fn kill(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.alive = false;
        machine.wake = None;
        *lock(&machine.intake) = None;
        self.executor.kill(at + 1);
        self.world.note("", "kill", &at.to_string());
    }

    /// Lets a process do nothing for so many milliseconds.
    pub fn pause(&mut self, at: usize, millis: i64) {
        let now = self.world.time().now();
        self.executor.pause(at + 1, now + millis);
        self.world.note("", "pause", &format!("{at} for {millis}"));
    }

    /// The clock of a process is off by so many milliseconds from now on, whether it runs or not.
    pub fn set_clock(&mut self, at: usize, millis: i64) {
        self.machines[at].skew.set(millis);
        self.world.note("", "clock", &format!("{at} is off by {millis}"));
    }

    /// Has somebody outside deliver events from that time on, until they are acknowledged.
    pub fn deliver(&mut self, at: i64, events: Vec<Event>) {
        self.outside.expect_one();
        self.executor.spawn(OUTSIDE, self.outside.clone().deliver(at, events));
    }

    /// Lets the world go on until that time.
    pub fn play_until(&mut self, end: i64) {
        while self.steps < STEPS_MAX && self.executor.step(&mut self.random, end) {
            self.steps += 1;
            self.outside.spawn_all(&mut self.executor);
        }
        self.executor.skip_to(end);
    }

    /// Whether the world moves on and on without coming to rest.
    #[must_use]
    pub fn is_endless(&self) -> bool {
        self.steps >= STEPS_MAX
    }

    /// Nothing goes wrong any more: every process runs, with the right time.
    pub fn end_faults(&mut self) {
        let now = self.world.time().now();
        {
            let mut inner = self.world.lock();
            inner.faults = Faults::none();
            inner.storm_until = 0;
            inner.store_skew.push((now, 0));
            inner.trace.note(now, "", "rest", "");
        }
        for at in 0..self.machines.len() {
            self.executor.pause(at + 1, 0);
            self.machines[at].skew.set(0);
            // What a wrong clock of the store hid is found by a process that begins, and once a day.
            if self.setting.store_clock == StoreClock::Machine {
                self.kill(at);
            }
            if !self.machines[at].alive {
                self.start(at);
            }
        }
        (0..self.outside.reordered()).for_each(|_| self.world.inject(Fault::Reordered));
        self.faults_before_rest = self.world.lock().injected.faults();
    }

    /// Whether everything delivered is acknowledged, and nothing that could be done is left.
    pub fn is_at_rest(&mut self) -> bool {
        self.outside.outstanding() == 0
            && check::is_at_rest(&self.world, &self.books, &mut self.seen)
    }

    /// Checks everything.
    #[must_use]
    pub fn check(&self, seed: u64) -> Verdict {
        let acknowledged = self.outside.acknowledged();
        let mut verdict = check::check(&self.world, &self.books, &acknowledged);
        verdict.seed = seed;
        verdict.steps = self.steps;
        verdict.faults_at_rest = verdict.injected.faults() - self.faults_before_rest;
        if self.is_endless() {
            verdict.violations.push("liveness: the world does not come to rest".to_owned());
        }
        verdict.violations.extend(lock(&self.errors).iter().cloned());
        verdict
    }
}

fn read_rules(books: &Arc<BTreeMap<String, RuleBook>>) -> ReadRules {
    let books = Arc::clone(books);
    Arc::new(move |text| books.get(text).cloned().ok_or_else(|| "no such rules".to_owned()))
}
