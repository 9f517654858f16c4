//! The state of a ledger after a commit: what `plan` reads and `fold` moves forward.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::event::PauseMode;
use crate::key::Hash128;
use crate::memory::Memory;
use crate::mutant::{self, Mutant};
use crate::notice::Outbox;
use crate::promotion::Model;
use crate::reason::Hold;
use crate::run::Run;
use crate::time::Timestamp;
use crate::timing::Timing;

/// The version of stored states and commits this binary writes.
pub const VERSION: u32 = 1;

/// The state of a ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// The format it is written in.
    pub v: u32,
    /// The number of the last commit in it.
    pub seq: u64,
    /// The id of the ledger.
    pub ledger: String,
    /// The lengths of time of the ledger.
    pub timing: Timing,
    /// The time of the last commit.
    pub now: Timestamp,
    /// The revision of the rules in force.
    pub rules: Option<String>,
    /// How far the inbox was listed.
    pub marks: Marks,
    /// Names of consumed segments that a full listing may still show.
    pub recent: Arc<BTreeSet<String>>,
    /// The triggers, by name, those removed from the rules included, as long as a batch, a run, a
    /// launch that counts or a pause of theirs does.
    pub triggers: BTreeMap<String, Standing>,
    /// Runs that are not over, and the last of those that are.
    pub runs: BTreeMap<BatchId, Run>,
    /// What the ledger has seen.
    pub memory: Arc<Memory>,
    /// Stored objects nothing refers to any more, and since when.
    pub retired: BTreeMap<String, Timestamp>,
    /// What receivers are still to be told, by their names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outboxes: Arc<BTreeMap<String, Outbox>>,
    /// Models whose versions are followed, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: Arc<BTreeMap<String, Model>>,
}

/// How far the inbox was listed and the ledger tidied: every segment named before a mark is consumed or remembered as such.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marks {
    /// By the last listing.
    pub fast: Timestamp,
    /// By the last full listing.
    pub full: Timestamp,
    /// Marks below which segments may be deleted once they are a window old: when each was set, and the mark.
    pub delete: Vec<(Timestamp, Timestamp)>,
    /// When housekeeping was last done.
    pub kept: Timestamp,
    /// The commit up to which garbage was removed.
    pub swept: u64,
    /// When the ledger was last restored from a copy, which has forgotten what came in between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Timestamp>,
}

/// The name of a batch, and of the run it becomes: the commit that opened it and its place there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId {
    /// The commit that opened it.
    pub seq: u64,
    /// Its place among those the commit opened.
    pub index: u32,
}

/// How a trigger stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// When it was applied, and not in the rules before.
    pub since: Timestamp,
    /// Whether the rules in force no longer have it.
    pub removed: bool,
    /// The revision of the rules that had it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_from: Option<String>,
    /// Set while a person or the rule file pauses it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<PauseMode>,
    /// Its open batches.
    pub open: BTreeMap<BatchId, Batch>,
    /// The batch that takes new members, by key.
    pub accepting: BTreeMap<String, BatchId>,
    /// When it last launched the first attempt of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_launch: Option<Timestamp>,
    /// When it launched attempts, oldest first, as far back as its budget looks.
    pub launches: Vec<Timestamp>,
    /// Rows of drift reports under way, by what their reports have in common.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub streaks: BTreeMap<Hash128, Streak>,
    /// How far its schedules were judged, by expression and zone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub schedules: BTreeMap<String, ScheduleMark>,
    /// Set while its pipeline cannot be prepared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// Until when its budget was last said to be used up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_budget: Option<Timestamp>,
}

/// A row of drift reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Streak {
    /// Reports of drift in a row, the newest included; those that led to a member are used up.
    pub count: u32,
    /// The time the newest is about.
    pub at: Timestamp,
}

/// How far a schedule was judged.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleMark {
    /// Up to this time.
    pub until: Timestamp,
    /// The civil time last acted on; empty before the first.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub civil: String,
}

/// Why a pipeline could not be prepared, and when to try again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trouble {
    /// What went wrong, in words.
    pub message: String,
    /// Tries so far.
    pub failures: u32,
    /// When to try again.
    pub until: Timestamp,
}

/// A batch that has not become a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// The value of the trigger's `batch.by`; empty where it has none.
    pub key: String,
    /// When its first member arrived.
    pub opened_at: Timestamp,
    /// When its last member arrived.
    pub last_at: Timestamp,
    /// Members that joined.
    pub count: u64,
    /// Their bytes, where known.
    pub bytes: u64,
    /// Where its lines are stored.
    pub parts: Vec<PartRef>,
    /// Set once it takes no more members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<Seal>,
    /// Whether it waits for a person's decision.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ask: bool,
    /// Why it was last found to wait, and until when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
    /// Set while it cannot be started as it is, whatever the others of its trigger can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
}

