//! Commits: what a reconciler decided, written down so that folding it decides nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bloom::Bloom;
use crate::event::PauseMode;
use crate::key::{Hash128, RunKey};
use crate::member::Firing;
use crate::memory::{Fresh, SeenRun};
use crate::notice::OutboxChange;
use crate::promotion::{ModelChange, PromotionChange, StageEntry};
use crate::reason::Refusal;
use crate::rules::ServiceProfile;
use crate::run::{BatchFacts, Cancel, ExternalRun, Finished, Phase};
use crate::state::{BatchId, Held, PartRef, Seal, Streak, Trouble};
use crate::time::{Day, Timestamp};
use crate::timing::Timing;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commit {
    /// The format it is written in.
    pub v: u32,
    /// Its number.
    pub seq: u64,
    /// Who wrote it: unlike any other.
    pub nonce: String,
    /// The time it was decided at.
    pub now: Timestamp,
    /// The segments it consumes, in the order it judged them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<String>,
    /// What it changes, in order.
    pub changes: Vec<Change>,
    /// What it decided of each event and command it consumed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub decisions: Vec<Decision>,
    /// What it adds to the memory.
    #[serde(default, skip_serializing_if = "Fresh::is_empty")]
    pub fresh: Fresh,
    /// The objects it depends on, durable before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<String>,
    /// The members of the batches it closes: their URIs and event ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<Bloom>,
}

/// One change of the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// The ledger begins. Only in `log/0`.
    Created {
        /// Its id.
        ledger: String,
        /// Its lengths of time.
        timing: Timing,
    },
    /// How far the inbox was listed, or may be deleted.
    Inbox(InboxChange),
    /// A revision of the rules is in force.
    Applied {
        /// The revision.
        revision: String,
        /// Triggers that are new.
        added: Vec<String>,
        /// Triggers it no longer has.
        removed: Vec<String>,
        /// Triggers whose pause the rule file changed, and to what.
        pauses: BTreeMap<String, Option<PauseMode>>,
    },
    /// How a trigger stands.
    Trigger {
        /// The trigger.
        trigger: String,
        /// What changed.
        change: TriggerChange,
    },
    /// An open batch.
    Batch {
        /// The batch.
        batch: BatchId,
        /// What changed.
        change: BatchChange,
    },
    /// Lines of batches that stay open are stored.
    Stored {
        /// The part.
        part: String,
        /// Members of each batch in it.
        batches: BTreeMap<BatchId, u64>,
    },
    /// A batch closed: it is a run now.
    Closed(Box<Closed>),
    /// A run.
    Run {
        /// The run.
        run: BatchId,
        /// What changed.
        change: RunChange,
    },
    /// An attempt of a run.
    Attempt {
        /// The run.
        run: BatchId,
        /// The attempt, counted from 1.
        attempt: u32,
        /// What changed.
        change: AttemptChange,
    },
    /// What the ledger has seen, or keeps.
    Memory(MemoryChange),
    /// What a receiver of notices is still to be told.
    Outbox {
        /// The receiver.
        receiver: String,
        /// What changed.
        change: OutboxChange,
    },
    /// A version of a model on its way.
    Promotion {
        /// The model.
        model: String,
        /// The run that made the version.
        run: BatchId,
        /// What changed.
        change: PromotionChange,
    },
    /// A model at its registry.
    Model {
        /// The model.
        model: String,
        /// What changed.
        change: ModelChange,
    },
}

/// A change of how far the inbox was listed, or may be deleted.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InboxChange {
    /// It was listed so far.
    Listed {
        /// By this listing.
        fast: Timestamp,
        /// By the last full listing.
        full: Timestamp,
    },
    /// Segments below the mark may be deleted once they are a window old.
    DeleteBelow(Timestamp),
    /// Delete marks set before this time were acted on.
    DeleteDone(Timestamp),
    /// The ledger was restored from a copy: what is older than this commit may be forgotten, and comes late.
    Restored,
}

