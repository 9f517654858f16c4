//! What the state asks of the outside world, found afresh from it at any time.

use crate::mutant::{self, Mutant};
use crate::promotion::{Model, Promotion, PromotionPhase, Stage};
use crate::run::{Attempt, Phase, Run};
use crate::state::{BatchId, State};

/// Something to be done at a service. Doing it, and when, is the engine's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// The run.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: u32,
    /// What to do.
    pub kind: EffectKind,
}

/// What can be asked of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EffectKind {
    /// Start it, if this process wrote the intent and its lease lasts; else look it up once the lease is over.
    Launch,
    /// Look up an abandoned key.
    LookUp,
    /// Ask how it stands.
    Follow,
    /// End it, and ask how it stands.
    Cancel,
    /// It ended badly some time ago: ask whether its service has started it again.
    Revisit,
}

/// Everything the state asks for, in the order of the runs.
#[must_use]
pub fn effects(state: &State) -> Vec<Effect> {
    let of_run = |run: &Run| -> Vec<Effect> {
        let wanted = run.attempts.iter().filter_map(|attempt| {
            let kind = wanted(run, attempt)?;
            Some(Effect { batch: run.batch, attempt: attempt.number, kind })
        });
        wanted.collect()
    };
    state.runs.values().flat_map(of_run).collect()
}

fn wanted(run: &Run, attempt: &Attempt) -> Option<EffectKind> {
    match attempt.phase {
        Phase::Launching if attempt.not_before.is_none() => Some(EffectKind::Launch),
        Phase::Pending | Phase::Running if run.cancel.is_some() => Some(EffectKind::Cancel),
        Phase::Pending | Phase::Running => Some(EffectKind::Follow),
        Phase::Abandoned if attempt.watch_until.is_none() => None,
        Phase::Abandoned if attempt.external.is_some() && !mutant::is(Mutant::LateTwinLeft) => {
            Some(EffectKind::Cancel)
        }
        Phase::Abandoned => Some(EffectKind::LookUp),
        Phase::Failed | Phase::Cancelled | Phase::TimedOut => {
            run.may_reopen(attempt).then_some(EffectKind::Revisit)
        }
        Phase::Launching | Phase::Succeeded | Phase::Uncertain => None,
    }
}

/// Something to be done at a registry of models.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Errand {
    /// The model.
    pub model: String,
    /// What to do.
    pub kind: ErrandKind,
}

/// What can be asked of a registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrandKind {
    /// Register the version this run made.
    Register(BatchId),
    /// Give the version this run made a stage.
    Enter(BatchId, Stage),
    /// See who has which stage.
    Look,
}

/// Everything the state asks of registries, in the order of the models.
#[must_use]
pub fn errands(state: &State) -> Vec<Errand> {
    let of_model = |(name, model): (&String, &Model)| -> Vec<Errand> {
        let looks = (!model.is_entering()).then_some(ErrandKind::Look);
        let kinds = model.promotions.values().filter_map(errand).chain(looks);
        kinds.map(|kind| Errand { model: name.clone(), kind }).collect()
    };
    state.models.iter().flat_map(of_model).collect()
}

fn errand(promotion: &Promotion) -> Option<ErrandKind> {
    let intent = promotion.intent.as_ref()?;
    if intent.not_before.is_some() {
        return None;
    }
    match promotion.phase {
        PromotionPhase::Registering => Some(ErrandKind::Register(promotion.run)),
        PromotionPhase::Entering => {
            Some(ErrandKind::Enter(promotion.run, promotion.request()?.stage))
        }
        _ => None,
    }
}
