//! What outlasts the segments: the members in manifests and in the parts of open batches.
//!
//! A commit that closes batches has a filter of their members, so manifests are read where it does not say no; of the
//! open batches, those that took members by a commit which names the subject. Which commit decided of a member that was
//! found, and what became of its batch before, is learned by reading the log once more.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::commit::{BatchChange, Change, Closed, Commit, Decision};
use refit_core::error::Error;
use refit_core::event::replayed_for;
use refit_core::key::Hash128;
use refit_core::member::{Line, Member, PartLine, manifest_members, part_lines};
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;

use super::{Fate, Kept, Story, Subject, Verdict, is_replayed_by};
use crate::ledger::Ledger;

/// What is known of members whose segments are gone.
#[derive(Clone, Debug, Default)]
pub(super) struct Search {
    /// Batches that took members by commits which name the subject, and are open.
    candidates: BTreeSet<BatchId>,
    found: Vec<Found>,
}

/// A member of a batch.
#[derive(Clone, Debug)]
struct Found {
    member: Member,
    trigger: String,
    batch: BatchId,
    /// The commit that closed the batch; none for one that is open.
    closed: Option<u64>,
    /// The commit that decided, and its time; until that is read, the one that closed the batch or opened it.
    decided: (u64, Timestamp),
}

impl Search {
    /// Keeps to where the members of a batch are.
    pub(super) fn follow(&mut self, change: &Change) {
        let (from, to) = match change {
            Change::Batch { batch, change: BatchChange::MovedTo(to) } => (*batch, Some(*to)),
            Change::Batch { batch, change: BatchChange::Discarded | BatchChange::Emptied } => {
                (*batch, None)
            }
            Change::Closed(closed) => (closed.batch, None),
            _ => return,
        };
        if self.candidates.remove(&from) {
            self.candidates.extend(to);
        }
    }
}

impl Found {
    /// Whether a commit decided of it, as the last does that accepted it for its trigger before the batch closed.
    fn is_decided_by(&self, commit: &Commit) -> bool {
        let event = self.member.event;
        let of_trigger = replayed_for(event, &self.trigger);
        let is_member = commit.fresh.identity(event) == Some(true)
            || commit.fresh.identity(of_trigger).is_some();
        let is_before = self.closed.is_none_or(|closed| commit.seq <= closed);
        is_member && is_before && accepted(commit).any(|(trigger, _)| *trigger == self.trigger)
    }

    fn verdict(&self) -> Verdict {
        Verdict::Accepted { trigger: self.trigger.clone(), batch: self.batch }
    }
}

impl Subject {
    fn is_member(&self, member: &Member) -> bool {
        match self {
            Self::Object { uri, .. } => member.uri.as_ref() == Some(uri),
            Self::Event(id) => member.event == *id,
            Self::Batch(_) => false,
        }
    }
}

impl Story {
    /// Notes that a commit names the subject, and segments of it are gone.
    pub(super) fn lost(&mut self, commit: &Commit, subject: &Subject, is_untold: bool) {
        let is_member = is_member_by(commit, subject);
        if is_member != Some(false) {
            self.search.candidates.extend(accepted(commit).map(|(_, batch)| batch));
        }
        if !is_untold {
            return;
        }
        let batches: BTreeSet<_> = accepted(commit).collect();
        let only = batches.first().filter(|_| is_member == Some(true) && batches.len() == 1);
        let verdict = |(trigger, batch): &(&String, _)| Verdict::Accepted {
            trigger: (*trigger).clone(),
            batch: *batch,
        };
        let kept = Kept::Nothing { accepted: is_member };
        let verdicts = only.map(verdict).into_iter().collect();
        self.fates.push(Fate { commit: commit.seq, at: commit.now, kept, verdicts });
    }

