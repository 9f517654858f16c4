//! Versions of models on their way: from the run that made one to its registry, through its stages, and out again.
//!
//! A version is followed as a run is: a commit says what is to be done at the registry, its writer does it within a
//! lease, and a later commit says what came of it. Whatever a stage starts is an ordinary trigger.

mod change;
mod rule;
mod statement;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Number;

use crate::key::{Hash128, RunKey, hash128};
use crate::mutant::{self, Mutant};
use crate::rules::Rules;
use crate::state::BatchId;
use crate::time::Timestamp;

pub use self::change::{ModelChange, PromotionChange};
pub(crate) use self::change::{apply_to_model, apply_to_promotion};
pub use self::rule::{Approver, Asking, Gate, Limits, PromoteRule, StageRule};
pub use self::statement::{GITHUB, MLFLOW, Says, Statement, WORDS_BYTES_MAX};

/// A stage of a model at its registry. One version has it at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Where a version is tested.
    Staging,
    /// Where a version is used.
    Production,
}

/// A model at its registry, with the versions that are followed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The registry, by name.
    pub registry: String,
    /// Its versions, by the run that made each; of those nothing more comes of, the last.
    pub promotions: BTreeMap<BatchId, Promotion>,
    /// Who has each stage, as far as is known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub holders: BTreeMap<Stage, Holder>,
    /// The runs of versions that were in production before, the last one last: where a rollback leads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former: Vec<BatchId>,
    /// The last commit that changed who has a stage, or set out to.
    pub changed: u64,
}

/// The version that has a stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Holder {
    /// The registry's name of it.
    pub version: String,
    /// The run that made it; none where the ledger does not follow it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<BatchId>,
    /// When that was known.
    pub since: Timestamp,
}

/// One version on its way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Promotion {
    /// The run that made it.
    pub run: BatchId,
    /// The trigger of the run.
    pub trigger: String,
    /// The revision of the rules under which it began.
    pub rules: String,
    /// The registry, by the name it has in that revision.
    pub registry: String,
    /// The key of the attempt that succeeded, by which the registry knows it.
    pub key: RunKey,
    /// The service's id of that attempt.
    pub external: String,
    /// When it began.
    pub begun_at: Timestamp,
    /// Where it stands.
    pub phase: PromotionPhase,
    /// The stage it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<Stage>,
    /// The version, once the registry has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Version>,
    /// What the gate found wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
    /// Every request for a stage, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<Request>,
    /// Every approval, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvals: Vec<Approval>,
    /// The batch, and the run it becomes, that tests it in staging.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<BatchId>,
    /// How often it was given each stage.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub entries: BTreeMap<Stage, u32>,
    /// What is to be done at the registry, and by whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Who ended it, and why; where nobody did, the rule or the registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
}

/// Where a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotionPhase {
    /// Its run succeeded; it is to be registered.
    Registering,
    /// It is registered, and nobody has asked for a stage.
    Candidate,
    /// A stage is asked for; it waits for approvals.
    Requested,
    /// It is to be given the stage.
    Entering,
    /// It is in staging, and waits for its acceptance test.
    Testing,
    /// It is in staging, and may go on to production.
    Accepted,
    /// It is in production.
    Promoted,
    /// Another version took its stage.
    Archived,
    /// A person gave it a stage at the registry.
    Moved,
    /// The gate found it not good enough.
    Refused,
    /// A person, or its acceptance test, was against it.
    Rejected,
    /// The registry refused for good.
    Failed,
}

/// A version as its registry has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Version {
    /// The registry's name of it, such as `3`.
    pub name: String,
    /// Where its files are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// What was measured of it.
    pub metrics: BTreeMap<String, Number>,
    /// Other versions the registry has under the same key; the lowest is taken for ours.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub twins: Vec<String>,
}

/// A request for a stage.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The stage.
    pub stage: Stage,
    /// Who asks; none where the rule does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: Timestamp,
    /// Whether it is to have production back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rollback: bool,
    /// The version it is to have production back from, by the registry's name of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<String>,
    /// What the stage took by the rules it was asked for under: rules that ask for less later do not grant it.
    #[serde(default)]
    pub takes: StageRule,
}

