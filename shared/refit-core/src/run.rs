//! Runs: a closed batch and its attempts at a service.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::key::RunKey;
use crate::rules::ServiceProfile;
use crate::state::BatchId;
use crate::time::Timestamp;

/// One retraining: a closed batch, and every attempt made for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// The batch, which also names the run.
    pub batch: BatchId,
    /// The trigger.
    pub trigger: String,
    /// The key of the batch, where its rule has one.
    pub key: String,
    /// The revision of the rules it was launched under.
    pub rules: String,
    /// The service, by name.
    pub service: String,
    /// What the planner must know of the service.
    pub profile: ServiceProfile,
    /// What the service is to run, with its version pinned.
    pub target: Value,
    /// Whether the service may answer steps from its cache.
    pub cache: bool,
    /// The folder in which the first step of its pipeline makes a claim; none where it has no guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// The key of the manifest in the ledger.
    pub manifest: String,
    /// What is in it.
    pub facts: BatchFacts,
    /// Every attempt, oldest first.
    pub attempts: Vec<Attempt>,
    /// Set once it is to end before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel: Option<Cancel>,
    /// When that was first asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancel_at: Option<Timestamp>,
    /// Set once nothing more will be tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Finished>,
}

/// What a run is told of its batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchFacts {
    /// Members in the manifest.
    pub count: u64,
    /// Their bytes, where known.
    pub bytes: u64,
    /// The longest folder they share.
    pub prefix: String,
    /// Members left out because a newer generation joined.
    pub superseded: u64,
    /// Members left out because they were deleted.
    pub gone: u64,
    /// Members that joined, before anything was left out.
    pub joined: u64,
    /// When the first of them arrived.
    pub opened_at: Timestamp,
}

/// A commit and its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    /// Its number.
    pub commit: u64,
    /// Its time.
    pub time: Timestamp,
}

/// One attempt to have a service run it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attempt {
    /// Counted from 1.
    pub number: u32,
    /// The identity it is started under.
    pub key: RunKey,
    /// The first attempt that was to make the same claim; none where there is no guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round: Option<u32>,
    /// Where it stands.
    pub phase: Phase,
    /// The parameters it is started with.
    pub parameters: Value,
    /// The commit that holds its newest intent.
    pub intent: u64,
    /// The nonce of that commit: who may call.
    pub owner: String,
    /// The time of that commit.
    pub intended_at: Timestamp,
    /// Not to be called before, where a call certainly started nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Whether it was called again although an earlier call may yet take effect.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub in_doubt: bool,
    /// How often a call certainly started nothing.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused_calls: u32,
    /// The commit that first says that a look-up after the lease found nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<Mark>,
    /// The run at the service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalRun>,
    /// When it was known to be started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it was seen to have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Until when an abandoned key is looked up, or one that ended badly looked at again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch_until: Option<Timestamp>,
    /// The commit that said it ended, or that its service reopened it, whichever came last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turn: Option<u64>,
    /// How often its service reopened it.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reopened: u32,
    /// Whether it was noted that it does not go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stuck: bool,
    /// The newest word on it, from the service or from us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Attempt {
    /// The commit that questions to the service rest on: of the newest intent, of the first look-up after it that found
    /// nothing, or of its last turn.
    #[must_use]
    pub fn basis(&self) -> u64 {
        let looked_up = self.empty_since.map_or(self.intent, |first| first.commit);
        self.turn.map_or(looked_up, |turn| turn.max(looked_up))
    }
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// A run as the service names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExternalRun {
    /// The service's id.
    pub id: String,
    /// Where a person can look at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

impl ExternalRun {
    /// Whether a run that calls itself so is this one: some services have the id in a folder.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.id == name || self.id.rsplit_once('/').is_some_and(|(_, last)| last == name)
    }
}

/// What the guard of a pipeline has written: which run goes on, where every other under the same claim stands down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The format it is written in.
    pub v: u32,
    /// The run key of who made it.
    pub key: String,
    /// Who made it, as the service calls it.
    pub run: String,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Intended; whether the service has it is not known yet.
    Launching,
    /// The service has it and has not begun.
    Pending,
    /// It runs.
    Running,
    /// It ended well.
    Succeeded,
    /// It ended badly, or the service refused it for good.
    Failed,
    /// It was ended before its time.
    Cancelled,
    /// It was ended because it took too long.
    TimedOut,
    /// Its key was given up after two empty look-ups.
    Abandoned,
    /// Whether the service has it cannot be learned; a person decides.
    Uncertain,
}

