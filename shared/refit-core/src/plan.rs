//! What to do next: from a state and what was observed to a commit.
//!
//! `plan` is total and deterministic. Where it lacks something only the outside can give (a rule file, the
//! members of a batch that is due, a prepared pipeline), it says so in [`Plan::needs`]; it is then asked again
//! with that added. It decides on a copy of the state to which every change is applied as soon as it is made, by
//! the same function that folds it later.

mod command;
mod drift;
mod events;
mod follow;
mod guard;
mod joining;
mod keep;
mod launch;
mod notify;
mod objects;
mod promote;
mod reopen;
mod schedule;
mod statement;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::bloom::Bloom;
use crate::commit::{
    AttemptChange, BatchChange, Change, Commit, Decision, RunChange, TriggerChange,
};
use crate::event::{Command, Event, Fact};
use crate::fold::{Stamp, apply};
use crate::key::Hash128;
use crate::member::Line;
use crate::memory::{Fresh, Memory, Sighting};
use crate::mutant::{self, Mutant};
use crate::notice::Delivery;
use crate::promotion::{Stages, Version};
use crate::rules::Rules;
use crate::run::{Claim, ExternalRun, Phase};
use crate::state::{BatchId, State, VERSION};
use crate::time::{Span, Timestamp};
use crate::timing::COMMIT_LAUNCHES_MAX;

use joining::Joining;

/// What the reconciler observed since the last commit.
#[derive(Clone, Debug)]
pub struct Inputs<'a> {
    /// The URI of the ledger's folder, without a slash at its end.
    pub root: &'a str,
    /// A nonce no other commit has.
    pub nonce: &'a str,
    /// How the inbox was listed.
    pub listing: Listing,
    /// Unread segments, in the order of their names.
    pub segments: &'a [Segment],
    /// What calls were answered.
    pub observations: &'a [Observation],
    /// What registries of models answered.
    pub reports: &'a [RegistryReport],
    /// What came of letters that were sent.
    pub deliveries: &'a [Delivery],
    /// What housekeeping has deleted.
    pub deleted: &'a Deleted,
    /// What earlier rounds of the same pass asked for.
    pub found: &'a Found,
}

/// What housekeeping has done since the last commit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Keys of retired objects.
    pub retired: Vec<String>,
    /// Delete marks set before this time were acted on.
    pub marks_before: Option<Timestamp>,
    /// Set once a day's work is done: when, and the commit up to which garbage was removed.
    pub done: Option<(Timestamp, u64)>,
}

/// How the inbox was listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The store's time at its start; the time everything is judged at.
    pub now: Timestamp,
    /// The marks this listing allows: its start, or the oldest segment left unread.
    pub fast: Timestamp,
    /// The same of the last full listing.
    pub full: Timestamp,
    /// Whether it took several pages of names already known, so that the marks are worth a commit.
    pub long: bool,
    /// Whether segments were left unread for the next pass.
    pub more: bool,
}

/// A segment of the inbox.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Segment {
    /// Its name, without the folder.
    pub name: String,
    /// The store's time of its creation.
    pub created: Timestamp,
    /// Its events.
    pub events: Vec<Event>,
}

/// What the planner asked for and got.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Revisions of the rules; the reason where one cannot be had or read.
    pub rules: BTreeMap<String, Result<Arc<Rules>, String>>,
    /// The stored lines of open batches.
    pub lines: BTreeMap<BatchId, Vec<Line>>,
    /// Pipelines by revision and trigger, prepared; or what is in the way.
    pub prepared: BTreeMap<(String, String), Result<Prepared, String>>,
    /// Runs of the memory.
    pub runs: BTreeMap<String, Arc<Fresh>>,
    /// What lies where guards make claims, by its URI; the reason where it cannot be read.
    pub claims: BTreeMap<String, Result<Option<Claim>, String>>,
}

/// Something only the outside can give.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// A revision of the rules.
    Rules(String),
    /// The stored lines of an open batch.
    Lines(BatchId),
    /// The pipeline of a trigger under a revision, prepared.
    Prepared {
        /// The revision.
        revision: String,
        /// The trigger.
        trigger: String,
    },
    /// A run of the memory.
    SeenRun(String),
    /// What lies where guards make a claim, by its URI.
    Claim(String),
}

/// A pipeline that can be started: versions pinned, ids resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Prepared {
    /// What the service is to run, in its own terms.
    pub target: Value,
    /// The parameters the pipeline declares; none where that cannot be read.
    pub parameters: Option<BTreeMap<String, Parameter>>,
}

/// A parameter a pipeline declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Parameter {
    /// Its type.
    pub kind: ParameterKind,
    /// Whether it may be left out.
    pub optional: bool,
}

/// The types of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterKind {
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// A string.
    String,
    /// True or false.
    Boolean,
    /// A list.
    List,
    /// An object.
    Struct,
    /// Anything.
    Any,
}