/// A person's word for a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The request it is about, counted from 1.
    pub request: u32,
    /// Who.
    pub person: String,
    /// Why.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Why nothing more comes of a version.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ended {
    /// Who decided; none where no person did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub person: Option<String>,
    /// Why.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// Something to be done at a registry, and who may do it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// The commit that says so, the newest.
    pub commit: u64,
    /// Its nonce: who may call.
    pub owner: String,
    /// Its time.
    pub at: Timestamp,
    /// Not to be done before, where a call certainly did nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// How often a call certainly did nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// The newest word on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// A version that was given a stage: what triggers on models listen to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageEntry {
    /// The model.
    pub name: String,
    /// The registry's name of the version.
    pub version: String,
    /// The stage.
    pub stage: Stage,
    /// How often it was given that stage by now.
    pub times: u32,
    /// Where its files are; empty where the registry does not say.
    pub uri: String,
    /// The run that made it.
    pub run: BatchId,
}

/// What a registry says of its stages: the version that has each, with what was measured of it.
pub type Stages = BTreeMap<Stage, Version>;

impl Stage {
    /// Every stage, in order.
    pub const ALL: &'static [Self] = &[Self::Staging, Self::Production];

    /// Its word in a rule file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Stage {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.iter().find(|stage| stage.name() == text);
        named.copied().ok_or_else(|| format!("not a stage, staging or production: value=`{text}`"))
    }
}

impl PromotionPhase {
    /// The word for it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Registering => "registering",
            Self::Candidate => "candidate",
            Self::Requested => "requested",
            Self::Entering => "entering",
            Self::Testing => "testing",
            Self::Accepted => "accepted",
            Self::Promoted => "promoted",
            Self::Archived => "archived",
            Self::Moved => "moved",
            Self::Refused => "refused",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        }
    }

    /// Whether nothing more comes of a version in this phase, unless a person rolls back to it.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Archived | Self::Moved | Self::Refused | Self::Rejected | Self::Failed => true,
            Self::Registering
            | Self::Candidate
            | Self::Requested
            | Self::Entering
            | Self::Testing
            | Self::Accepted
            | Self::Promoted => false,
        }
    }
}

impl Model {
    /// A model of which nothing is known.
    #[must_use]
    pub fn new(registry: String) -> Self {
        Self {
            registry,
            promotions: BTreeMap::new(),
            holders: BTreeMap::new(),
            former: Vec::new(),
            changed: 0,
        }
    }

    /// The version of that name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&Promotion> {
        self.promotions.values().rev().find(|promotion| promotion.name() == Some(name))
    }

    /// Whether one of its versions is being given a stage.
    #[must_use]
    pub fn is_entering(&self) -> bool {
        self.promotions.values().any(|it| it.phase == PromotionPhase::Entering)
    }

    /// The version whose acceptance test comes before staging that a rule asked for: it is tested to the end, unless a
    /// person asks for staging for another one.
    #[must_use]
    pub fn tested_before(&self, waiting: &Promotion) -> Option<&Promotion> {
        let request = waiting.request()?;
        if request.stage != Stage::Staging || request.person.is_some() {
            return None;
        }
        self.promotions.values().find(|it| it.phase == PromotionPhase::Testing)
    }

    /// The version that is in production, where a rollback was to take the place of another.
    #[must_use]
    pub fn overtakes(&self, rollback: &Request) -> Option<&str> {
        let leaves = rollback.leaves.as_ref()?;
        let holder = self.holders.get(&Stage::Production)?;
        (holder.version != *leaves).then_some(holder.version.as_str())
    }

    /// The stages of which a registry says other than what is known, with who has them there. A version that went on
    /// to production may still be said to be in staging, also when it has left production.
    #[must_use]
    pub fn moved(&self, stages: &Stages) -> Vec<(Stage, Option<String>)> {
        let said = |stage| stages.get(&stage).map(|version| &version.name);
        let known = |stage| self.holders.get(&stage).map(|holder| &holder.version);
        let went_on = |name: &String| {
            let followed = self.version(name);
            let was_there = followed.is_some_and(|it| it.entries.contains_key(&Stage::Production));
            was_there || Some(name) == known(Stage::Production)
        };
        let differs = |stage: &Stage| match (said(*stage), known(*stage)) {
            (Some(name), None) if *stage == Stage::Staging => !went_on(name),
            (said, known) => said != known,
        };
        let moved = Stage::ALL.iter().copied().filter(differs);
        moved.map(|stage| (stage, said(stage).cloned())).collect()
    }
}

