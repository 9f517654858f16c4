//! What a reconciler does: the steps of a pass, as the engine takes them.

use refit_core::effect::{Effect, EffectKind, effects};
use refit_core::mutant::{self, Mutant};
use refit_core::plan::{Observation, Outcome};
use refit_core::rules::Idempotency;
use refit_core::run::{Attempt, ExternalRun, Phase};
use refit_core::state::State;

use crate::ledger::{Draft, Listed, Node, Stored};
use crate::link::Link;
use crate::property::{Guarantee, Wrong, reach};
use crate::protocol::Protocol;
use crate::scope::{GRACE, LEASE, SETTLE, SKEW, Tick, tick_of};
use crate::world::{Call, End, Own, Pass, Place, Run, World, Write};

impl Protocol {
    /// Reads the newest state, lists the inbox, reads what is unread, plans, and stores what the commit depends on.
    pub(crate) fn begin_pass(&self, world: &mut World, who: usize, is_cut: bool) {
        let pass = listing(world, who, is_cut);
        let head = world.head.clone();
        self.decide(world, who, pass, &head);
    }

    /// Whether a pass could leave segments unread.
    pub(crate) fn can_cut(&self, world: &World, who: usize) -> bool {
        self.scope.cuts && listing(world, who, false).segments.len() > 1
    }

    /// Plans on a view; goes on to the calls where there is nothing to write down.
    fn decide(&self, world: &mut World, who: usize, pass: Pass, view: &Link<Node>) {
        let process = &mut world.reconcilers[who];
        let planned = self.ledger.plan(view, pass.listed, &pass.segments, &process.observations);
        match planned.draft {
            None => {
                process.observations.clear();
                self.enter(world, who, &pass, view);
            }
            Some(draft) => {
                world.blame(draft.wrong.clone());
                self.hold(world, who, pass, draft);
            }
        }
    }

    /// Sends a planned commit, unless its state may be too old. One whose number is taken can only lose.
    fn hold(&self, world: &mut World, who: usize, pass: Pass, draft: Link<Draft>) {
        let confirmed = pass.confirmed;
        if world.now >= confirmed + GRACE {
            world.reconcilers[who].place = Place::Resting;
            return;
        }
        if mutant::is(Mutant::CallWithoutIntent) {
            let state = self.ledger.land(&draft.base, &draft, world.now);
            self.call_all(world, &draft, &state);
        }
        world.reconcilers[who].place = Place::Sent(pass, draft.clone());
        if draft.commit.seq <= world.head.state.seq {
            return self.lose(world, who);
        }
        world.writes.push(Write { draft, owner: Some(who), confirmed });
    }

    /// A commit takes effect.
    pub(crate) fn commit(&self, world: &mut World, number: usize) {
        let Write { draft, owner, confirmed } = world.writes.remove(number);
        if draft.base != world.head {
            world.blame(self.ledger.recheck(&world.head, &draft));
        }
        world.head = self.ledger.land(&world.head, &draft, world.now);
        if let Some(owner) = owner {
            let extra = if mutant::is(Mutant::CallAfterLease) { 2 } else { 0 };
            // The lease begins when the create is sent: at the latest, when the state was nearly too old.
            let at = world.now.min(confirmed + GRACE - 1);
            let intents = draft.commit.intents().map(|(batch, attempt)| Own {
                intent: draft.commit.seq,
                batch,
                attempt,
                until: at + LEASE + extra,
            });
            world.reconcilers[owner].own.extend(intents);
        }
        for who in 0..world.reconcilers.len() {
            match &world.reconcilers[who].place {
                Place::Sent(pass, sent) if owner == Some(who) && *sent == draft => {
                    let pass = pass.clone();
                    world.reconcilers[who].observations.clear();
                    let head = world.head.clone();
                    self.enter(world, who, &pass, &head);
                }
                Place::Sent(_, other) if other.commit.seq <= world.head.state.seq => {
                    self.lose(world, who);
                }
                _ => {}
            }
        }
    }