/// Why a run is to end before its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cancel {
    /// A person asked for it.
    Asked,
    /// It took longer than its trigger allows.
    TimedOut,
    /// This batch replaces it and takes over its members.
    ReplacedBy(BatchId),
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// The phase of its last attempt.
    pub phase: Phase,
    /// When that was known.
    pub at: Timestamp,
}

impl Run {
    /// Whether more may come of it: an attempt under way, or one to follow.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.finished.is_none()
    }

    /// The attempt that counts: the newest; of those under its claim, the newest that was not given up.
    #[must_use]
    pub fn attempt(&self) -> &Attempt {
        self.counted().expect("a run is made with its first attempt")
    }

    /// The same of a run whose first attempt may be missing, as in a log that is checked.
    pub(crate) fn counted(&self) -> Option<&Attempt> {
        let newest = self.attempts.last()?;
        let mut rivals = self.attempts.iter().rev().filter(|rival| newest.is_rival_of(rival));
        Some(rivals.find(|rival| rival.phase != Phase::Abandoned).unwrap_or(newest))
    }

    /// Where the attempts of a round make their claim; none where there is no guard.
    #[must_use]
    pub fn claim(&self, round: Option<u32>) -> Option<String> {
        Some(claim_uri(self.guard.as_ref()?, self.batch, round?))
    }

    /// The attempt of that number.
    #[must_use]
    pub fn attempt_numbered(&self, number: u32) -> Option<&Attempt> {
        self.attempts.iter().find(|attempt| attempt.number == number)
    }

    pub(crate) fn attempt_mut(&mut self, number: u32) -> Option<&mut Attempt> {
        self.attempts.iter_mut().find(|attempt| attempt.number == number)
    }

    /// Whether one of its abandoned keys is still looked up, or its late run still ends.
    #[must_use]
    pub fn is_watched(&self) -> bool {
        let mut watched = self.attempts.iter().filter(|attempt| attempt.watch_until.is_some());
        watched.any(|attempt| attempt.phase == Phase::Abandoned)
    }

    /// Whether an attempt that ended badly is looked at again, as its service may reopen it: the one that counts, for a
    /// while.
    #[must_use]
    pub fn may_reopen(&self, attempt: &Attempt) -> bool {
        let ended = matches!(attempt.phase, Phase::Failed | Phase::Cancelled | Phase::TimedOut);
        ended && attempt.watch_until.is_some() && self.attempt().number == attempt.number
    }
}

/// Where the attempts of a batch make their claim, below the folder of its guard.
#[must_use]
pub fn claim_uri(guard: &str, batch: BatchId, round: u32) -> String {
    format!("{guard}/{batch}-{round}")
}

impl Attempt {
    /// An attempt that was just intended; the fold says by whom.
    #[must_use]
    pub fn new(number: u32, key: RunKey, parameters: Value) -> Self {
        Self {
            number,
            key,
            round: None,
            phase: Phase::Launching,
            parameters,
            intent: 0,
            owner: String::new(),
            intended_at: Timestamp::EPOCH,
            not_before: None,
            refused_calls: 0,
            in_doubt: false,
            empty_since: None,
            external: None,
            started_at: None,
            ended_at: None,
            watch_until: None,
            turn: None,
            reopened: 0,
            stuck: false,
            message: None,
        }
    }

    /// Whether both are to make the same claim.
    #[must_use]
    pub fn is_rival_of(&self, other: &Self) -> bool {
        self.round.is_some() && self.round == other.round
    }

    /// Whether the service is known to have it and it has not ended.
    #[must_use]
    pub fn is_live(&self) -> bool {
        matches!(self.phase, Phase::Pending | Phase::Running)
    }
}

impl Phase {
    /// Whether nothing more comes of an attempt in this phase.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::Cancelled | Self::TimedOut | Self::Abandoned => {
                true
            }
            Self::Launching | Self::Pending | Self::Running | Self::Uncertain => false,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Launching => "launching",
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed out",
            Self::Abandoned => "abandoned",
            Self::Uncertain => "uncertain",
        }
    }
}