    /// Looks for the subject among the members of the batches a commit closes, where its filter does not say no.
    pub(super) async fn read_manifests(
        &mut self,
        ledger: &Ledger,
        subject: &Subject,
        commit: &Commit,
    ) -> Result<(), Error> {
        let filter = commit.members.as_ref();
        if !subject.entry().is_some_and(|entry| filter.is_some_and(|it| it.may_hold(entry))) {
            return Ok(());
        }
        let mut manifests = BTreeMap::<&str, Vec<&Closed>>::new();
        for change in &commit.changes {
            let Change::Closed(closed) = change else { continue };
            let is_lost = self.search.candidates.contains(&closed.batch);
            if is_lost || !self.batches.contains_key(&closed.batch) {
                manifests.entry(&closed.manifest).or_default().push(closed);
            }
        }
        for (name, closed) in manifests {
            let in_manifest = |body: &[u8]| {
                let members = manifest_members(body).map(|it| it.map(|member| (member, ())));
                matching(members, subject)
            };
            for (member, ()) in self.look_into(ledger, name, in_manifest).await? {
                self.search.found.extend(closed.iter().map(|closed| Found {
                    member: member.clone(),
                    trigger: closed.trigger.clone(),
                    batch: closed.batch,
                    closed: Some(commit.seq),
                    decided: (commit.seq, commit.now),
                }));
            }
        }
        Ok(())
    }

    /// Looks for the subject among the members of the open batches that may have it; each part is read once.
    pub(super) async fn look_into_open(
        &mut self,
        ledger: &Ledger,
        state: &State,
        subject: &Subject,
    ) -> Result<(), Error> {
        let mut parts = BTreeMap::<&str, BTreeMap<BatchId, BatchId>>::new();
        for id in &self.search.candidates {
            for part in state.open_batch(*id).map_or(&[][..], |(_, open)| &open.parts) {
                // What replaces a run takes its manifest over: the run is told of by that.
                let Some(of) = part.batch else { continue };
                parts.entry(&part.name).or_default().insert(of, *id);
            }
        }
        for (name, batches) in parts {
            let in_part = |body: &[u8]| {
                let members = part_lines(body).filter_map(|read| match read {
                    Ok(PartLine { batch, line: Line::Member(member) }) => {
                        Some(Ok((member, *batches.get(&batch?)?)))
                    }
                    Ok(_) => None,
                    Err(why) => Some(Err(why)),
                });
                matching(members, subject)
            };
            for (member, batch) in self.look_into(ledger, name, in_part).await? {
                let Some((trigger, open)) = state.open_batch(batch) else { continue };
                let decided = (batch.seq, open.opened_at);
                let trigger = trigger.to_owned();
                self.search.found.push(Found { member, trigger, batch, closed: None, decided });
            }
        }
        Ok(())
    }

    /// What is looked for in an object of the ledger; one that cannot be read is noted.
    async fn look_into<T>(
        &mut self,
        ledger: &Ledger,
        name: &str,
        look: impl FnOnce(&[u8]) -> Result<Vec<T>, String> + Send,
    ) -> Result<Vec<T>, Error> {
        let body = ledger.store().get(name).await?;
        let Some(found) = body.and_then(|body| look(&body).ok()) else {
            self.unreadable.push(name.to_owned());
            return Ok(Vec::new());
        };
        Ok(found)
    }

    /// Where the log is to be read from once more, if anything was found that it was not read for.
    pub(super) fn begin_again(&mut self) -> Option<u64> {
        self.search.candidates.clear();
        let lost = self.fates.iter().filter(|fate| matches!(fate.kept, Kept::Nothing { .. }));
        let members = lost.flat_map(|fate| &fate.verdicts).filter_map(|verdict| match verdict {
            Verdict::Accepted { batch, .. } => Some(*batch),
            Verdict::Refused { .. } => None,
        });
        let found = self.search.found.iter().map(|found| found.batch);
        let new: BTreeSet<BatchId> = found.chain(members).collect();
        if new.is_empty() {
            return None;
        }
        self.letters.clear();
        self.batches.extend(new.into_iter().map(|batch| (batch, Vec::new())));
        self.batches.values_mut().for_each(Vec::clear);
        let batches = self.batches.keys().map(|batch| batch.seq);
        batches.chain(self.fates.iter().map(|fate| fate.commit)).min()
    }