    /// Someone else was first: folds that commit, and tries once more where it left something over.
    fn lose(&self, world: &mut World, who: usize) {
        let place = std::mem::take(&mut world.reconcilers[who].place);
        let Place::Sent(pass, draft) = place else { return };
        let view = match () {
            () if mutant::is(Mutant::LostMeansOurs) => {
                let ghost = self.ledger.land(&draft.base, &draft, world.now);
                self.claim_ghost(world, who, &draft);
                return self.enter(world, who, &pass, &ghost);
            }
            () if mutant::is(Mutant::ForeignNotFolded) => self.ledger.skip(&draft.base),
            () => world.head.clone(),
        };
        if mutant::is(Mutant::LoserActs) {
            let ghost = self.ledger.land(&draft.base, &draft, world.now);
            self.call_all(world, &draft, &ghost);
        }
        let recent = &world.head.state.recent;
        let left: Vec<Stored> = pass
            .segments
            .iter()
            .filter(|stored| !recent.contains(&stored.name()))
            .copied()
            .collect();
        let is_covered = left.is_empty() && !pass.segments.is_empty();
        // Further behind, the next try loses as well.
        let is_behind = world.head.state.seq > draft.commit.seq;
        if !pass.beaten && !is_covered && !is_behind {
            let pass = Pass { segments: left, beaten: true, ..pass };
            self.decide(world, who, pass, &view);
        }
    }

    /// A process that heard nothing takes its commit for written: what only a mutant does.
    pub(crate) fn believe(&self, world: &mut World, who: usize) {
        let place = std::mem::take(&mut world.reconcilers[who].place);
        let Place::Sent(pass, draft) = place else { return };
        let ghost = self.ledger.land(&draft.base, &draft, world.now);
        self.claim_ghost(world, who, &draft);
        self.enter(world, who, &pass, &ghost);
    }

    fn claim_ghost(&self, world: &mut World, who: usize, draft: &Draft) {
        let until = world.now + LEASE;
        let intents = draft.commit.intents();
        let own =
            intents.map(|(batch, attempt)| Own { intent: draft.commit.seq, batch, attempt, until });
        world.reconcilers[who].own.extend(own);
        world.reconcilers[who].observations.clear();
    }

    /// Makes every call a commit intends: what only mutants do.
    fn call_all(&self, world: &mut World, draft: &Draft, state: &Node) {
        for (batch, number) in draft.commit.intents() {
            let attempt = state.state.runs.get(&batch).and_then(|run| run.attempt_numbered(number));
            if let Some(attempt) = attempt {
                self.start(world, attempt, batch, world.now + LEASE);
            }
        }
    }

    /// The listing is dealt with: what is left of the pass is calls.
    fn enter(&self, world: &mut World, who: usize, pass: &Pass, view: &Link<Node>) {
        let process = &mut world.reconcilers[who];
        process.full = pass.listed.full;
        process.fast = (pass.confirmed == world.now).then_some(pass.listed.fast);
        let listed = Listed { more: false, ..pass.listed };
        let pass = Pass { listed, segments: Vec::new(), ..pass.clone() };
        self.go_on(world, who, (pass, view.clone(), calls(&view.state)));
    }

    /// Whether a second look-up that finds nothing may count: the commit that tells of the first is old enough.
    fn is_apart(&self, world: &World, view: &Node, effect: &Effect) -> bool {
        let first = view.absences.get(&(effect.batch, effect.attempt));
        mutant::is(Mutant::LookUpsTooClose)
            || first.is_none_or(|created| world.now >= created + SETTLE)
    }

    /// Goes on with the calls that are left, then with what was answered.
    fn go_on(&self, world: &mut World, who: usize, calls: (Pass, Link<Node>, Vec<Effect>)) {
        let (pass, view, tasks) = calls;
        let process = &mut world.reconcilers[who];
        if !tasks.is_empty() {
            process.place = Place::Acting(pass, view, tasks);
            return;
        }
        process.place = Place::Resting;
        let planned = self.ledger.plan(&view, pass.listed, &[], &process.observations);
        match planned.draft {
            None => process.observations.clear(),
            Some(draft) => {
                world.blame(draft.wrong.clone());
                self.hold(world, who, pass, draft);
            }
        }
    }

    /// What the first of the calls a process has to make would be answered; `None` where it would tell nothing.
    pub(crate) fn answer(&self, world: &World, who: usize) -> Option<Step> {
        let Place::Acting(_, view, tasks) = &world.reconcilers[who].place else { return None };
        let effect = tasks.first()?;
        let attempt = attempt_of(view, effect)?;
        let found = world.runs.iter().find(|run| run.key == attempt.key);
        let appeared = found.map(|run| Step::Saw(Outcome::Found(external(run))));
        match effect.kind {
            EffectKind::Launch if self.may_call(world, who, effect, attempt) => Some(Step::Start),
            EffectKind::Launch => {
                let is_over = self.lease_is_over(world, view, effect, attempt)
                    && self.is_apart(world, view, effect);
                let is_blind = mutant::is(Mutant::RelaunchWithoutLookUp);
                let absent = is_over.then_some(Step::Saw(Outcome::Absent));
                if is_blind { absent } else { appeared.or(absent) }
            }
            EffectKind::LookUp => appeared,
            EffectKind::Follow => found.map(|_| Step::Follow),
            EffectKind::Cancel => found.map(|_| Step::Cancel),
            EffectKind::Revisit => None,
        }
    }

