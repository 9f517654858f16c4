//! Doing at the services what the state asks for.

pub(crate) mod registries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use refit_core::effect::{Effect, EffectKind, effects};
use refit_core::error::Error;
use refit_core::mutant::{self, Mutant};
use refit_core::plan::{Observation, Outcome};
use refit_core::rules::Idempotency;
use refit_core::run::{Attempt, Run};
use refit_core::state::{BatchId, State};
use refit_core::time::{Span, Timestamp};
use refit_wire::call::Step;
use refit_wire::pipeline::{Launch, PipelineService};

use crate::call::Caller;
use crate::gather::Gatherer;
use crate::layout;
use crate::port::{Store, StoreClock};

/// Calls made at the same time.
const CALLS: usize = 16;
/// Commits of its own a process remembers at the least.
const NONCES_KEPT: usize = 64;

/// What this process has done and when it is to do it again. None of it is needed after a restart.
#[derive(Debug, Default)]
pub struct Agenda {
    /// Nonces of this process's commits, and when each was about to be written.
    own: BTreeMap<String, Span>,
    /// Intents whose start call was made: run, attempt and commit.
    called: BTreeSet<(BatchId, u32, u64)>,
    /// When each attempt is to be looked at again.
    next: BTreeMap<(BatchId, u32), Span>,
    /// Since when this process knows each intent that is not settled: run, attempt and commit.
    known: BTreeMap<(BatchId, u32, u64), Known>,
    /// The same for registries of models.
    errands: registries::Errands,
}

/// Since when a process knows of an intent, by its own clock.
#[derive(Clone, Copy, Debug)]
struct Known {
    /// Since it first saw the intent.
    since: Span,
    /// Since it first saw that a look-up had found nothing.
    empty_since: Option<Span>,
}

/// One call to be made.
struct Task<'a> {
    effect: Effect,
    run: &'a Run,
    attempt: &'a Attempt,
    batch: String,
    service: Arc<dyn PipelineService>,
    /// Until when a start call may be sent; set where this process may make it.
    start_until: Option<Span>,
    /// How long this process has known of the intent.
    known_for: Span,
    /// How long it has known that a look-up had found nothing.
    empty_for: Span,
}

impl Agenda {
    /// Notes that a commit with this nonce is about to be written: the lease of its intents begins now.
    pub fn writing(&mut self, nonce: &str, elapsed: Span) {
        self.own.insert(nonce.to_owned(), elapsed);
    }

    /// Whether a commit is of this process.
    #[must_use]
    pub fn is_own(&self, nonce: &str) -> bool {
        self.own.contains_key(nonce)
    }

    /// When something is to be looked at next.
    #[must_use]
    pub fn next(&self) -> Option<Span> {
        self.next.values().min().copied().into_iter().chain(self.errands.next()).min()
    }

    /// Forgets what the state no longer asks for.
    fn keep(&mut self, wanted: &[Effect], state: &State) {
        let wanted: BTreeSet<(BatchId, u32)> =
            wanted.iter().map(|effect| (effect.batch, effect.attempt)).collect();
        self.next.retain(|slot, _| wanted.contains(slot));
        self.called.retain(|(batch, attempt, _)| wanted.contains(&(*batch, *attempt)));
        self.known.retain(|(batch, attempt, _), _| wanted.contains(&(*batch, *attempt)));
        let owners: BTreeSet<&str> = state
            .runs
            .values()
            .flat_map(|run| run.attempts.iter().map(|attempt| attempt.owner.as_str()))
            .chain(registries::owners(state))
            .collect();
        // The newest are kept: a commit of an earlier try may still land.
        let excess = self.own.len().saturating_sub(NONCES_KEPT);
        if excess == 0 {
            return;
        }
        let mut by_age: Vec<(Span, &String)> =
            self.own.iter().map(|(nonce, at)| (*at, nonce)).collect();
        by_age.sort_unstable();
        let old = by_age.into_iter().take(excess).map(|(_, nonce)| nonce);
        let old: Vec<String> =
            old.filter(|nonce| !owners.contains(nonce.as_str())).cloned().collect();
        for nonce in old {
            self.own.remove(&nonce);
        }
    }
}

/// What every call of a pass is made against.
#[derive(Clone, Copy)]
pub struct Scene<'a> {
    /// The store's time.
    pub now: Timestamp,
    /// The state.
    pub state: &'a State,
    /// The ledger's store.
    pub store: &'a Arc<dyn Store>,
    /// Whose clock its times are taken from.
    pub store_clock: StoreClock,
    /// How calls are made.
    pub caller: &'a Caller<'a>,
}

impl std::fmt::Debug for Scene<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scene")
    }
}

