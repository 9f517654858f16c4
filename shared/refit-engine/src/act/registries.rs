//! Doing at registries of models what the state asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
use refit_core::effect::{Errand, ErrandKind, errands};
use refit_core::error::Error;
use refit_core::mutant::{self, Mutant};
use refit_core::plan::{RegistryOutcome, RegistryReport};
use refit_core::promotion::{Intent, Model, Promotion, Stage, Stages};
use refit_core::state::{BatchId, State};
use refit_core::time::Span;
use refit_wire::call::Step;
use refit_wire::registry::{ModelRegistry, Registration, enter, has_stage, look_up, register};

use super::{Agenda, CALLS, Scene, lease_is_over};
use crate::gather::Gatherer;

/// What this process has done at registries and when it is to do it again. None of it is needed after a restart.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Intents whose call was made, each with its commit.
    called: BTreeSet<(Errand, u64)>,
    /// When each is to be looked at again.
    next: BTreeMap<Errand, Span>,
    /// Since when this process knows each intent, with its commit.
    known: BTreeMap<(Errand, u64), Span>,
}

/// One call to be made.
struct Task<'a> {
    errand: Errand,
    promotion: Option<&'a Promotion>,
    registry: Arc<dyn ModelRegistry>,
    /// The commit the question rests on.
    basis: u64,
    /// Until when a request that changes something may be sent; set where this process may send it.
    until: Option<Span>,
    /// How long this process has known of the intent.
    known_for: Span,
}

impl Errands {
    /// When something is to be looked at next.
    pub(super) fn next(&self) -> Option<Span> {
        self.next.values().min().copied()
    }

    /// Forgets what the state no longer asks for.
    fn keep(&mut self, wanted: &[Errand]) {
        self.next.retain(|errand, _| wanted.contains(errand));
        self.called.retain(|(errand, _)| wanted.contains(errand));
        self.known.retain(|(errand, _), _| wanted.contains(errand));
    }
}

/// The nonces of commits that own something to be done at a registry.
pub(super) fn owners(state: &State) -> impl Iterator<Item = &str> {
    let promotions = state.models.values().flat_map(|model| model.promotions.values());
    promotions.filter_map(|promotion| Some(promotion.intent.as_ref()?.owner.as_str()))
}

/// Does at registries what the state asks for and is due, and says what was answered.
///
/// # Errors
/// The store's, where a revision of the rules cannot be read; no call was made then.
pub(crate) async fn visit(
    scene: Scene<'_>,
    agenda: &mut Agenda,
    gatherer: &mut Gatherer,
) -> Result<Vec<RegistryReport>, Error> {
    let wanted = errands(scene.state);
    agenda.errands.keep(&wanted);
    // What can fail comes before anything counts as called.
    let mut known = Vec::new();
    for errand in wanted {
        let Some(model) = scene.state.models.get(&errand.model) else { continue };
        let promotion = run_of(errand.kind).and_then(|run| model.promotions.get(&run));
        let registry = registry_of(scene.state, (model, promotion), gatherer).await?;
        let Some(registry) = registry else { continue };
        known.push((errand, (model, promotion), registry));
    }
    // What nobody can be asked about is not waited for.
    agenda.errands.next.retain(|errand, _| known.iter().any(|(asked, ..)| asked == errand));
    let tasks = known
        .into_iter()
        .filter_map(|(errand, version, registry)| agenda.errand(scene, errand, version, registry));
    let calls: Vec<_> = tasks.map(|task| task.perform(scene).boxed()).collect();
    let reports: Vec<Option<RegistryReport>> =
        futures::stream::iter(calls).buffered(CALLS).collect().await;
    Ok(reports.into_iter().flatten().collect())
}

fn run_of(kind: ErrandKind) -> Option<BatchId> {
    match kind {
        ErrandKind::Register(run) | ErrandKind::Enter(run, _) => Some(run),
        ErrandKind::Look => None,
    }
}

/// The registry of a model: of a version the one it began at, of the model itself the one in force.
async fn registry_of(
    state: &State,
    (model, promotion): (&Model, Option<&Promotion>),
    gatherer: &mut Gatherer,
) -> Result<Option<Arc<dyn ModelRegistry>>, Error> {
    let in_force = state.rules.as_deref();
    let own = promotion.map(|promotion| (promotion.rules.as_str(), &promotion.registry));
    let Some((revision, name)) = own.or(in_force.map(|revision| (revision, &model.registry)))
    else {
        return Ok(None);
    };
    let placed = gatherer.placed(in_force, revision, |book| book.registries.get(name)).await?;
    let registry = placed.inspect_err(|why| {
        if let Some(promotion) = promotion {
            let (run, registry) = (promotion.run, name);
            tracing::error!(%run, registry, why, "the registry of a version is not known: it is left alone");
        }
    });
    Ok(registry.ok())
}

