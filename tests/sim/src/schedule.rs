//! One schedule: a world with faults from a seed, then the same world without, then the checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use refit_core::error::ErrorKind;
use refit_core::event::{
    Command, DataRef, Event, Fact, Held, Identity, ObjectChange, ObjectKind, PauseMode,
};
use refit_core::key::Hash128;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::gather::{ReadRules, RuleBook};
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, Store, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};

use crate::check::{self, Verdict};
use crate::executor::{Executor, ProcessId, Time};
use crate::faults::Faults;
use crate::random::Random;
use crate::rules;
use crate::service::{Services, SimTransport};
use crate::store::{RawStore, SimStore};
use crate::world::{World, wall};

/// How long faults last, in milliseconds.
const FAULTY: i64 = 150_000;
/// How often it is drawn whether a process is killed or paused.
const DRAW_EVERY: i64 = 5_000;
/// How long the world has to come to rest.
const REST: i64 = 3_600_000;
/// Steps of the executor before a schedule counts as a livelock.
const STEPS_MAX: u64 = 400_000;
/// The process of those who deliver, which no fault touches.
const OUTSIDE: ProcessId = 0;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The seed everything is drawn from.
    pub seed: u64,
    /// Whether to keep lines for a person to read.
    pub verbose: bool,
}

/// A process of the product.
struct Machine {
    is_tick: bool,
    skew: i64,
    lives: u32,
    alive: bool,
    intake: Arc<Mutex<Option<Intake>>>,
    wake: Option<mpsc::UnboundedSender<()>>,
}

/// Something a process outside asks a process of the product to do.
type Spawned = Box<dyn FnOnce(&mut Executor) + Send>;

/// What the deliverers share with the schedule.
#[derive(Clone)]
struct Outside {
    world: World,
    doors: Vec<Door>,
    spawned: Arc<Mutex<Vec<Spawned>>>,
    acknowledged: Arc<Mutex<BTreeSet<Hash128>>>,
    outstanding: Arc<Mutex<usize>>,
    wakes: Arc<Mutex<Vec<mpsc::UnboundedSender<()>>>>,
}

/// The way to one intake.
#[derive(Clone)]
struct Door {
    process: ProcessId,
    intake: Arc<Mutex<Option<Intake>>>,
}

/// The whole schedule.
struct Stage {
    world: World,
    executor: Executor,
    random: Random,
    machines: Vec<Machine>,
    outside: Outside,
    books: Arc<BTreeMap<String, RuleBook>>,
    errors: Arc<Mutex<Vec<String>>>,
    store_jumps: bool,
    short_memory: bool,
    steps: u64,
}

/// The lengths of time of a simulated ledger: short where the world would only wait.
#[must_use]
pub fn timing() -> Timing {
    Timing {
        lease: Span::secs(30),
        margin: Span::secs(5),
        call: Span::secs(5),
        settle: Span::secs(60),
        ping: Span::secs(30),
        poll: Span::secs(10),
        ..Timing::default()
    }
}

/// The same with a memory of minutes and housekeeping all the time.
#[must_use]
pub fn short_timing() -> Timing {
    Timing {
        window: Span::mins(12),
        slack: Span::mins(1),
        keep: Span::secs(40),
        garbage: Span::secs(30),
        watch: Span::mins(5),
        ..timing()
    }
}

/// Runs a schedule and says what was wrong with it.
#[must_use]
pub fn run(plan: &Plan) -> Verdict {
    let mut stage = Stage::new(plan);
    stage.begin();
    stage.play_faults();
    stage.rest();
    stage.check(plan.seed)
}

impl Stage {
    fn new(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let faults = Faults::draw(&mut random, timing().settle.as_millis());
        let store_jumps = faults.store_skew > 0;
        let short_memory = faults.short_memory;
        let executor = Executor::default();
        let world_random = Random::new(random.next());
        let world = World::new(executor.time().clone(), world_random, faults, Services::default());
        if plan.verbose {
            world.lock().trace.lines = Some(Vec::new());
        }
        let books = draw_books(&mut random);
        let machines = draw_machines(&mut random, &world);
        let doors = machines.iter().enumerate().filter(|(_, machine)| !machine.is_tick);
        let doors = doors
            .map(|(at, machine)| Door { process: at + 1, intake: Arc::clone(&machine.intake) });
        let outside = Outside {
            world: world.clone(),
            doors: doors.collect(),
            spawned: Arc::default(),
            acknowledged: Arc::default(),
            outstanding: Arc::default(),
            wakes: Arc::default(),
        };
        Self {
            world,
            executor,
            random,
            machines,
            outside,
            books: Arc::new(books),
            errors: Arc::default(),
            store_jumps,
            short_memory,
            steps: 0,
        }
    }

