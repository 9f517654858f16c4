//! What a commit changes of models and their versions.

use serde::{Deserialize, Serialize};

use super::{
    Approval, Ended, Holder, Intent, Model, Promotion, PromotionPhase, Request, Stage, StageRule,
    Version,
};
use crate::fold::Stamp;
use crate::key::RunKey;
use crate::state::BatchId;

/// A change of a version on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PromotionChange {
    /// Its run succeeded, and it is to be registered: the writer of this commit may call.
    Begun {
        /// The registry, by name.
        registry: String,
        /// The trigger of the run.
        trigger: String,
        /// The revision of the rules that say so.
        rules: String,
        /// The key of the attempt that succeeded.
        key: RunKey,
        /// The service's id of it.
        external: String,
    },
    /// What was to be done at the registry is so still: the writer of this commit may call.
    Retaken,
    /// A call certainly did nothing; it is not repeated before `until`.
    Postponed {
        /// The time.
        until: crate::time::Timestamp,
        /// What was answered.
        message: String,
    },
    /// What a call did cannot be told from its answer, which was this.
    Unclear(String),
    /// The registry has it.
    Registered(Version),
    /// The gate finds this wrong with it.
    Refused(Vec<String>),
    /// A stage is asked for.
    Requested {
        /// The stage.
        stage: Stage,
        /// Who asks; none where the rule does.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<String>,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
        /// Whether it is to have production back.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        rollback: bool,
        /// The version it is to have production back from.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        leaves: Option<String>,
        /// What the stage takes by the rules in force.
        #[serde(default)]
        takes: StageRule,
    },
    /// A person approves the newest request.
    Approved {
        /// Who.
        person: String,
        /// Why.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A person, its acceptance test, or what became of other versions is against it.
    Rejected {
        /// Who; none where it was no person.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        person: Option<String>,
        /// Why.
        reason: String,
    },
    /// It is to be given the stage that was asked for: the writer of this commit may call.
    Entering,
    /// The registry says it has that stage. Whoever had it before is archived.
    Entered,
    /// This batch, and the run it becomes, tests it.
    TestedBy(BatchId),
    /// Its acceptance test succeeded; without a test nothing was asked of it.
    Accepted(Option<BatchId>),
    /// The registry refused for good.
    Failed(String),
    /// Nothing more comes of it, and it is no longer kept in the state.
    Forgotten,
}

impl PromotionChange {
    /// Why a version goes no further, in words that follow its name; none where it does.
    #[must_use]
    pub fn against(&self) -> Option<String> {
        let because = |reason: &String| match reason.is_empty() {
            true => String::new(),
            false => format!(": {reason}"),
        };
        match self {
            Self::Refused(faults) => Some(format!("is not good enough: {}", faults.join("; "))),
            Self::Rejected { person: Some(person), reason } => {
                Some(format!("was rejected by {person}{}", because(reason)))
            }
            Self::Rejected { person: None, reason } => {
                Some(format!("was rejected{}", because(reason)))
            }
            Self::Failed(message) => Some(format!("was refused by its registry: {message}")),
            _ => None,
        }
    }
}

/// A change of a model at its registry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelChange {
    /// Somebody changed at the registry who has a stage.
    Moved {
        /// The stage.
        stage: Stage,
        /// The version that has it now; none where none has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<String>,
    },
}

/// Applies a change of a version.
pub(crate) fn apply_to_promotion(
    model: &mut Model,
    run: BatchId,
    change: &PromotionChange,
    stamp: Stamp<'_>,
) {
    match change {
        PromotionChange::Begun { .. } => begin(model, run, change, stamp),
        PromotionChange::Entering | PromotionChange::Retaken => {
            let Some(promotion) = model.promotions.get_mut(&run) else { return };
            if *change == PromotionChange::Entering {
                promotion.phase = PromotionPhase::Entering;
                promotion.intent = None;
            }
            let refused = promotion.intent.as_ref().map_or(0, |intent| intent.refused);
            promotion.intent = Some(Intent { refused, ..Intent::new(stamp) });
            model.changed = stamp.seq;
        }
        PromotionChange::Entered => enter(model, run, stamp),
        PromotionChange::Forgotten => {
            model.promotions.remove(&run);
            model.former.retain(|former| *former != run);
        }
        _ => {
            if let Some(promotion) = model.promotions.get_mut(&run) {
                promotion.apply(change, stamp);
            }
        }
    }
}

/// Applies a change of a model.
pub(crate) fn apply_to_model(model: &mut Model, change: &ModelChange, stamp: Stamp<'_>) {
    let ModelChange::Moved { stage, version } = change;
    let before = model.holders.remove(stage);
    if let Some(run) = before.and_then(|holder| holder.run) {
        leave(model, run, *stage);
    }
    model.changed = stamp.seq;
    let Some(version) = version else { return };
    let run = model.version(version).map(|promotion| promotion.run);
    if let Some(promotion) = run.and_then(|run| model.promotions.get_mut(&run)) {
        promotion.phase = PromotionPhase::Moved;
        promotion.intent = None;
    }
    take_stage(model, *stage, Holder { version: version.clone(), run, since: stamp.now });
}