/// A change of how a trigger stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum TriggerChange {
    /// It pauses.
    Paused(PauseMode),
    /// It goes on.
    Resumed,
    /// Its pipeline could not be prepared.
    Troubled(Trouble),
    /// Its pipeline can be prepared again.
    Untroubled,
    /// A row of drift reports went on, or ended.
    Streak {
        /// What its reports have in common.
        series: Hash128,
        /// How it stands.
        streak: Streak,
    },
    /// A row of drift reports is followed no longer.
    StreakForgotten(Hash128),
    /// A schedule begins: what lies before is of no concern.
    Scheduled {
        /// Its expression and zone.
        schedule: String,
        /// When.
        from: Timestamp,
    },
    /// A schedule is no longer in the rules.
    Unscheduled(String),
    /// A time of a schedule came, and is a member of a batch.
    Fired {
        /// The time.
        firing: Firing,
        /// The batch.
        batch: BatchId,
    },
    /// A time of a schedule came, and is a member of no batch.
    Passed {
        /// The time.
        firing: Firing,
        /// Why.
        reason: Refusal,
        /// More on it, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Times of a schedule were missed, and are left out.
    Missed {
        /// Its expression and zone.
        schedule: String,
        /// Those after this one.
        after: Timestamp,
        /// Those before this one.
        until: Timestamp,
    },
    /// A version of a model was given a stage, and is a member of a batch.
    Staged {
        /// The version and its stage.
        entry: StageEntry,
        /// The batch.
        batch: BatchId,
    },
    /// A version of a model was given a stage, and is a member of no batch.
    StagePassed {
        /// The version and its stage.
        entry: StageEntry,
        /// Why.
        reason: Refusal,
        /// More on it, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    },
    /// Launches before this time are beyond what its budget looks at.
    LaunchesForgotten(Timestamp),
}

/// A change of an open batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BatchChange {
    /// Members joined it; it may be new.
    Joined {
        /// The trigger.
        trigger: String,
        /// Its key.
        key: String,
        /// Members.
        count: u64,
        /// Their bytes.
        bytes: u64,
        /// When the first of them arrived.
        first_at: Timestamp,
        /// When the last of them arrived.
        last_at: Timestamp,
    },
    /// Its parts were merged into this one.
    Merged(PartRef),
    /// It takes no more members.
    Sealed(Seal),
    /// It waits for a person's decision.
    Asked,
    /// It no longer waits for a decision.
    Answered,
    /// Why it waits, where that changed.
    Holding(Held),
    /// It cannot be started as it is, whatever the others of its trigger can.
    Troubled(Trouble),
    /// A person dropped it.
    Discarded,
    /// Nothing was left in it.
    Emptied,
    /// Its members, or those of the run that was replaced, moved to another batch.
    MovedTo(BatchId),
}

/// A change of a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RunChange {
    /// It is to end before its time.
    CancelAsked(Cancel),
    /// Nothing more will be tried for it.
    Finished(Finished),
    /// It is finished, and no longer kept in the state.
    Archived,
}

/// A change of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AttemptChange {
    /// It is intended: the writer of this commit may call.
    Intended {
        /// The identity it is started under.
        key: RunKey,
        /// SHA-256 of the parameters as they are written here.
        digest: String,
        /// The parameters.
        parameters: Value,
        /// The first attempt that was to make the same claim; none where there is no guard.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        round: Option<u32>,
    },
    /// It is intended again under the same key: the writer of this commit may call.
    Retaken,
    /// A call certainly started nothing; it is not repeated before `until`.
    Postponed {
        /// The time.
        until: Timestamp,
        /// What was answered.
        message: String,
    },
    /// What a call did cannot be told from its answer, which was this.
    Unclear(String),
    /// The service has the run.
    Started {
        /// The run at the service.
        external: ExternalRun,
        /// Whether our call was answered so; else it was looked up.
        created: bool,
    },
    /// A look-up found nothing, for the first time.
    LookedUp,
    /// The key is given up; it is looked up until this time.
    Abandoned(Timestamp),
    /// A person must say what became of the start call; what is not known.
    Uncertain(String),
    /// The service says it is pending or running.
    Progressed {
        /// Which of the two.
        phase: Phase,
        /// The service's own word.
        message: Option<String>,
    },
    /// It has ended.
    Ended {
        /// How.
        phase: Phase,
        /// The newest word on it.
        message: Option<String>,
        /// Until when it is looked at again, as its service may reopen it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        watch_until: Option<Timestamp>,
    },
    /// Its service has started it again, or made this run in its place: it goes on, also where its batch was over.
    Reopened(ExternalRun),
    /// The run of an abandoned key appeared after all; it is to be cancelled.
    LateTwin(ExternalRun),
    /// It has made the claim: it is the run, and every other attempt under the claim is given up.
    Claimed {
        /// The run at the service.
        external: ExternalRun,
        /// Until when those are looked up that were not seen to end.
        watch_until: Timestamp,
    },
    /// Who has made the claim cannot be told, so that nothing follows from its end yet; why, in words.
    ClaimUnknown(String),
    /// An abandoned key needs no more looking up.
    Unwatched,
    /// It does not go on; how, in words.
    Stuck(String),
}

/// A change of what the ledger has seen, or keeps.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MemoryChange {
    /// Everything recorded before this day is forgotten.
    Forgotten(Day),
    /// Older days moved to a run beside the state.
    Spilled(SeenRun),
    /// Retired objects were deleted.
    Deleted(Vec<String>),
    /// A day's housekeeping is done.
    Kept {
        /// When.
        at: Timestamp,
        /// The commit up to which garbage was removed.
        swept: u64,
    },
}