/// Does what the state asks for and is due, and says what was observed.
///
/// # Errors
/// The store's, where a revision of the rules cannot be read; no call was made then.
pub async fn act(
    scene: Scene<'_>,
    agenda: &mut Agenda,
    gatherer: &mut Gatherer,
) -> Result<Vec<Observation>, Error> {
    let Scene { state, caller, .. } = scene;
    let wanted = effects(state);
    agenda.keep(&wanted, state);
    // What can fail comes before anything counts as called.
    let mut known = Vec::new();
    for effect in wanted {
        let Some((run, attempt)) = find(state, effect) else { continue };
        let Some(service) = service_of(state, run, gatherer).await? else { continue };
        known.push((effect, (run, attempt), service));
    }
    // What nobody can be asked about is not waited for.
    let asked: BTreeSet<(BatchId, u32)> =
        known.iter().map(|(effect, ..)| (effect.batch, effect.attempt)).collect();
    agenda.next.retain(|slot, _| asked.contains(slot));
    let now = caller.clock.elapsed();
    let tasks = known.into_iter().filter_map(|(effect, attempt, service)| {
        agenda.task((state, now), effect, attempt, service)
    });
    let calls: Vec<_> = tasks.map(|task| task.perform(scene).boxed()).collect();
    let outcomes: Vec<Option<Observation>> =
        futures::stream::iter(calls).buffered(CALLS).collect().await;
    Ok(outcomes.into_iter().flatten().collect())
}

fn find(state: &State, effect: Effect) -> Option<(&Run, &Attempt)> {
    let run = state.runs.get(&effect.batch)?;
    Some((run, run.attempt_numbered(effect.attempt)?))
}

/// The service of a run, at the place the run was launched at.
async fn service_of(
    state: &State,
    run: &Run,
    gatherer: &mut Gatherer,
) -> Result<Option<Arc<dyn PipelineService>>, Error> {
    let placed = gatherer
        .placed(state.rules.as_deref(), &run.rules, |book| book.services.get(&run.service))
        .await?;
    let service = placed.inspect_err(|why| {
        let (run, service) = (run.batch, &run.service);
        tracing::error!(%run, named = service, why, "the service of a run is not known: the run is left alone");
    });
    Ok(service.ok())
}

/// How long to leave an attempt alone after looking at it.
fn pause(state: &State, kind: EffectKind) -> Span {
    match kind {
        EffectKind::Launch | EffectKind::Follow | EffectKind::Cancel => state.timing.poll,
        EffectKind::LookUp | EffectKind::Revisit => state.timing.settle,
    }
}

impl Agenda {
    /// What is to be called now, if anything is.
    fn task<'a>(
        &mut self,
        (state, now): (&State, Span),
        effect: Effect,
        (run, attempt): (&'a Run, &'a Attempt),
        service: Arc<dyn PipelineService>,
    ) -> Option<Task<'a>> {
        let start_until = self.claim(state, attempt, effect, now);
        let known = self.know(effect, attempt, now);
        if start_until.is_none() && !self.is_due(effect, now) {
            return None;
        }
        self.next.insert((effect.batch, effect.attempt), now + pause(state, effect.kind));
        let since = |at: Span| Span::from_millis(now.as_millis() - at.as_millis());
        let (known_for, empty_for) =
            (since(known.since), known.empty_since.map_or(Span::ZERO, since));
        let batch = run.batch.to_string();
        Some(Task { effect, run, attempt, batch, service, start_until, known_for, empty_for })
    }

    /// Since when this process knows of an intent.
    fn know(&mut self, effect: Effect, attempt: &Attempt, now: Span) -> Known {
        let slot = (effect.batch, effect.attempt, attempt.intent);
        let known = self.known.entry(slot).or_insert(Known { since: now, empty_since: None });
        if attempt.empty_since.is_some() {
            known.empty_since.get_or_insert(now);
        }
        *known
    }

    fn is_due(&self, effect: Effect, now: Span) -> bool {
        self.next.get(&(effect.batch, effect.attempt)).is_none_or(|at| *at <= now)
    }

    /// Until when this process may send the start call; `None` if it may not, or has done so.
    fn claim(
        &mut self,
        state: &State,
        attempt: &Attempt,
        effect: Effect,
        now: Span,
    ) -> Option<Span> {
        let slot = (effect.batch, effect.attempt, attempt.intent);
        if effect.kind != EffectKind::Launch || self.called.contains(&slot) {
            return None;
        }
        if mutant::is(Mutant::AnyoneCalls) {
            self.called.insert(slot);
            return Some(now + state.timing.lease);
        }
        let end = self.lease_end(state, &attempt.owner, now)?;
        self.called.insert(slot);
        Some(end)
    }

    /// When the lease of a commit's writer ends; `None` if that is another process, or too little is left.
    fn lease_end(&self, state: &State, owner: &str, now: Span) -> Option<Span> {
        let end = *self.own.get(owner)? + state.timing.lease;
        let end = if mutant::is(Mutant::CallAfterLease) { end + Span::hours(1) } else { end };
        (now + state.timing.call <= end).then_some(end)
    }
}

