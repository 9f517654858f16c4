//! What became of an event, told from the log.
//!
//! Commits say for every event they consumed whether it was accepted, into which batch, or why not; and for
//! every batch what became of it. Reading forward from the time in question is enough: nothing is decided again. Which
//! events a commit is about its segments tell, and once those are gone, what lasts: `lasting.rs`.

mod lasting;

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{Stream, StreamExt as _, TryStreamExt as _};
use refit_core::commit::{BatchChange, Change, Commit, Decision, TriggerChange};
use refit_core::error::Error;
use refit_core::event::{DataRef, Event, Fact, replayed_for};
use refit_core::key::Hash128;
use refit_core::member::{Member, uri_entry};
use refit_core::notice::OutboxChange;
use refit_core::reason::Refusal;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;

use crate::explain::lasting::Search;
use crate::layout;
use crate::ledger::Ledger;
use crate::record::read_segment;

/// Commits read at the same time.
const READS: usize = 32;

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// An object, whatever its generation.
    Object {
        /// The hash of its place.
        place: Hash128,
        /// What manifests call it.
        uri: String,
    },
    /// An event, by its id.
    Event(Hash128),
    /// A batch or a run.
    Batch(BatchId),
}

impl Subject {
    /// An object, whatever its generation.
    #[must_use]
    pub fn object(object: &DataRef) -> Self {
        Self::Object { place: object.place(), uri: object.uri() }
    }

    /// What its members are found by in the filters of commits.
    fn entry(&self) -> Option<Hash128> {
        match self {
            Self::Object { uri, .. } => Some(uri_entry(uri)),
            Self::Event(id) => Some(*id),
            Self::Batch(_) => None,
        }
    }
}

/// One event with what was decided of it.
#[derive(Clone, Debug)]
pub struct Fate {
    /// The commit that decided.
    pub commit: u64,
    /// Its time.
    pub at: Timestamp,
    /// What is kept of the event.
    pub kept: Kept,
    /// What each trigger made of it.
    pub verdicts: Vec<Verdict>,
}

/// What is kept of an event: all of it for a window, and for ever what it became in the batches that took it.
#[derive(Clone, Debug)]
pub enum Kept {
    /// The event.
    Event(Event),
    /// The member it became. Its fate is that of the commit that closed its batch, or opened it, where the one that
    /// decided is not among those that were read.
    Member(Member),
    /// Nothing.
    Nothing {
        /// Whether it became a member, where that is known.
        accepted: Option<bool>,
    },
}

/// What was decided of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It became a member.
    Accepted {
        /// The trigger.
        trigger: String,
        /// The batch.
        batch: BatchId,
    },
    /// It did not.
    Refused {
        /// The trigger; none where the reason holds for all of them.
        trigger: Option<String>,
        /// The reason.
        reason: Refusal,
        /// More on it.
        detail: Option<String>,
    },
}

/// A change of a batch or of the run it became.
#[derive(Clone, Debug)]
pub struct Episode {
    /// The commit.
    pub commit: u64,
    /// Its time.
    pub at: Timestamp,
    /// What changed.
    pub change: Change,
}

/// Everything the log says of a subject.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The events, in the order they were decided.
    pub fates: Vec<Fate>,
    /// The batches they went into, and what became of each.
    pub batches: BTreeMap<BatchId, Vec<Episode>>,
    /// Commits that were read.
    pub commits: u64,
    /// Manifests and parts that may name it, and cannot be read.
    pub unreadable: Vec<String>,
    /// The batches that letters told of, by receiver and letter.
    letters: BTreeMap<(String, Hash128), BatchId>,
    /// The members of it whose segments are gone.
    search: Search,
}

/// Tells the story of a subject from the commits made after `since`, and of its members in batches that closed after it,
/// whenever they joined. `state` has the batches that are open. `progress` is told how many commits were read.
///
/// # Errors
/// The store's, and `Data` for a commit that cannot be read.
pub async fn tell(
    ledger: &Ledger,
    state: &State,
    subject: &Subject,
    since: Timestamp,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Story, Error> {
    let first = match subject {
        Subject::Batch(batch) => batch.seq.max(1),
        Subject::Object { .. } | Subject::Event(_) => first_after(ledger, since).await?,
    };
    let mut story = Story::default();
    if let Subject::Batch(batch) = subject {
        story.batches.insert(*batch, Vec::new());
    }
    let mut commits = std::pin::pin!(commits_from(ledger, first));
    while let Some(commit) = commits.try_next().await? {
        story.read(ledger, subject, &commit).await?;
        progress(story.commits);
    }
    story.look_into_open(ledger, state, subject).await?;
    if let Some(first) = story.begin_again() {
        let mut commits = std::pin::pin!(commits_from(ledger, first));
        while let Some(commit) = commits.try_next().await? {
            story.read_again(ledger, subject, &commit).await?;
            progress(story.commits);
        }
        story.tell_members();
    }
    Ok(story)
}

/// The commits from one on, up to the last.
fn commits_from(
    ledger: &Ledger,
    first: u64,
) -> impl Stream<Item = Result<Commit, Error>> + Send + '_ {
    let reads = (first..).map(|seq| ledger.commit(seq));
    let reads = futures::stream::iter(reads).buffered(READS);
    let there = reads.try_take_while(|commit| std::future::ready(Ok(commit.is_some())));
    there.try_filter_map(|commit| std::future::ready(Ok(commit)))
}

