//! One schedule: a world with faults from a seed, then the same world without, then the checks.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use refit_core::event::{Command, Fact};
use refit_core::rules::Rules;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::port::StoreClock;

use crate::check::Verdict;
use crate::draw;
use crate::executor::Executor;
use crate::faults::{Fault, Faults};
use crate::random::Random;
use crate::stage::{Setting, Stage};
use crate::world::World;

/// Seeds from here on are of small worlds.
pub const SMALL: u64 = 1 << 32;
/// How often it is drawn whether a process is killed or paused.
const DRAW_EVERY: i64 = 5_000;
/// How often a clock jumps that may, per mille of such draws.
const CLOCK_JUMPS: u64 = 40;
/// How long the world has to come to rest.
const REST: i64 = 3_600_000;
/// How often it is looked whether it has.
const LOOK_EVERY: i64 = 60_000;
/// How long a short memory takes to delete what it deletes.
const FORGETTING: i64 = 1_200_000;

/// What to run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The seed everything is drawn from.
    pub seed: u64,
    /// Whether to keep lines for a person to read.
    pub verbose: bool,
}

/// How much may happen in a world.
#[derive(Clone, Copy, Debug)]
struct Size {
    /// How long faults last, in milliseconds.
    faulty: i64,
    /// The most changes of objects.
    events: i64,
    /// The most triggers.
    triggers: i64,
    /// Whether it may have a short memory, which takes longer to forget than a small world lasts.
    forgets: bool,
}

impl Size {
    fn of(seed: u64) -> Self {
        match seed {
            ..SMALL => Self { faulty: 150_000, events: 12, triggers: 2, forgets: true },
            SMALL.. => Self { faulty: 30_000, events: 2, triggers: 1, forgets: false },
        }
    }
}

/// A stage with what is drawn for it on the way.
struct Schedule {
    stage: Stage,
    size: Size,
    random: Random,
    /// What came to be drawn later is drawn from these: worlds without it are what they were.
    more: Random,
    faults: Faults,
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
    let mut schedule = Schedule::new(plan);
    schedule.begin();
    schedule.play_faults();
    schedule.rest();
    schedule.stage.check(plan.seed)
}

/// What a schedule leaves: a ledger in which much has happened.
#[derive(Clone, Debug)]
pub struct Left {
    /// Every object, by name.
    pub objects: BTreeMap<String, Bytes>,
    /// The revisions of the rules.
    pub rules: BTreeMap<String, Arc<Rules>>,
}

/// Runs a schedule for what it leaves.
#[must_use]
pub fn play(plan: &Plan) -> Left {
    let mut schedule = Schedule::new(plan);
    schedule.begin();
    schedule.play_faults();
    schedule.rest();
    let books = schedule.stage.books.iter();
    let rules = books.map(|(revision, book)| (revision.clone(), Arc::clone(&book.rules)));
    let objects = schedule.stage.world.lock().objects.clone().into_iter();
    Left {
        objects: objects.map(|(name, stored)| (name, stored.body)).collect(),
        rules: rules.collect(),
    }
}

impl Schedule {
    fn new(plan: &Plan) -> Self {
        let mut random = Random::new(plan.seed);
        let mut more = Random::new(!plan.seed);
        let size = Size::of(plan.seed);
        let drawn = Faults::draw(&mut random, timing().settle.as_millis()).draw_more(&mut more);
        // What is recorded by a clock that is behind by more than the memory is forgotten when the clock is right again.
        let outlasts = drawn.store_skew < short_timing().window.as_millis();
        let short_memory = drawn.short_memory && size.forgets && outlasts;
        let faults = Faults { short_memory, ..drawn };
        let executor = Executor::default();
        let world_random = Random::new(random.draw());
        let world = World::new(executor.time().clone(), world_random, faults.clone());
        if plan.verbose {
            world.lock().trace.lines = Some(Vec::new());
        }
        let jumps = faults.store_skew > 0;
        let books = draw::books(&mut random, size.triggers);
        let mut machines = draw::machines(&mut random, faults.skew_max);
        if let Some(third) = draw::third(&mut more, &faults, &machines) {
            world.inject(Fault::ThirdReconciler);
            machines.push(third);
        }
        let setting = Setting {
            world,
            books,
            machines,
            timing: if faults.short_memory { short_timing() } else { timing() },
            store_clock: if jumps { StoreClock::Machine } else { StoreClock::Service },
            buckets: None,
        };
        let order = Random::new(random.draw());
        Self { stage: Stage::new(setting, executor, order), size, random, more, faults }
    }