impl Promotion {
    /// The registry's name of the version, once it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.version.as_ref().map(|version| version.name.as_str())
    }

    /// What the rules say of the versions of its model: of those its trigger makes, else, where that is called otherwise
    /// by now, of those another does; none where they say nothing of the model.
    #[must_use]
    pub fn rule<'r>(&self, rules: &'r Rules, model: &str) -> Option<&'r PromoteRule> {
        let own = rules.triggers.get(&self.trigger).and_then(|rule| rule.promote.as_ref());
        let own = own.filter(|rule| rule.model == model);
        own.or_else(|| rules.promoting(model)?.promote.as_ref())
    }

    /// The newest request for a stage.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.requests.last()
    }

    /// The stage that is asked for, or that comes next; none where nothing can be asked for.
    #[must_use]
    pub fn next(&self) -> Option<Stage> {
        match self.phase {
            PromotionPhase::Candidate => Some(Stage::Staging),
            PromotionPhase::Accepted => Some(Stage::Production),
            PromotionPhase::Requested => self.request().map(|request| request.stage),
            _ => None,
        }
    }

    /// The number of the newest request, counted from 1; 0 where there is none.
    #[must_use]
    pub fn current(&self) -> u32 {
        u32::try_from(self.requests.len()).unwrap_or(u32::MAX)
    }

    /// The persons whose approval of the newest request counts, each once, and none whom the rule does not let. With
    /// four eyes, who asked for it does not count, nor who asked for the stage before or approved that.
    #[must_use]
    pub fn counted(&self, rule: &PromoteRule) -> Vec<&str> {
        let four_eyes = self.request().is_some_and(|request| rule.wants_four_eyes(request));
        let mut counted: Vec<&str> = Vec::new();
        for approval in self.approvals.iter().filter(|it| it.request == self.current()) {
            let is_known = counted.iter().any(|person| same_person(person, &approval.person));
            let again = is_known && !mutant::is(Mutant::ApprovalCountsTwice);
            let is_bound = four_eyes && self.is_bound(&approval.person);
            if !again && !is_bound && rule.lets(&approval.person) {
                counted.push(&approval.person);
            }
        }
        counted
    }

    /// Whether as many persons approve the newest request as it takes.
    #[must_use]
    pub fn is_approved(&self, rule: &PromoteRule) -> bool {
        let request = self.request();
        request.is_some_and(|request| self.counted(rule).len() >= rule.needed(request) as usize)
    }

    /// Whether it has no stage, and waits to be asked for or approved. What is to have production back is none of these.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        let is_asked = self.phase == PromotionPhase::Requested
            && self.request().is_some_and(|request| !request.rollback);
        self.stage.is_none() && (is_asked || self.phase == PromotionPhase::Candidate)
    }

    /// Whether a person has had a say in the newest request, or in what led to it.
    #[must_use]
    pub fn is_bound(&self, person: &str) -> bool {
        let current = self.current();
        let Some(request) = self.request() else { return false };
        let earlier = if request.rollback { &[][..] } else { &self.requests[..] };
        let asked = earlier.iter().chain([request]).filter_map(|it| it.person.as_deref());
        let before = |it: &&Approval| it.request < current && !request.rollback;
        let approved = self.approvals.iter().filter(before).map(|it| it.person.as_str());
        let bound = asked.chain(approved).any(|it| same_person(it, person));
        bound && !mutant::is(Mutant::OneForTheOther)
    }

    /// The version as it was given its stage last.
    #[must_use]
    pub fn entry(&self, model: &str, stage: Stage) -> Option<StageEntry> {
        let version = self.version.as_ref()?;
        Some(StageEntry {
            name: model.to_owned(),
            version: version.name.clone(),
            stage,
            times: self.entries.get(&stage).copied().unwrap_or(0),
            uri: version.uri.clone().unwrap_or_default(),
            run: self.run,
        })
    }
}

impl StageEntry {
    /// What it is to a trigger: the same version in the same stage for the same time.
    #[must_use]
    pub fn id(&self, trigger: &str) -> Hash128 {
        let times = self.times.to_string();
        let parts = [trigger, &self.name, &self.version, self.stage.name(), &times];
        hash128(["model"].into_iter().chain(parts))
    }
}

/// Whether two names are one person's. A name in other letters is no other person.
#[must_use]
pub fn same_person(one: &str, other: &str) -> bool {
    one.trim().to_lowercase() == other.trim().to_lowercase()
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