    fn may_call(&self, world: &World, who: usize, effect: &Effect, attempt: &Attempt) -> bool {
        if mutant::is(Mutant::AnyoneCalls) {
            return !world.runs.iter().any(|run| run.key == attempt.key && run.end.is_some());
        }
        let is_its = |own: &&Own| {
            (own.intent, own.batch, own.attempt) == (attempt.intent, effect.batch, effect.attempt)
        };
        world.reconcilers[who].own.iter().any(|own| is_its(&own))
    }

    fn lease_is_over(
        &self,
        world: &World,
        view: &Node,
        effect: &Effect,
        attempt: &Attempt,
    ) -> bool {
        if mutant::is(Mutant::LeaseByOwnClock) {
            return world.now + SKEW >= tick_of(attempt.intended_at) + LEASE;
        }
        let created = view.intents.get(&(effect.batch, effect.attempt));
        created.is_some_and(|created| world.now >= created + LEASE)
    }

    /// Makes the first of the calls.
    pub(crate) fn act(&self, world: &mut World, who: usize, step: Step) {
        let place = std::mem::take(&mut world.reconcilers[who].place);
        let Place::Acting(pass, view, mut tasks) = place else { return };
        let effect = tasks[0];
        let Some(attempt) = attempt_of(&view, &effect).cloned() else { return };
        let outcome = match step {
            Step::Start | Step::Refused => {
                let until = self.take_claim(world, who, effect, &attempt);
                if step == Step::Start {
                    self.start(world, &attempt, effect.batch, until);
                    world.reconcilers[who].place = Place::Calling(pass, view, tasks);
                    return;
                }
                Some(Outcome::NotStarted { after: None, message: "busy".to_owned() })
            }
            Step::Saw(outcome) => Some(outcome),
            Step::Skip => None,
            Step::Follow => Some(end(world, &attempt, End::Succeeded)),
            Step::Fail => Some(end(world, &attempt, End::Failed)),
            Step::Cancel => Some(end(world, &attempt, End::Cancelled)),
        };
        tasks.remove(0);
        observe(world, who, effect, &attempt, outcome);
        self.go_on(world, who, (pass, view, tasks));
    }

    /// Uses up the right to call, and says until when it lasted.
    fn take_claim(&self, world: &mut World, who: usize, effect: Effect, attempt: &Attempt) -> Tick {
        let own = &mut world.reconcilers[who].own;
        let is_its = |own: &Own| {
            (own.intent, own.batch, own.attempt) == (attempt.intent, effect.batch, effect.attempt)
        };
        let until = own.iter().find(|own| is_its(own)).map(|own| own.until);
        own.retain(|own| !is_its(own));
        until.unwrap_or(world.now + LEASE)
    }

    /// A start call is on its way.
    fn start(
        &self,
        world: &mut World,
        attempt: &Attempt,
        batch: refit_core::state::BatchId,
        lease: Tick,
    ) {
        let intended = world.head.keys.contains_key(&attempt.key);
        world.blame((!intended).then(|| {
            Wrong::new(
                Guarantee::Intent,
                format!("a call under a key nothing intends: {}", attempt.key),
            )
        }));
        let is_bounded = self.scope.class != Idempotency::A && !self.scope.late;
        let until = if is_bounded { lease + SETTLE } else { Tick::MAX };
        let call = Call { key: attempt.key, batch, attempt: attempt.number, until };
        if self.scope.class != Idempotency::A || !world.calls.contains(&call) {
            world.calls.push(call);
        }
    }

    /// A start call takes effect.
    pub(crate) fn begin_run(&self, world: &mut World, number: usize) {
        let Call { key, batch, attempt, .. } = world.calls.remove(number);
        let is_known = world.runs.iter().any(|run| run.key == key);
        if !(is_known && self.scope.class == Idempotency::A) {
            let is_due = world.is_looked_up(batch, attempt);
            world.runs.push(Run { key, batch, attempt, end: None, is_due });
        }
    }

