//! The model: which steps there are in a state, and what each leads to.

use refit_core::mutant::{self, Mutant};
use refit_core::rules::{Idempotency, Overlap};
use stateright::{Model, Property};

use crate::ledger::{Ledger, Stored};
use crate::link::Table;
use crate::pass::Step;
use crate::property::{Guarantee, Wrong, check};
use crate::scope::{NAME, SKEW, START, Scope, Tick};
use crate::world::{Delivery, Place, Reconciler, World};

/// The protocol within a scope.
#[derive(Debug)]
pub struct Protocol {
    /// What is explored.
    pub scope: Scope,
    /// What was computed of logs.
    pub ledger: Ledger,
    /// States that are known to come to rest, or how they do not.
    pub(crate) rests: Table<Option<Wrong>>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Time passes.
    Tick,
    /// The segment of a delivery is created; its name is so far from the store's time, in ticks.
    Store(usize, i8),
    /// The create of a segment fails, and the delivery is acknowledged all the same: what only a mutant does.
    Forget(usize),
    /// A process reads state and inbox, and plans; it may leave segments unread.
    Pass(usize, bool),
    /// A create in the log takes effect.
    Commit(usize),
    /// A process takes a commit without an answer for written: what only a mutant does.
    Believe(usize),
    /// A process makes the next of its calls.
    Act(usize, Step),
    /// A start call takes effect.
    Begin(usize),
    /// The answer to a start call arrives.
    Answer(usize),
    /// It does not.
    NoAnswer(usize),
    /// A call to the store fails, and the pass ends.
    Error(usize),
    /// A process dies, and another takes its place.
    Crash(usize),
}

impl Protocol {
    /// The protocol within that scope.
    #[must_use]
    pub fn new(scope: Scope) -> Self {
        mutant::activate(scope.mutant);
        Self { scope, ledger: Ledger::new(&scope), rests: Table::new() }
    }

    /// The state everything begins in.
    #[must_use]
    pub fn beginning(&self) -> World {
        let count = usize::from(self.scope.events) * usize::from(self.scope.deliveries);
        let mut world = World {
            now: START,
            head: self.ledger.beginning(),
            deliveries: vec![Delivery::Awaited; count],
            inbox: Vec::new(),
            writes: Vec::new(),
            calls: Vec::new(),
            runs: Vec::new(),
            reconcilers: Default::default(),
            wrong: None,
            is_keyed: self.scope.class == Idempotency::A,
            is_late_allowed: self.scope.late,
            is_overlap_allowed: self.scope.overlap == Overlap::Allow || self.scope.late,
        };
        world.settle();
        world
    }

    /// Takes a step.
    pub fn step(&self, world: &mut World, action: Action) {
        match action {
            Action::Tick => {
                world.now += 1;
                world.reconcilers.iter_mut().for_each(|process| process.fast = None);
            }
            Action::Store(number, skew) => self.store(world, number, skew),
            Action::Forget(number) => {
                world.deliveries[number] = self.acknowledge(number, world.now);
            }
            Action::Pass(who, is_cut) => self.begin_pass(world, who, is_cut),
            Action::Commit(number) => self.commit(world, number),
            Action::Believe(who) => self.believe(world, who),
            Action::Act(who, step) => self.act(world, who, step),
            Action::Begin(number) => self.begin_run(world, number),
            Action::Answer(who) => self.hear(world, who, false),
            Action::NoAnswer(who) => self.hear(world, who, true),
            Action::Error(who) => {
                world.drop_abandoned();
                world.reconcilers[who].place = Place::Resting;
            }
            Action::Crash(who) => {
                world.drop_abandoned();
                world.reconcilers[who] = Reconciler::default();
                for write in world.writes.iter_mut().filter(|write| write.owner == Some(who)) {
                    write.owner = None;
                }
            }
        }
        world.settle();
    }

    fn acknowledge(&self, number: usize, named: Tick) -> Delivery {
        let (event, delivery) = self.place(number);
        Delivery::Acknowledged(named, event, delivery)
    }

    /// The event and the delivery of that number.
    fn place(&self, number: usize) -> (u8, u8) {
        let number = u8::try_from(number).unwrap_or(u8::MAX);
        (number / self.scope.deliveries, number % self.scope.deliveries)
    }

    /// A segment is created. It is acknowledged if its name is near the store's time, else written again.
    fn store(&self, world: &mut World, number: usize, skew: i8) {
        let named = world.now.saturating_add_signed(skew);
        let (event, delivery) = self.place(number);
        let is_again = world.deliveries[number] == Delivery::Misnamed;
        world.inbox.push(Stored { named, event, delivery, is_again, created: world.now });
        let is_near = named.abs_diff(world.now) <= NAME;
        let is_believed = is_near || mutant::is(Mutant::AcknowledgeByOwnClock);
        world.deliveries[number] = match is_believed {
            true => self.acknowledge(number, named),
            false => Delivery::Misnamed,
        };
    }