    /// Stores the rules, starts every process and everyone who delivers.
    fn begin(&mut self) {
        let raw = RawStore(self.world.clone());
        for revision in self.books.keys() {
            let body = Bytes::from(revision.clone());
            drop(futures::FutureExt::now_or_never(raw.create(&layout::rules(revision), body)));
        }
        for at in 0..self.machines.len() {
            self.start(at);
        }
        let count = self.random.between(1, 12);
        for number in 0..count {
            let event = self.draw_event(number);
            let at = self.random.between(0, FAULTY * 2 / 3);
            self.deliver(at, event);
        }
        self.draw_commands();
    }

    fn draw_commands(&mut self) {
        let apply = |number: i64, revision: &str, replaces: Option<&str>, start: bool| {
            let revision = revision.to_owned();
            command(
                number,
                Command::Apply { revision, replaces: replaces.map(str::to_owned), start },
            )
        };
        self.deliver(0, apply(0, "r1", None, false));
        if self.random.per_mille(250) {
            let at = self.random.between(20_000, FAULTY);
            let start = self.random.per_mille(500);
            self.deliver(at, apply(1, "r2", Some("r1"), start));
        }
        if self.random.per_mille(200) {
            let at = self.random.between(10_000, FAULTY);
            let mode = *self.random.pick(&[PauseMode::Hold, PauseMode::Ignore]);
            let held = *self.random.pick(&[Held::Ask, Held::Coalesce, Held::Discard]);
            let trigger = "t".to_owned();
            self.deliver(at, command(2, Command::Pause { trigger: trigger.clone(), mode }));
            let later = self.random.between(at, FAULTY);
            self.deliver(later, command(3, Command::Resume { trigger, held }));
        }
        if self.random.per_mille(100) {
            let at = self.random.between(30_000, FAULTY);
            let run = format!("b{}", self.random.between(2, 6));
            self.deliver(at, command(4, Command::Cancel { run }));
        }
    }

    fn draw_event(&mut self, number: i64) -> Event {
        let random = &mut self.random;
        let name = *random.pick(&["x/1", "x/2", "y/1", "y/2", "y/_SUCCESS", "z/3"]);
        let kind = if random.per_mille(100) { ObjectKind::Deleted } else { ObjectKind::Finalized };
        let generation = random.between(1, 3).to_string();
        let size = u64::try_from(random.between(0, 9)).unwrap_or(0);
        let object = DataRef {
            scheme: "gs".to_owned(),
            bucket: "b".to_owned(),
            name: name.to_owned(),
            generation: Some(generation.clone()),
            size: Some(size),
            checksum: random.per_mille(500).then(|| format!("md5:{}", random.below(2))),
            created: Some(wall(number * 1000, 0)),
            ..DataRef::default()
        };
        Event {
            identity: Identity(
                ["gs", "b", name, &generation, kind.name()].map(str::to_owned).to_vec(),
            ),
            origin: "sim".to_owned(),
            time: Some(wall(number * 1000, 0)),
            delivery: None,
            replay: None,
            fact: Fact::Object(ObjectChange {
                kind,
                object,
                overwrote: None,
                overwritten_by: None,
            }),
        }
    }

    /// Has somebody outside deliver an event from that time on, until it is acknowledged.
    fn deliver(&mut self, at: i64, event: Event) {
        let outside = self.outside.clone();
        *outside.outstanding.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.executor.spawn(OUTSIDE, outside.deliver(at, event));
    }

    /// Starts a process, for the first time or again.
    fn start(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.lives += 1;
        machine.alive = true;
        let who =
            format!("{}{at}.{}", if machine.is_tick { "tick" } else { "door" }, machine.lives);
        let clock = SimClock { time: self.world.time().clone(), skew: machine.skew };
        let store: Arc<dyn Store> = Arc::new(SimStore::new(self.world.clone(), who.clone()));
        let nonces = Nonces::new(&who);
        if !machine.is_tick {
            let intake = Intake::new(store, Arc::new(clock), nonces, Span::secs(8));
            *machine.intake.lock().unwrap_or_else(PoisonError::into_inner) = Some(intake);
            return;
        }
        let (wake, woken) = mpsc::unbounded();
        machine.wake = Some(wake);
        let books = Arc::clone(&self.books);
        let read_rules: ReadRules = Arc::new(move |text| {
            books.get(text).cloned().ok_or_else(|| "no such rules".to_owned())
        });
        let reconciler = Reconciler::new(Parts {
            store,
            transport: Arc::new(SimTransport::new(self.world.clone(), who.clone())),
            clock: Arc::new(clock),
            read_rules,
            nonces,
            root: "sim://ledger".to_owned(),
            timing: if self.short_memory { short_timing() } else { timing() },
            store_clock: if self.store_jumps { StoreClock::Machine } else { StoreClock::Service },
        });
        let tick = Tick {
            who,
            world: self.world.clone(),
            reconciler,
            woken,
            errors: Arc::clone(&self.errors),
        };
        self.executor.spawn(at + 1, tick.run());
        self.share_wakes();
    }