    /// The answer to the start call arrives, or does not.
    pub(crate) fn hear(&self, world: &mut World, who: usize, is_lost: bool) {
        let place = std::mem::take(&mut world.reconcilers[who].place);
        let Place::Calling(pass, view, mut tasks) = place else { return };
        let effect = tasks.remove(0);
        let Some(attempt) = attempt_of(&view, &effect).cloned() else { return };
        let run = world.runs.iter().find(|run| run.key == attempt.key).filter(|_| !is_lost);
        let unclear = Outcome::Unclear("no answer".to_owned());
        let outcome = run.map_or(unclear, |run| Outcome::Started(external(run)));
        observe(world, who, effect, &attempt, Some(outcome));
        self.go_on(world, who, (pass, view, tasks));
    }

    /// Whether the run a process has asked for began, so that its answer can arrive.
    pub(crate) fn is_answered(&self, world: &World, who: usize) -> bool {
        let Place::Calling(_, view, tasks) = &world.reconcilers[who].place else { return false };
        let attempt = tasks.first().and_then(|effect| attempt_of(view, effect));
        attempt.is_some_and(|attempt| world.runs.iter().any(|run| run.key == attempt.key))
    }
}

/// What a process can do about the first of its calls.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It sends the start call.
    Start,
    /// The service refuses the start call before it has an effect.
    Refused,
    /// A look-up is answered so.
    Saw(Outcome),
    /// The run has ended well.
    Follow,
    /// The run has failed.
    Fail,
    /// The run is ended.
    Cancel,
    /// The call fails, or is not due, or tells nothing.
    Skip,
}

/// Lists the inbox as the engine does.
fn listing(world: &World, who: usize, is_cut: bool) -> Pass {
    let process = &world.reconcilers[who];
    let state = &world.head.state;
    let is_full = process.fast.is_none();
    let full = process.full.max(tick_of(state.marks.full));
    let fast = process.fast.unwrap_or(0).max(tick_of(state.marks.fast));
    let from = match is_full {
        true if mutant::is(Mutant::WatermarkWithoutMargin) => full,
        true => reach(full),
        false => fast,
    };
    let is_unread =
        |stored: &&Stored| stored.named >= from && !state.recent.contains(&stored.name());
    let mut segments: Vec<Stored> = world.inbox.iter().filter(is_unread).copied().collect();
    let newest = segments.last().map(|stored| stored.named);
    let left = segments.get(1).map(|stored| stored.named).filter(|_| is_cut);
    if is_cut {
        segments.truncate(1);
    }
    let left = left.filter(|_| !mutant::is(Mutant::WatermarkPastUnread));
    let mark = left.map_or(world.now, |left| left.min(world.now));
    let mark = newest.filter(|_| mutant::is(Mutant::WatermarkNewestName)).unwrap_or(mark);
    let full = if is_full { mark } else { full.min(mark) };
    let listed = Listed { now: world.now, fast: mark, full, more: left.is_some() };
    Pass { confirmed: world.now, listed, segments, beaten: false }
}

fn attempt_of<'a>(view: &'a Node, effect: &Effect) -> Option<&'a Attempt> {
    view.state.runs.get(&effect.batch)?.attempt_numbered(effect.attempt)
}

fn external(run: &Run) -> ExternalRun {
    ExternalRun { id: run.key.to_string(), url: None }
}

/// The calls a state asks for; of what has ended nobody asks again, as no service of the model starts it again.
fn calls(state: &State) -> Vec<Effect> {
    let mut calls = effects(state);
    calls.retain(|effect| effect.kind != EffectKind::Revisit);
    calls
}

/// A run that is asked how it stands has ended by then.
fn end(world: &mut World, attempt: &Attempt, how: End) -> Outcome {
    let run = world.runs.iter_mut().find(|run| run.key == attempt.key);
    let ended = run.map(|run| *run.end.get_or_insert(how));
    let phase = match ended {
        Some(End::Succeeded) => Phase::Succeeded,
        // As with Kubeflow, a run that is ended counts as failed.
        Some(End::Failed | End::Cancelled) | None => Phase::Failed,
    };
    Outcome::Status { phase, message: None }
}

fn observe(
    world: &mut World,
    who: usize,
    effect: Effect,
    attempt: &Attempt,
    outcome: Option<Outcome>,
) {
    let Effect { batch, attempt: number, .. } = effect;
    let (basis, asked) = (attempt.basis(), attempt.external.as_ref());
    let observed = |outcome| {
        let external = asked.map(|run| run.id.clone());
        Observation { batch, attempt: number, basis, external, outcome }
    };
    world.reconcilers[who].observations.extend(outcome.map(observed));
}