/// What a call to a service was answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Observation {
    /// The run.
    pub batch: BatchId,
    /// The attempt.
    pub attempt: u32,
    /// The commit the question rested on, [`Attempt::basis`](crate::run::Attempt::basis). That nothing was found or
    /// done then says nothing of what came later.
    pub basis: u64,
    /// The service's id of the run that was asked about, where it was known. What is said of that run says nothing of
    /// another one that is followed since.
    pub external: Option<String>,
    /// The answer.
    pub outcome: Outcome,
}

/// The answers a call can have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The start call was answered with the run.
    Started(ExternalRun),
    /// The start call certainly started nothing, and may be repeated.
    NotStarted {
        /// Not before this time has passed, where the service says so.
        after: Option<Span>,
        /// What was answered.
        message: String,
    },
    /// The service refused the start for good.
    Rejected(String),
    /// What the start call did cannot be told.
    Unclear(String),
    /// A look-up found the run.
    Found(ExternalRun),
    /// A look-up after the lease found nothing.
    Absent,
    /// The service has no look-up, and the lease is over.
    NoLookUp,
    /// The service says how the run stands.
    Status {
        /// Pending, running, succeeded, failed or cancelled.
        phase: Phase,
        /// The service's own word, or an error message.
        message: Option<String>,
    },
    /// The run has ended, and the service made this one in its place.
    Superseded(ExternalRun),
    /// The service no longer knows a run it had.
    Vanished,
    /// The service does not let the run be looked at.
    Unseen(String),
}

/// What a registry of models was asked, and answered.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegistryReport {
    /// The model.
    pub model: String,
    /// The run that made the version it is about; none where it is about all of the model.
    pub run: Option<BatchId>,
    /// The commit the question rested on: of the newest intent, or the last that changed who has a stage.
    pub basis: u64,
    /// The answer.
    pub outcome: RegistryOutcome,
}

/// The answers a registry can give.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RegistryOutcome {
    /// It has the version: it registered it now, or before.
    Registered {
        /// The version.
        version: Version,
        /// Who had which stage just before.
        stages: Stages,
    },
    /// The version has its stage; it was read back.
    Entered,
    /// A look after the lease found that it was not done.
    Absent,
    /// It certainly was not done, and may be tried again.
    NotDone {
        /// Not before this time has passed, where the registry says so.
        after: Option<Span>,
        /// What was answered.
        message: String,
    },
    /// The registry refused for good.
    Refused(String),
    /// What the call did cannot be told.
    Unclear(String),
    /// Who has which stage.
    Stages(Stages),
}

/// What to do next.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// What must be known before it can be said; everything else is to be ignored then.
    pub needs: BTreeSet<Need>,
    /// The commit, where there is anything to write down.
    pub commit: Option<Commit>,
    /// Objects the commit depends on, to be durable before it: key and content.
    pub objects: Vec<(String, Vec<u8>)>,
    /// When something is due next, if nothing else happens; at once where more is waiting.
    pub next: Option<Timestamp>,
}

/// Plans one commit.
#[must_use]
pub fn plan(state: &State, inputs: &Inputs<'_>) -> Plan {
    let mut desk = Desk::new(state, inputs);
    let Some(rules) = desk.rules_in_force() else {
        // Without rules no segment may be consumed: nothing could be decided of its events.
        return Plan { needs: desk.needs, ..Plan::default() };
    };
    let rules = desk.judge_segments(rules);
    desk.judge_schedules(&rules);
    desk.follow(&rules);
    desk.promote(&rules);
    desk.launch(&rules);
    desk.notify(&rules);
    desk.keep(&rules);
    desk.finish()
}

/// Whether an identity goes into the commit.
fn remembers(_: &(Hash128, bool)) -> bool {
    !mutant::is(Mutant::IdentitiesNotInCommit)
}

/// Everything under way while one commit is planned.
struct Desk<'a> {
    inputs: &'a Inputs<'a>,
    /// The state before this commit.
    before: &'a State,
    /// The memory before this commit.
    memory: &'a Memory,
    /// A copy of the state with every change applied.
    state: State,
    seq: u64,
    now: Timestamp,
    changes: Vec<Change>,
    decisions: Vec<Decision>,
    needs: BTreeSet<Need>,
    objects: Vec<(String, Vec<u8>)>,
    /// What was decided of events and is not written down yet.
    tally: events::Tally,
    /// Why batches wait, where that is news: worth noting, but no commit of its own.
    holdings: Vec<Change>,
    /// Lines this commit adds.
    joining: Joining,
    /// Identities this commit adds, and whether they were accepted.
    fresh: BTreeMap<Hash128, bool>,
    /// Objects this commit adds.
    sightings: BTreeMap<Hash128, Sighting>,
    /// URIs and event ids of the members of batches this commit closes.
    closing: Vec<Hash128>,
    /// Batches this commit opened.
    opened: u32,
    /// Runs this commit starts.
    launched: usize,
    /// Active runs of which it is not known who made their claim, and was not when it was last looked.
    unclaimed: BTreeSet<BatchId>,
    /// Whether rules were applied by this commit that may start what they make due.
    may_start: bool,
    next: Option<Timestamp>,
}