    fn share_wakes(&self) {
        let wakes = self.machines.iter().filter_map(|machine| machine.wake.clone()).collect();
        *self.outside.wakes.lock().unwrap_or_else(PoisonError::into_inner) = wakes;
    }

    fn kill(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        machine.alive = false;
        machine.wake = None;
        *machine.intake.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.executor.kill(at + 1);
        self.world.note("kill", &at.to_string());
    }

    fn play_faults(&mut self) {
        while self.world.time().now() < FAULTY {
            self.play_until(self.world.time().now() + DRAW_EVERY);
            self.draw_weather();
            for at in 0..self.machines.len() {
                self.draw_mishap(at);
            }
        }
    }

    /// A storm may begin; the clock of the store may be wrong for a while.
    fn draw_weather(&mut self) {
        let now = self.world.time().now();
        let mut inner = self.world.lock();
        let per_draw = |rate: u64| rate * DRAW_EVERY.unsigned_abs() / 60_000;
        let (storms, skew) = (per_draw(inner.faults.storms), inner.faults.store_skew);
        if self.random.per_mille(storms) {
            inner.storm_until = now + self.random.between(1_000, 60_000);
        }
        if skew > 0 && self.random.per_mille(100) {
            let off = self.random.between(-skew, skew);
            inner.store_skew.push((now, off));
        }
    }

    fn draw_mishap(&mut self, at: usize) {
        let (kills, pauses, pause_max) = {
            let inner = self.world.lock();
            (inner.faults.kills, inner.faults.pauses, inner.faults.pause_max)
        };
        let per_draw = |rate: u64| rate * DRAW_EVERY.unsigned_abs() / 60_000;
        if !self.machines[at].alive {
            if self.random.per_mille(400) {
                self.start(at);
            }
        } else if self.random.per_mille(per_draw(kills)) {
            self.kill(at);
        } else if self.random.per_mille(per_draw(pauses)) {
            let until = self.world.time().now() + self.random.between(100, pause_max);
            self.executor.pause(at + 1, until);
            self.world.note("pause", &at.to_string());
        }
    }

    fn play_until(&mut self, end: i64) {
        while self.steps < STEPS_MAX && self.executor.step(&mut self.random, end) {
            self.steps += 1;
            let spawned = std::mem::take(
                &mut *self.outside.spawned.lock().unwrap_or_else(PoisonError::into_inner),
            );
            spawned.into_iter().for_each(|spawn| spawn(&mut self.executor));
        }
        self.executor.skip_to(end);
    }

    /// Nothing goes wrong any more; the world comes to rest.
    fn rest(&mut self) {
        let now = self.world.time().now();
        {
            let mut inner = self.world.lock();
            inner.faults = Faults { delay_max: 20, ..Faults::default() };
            inner.storm_until = 0;
            inner.store_skew.push((now, 0));
            inner.trace.note(now, "rest", "");
        }
        for at in 0..self.machines.len() {
            self.executor.pause(at + 1, 0);
            self.machines[at].skew = 0;
            // What a wrong clock of the store hid is found by a process that begins, and once a day.
            if self.store_jumps {
                self.kill(at);
            }
            if !self.machines[at].alive {
                self.start(at);
            }
        }
        let end = now + REST;
        while self.world.time().now() < end && self.steps < STEPS_MAX {
            self.play_until(self.world.time().now() + 60_000);
            let outstanding =
                *self.outside.outstanding.lock().unwrap_or_else(PoisonError::into_inner);
            // What a short memory deletes is deleted after its window only.
            let is_over = !self.short_memory || self.world.time().now() > now + 1_200_000;
            if outstanding == 0 && is_over && check::is_at_rest(&self.world, &self.books) {
                return;
            }
        }
    }