    /// Deliveries come event by event, in the order of their numbers: they tell nothing else.
    fn may_deliver(&self, world: &World, number: usize) -> bool {
        let is_first = number.is_multiple_of(usize::from(self.scope.deliveries));
        let before = match (number, is_first) {
            (0, _) => return true,
            (_, true) => number - usize::from(self.scope.deliveries),
            (_, false) => number - 1,
        };
        world.deliveries[before] != Delivery::Awaited
    }

    fn add_deliveries(&self, world: &World, actions: &mut Vec<Action>) {
        for (number, delivery) in world.deliveries.iter().enumerate() {
            let is_new = match delivery {
                Delivery::Awaited => self.may_deliver(world, number),
                Delivery::Misnamed => false,
                Delivery::Acknowledged(..) => continue,
            };
            if !is_new && *delivery == Delivery::Awaited {
                continue;
            }
            actions.push(Action::Store(number, 0));
            // A create that took its time.
            actions.extend((world.now > START).then_some(Action::Store(number, -1)));
            if self.scope.skew && is_new {
                let off = i8::try_from(SKEW).unwrap_or(0);
                actions.extend([1, off, -off].map(|skew| Action::Store(number, skew)));
            }
            if mutant::is(Mutant::AcknowledgeBeforeDurable) {
                actions.push(Action::Forget(number));
            }
        }
    }

    fn add_steps(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        match &world.reconcilers[who].place {
            Place::Resting => {
                actions.push(Action::Pass(who, false));
                if self.can_cut(world, who) {
                    actions.push(Action::Pass(who, true));
                }
            }
            Place::Sent(..) => {
                actions.extend(self.scope.errors.then_some(Action::Error(who)));
                let is_believed = mutant::is(Mutant::NoAnswerMeansWon);
                actions.extend(is_believed.then_some(Action::Believe(who)));
            }
            Place::Acting(..) => self.add_calls(world, who, actions),
            Place::Calling(..) => {
                actions.push(Action::NoAnswer(who));
                if self.is_answered(world, who) {
                    actions.push(Action::Answer(who));
                }
            }
        }
        let is_new = world.reconcilers[who].place == Place::Resting
            && world.reconcilers[who].own.is_empty()
            && world.reconcilers[who].observations.is_empty();
        if self.scope.crashes && !is_new {
            actions.push(Action::Crash(who));
        }
    }

    fn add_calls(&self, world: &World, who: usize, actions: &mut Vec<Action>) {
        let step = self.answer(world, who);
        let others: &[Step] = match step {
            Some(Step::Start) if self.scope.refusals => &[Step::Refused],
            Some(Step::Start) => &[],
            Some(Step::Follow) if self.scope.attempts > 1 => &[Step::Fail, Step::Skip],
            _ => &[Step::Skip],
        };
        let steps = step.into_iter().chain(others.iter().cloned());
        actions.extend(steps.map(|step| Action::Act(who, step)));
    }
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        mutant::activate(self.scope.mutant);
        vec![self.beginning()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        mutant::activate(self.scope.mutant);
        if check(world).is_some() {
            return;
        }
        self.add_deliveries(world, actions);
        actions.extend((0..world.writes.len()).map(Action::Commit));
        actions.extend((0..world.calls.len()).map(Action::Begin));
        for who in 0..world.reconcilers.len() {
            // Two processes that do the same do it in either order.
            if who == 0 || !world.is_symmetric() {
                self.add_steps(world, who, actions);
            }
        }
        if world.now < self.scope.end() {
            actions.push(Action::Tick);
        }
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        mutant::activate(self.scope.mutant);
        let mut next = world.clone();
        let is_tick = action == Action::Tick;
        self.step(&mut next, action);
        if is_tick {
            next.excuse();
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        fn holds(world: &World, guarantee: Guarantee) -> bool {
            check(world).is_none_or(|wrong| wrong.guarantee != guarantee)
        }
        macro_rules! always {
            ($($guarantee:ident),*) => {
                vec![$(Property::always(Guarantee::$guarantee.name(), |_: &Self, world: &World| {
                    holds(world, Guarantee::$guarantee)
                }),)*]
            };
        }
        let mut all = always![Invariants, Durable, OneBatch, Manifest, Intent, OneRun, Overlap];
        all.push(Property::always(Guarantee::Recovery.name(), |model: &Self, world: &World| {
            check(world).is_some() || model.recovers(world).is_none()
        }));
        all
    }
}