/// The first commit made after `since`, found by bisection over the times of creation; the one after the last where
/// there is none.
///
/// # Errors
/// The store's.
pub async fn first_after(ledger: &Ledger, since: Timestamp) -> Result<u64, Error> {
    let mut low = 1;
    let mut high = last_commit(ledger).await? + 1;
    while low < high {
        let middle = low + (high - low) / 2;
        let page = ledger.store().list(layout::LOG, &layout::commit(middle), 1).await?;
        match page.entries.first() {
            Some(entry) if entry.created < since => low = middle + 1,
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}

/// The number of the last commit, found by doubling and bisection.
async fn last_commit(ledger: &Ledger) -> Result<u64, Error> {
    let mut high = 1;
    while exists(ledger, high).await? {
        high *= 2;
    }
    let mut low = high / 2;
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        match exists(ledger, middle).await? {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok(low)
}

async fn exists(ledger: &Ledger, seq: u64) -> Result<bool, Error> {
    let name = layout::commit(seq);
    let page = ledger.store().list(layout::LOG, &name, 1).await?;
    Ok(page.entries.first().is_some_and(|entry| entry.name == name))
}

impl Story {
    async fn read(
        &mut self,
        ledger: &Ledger,
        subject: &Subject,
        commit: &Commit,
    ) -> Result<(), Error> {
        self.commits += 1;
        if mentions(commit, subject) && !commit.segments.is_empty() {
            self.read_events(ledger, subject, commit).await?;
        }
        for (trigger, batch, member) in fired(commit, subject) {
            let verdict = Verdict::Accepted { trigger: trigger.clone(), batch };
            self.decided(commit, Kept::Member(member), vec![verdict]);
        }
        self.read_manifests(ledger, subject, commit).await?;
        self.read_changes(commit);
        Ok(())
    }

    fn read_changes(&mut self, commit: &Commit) {
        for change in &commit.changes {
            self.search.follow(change);
            self.read_change(commit, change);
        }
    }

    async fn read_events(
        &mut self,
        ledger: &Ledger,
        subject: &Subject,
        commit: &Commit,
    ) -> Result<(), Error> {
        let (before, mut is_lost) = (self.fates.len(), false);
        for (number, name) in (0..).zip(&commit.segments) {
            let Some(body) = ledger.store().get(&layout::segment_object(name)).await? else {
                is_lost = true;
                continue;
            };
            let events = read_segment(name, &body).unwrap_or_default();
            for (place, event) in (0..).zip(events) {
                if is_about(&event, subject) {
                    let verdicts = verdicts(commit, number, place);
                    self.decided(commit, Kept::Event(event), verdicts);
                }
            }
        }
        if is_lost {
            self.lost(commit, subject, self.fates.len() == before);
        }
        Ok(())
    }

    fn decided(&mut self, commit: &Commit, kept: Kept, verdicts: Vec<Verdict>) {
        for verdict in &verdicts {
            if let Verdict::Accepted { batch, .. } = verdict {
                self.batches.entry(*batch).or_default();
            }
        }
        self.fates.push(Fate { commit: commit.seq, at: commit.now, kept, verdicts });
    }

    /// Follows the batches of the story, and those their members move to.
    fn read_change(&mut self, commit: &Commit, change: &Change) {
        if let Change::Outbox { receiver, change: OutboxChange::Raised { letter, notice, .. } } =
            change
            && let Some(batch) = notice.batch.filter(|batch| self.batches.contains_key(batch))
        {
            self.letters.insert((receiver.clone(), *letter), batch);
        }
        let Some(batch) = batch_of(change).or_else(|| self.told(change)) else { return };
        let Some(episodes) = self.batches.get_mut(&batch) else { return };
        episodes.push(Episode { commit: commit.seq, at: commit.now, change: change.clone() });
        if let Change::Batch { change: BatchChange::MovedTo(to), .. } = change {
            self.batches.entry(*to).or_default();
        }
    }
}

impl Story {
    /// The batch or run a letter told of, where the story is about that.
    fn told(&mut self, change: &Change) -> Option<BatchId> {
        let Change::Outbox { receiver, change } = change else { return None };
        let letter = change.letter()?;
        self.letters.get(&(receiver.clone(), letter)).copied()
    }
}

/// The batch or run a change is about.
#[must_use]
pub fn batch_of(change: &Change) -> Option<BatchId> {
    match change {
        Change::Batch { batch, .. } => Some(*batch),
        Change::Closed(closed) => Some(closed.batch),
        Change::Run { run, .. } | Change::Attempt { run, .. } => Some(*run),
        Change::Trigger { change: TriggerChange::Fired { batch, .. }, .. } => Some(*batch),
        Change::Trigger { change: TriggerChange::Staged { batch, .. }, .. } => Some(*batch),
        Change::Promotion { run, .. } => Some(*run),
        Change::Outbox { change: OutboxChange::Raised { notice, .. }, .. } => notice.batch,
        Change::Created { .. }
        | Change::Inbox(_)
        | Change::Applied { .. }
        | Change::Trigger { .. }
        | Change::Stored { .. }
        | Change::Memory(_)
        | Change::Model { .. }
        | Change::Outbox { .. } => None,
    }
}

/// The member that the time of a schedule, or a version that was given a stage, became, where the story is about it.
fn fired<'c>(
    commit: &'c Commit,
    subject: &Subject,
) -> impl Iterator<Item = (&'c String, BatchId, Member)> {
    commit.changes.iter().filter_map(move |change| {
        let (Change::Trigger { trigger, change }, Subject::Event(id)) = (change, subject) else {
            return None;
        };
        match change {
            TriggerChange::Fired { firing, batch } if firing.slot.id(trigger) == *id => {
                Some((trigger, *batch, Member::of_firing(*id, firing)))
            }
            TriggerChange::Staged { entry, batch } if entry.id(trigger) == *id => {
                Some((trigger, *batch, Member::of_entry(*id, entry, commit.now)))
            }
            _ => None,
        }
    })
}

fn mentions(commit: &Commit, subject: &Subject) -> bool {
    match subject {
        Subject::Object { place, .. } => commit.fresh.object(*place).is_some(),
        Subject::Event(id) => commit.fresh.identity(*id).is_some() || is_replayed_by(commit, *id),
        Subject::Batch(_) => false,
    }
}

/// The triggers that may have taken an event by a commit, as far as it tells without its segments; none where it says
/// nothing of the event.
#[must_use]
pub fn takers(commit: &Commit, event: Hash128) -> Option<BTreeSet<&str>> {
    let known = commit.fresh.identity(event);
    let took = |trigger: &str| {
        known == Some(true) || commit.fresh.identity(replayed_for(event, trigger)).is_some()
    };
    let accepted = lasting::accepted(commit).map(|(trigger, _)| trigger.as_str());
    let takers: BTreeSet<&str> = accepted.filter(|trigger| took(trigger)).collect();
    (known.is_some() || !takers.is_empty()).then_some(takers)
}

/// Whether the commit made the event a member because it was replayed for one trigger.
fn is_replayed_by(commit: &Commit, event: Hash128) -> bool {
    lasting::accepted(commit)
        .any(|(trigger, _)| commit.fresh.identity(replayed_for(event, trigger)).is_some())
}

fn is_about(event: &Event, subject: &Subject) -> bool {
    match (subject, &event.fact) {
        (Subject::Object { place, .. }, Fact::Object(change)) => change.object.place() == *place,
        (Subject::Event(id), _) => event.id() == *id,
        (Subject::Object { .. } | Subject::Batch(_), _) => false,
    }
}

/// What a commit decided of one event.
#[must_use]
pub fn verdicts(commit: &Commit, segment: u32, place: u32) -> Vec<Verdict> {
    let of = |decision: &Decision| match decision {
        Decision::Accepted { trigger, batch, events } if events.contains(segment, place) => {
            Some(Verdict::Accepted { trigger: trigger.clone(), batch: *batch })
        }
        Decision::Refused { trigger, reason, detail, events }
            if events.contains(segment, place) =>
        {
            Some(Verdict::Refused {
                trigger: trigger.clone(),
                reason: *reason,
                detail: detail.clone(),
            })
        }
        Decision::Accepted { .. } | Decision::Refused { .. } | Decision::Answered { .. } => None,
    };
    commit.decisions.iter().filter_map(of).collect()
}