impl<'a> Desk<'a> {
    fn new(state: &'a State, inputs: &'a Inputs<'a>) -> Self {
        Self {
            inputs,
            before: state,
            memory: &state.memory,
            state: state.clone(),
            seq: state.seq + 1,
            now: inputs.listing.now.max(state.now),
            changes: Vec::new(),
            decisions: Vec::new(),
            needs: BTreeSet::new(),
            objects: Vec::new(),
            tally: events::Tally::default(),
            holdings: Vec::new(),
            joining: Joining::default(),
            unclaimed: BTreeSet::new(),
            fresh: BTreeMap::new(),
            sightings: BTreeMap::new(),
            closing: Vec::new(),
            opened: 0,
            launched: 0,
            may_start: false,
            next: None,
        }
    }

    /// Writes a change down and applies it to the copy.
    fn record(&mut self, change: Change) {
        let stamp = Stamp { seq: self.seq, nonce: self.inputs.nonce, now: self.now };
        apply(&mut self.state, &change, stamp);
        self.changes.push(change);
    }

    fn change_trigger(&mut self, trigger: &str, change: TriggerChange) {
        self.record(Change::Trigger { trigger: trigger.to_owned(), change });
    }

    fn change_batch(&mut self, batch: BatchId, change: BatchChange) {
        self.record(Change::Batch { batch, change });
    }

    fn change_run(&mut self, run: BatchId, change: RunChange) {
        self.record(Change::Run { run, change });
    }

    fn change_attempt(&mut self, run: BatchId, attempt: u32, change: AttemptChange) {
        self.record(Change::Attempt { run, attempt, change });
    }

    /// Notes that something is due at that time.
    fn wake(&mut self, at: Timestamp) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }

    /// The rules in force, or none yet; `None` where they must be had first.
    fn rules_in_force(&mut self) -> Option<Arc<Rules>> {
        let Some(revision) = self.state.rules.clone() else {
            return Some(Arc::default());
        };
        match self.rules_of(&revision)? {
            Ok(rules) => Some(rules),
            Err(_) => self.rules_to_come(),
        }
    }

    /// Where those in force cannot be used, as when an older version of the program took them: the first that are about to
    /// replace them and can be. What arrived before is judged by these, or nobody could ever mend it.
    fn rules_to_come(&mut self) -> Option<Arc<Rules>> {
        for item in events::items(self.inputs.segments, self.now) {
            let Fact::Command(Command::Apply { revision, replaces, .. }) = &item.event.fact else {
                continue;
            };
            if !self.replaces(replaces.as_deref(), revision) || self.old_news(item).is_some() {
                continue;
            }
            match self.rules_of(revision) {
                Some(Err(_)) => {}
                rules => return rules.and_then(Result::ok),
            }
        }
        None
    }

    /// Whether the rules in force are there and can be used.
    fn is_usable(&mut self) -> bool {
        let revision = self.state.rules.clone();
        revision.is_none_or(|revision| matches!(self.rules_of(&revision), Some(Ok(_))))
    }

    /// A revision of the rules, or why it cannot be had; `None` where it must be asked for first.
    fn rules_of(&mut self, revision: &str) -> Option<Result<Arc<Rules>, String>> {
        let found = self.inputs.found.rules.get(revision).cloned();
        if found.is_none() {
            self.needs.insert(Need::Rules(revision.to_owned()));
        }
        found
    }

    /// Whether there is anything to be written down.
    fn is_commit(&self) -> bool {
        !self.changes.is_empty() || !self.inputs.segments.is_empty()
    }

    fn finish(self) -> Plan {
        let is_commit = self.is_commit();
        let more = self.inputs.listing.more || self.launched >= COMMIT_LAUNCHES_MAX;
        let next = if more { Some(self.now) } else { self.next };
        let mut plan = Plan { needs: self.needs, commit: None, objects: self.objects, next };
        if !is_commit || !plan.needs.is_empty() {
            return plan;
        }
        let uses = plan.objects.iter().map(|(key, _)| key.clone()).collect();
        let members = (!self.closing.is_empty()).then(|| Bloom::of(&self.closing));
        plan.commit = Some(Commit {
            v: VERSION,
            seq: self.seq,
            nonce: self.inputs.nonce.to_owned(),
            now: self.now,
            segments: self.inputs.segments.iter().map(|segment| segment.name.clone()).collect(),
            changes: self.changes.into_iter().chain(self.holdings).collect(),
            decisions: self.decisions,
            fresh: Fresh {
                identities: self.fresh.into_iter().filter(remembers).collect(),
                objects: self.sightings.into_values().collect(),
            },
            uses,
            members,
        });
        plan
    }
}