fn begin(model: &mut Model, run: BatchId, change: &PromotionChange, stamp: Stamp<'_>) {
    let PromotionChange::Begun { registry, trigger, rules, key, external } = change else { return };
    model.registry.clone_from(registry);
    let promotion = Promotion {
        run,
        trigger: trigger.clone(),
        rules: rules.clone(),
        registry: registry.clone(),
        key: *key,
        external: external.clone(),
        begun_at: stamp.now,
        phase: PromotionPhase::Registering,
        stage: None,
        version: None,
        faults: Vec::new(),
        requests: Vec::new(),
        approvals: Vec::new(),
        test: None,
        entries: std::collections::BTreeMap::new(),
        intent: Some(Intent::new(stamp)),
        ended: None,
    };
    model.promotions.insert(run, promotion);
}

/// Gives a version the stage that was asked for it.
fn enter(model: &mut Model, run: BatchId, stamp: Stamp<'_>) {
    let Some(promotion) = model.promotions.get_mut(&run) else { return };
    let (Some(request), Some(version)) = (promotion.request().cloned(), promotion.name()) else {
        return;
    };
    let holder = Holder { version: version.to_owned(), run: Some(run), since: stamp.now };
    promotion.intent = None;
    *promotion.entries.entry(request.stage).or_default() += 1;
    promotion.phase = match request.stage {
        Stage::Staging => PromotionPhase::Testing,
        Stage::Production => PromotionPhase::Promoted,
    };
    let before = model.holders.remove(&request.stage).and_then(|holder| holder.run);
    if let Some(before) = before.filter(|before| *before != run) {
        leave(model, before, request.stage);
        if request.rollback {
            model.former.retain(|former| *former != before);
        }
    }
    model.changed = stamp.seq;
    take_stage(model, request.stage, holder);
}

/// A version loses its stage to another.
fn leave(model: &mut Model, run: BatchId, stage: Stage) {
    let Some(promotion) = model.promotions.get_mut(&run).filter(|it| it.stage == Some(stage))
    else {
        return;
    };
    promotion.stage = None;
    if !promotion.phase.is_over() {
        promotion.phase = PromotionPhase::Archived;
        promotion.intent = None;
    }
    if stage == Stage::Production {
        model.former.retain(|former| *former != run);
        model.former.push(run);
    }
}

/// A version has a stage, and no other.
fn take_stage(model: &mut Model, stage: Stage, holder: Holder) {
    let run = holder.run;
    model.holders.retain(|_, other| run.is_none() || other.run != run);
    model.former.retain(|former| Some(*former) != run || stage != Stage::Production);
    if let Some(promotion) = run.and_then(|run| model.promotions.get_mut(&run)) {
        promotion.stage = Some(stage);
    }
    model.holders.insert(stage, holder);
}

impl Intent {
    fn new(stamp: Stamp<'_>) -> Self {
        Self {
            commit: stamp.seq,
            owner: stamp.nonce.to_owned(),
            at: stamp.now,
            not_before: None,
            refused: 0,
            message: None,
        }
    }
}

impl Promotion {
    fn apply(&mut self, change: &PromotionChange, stamp: Stamp<'_>) {
        match change {
            PromotionChange::Postponed { .. } | PromotionChange::Unclear(_) => self.note(change),
            PromotionChange::Registered(version) => {
                self.version = Some(version.clone());
                self.phase = PromotionPhase::Candidate;
                self.intent = None;
            }
            PromotionChange::Refused(faults) => {
                self.faults.clone_from(faults);
                self.phase = PromotionPhase::Refused;
            }
            PromotionChange::Requested { stage, person, reason, rollback, leaves, takes } => {
                let (person, reason) = (person.clone(), reason.clone());
                let (stage, rollback, takes, at) = (*stage, *rollback, *takes, stamp.now);
                let leaves = leaves.clone();
                self.requests.push(Request { stage, person, reason, at, rollback, leaves, takes });
                self.phase = PromotionPhase::Requested;
            }
            PromotionChange::Approved { person, reason } => {
                let request = u32::try_from(self.requests.len()).unwrap_or(u32::MAX);
                let (person, reason) = (person.clone(), reason.clone());
                self.approvals.push(Approval { request, person, reason, at: stamp.now });
            }
            PromotionChange::Rejected { person, reason } => {
                let is_rollback = self.request().is_some_and(|request| request.rollback);
                let phase = match is_rollback {
                    true => PromotionPhase::Archived,
                    false => PromotionPhase::Rejected,
                };
                self.end(phase, person.clone(), reason, stamp);
            }
            PromotionChange::TestedBy(batch) => self.test = Some(*batch),
            PromotionChange::Accepted(_) => self.phase = PromotionPhase::Accepted,
            PromotionChange::Failed(message) => {
                self.end(PromotionPhase::Failed, None, message, stamp);
            }
            PromotionChange::Begun { .. }
            | PromotionChange::Retaken
            | PromotionChange::Entering
            | PromotionChange::Entered
            | PromotionChange::Forgotten => {}
        }
    }

    /// What a call came to that did nothing, or perhaps nothing.
    fn note(&mut self, change: &PromotionChange) {
        let Some(intent) = &mut self.intent else { return };
        match change {
            PromotionChange::Postponed { until, message } => {
                intent.not_before = Some(*until);
                intent.refused += 1;
                intent.message = Some(message.clone());
            }
            PromotionChange::Unclear(message) => intent.message = Some(message.clone()),
            _ => {}
        }
    }

    fn end(
        &mut self,
        phase: PromotionPhase,
        person: Option<String>,
        reason: &str,
        stamp: Stamp<'_>,
    ) {
        self.phase = phase;
        self.intent = None;
        self.ended = Some(Ended { person, reason: reason.to_owned(), at: stamp.now });
    }
}
