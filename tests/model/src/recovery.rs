//! What becomes of a state once nothing fails any more.

use std::collections::BTreeMap;

use refit_core::mutant;
use refit_core::run::Phase;
use refit_core::state::BatchId;

use crate::link::digest;
use crate::pass::Step;
use crate::property::{Guarantee, Wrong, check, reach};
use crate::protocol::{Action, Protocol};
use crate::scope::{Tick, tick_of};
use crate::world::{Delivery, End, Place, Reconciler, Run, World};

/// Steps without a fault before a state counts as one that never comes to rest.
const STEPS_MAX: usize = 1000;
/// Ticks without a fault before it does.
const TICKS_MAX: Tick = 150;

impl Protocol {
    /// What goes wrong although nothing fails any more: with the processes there are and everything that is on its
    /// way arriving, and with new processes and all of it lost. `None` if both come to rest as they should.
    #[must_use]
    pub fn recovers(&self, world: &World) -> Option<Wrong> {
        mutant::activate(self.scope.mutant);
        self.come_to_rest(world.clone()).or_else(|| self.come_to_rest(restarted(world)))
    }

    fn come_to_rest(&self, mut world: World) -> Option<Wrong> {
        let last = world.now.saturating_add(TICKS_MAX);
        let mut path = Vec::new();
        let mut verdict = None;
        for steps in 0.. {
            let id = digest(&world);
            if let Some(known) = self.rests.get(id) {
                verdict = known;
                break;
            }
            path.push(id);
            if let Some(wrong) = check(&world) {
                verdict = Some(Wrong::new(Guarantee::Recovery, wrong.to_string()));
                break;
            }
            if steps > STEPS_MAX || world.now > last {
                let text = format!("it never comes to rest: {:?}", world.head.state.runs);
                verdict = Some(Wrong::new(Guarantee::Recovery, text));
                break;
            }
            let Some(next) = self.calm_step(&world) else {
                verdict = self.at_rest(&world);
                break;
            };
            world = next;
        }
        for id in path {
            self.rests.put(id, verdict.clone());
        }
        verdict
    }

    /// The next step where nothing fails; `None` at rest.
    fn calm_step(&self, world: &World) -> Option<World> {
        let arriving = || {
            let misnamed = |delivery: &Delivery| *delivery == Delivery::Misnamed;
            let store = world.deliveries.iter().position(misnamed);
            let store = store.map(|number| Action::Store(number, 0));
            let commit = (!world.writes.is_empty()).then_some(Action::Commit(0));
            let begin = (!world.calls.is_empty()).then_some(Action::Begin(0));
            store.or(commit).or(begin)
        };
        let busy = || (0..world.reconcilers.len()).find_map(|who| self.calm_action(world, who));
        let mut next = world.clone();
        if let Some(action) = arriving().or_else(busy) {
            self.step(&mut next, action);
            return Some(next);
        }
        let passed = self.full_pass(world);
        if passed.head != world.head || passed.runs != world.runs {
            return Some(passed);
        }
        (!self.is_done(world)).then(|| {
            let mut later = passed;
            self.step(&mut later, Action::Tick);
            later
        })
    }

    /// What a process in the middle of a pass does next.
    fn calm_action(&self, world: &World, who: usize) -> Option<Action> {
        match &world.reconcilers[who].place {
            Place::Resting => None,
            Place::Sent(..) => Some(Action::Error(who)),
            Place::Acting(..) => {
                Some(Action::Act(who, self.answer(world, who).unwrap_or(Step::Skip)))
            }
            Place::Calling(..) if self.is_answered(world, who) => Some(Action::Answer(who)),
            Place::Calling(..) => Some(Action::NoAnswer(who)),
        }
    }

    /// A pass of the first process, up to its end.
    fn full_pass(&self, world: &World) -> World {
        let mut world = world.clone();
        self.step(&mut world, Action::Pass(0, false));
        for _ in 0..STEPS_MAX {
            let commit = (!world.writes.is_empty()).then_some(Action::Commit(0));
            let begin = (!world.calls.is_empty()).then_some(Action::Begin(0));
            let busy =
                || (0..world.reconcilers.len()).find_map(|who| self.calm_action(&world, who));
            let Some(action) = commit.or(begin).or_else(busy) else { break };
            self.step(&mut world, action);
        }
        world
    }

    /// Whether nothing is left to do.
    fn is_done(&self, world: &World) -> bool {
        let state = &world.head.state;
        let mark = world.reconcilers.iter().map(|process| process.full).max().unwrap_or(0);
        let from = reach(mark.max(tick_of(state.marks.full)));
        let unread = world
            .inbox
            .iter()
            .any(|stored| stored.named >= from && !state.recent.contains(&stored.name()));
        let open = state.triggers.values().any(|standing| !standing.open.is_empty());
        let active = state.runs.values().any(|run| run.is_active() || run.is_watched());
        !unread && !open && !active
    }

    /// What is wrong with a state at rest.
    fn at_rest(&self, world: &World) -> Option<Wrong> {
        let mut good: BTreeMap<BatchId, u32> = BTreeMap::new();
        for run in world.runs.iter().filter(|run| run.end == Some(End::Succeeded)) {
            *good.entry(run.batch).or_default() += 1;
        }
        for delivery in &world.deliveries {
            if let Delivery::Acknowledged(_, event, _) = delivery
                && !world.head.fates.contains_key(event)
            {
                let text = format!("event {event} was acknowledged and has no fate");
                return Some(Wrong::new(Guarantee::Recovery, text));
            }
        }
        for batch in world.head.fates.values().flatten() {
            let run = world.head.state.runs.get(batch);
            let phase = run.and_then(|run| run.finished).map(|finished| finished.phase);
            let expected = match phase {
                Some(Phase::Succeeded) => 1,
                Some(Phase::Failed) if self.scope.attempts > 1 => 0,
                _ => u32::MAX,
            };
            let runs = good.get(batch).copied().unwrap_or(0);
            if runs != expected {
                let text = format!("batch {batch} ended as {phase:?} with {runs} good runs");
                return Some(Wrong::new(Guarantee::Recovery, text));
            }
        }
        let is_left = |run: &&Run| run.end.is_none() && (run.is_due || !self.scope.late);
        let under_way = world.runs.iter().find(is_left);
        under_way.map(|run| {
            Wrong::new(Guarantee::Recovery, format!("a run is left under way: {}", run.key))
        })
    }
}

/// The same with new processes, and everything that was on its way lost.
fn restarted(world: &World) -> World {
    let mut world = world.clone();
    world.reconcilers = [Reconciler::default(), Reconciler::default()];
    world.writes.clear();
    world.calls.clear();
    for delivery in &mut world.deliveries {
        if *delivery == Delivery::Misnamed {
            *delivery = Delivery::Awaited;
        }
    }
    world.settle();
    world
}