    fn check(&self, seed: u64) -> Verdict {
        let errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let acknowledged =
            self.outside.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut verdict = check::check(&self.world, &self.books, &acknowledged);
        verdict.seed = seed;
        verdict.steps = self.steps;
        if self.steps >= STEPS_MAX {
            verdict.violations.push("livelock: the world does not come to rest".to_owned());
        }
        verdict.violations.extend(errors);
        verdict
    }
}

fn draw_books(random: &mut Random) -> BTreeMap<String, RuleBook> {
    ["r1", "r2"].into_iter().map(|name| (name.to_owned(), rules::draw(random, name))).collect()
}

fn draw_machines(random: &mut Random, world: &World) -> Vec<Machine> {
    let skew_max = world.lock().faults.skew_max;
    let ticks = if random.per_mille(700) { 2 } else { 1 };
    let kinds = [false, false, true, true];
    let machine = |is_tick: bool| Machine {
        is_tick,
        skew: random.between(-skew_max, skew_max),
        lives: 0,
        alive: false,
        intake: Arc::default(),
        wake: None,
    };
    kinds.into_iter().take(2 + ticks).map(machine).collect()
}

fn command(number: i64, command: Command) -> Event {
    Event {
        identity: Identity(vec!["command".to_owned(), number.to_string()]),
        origin: "sim".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Command(command),
    }
}

impl Outside {
    /// Delivers an event again and again until it is acknowledged, as a message service does.
    async fn deliver(self, at: i64, event: Event) {
        let time = self.world.time().clone();
        time.until(at).await;
        loop {
            let acknowledged = self.try_deliver(event.clone()).await;
            let (again, pause) = {
                let mut inner = self.world.lock();
                let duplicates = inner.faults.duplicates;
                (inner.random.per_mille(duplicates), inner.random.between(500, 20_000))
            };
            if acknowledged {
                let mut known = self.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                known.insert(event.id());
                if !again {
                    *self.outstanding.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
                    return;
                }
            }
            time.after(pause).await;
        }
    }

    async fn try_deliver(&self, event: Event) -> bool {
        let (door, wake) = {
            let mut inner = self.world.lock();
            let door = inner.random.pick(&self.doors).clone();
            let lost = inner.faults.wakes_lost;
            (door, !inner.random.per_mille(lost))
        };
        let intake = door.intake.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(intake) = intake else { return false };
        let (answer, answered) = oneshot::channel();
        let work = async move {
            let _ = answer.send(intake.append(vec![event]).await.is_ok());
        };
        let spawn: Spawned = Box::new(move |executor| executor.spawn(door.process, work));
        self.spawned.lock().unwrap_or_else(PoisonError::into_inner).push(spawn);
        let limit = self.world.time().after(10_000);
        let acknowledged = match select(answered, std::pin::pin!(limit)).await {
            Either::Left((answer, _)) => answer.unwrap_or(false),
            Either::Right(_) => false,
        };
        if acknowledged && wake {
            self.wake();
        }
        acknowledged
    }

    /// A wake reaches one instance, whichever it is.
    fn wake(&self) {
        let wakes = self.wakes.lock().unwrap_or_else(PoisonError::into_inner);
        if !wakes.is_empty() {
            let _ = self.world.lock().random.pick(&wakes).unbounded_send(());
        }
    }
}

/// A reconciling process.
struct Tick {
    who: String,
    world: World,
    reconciler: Reconciler,
    woken: mpsc::UnboundedReceiver<()>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Tick {
    async fn run(mut self) {
        let time = self.world.time().clone();
        loop {
            let wait = match self.reconciler.pass().await {
                Ok(passed) => passed.next.unwrap_or(timing().ping).min(timing().ping),
                Err(error) => {
                    self.world.note(&format!("{} fails", self.who), &error.to_string());
                    if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Data) {
                        let mut errors = self.errors.lock().unwrap_or_else(PoisonError::into_inner);
                        errors.push(format!("{}: {error}", self.who));
                    }
                    Span::secs(5)
                }
            };
            let sleep = std::pin::pin!(time.after(wait.as_millis().max(100)));
            select(sleep, self.woken.next()).await;
            while self.woken.try_recv().is_ok() {}
        }
    }
}

/// The clock of a process.
struct SimClock {
    time: Time,
    skew: i64,
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        wall(self.time.now(), self.skew)
    }

    fn elapsed(&self) -> Span {
        Span::from_millis(self.time.now())
    }

    async fn sleep(&self, span: Span) {
        self.time.after(span.as_millis()).await;
    }
}