impl Task<'_> {
    async fn perform(self, scene: Scene<'_>) -> Option<Observation> {
        let caller = scene.caller;
        let outcome = match self.effect.kind {
            EffectKind::Launch
                if mutant::is(Mutant::RelaunchWithoutLookUp) && self.start_until.is_none() =>
            {
                self.lease_is_over(scene).await.then_some(Outcome::Absent)
            }
            EffectKind::Launch => match self.start_until {
                Some(end) => caller.run_until(self.service.start(&self.launch()), Some(end)).await,
                None => self.take_over(scene).await,
            },
            EffectKind::LookUp => {
                self.look_up(caller).await.filter(|outcome| *outcome != Outcome::Absent)
            }
            EffectKind::Follow => self.follow(scene).await,
            EffectKind::Revisit if !self.is_settled(scene) => None,
            EffectKind::Revisit => self.follow(scene).await,
            EffectKind::Cancel => {
                self.cancel(caller).await;
                self.follow(scene).await
            }
        };
        let outcome = outcome?;
        let (attempt, basis) = (self.attempt.number, self.attempt.basis());
        let external = self.attempt.external.as_ref().map(|run| run.id.clone());
        Some(Observation { batch: self.run.batch, attempt, basis, external, outcome })
    }

    fn launch(&self) -> Launch<'_> {
        Launch {
            key: self.attempt.key,
            trigger: &self.run.trigger,
            batch: &self.batch,
            target: &self.run.target,
            parameters: &self.attempt.parameters,
            cache: self.run.cache,
            since: self.attempt.intended_at,
        }
    }

    /// Looks a launch up that is not this process's to make, or whose answer was unclear. What is found is
    /// believed at any time; that nothing is found counts only after the lease, by the store's time.
    async fn take_over(&self, scene: Scene<'_>) -> Option<Outcome> {
        let counts = self.lease_is_over(scene).await && self.is_apart(scene).await;
        let found = match self.run.profile.finds {
            true => self.look_up(scene.caller).await?,
            false if self.run.profile.class == Idempotency::A => Outcome::Absent,
            false => Outcome::NoLookUp,
        };
        (counts || matches!(found, Outcome::Found(_))).then_some(found)
    }

    /// Whether a look-up that is made now may count as a second one that found nothing. The first was made before the
    /// commit that says so, and perhaps long after the listing that gave that commit its time.
    async fn is_apart(&self, scene: Scene<'_>) -> bool {
        let Some(first) = self.attempt.empty_since else { return true };
        let wait = scene.state.timing.settle;
        mutant::is(Mutant::LookUpsTooClose)
            || self.empty_for >= wait
            || (scene.now >= first.time + wait && is_older(scene, first.commit, wait).await)
    }

    async fn lease_is_over(&self, scene: Scene<'_>) -> bool {
        let intent = (self.attempt.intent, self.attempt.intended_at);
        lease_is_over(scene, intent, self.known_for).await
    }

    async fn look_up(&self, caller: &Caller<'_>) -> Option<Outcome> {
        let call = self.service.find(&self.launch())?;
        caller.run(Step::Send(call)).await.flatten()
    }

    async fn follow(&self, scene: Scene<'_>) -> Option<Outcome> {
        let external = self.attempt.external.as_ref()?;
        let counts = self.is_apart(scene).await;
        let seen = scene.caller.run(Step::Send(self.service.status(external))).await.flatten();
        seen.filter(|outcome| counts || *outcome != Outcome::Vanished)
    }

    /// Whether it ended so long ago that what its service says of it is no longer what it said before.
    fn is_settled(&self, scene: Scene<'_>) -> bool {
        let ended = self.attempt.ended_at;
        ended.is_some_and(|ended| scene.now >= ended + scene.state.timing.settle)
    }

    async fn cancel(&self, caller: &Caller<'_>) {
        let call =
            self.attempt.external.as_ref().and_then(|external| self.service.cancel(external));
        let Some(call) = call else { return };
        if let Some(Err(message)) = caller.run(Step::Send(call)).await {
            tracing::warn!(run = %self.run.batch, message, "a run could not be cancelled");
        }
    }
}

/// Whether the writer of an intent, a commit and its time, can no longer call: by the time this process has known of
/// it, or, where the store's clock is right, by the store's time since the commit was created.
async fn lease_is_over(scene: Scene<'_>, (commit, at): (u64, Timestamp), known_for: Span) -> bool {
    let wait = scene.state.timing.lease + scene.state.timing.margin;
    if mutant::is(Mutant::LeaseByOwnClock) {
        return scene.caller.clock.now() >= at + wait;
    }
    let is_early = scene.now < at + wait;
    known_for >= wait || (!is_early && is_older(scene, commit, wait).await)
}

/// Whether a commit was created that long ago, by the store's time, where that is right.
async fn is_older(scene: Scene<'_>, commit: u64, wait: Span) -> bool {
    if scene.store_clock == StoreClock::Machine {
        return false;
    }
    let name = layout::commit(commit);
    let Ok(page) = scene.store.list(layout::LOG, &name, 1).await else { return false };
    let entry = page.entries.first().filter(|entry| entry.name == name);
    entry.is_some_and(|entry| page.now >= entry.created + wait)
}