/// Why a batch waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// The reason.
    pub reason: Hold,
    /// When it is judged again at the latest; none where it waits for something to happen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// Why a batch takes no more members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Seal {
    /// It has as many as it may.
    Full,
    /// Its marker arrived.
    Marker,
    /// Every event is a batch of its own.
    Each,
    /// It was due and waits in line behind an active run.
    Queued,
    /// It waits for a decision, and what arrives meanwhile does not.
    Asked,
}

/// Where lines of a batch are stored.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRef {
    /// The key of the object: a part, or the manifest of a run it replaces.
    pub name: String,
    /// The batch its lines were written for; none for a manifest, which is taken whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// Members in it.
    pub count: u64,
}

impl State {
    /// The state before the first commit.
    #[must_use]
    pub fn new(ledger: String, timing: Timing) -> Self {
        Self {
            v: VERSION,
            seq: 0,
            ledger,
            timing,
            now: Timestamp::EPOCH,
            rules: None,
            marks: Marks::default(),
            recent: Arc::default(),
            triggers: BTreeMap::new(),
            runs: BTreeMap::new(),
            memory: Arc::default(),
            retired: BTreeMap::new(),
            outboxes: Arc::default(),
            models: Arc::default(),
        }
    }

    /// What the names of batches are names in: the id of the ledger and, where it was restored from a copy, when. The
    /// log that was lost has given names that come again, but neither their keys nor their claims.
    #[must_use]
    pub fn epoch(&self) -> String {
        let restored = self.marks.restored.filter(|_| !mutant::is(Mutant::NamesComeAgain));
        match restored {
            Some(at) => format!("{}@{}", self.ledger, at.compact()),
            None => self.ledger.clone(),
        }
    }

    /// The open batch of that name, with its trigger.
    #[must_use]
    pub fn open_batch<'a>(&'a self, id: BatchId) -> Option<(&'a str, &'a Batch)> {
        let find = |(name, standing): (&'a String, &'a Standing)| {
            standing.open.get(&id).map(|batch| (name.as_str(), batch))
        };
        self.triggers.iter().find_map(find)
    }

    /// Why the pipeline of an open batch could not be prepared when it was last tried.
    #[must_use]
    pub fn trouble_of(&self, id: BatchId) -> Option<&Trouble> {
        self.triggers.values().find_map(|standing| standing.trouble_of(standing.open.get(&id)?))
    }

    /// The runs of a trigger that are not over.
    pub fn active_runs<'a>(&'a self, trigger: &'a str) -> impl Iterator<Item = &'a Run> {
        self.runs.values().filter(move |run| run.trigger == trigger && run.is_active())
    }

    /// The run of that name: a batch id, or the key of one of its attempts.
    #[must_use]
    pub fn run_named(&self, name: &str) -> Option<&Run> {
        let by_batch = name.parse().ok().and_then(|batch: BatchId| self.runs.get(&batch));
        let of_key =
            |run: &&Run| run.attempts.iter().any(|attempt| attempt.key.to_string() == name);
        by_batch.or_else(|| self.runs.values().find(of_key))
    }

    /// Every stored object the open batches refer to.
    pub fn parts_in_use(&self) -> impl Iterator<Item = &str> {
        let batches = self.triggers.values().flat_map(|standing| standing.open.values());
        batches.flat_map(|batch| batch.parts.iter().map(|part| part.name.as_str()))
    }
}

impl Standing {
    /// What keeps one of its open batches from being prepared: its own trouble or that of the batch alone, whichever
    /// lasts longer.
    #[must_use]
    pub fn trouble_of<'a>(&'a self, batch: &'a Batch) -> Option<&'a Trouble> {
        self.trouble.iter().chain(&batch.trouble).max_by_key(|trouble| trouble.until)
    }

    /// A trigger that was just applied.
    #[must_use]
    pub fn new(since: Timestamp) -> Self {
        Self {
            since,
            removed: false,
            removed_from: None,
            paused: None,
            open: BTreeMap::new(),
            accepting: BTreeMap::new(),
            last_launch: None,
            launches: Vec::new(),
            streaks: BTreeMap::new(),
            schedules: BTreeMap::new(),
            trouble: None,
            told_budget: None,
        }
    }
}

impl Batch {
    /// An empty batch.
    #[must_use]
    pub fn new(key: String, opened_at: Timestamp) -> Self {
        Self {
            key,
            opened_at,
            last_at: opened_at,
            count: 0,
            bytes: 0,
            parts: Vec::new(),
            sealed: None,
            ask: false,
            held: None,
            trouble: None,
        }
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            0 => write!(f, "b{}", self.seq),
            index => write!(f, "b{}.{index}", self.seq),
        }
    }
}

impl fmt::Debug for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for BatchId {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (seq, index) = match text.strip_prefix('b')?.split_once('.') {
                Some((seq, index)) => (seq, index.parse().ok().filter(|index| *index > 0)?),
                None => (text.strip_prefix('b')?, 0),
            };
            Some(Self { seq: seq.parse().ok()?, index })
        };
        parse()
            .ok_or_else(|| format!("not the name of a batch such as b17 or b17.2: name=`{text}`"))
    }
}

crate::serde_as_text!(BatchId);