    /// Starts every process and everyone who delivers.
    fn begin(&mut self) {
        if self.faults.short_memory {
            self.stage.world.inject(Fault::HousekeepingAllTheTime);
        }
        for at in 0..self.stage.machines.len() {
            if self.may_run(at) {
                self.stage.start(at);
            }
        }
        let Size { faulty, events, .. } = self.size;
        let events = draw::events(&mut self.random, events, faulty);
        let commands = draw::commands(&mut self.random, faulty);
        for (at, event) in events.into_iter().chain(commands) {
            if matches!(&event.fact, Fact::Command(Command::Apply { replaces: Some(_), .. })) {
                self.stage.world.inject(Fault::RulesChanged);
            }
            self.stage.deliver(at, vec![event]);
        }
    }

    /// For a while from the beginning, nothing may reconcile.
    fn may_run(&self, at: usize) -> bool {
        let machine = &self.stage.machines[at];
        !machine.is_tick || self.stage.world.time().now() >= self.faults.nobody_until
    }

    fn play_faults(&mut self) {
        let end = self.size.faulty + self.faults.nobody_until;
        if self.faults.nobody_until > 0 {
            self.stage.world.inject(Fault::NobodyReconciles);
        }
        while self.stage.world.time().now() < end {
            let now = self.stage.world.time().now();
            self.stage.play_until(now + DRAW_EVERY);
            self.draw_weather();
            for at in 0..self.stage.machines.len() {
                self.draw_mishap(at);
                self.draw_clock(at);
            }
        }
    }

    /// A storm may begin; the clock of the store may be wrong for a while.
    fn draw_weather(&mut self) {
        let now = self.stage.world.time().now();
        if self.random.per_mille(per_draw(self.faults.storms)) {
            let length = self.random.between(1_000, 60_000);
            self.stage.world.lock().storm_until = now + length;
        }
        let skew = self.faults.store_skew;
        if skew > 0 && self.random.per_mille(100) {
            let off = self.random.between(-skew, skew);
            self.stage.world.lock().store_skew.push((now, off));
            self.stage.world.inject(Fault::StoreJump);
        }
    }

    fn draw_mishap(&mut self, at: usize) {
        let Faults { kills, pauses, pause_max, .. } = self.faults;
        if !self.stage.machines[at].alive {
            if self.random.per_mille(400) && self.may_run(at) {
                self.stage.start(at);
            }
        } else if self.random.per_mille(per_draw(kills)) {
            self.stage.world.inject(Fault::Kill);
            self.stage.kill(at);
        } else if self.random.per_mille(per_draw(pauses)) {
            let length = self.random.between(100, pause_max);
            let is_long = length > timing().lease.as_millis();
            let fault = if is_long { Fault::LongPause } else { Fault::Pause };
            self.stage.world.inject(fault);
            self.stage.pause(at, length);
        }
    }

    /// The clock of a process that runs may jump, or be corrected.
    fn draw_clock(&mut self, at: usize) {
        let jump = self.faults.clock_jump;
        if jump == 0 || !self.stage.machines[at].alive || !self.more.per_mille(CLOCK_JUMPS) {
            return;
        }
        let is_corrected = self.more.per_mille(400);
        let off = if is_corrected { 0 } else { self.more.between(-jump, jump) };
        if off != self.stage.machines[at].skew.get() {
            self.stage.world.inject(Fault::ClockJump);
            self.stage.set_clock(at, off);
        }
    }

    /// Nothing goes wrong any more; the world comes to rest.
    fn rest(&mut self) {
        let now = self.stage.world.time().now();
        self.stage.end_faults();
        // What a short memory deletes is deleted after its window only.
        let forgotten = now + if self.faults.short_memory { FORGETTING } else { 0 };
        while self.stage.world.time().now() < now + REST && !self.stage.is_endless() {
            let next = self.stage.world.time().now() + LOOK_EVERY;
            self.stage.play_until(next);
            if next > forgotten && self.stage.is_at_rest() {
                return;
            }
        }
    }
}

/// What a rate per minute is for one draw.
fn per_draw(rate: u64) -> u64 {
    rate * DRAW_EVERY.unsigned_abs() / 60_000
}