impl Agenda {
    /// What is to be called now, if anything is.
    fn errand<'a>(
        &mut self,
        scene: Scene<'_>,
        errand: Errand,
        (model, promotion): (&Model, Option<&'a Promotion>),
        registry: Arc<dyn ModelRegistry>,
    ) -> Option<Task<'a>> {
        let now = scene.caller.clock.elapsed();
        let intent = promotion.and_then(|promotion| promotion.intent.as_ref());
        let basis = intent.map_or(model.changed, |intent| intent.commit);
        let slot = (errand.clone(), basis);
        let until = intent.and_then(|intent| self.claim_errand(scene.state, &slot, intent, now));
        let since = intent.map_or(now, |_| *self.errands.known.entry(slot).or_insert(now));
        let is_due = self.errands.next.get(&errand).is_none_or(|at| *at <= now);
        if until.is_none() && !is_due {
            return None;
        }
        let timing = &scene.state.timing;
        let pause = if errand.kind == ErrandKind::Look { timing.settle } else { timing.poll };
        self.errands.next.insert(errand.clone(), now + pause);
        let known_for = Span::from_millis(now.as_millis() - since.as_millis());
        Some(Task { errand, promotion, registry, basis, until, known_for })
    }

    /// Until when this process may do what an intent says; `None` if it may not, or has done so.
    fn claim_errand(
        &mut self,
        state: &State,
        slot: &(Errand, u64),
        intent: &Intent,
        now: Span,
    ) -> Option<Span> {
        if self.errands.called.contains(slot) {
            return None;
        }
        let end = self.lease_end(state, &intent.owner, now)?;
        self.errands.called.insert(slot.clone());
        Some(end)
    }
}

impl Task<'_> {
    async fn perform(self, scene: Scene<'_>) -> Option<RegistryReport> {
        let outcome = match self.errand.kind {
            ErrandKind::Register(_) => self.register(scene).await,
            ErrandKind::Enter(_, stage) => self.enter(scene, stage).await,
            ErrandKind::Look => self.look(scene).await,
        };
        let (model, run) = (self.errand.model, run_of(self.errand.kind));
        Some(RegistryReport { model, run, basis: self.basis, outcome: outcome? })
    }

    fn wanted(&self) -> Option<Registration> {
        let promotion = self.promotion?;
        Some(Registration {
            model: self.errand.model.clone(),
            key: promotion.key,
            external: promotion.external.clone(),
            trigger: promotion.trigger.clone(),
            batch: promotion.run.to_string(),
        })
    }

    /// Registers a version that is this process's to register, else sees whether it is.
    async fn register(&self, scene: Scene<'_>) -> Option<RegistryOutcome> {
        let (caller, wanted) = (scene.caller, self.wanted()?);
        let is_blind = mutant::is(Mutant::RegisteredWithoutLookUp);
        match self.until {
            Some(end) if is_blind => {
                caller.run_until(blindly(&*self.registry, &wanted), Some(end)).await
            }
            Some(end) => caller.run_until(register(&self.registry, &wanted), Some(end)).await,
            None if is_blind => self.is_over(scene).await.then_some(RegistryOutcome::Absent),
            None => self.take_over(scene, look_up(&self.registry, &wanted)).await,
        }
    }

    /// Gives a version the stage that is this process's to give, else sees whether it has it.
    async fn enter(&self, scene: Scene<'_>, stage: Stage) -> Option<RegistryOutcome> {
        let version = self.promotion?.name()?;
        let place = (self.errand.model.as_str(), version, stage);
        match self.until {
            Some(end) => scene.caller.run_until(enter(&self.registry, place), Some(end)).await,
            None => self.take_over(scene, has_stage(&self.registry, place)).await,
        }
    }

    /// What is found done is believed at any time; that it was not done counts only after the lease.
    async fn take_over(
        &self,
        scene: Scene<'_>,
        look: Step<Option<RegistryOutcome>>,
    ) -> Option<RegistryOutcome> {
        let counts = self.is_over(scene).await;
        let found = scene.caller.run(look).await.flatten()?;
        (counts || found != RegistryOutcome::Absent).then_some(found)
    }

    async fn is_over(&self, scene: Scene<'_>) -> bool {
        let intent = self.promotion.and_then(|promotion| promotion.intent.as_ref());
        match intent {
            Some(intent) => lease_is_over(scene, (intent.commit, intent.at), self.known_for).await,
            None => false,
        }
    }

    async fn look(&self, scene: Scene<'_>) -> Option<RegistryOutcome> {
        let told = scene.caller.run(self.registry.stages(&self.errand.model)).await?;
        told.ok().map(RegistryOutcome::Stages)
    }
}

/// Registers a version without looking whether it is registered: what only a mutant does.
fn blindly(registry: &dyn ModelRegistry, wanted: &Registration) -> Step<RegistryOutcome> {
    registry.create(wanted).then(|told| {
        let stages = Stages::new();
        let made = told.map(|version| RegistryOutcome::Registered { version, stages });
        Step::Done(made.unwrap_or_else(|outcome| outcome))
    })
}