/// A batch that became a run.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// The batch.
    pub batch: BatchId,
    /// Its trigger.
    pub trigger: String,
    /// The key of the manifest in the ledger.
    pub manifest: String,
    /// What is in it.
    pub facts: BatchFacts,
    /// The service, by name.
    pub service: String,
    /// What the planner must know of the service.
    pub profile: ServiceProfile,
    /// What the service is to run, with its version pinned.
    pub target: Value,
    /// Whether the service may answer steps from its cache.
    pub cache: bool,
    /// The folder in which the first step of the pipeline makes a claim; none where it has no guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
}

/// What was decided of events or of a command.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// Events became members of a batch.
    Accepted {
        /// The trigger.
        trigger: String,
        /// The batch.
        batch: BatchId,
        /// Which events.
        events: EventSet,
    },
    /// Events became no members.
    Refused {
        /// The trigger; none where the reason holds for all of them.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        trigger: Option<String>,
        /// The reason.
        reason: Refusal,
        /// More on it, in words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
        /// Which events.
        events: EventSet,
    },
    /// A command was obeyed or refused.
    Answered {
        /// The id of the command's event.
        command: Hash128,
        /// Whether it was obeyed.
        ok: bool,
        /// What came of it, in words.
        message: String,
    },
}

/// Events of a commit, by segment and place: `0:0-499,501 2:7`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventSet(BTreeMap<u32, Vec<(u32, u32)>>);

impl EventSet {
    /// Adds the event at `place` of segment number `segment` of the commit.
    pub fn add(&mut self, segment: u32, place: u32) {
        let ranges = self.0.entry(segment).or_default();
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == place => *last = place,
            _ => ranges.push((place, place)),
        }
    }

    /// Whether it holds that event.
    #[must_use]
    pub fn contains(&self, segment: u32, place: u32) -> bool {
        let ranges = self.0.get(&segment);
        ranges.is_some_and(|ranges| {
            ranges.iter().any(|(first, last)| (*first..=*last).contains(&place))
        })
    }

    /// How many events it holds.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.0.values().flatten().map(|(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for EventSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (segment, ranges)) in self.0.iter().enumerate() {
            let space = if at == 0 { "" } else { " " };
            write!(f, "{space}{segment}:")?;
            for (at, (first, last)) in ranges.iter().enumerate() {
                let comma = if at == 0 { "" } else { "," };
                match first == last {
                    true => write!(f, "{comma}{first}")?,
                    false => write!(f, "{comma}{first}-{last}")?,
                }
            }
        }
        Ok(())
    }
}

impl FromStr for EventSet {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not a set of events such as 0:0-499,501: value=`{text}`");
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        let mut set = Self::default();
        for group in text.split_whitespace() {
            let (segment, ranges) = group.split_once(':').ok_or_else(wrong)?;
            let ranges = ranges.split(',').map(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let (first, last) = (number(first)?, number(last)?);
                if first <= last { Ok((first, last)) } else { Err(wrong()) }
            });
            set.0.insert(number(segment)?, ranges.collect::<Result<_, String>>()?);
        }
        Ok(set)
    }
}

crate::serde_as_text!(EventSet);

impl Commit {
    /// The attempts this commit allows its writer to start.
    pub fn intents(&self) -> impl Iterator<Item = (BatchId, u32)> {
        self.changes.iter().filter_map(|change| {
            let Change::Attempt { run, attempt, change } = change else { return None };
            let may_call =
                matches!(change, AttemptChange::Intended { .. } | AttemptChange::Retaken);
            may_call.then_some((*run, *attempt))
        })
    }

    /// The revisions of the rules this commit puts in force, in order.
    pub fn applied(&self) -> impl DoubleEndedIterator<Item = &String> {
        self.changes.iter().filter_map(|change| {
            let Change::Applied { revision, .. } = change else { return None };
            Some(revision)
        })
    }

    /// What was answered to a command.
    #[must_use]
    pub fn answer(&self, command: Hash128) -> Option<(bool, &str)> {
        self.decisions.iter().find_map(|decision| match decision {
            Decision::Answered { command: id, ok, message } if *id == command => {
                Some((*ok, message.as_str()))
            }
            Decision::Answered { .. } | Decision::Accepted { .. } | Decision::Refused { .. } => {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_events_are_ranges() {
        let mut set = EventSet::default();
        for place in (0..500).chain([501]) {
            set.add(0, place);
        }
        set.add(2, 7);
        assert_eq!(set.to_string(), "0:0-499,501 2:7");
        assert_eq!(set.to_string().parse::<EventSet>().unwrap(), set);
        assert_eq!(set.len(), 502);
        assert!(set.contains(0, 499) && !set.contains(0, 500) && !set.contains(1, 7));
        assert!("0:a".parse::<EventSet>().is_err() && "0:5-4".parse::<EventSet>().is_err());
    }
}