    /// Reads a commit for what became of the batches that were found, and for when their members were decided of: that
    /// may be before the first commit that was read, and in segments that are kept.
    pub(super) async fn read_again(
        &mut self,
        ledger: &Ledger,
        subject: &Subject,
        commit: &Commit,
    ) -> Result<(), Error> {
        self.commits += 1;
        let mut decided = false;
        for found in self.search.found.iter_mut().filter(|found| found.is_decided_by(commit)) {
            found.decided = (commit.seq, commit.now);
            decided = true;
        }
        if decided && self.fates.iter().all(|fate| fate.commit != commit.seq) {
            self.read_events(ledger, subject, commit).await?;
        }
        self.read_changes(commit);
        Ok(())
    }

    /// Tells of the members that were found, in the place of the events that are gone.
    pub(super) fn tell_members(&mut self) {
        let found = std::mem::take(&mut self.search.found);
        let handed: BTreeSet<_> = found.iter().flat_map(|found| self.handed_over(found)).collect();
        for found in found {
            if !handed.contains(&(found.member.event, found.batch)) {
                self.tell_member(found);
            }
        }
        let is_member = |fate: &&Fate| matches!(fate.kept, Kept::Member(_));
        let told: BTreeSet<u64> = self.fates.iter().filter(is_member).map(|it| it.commit).collect();
        self.fates.retain(|fate| {
            !matches!(fate.kept, Kept::Nothing { .. }) || !told.contains(&fate.commit)
        });
        self.fates.sort_by_key(|fate| fate.commit);
    }

    /// The batches a member was handed over to by the one it was found in.
    fn handed_over(&self, found: &Found) -> impl Iterator<Item = (Hash128, BatchId)> {
        let event = found.member.event;
        let episodes = self.batches.get(&found.batch).into_iter().flatten();
        episodes.filter_map(move |episode| match &episode.change {
            Change::Batch { change: BatchChange::MovedTo(to), .. } => Some((event, *to)),
            _ => None,
        })
    }

    fn tell_member(&mut self, found: Found) {
        let verdict = found.verdict();
        let Found { member, decided: (commit, at), .. } = found;
        let is_same = |fate: &&mut Fate| match &fate.kept {
            Kept::Event(event) => event.id() == member.event && fate.commit == commit,
            Kept::Member(other) => other.event == member.event && fate.commit == commit,
            Kept::Nothing { .. } => false,
        };
        match self.fates.iter_mut().find(is_same) {
            Some(Fate { kept: Kept::Event(_), .. }) => {}
            Some(fate) if fate.verdicts.contains(&verdict) => {}
            Some(fate) => fate.verdicts.push(verdict),
            None => {
                let (kept, verdicts) = (Kept::Member(member), vec![verdict]);
                self.fates.push(Fate { commit, at, kept, verdicts });
            }
        }
    }
}

/// The members that are the subject, each with what it comes with. The error names a line that cannot be read.
fn matching<T>(
    members: impl Iterator<Item = Result<(Member, T), String>>,
    subject: &Subject,
) -> Result<Vec<(Member, T)>, String> {
    members.filter(|it| it.as_ref().map_or(true, |(member, _)| subject.is_member(member))).collect()
}

/// The batches that took members by a commit, each with its trigger.
pub(super) fn accepted(commit: &Commit) -> impl Iterator<Item = (&String, BatchId)> {
    commit.decisions.iter().filter_map(|decision| match decision {
        Decision::Accepted { trigger, batch, .. } => Some((trigger, *batch)),
        Decision::Refused { .. } | Decision::Answered { .. } => None,
    })
}

/// Whether the subject became a member by a commit that names it, where the commit says so: of an object it knows the
/// newest generation alone.
fn is_member_by(commit: &Commit, subject: &Subject) -> Option<bool> {
    let Subject::Event(id) = subject else { return None };
    Some(is_replayed_by(commit, *id) || commit.fresh.identity(*id)?)
}
