//! What an audit knows of the events it has seen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use refit_core::commit::{
    BatchChange, Change, Closed, Commit, Decision, InboxChange, TriggerChange,
};
use refit_core::error::Error;
use refit_core::event::{Event, Fact, ObjectKind};
use refit_core::key::{Hash128, sha256_hex};
use refit_core::member::{Line, Member, read_manifest, stored_lines};
use refit_core::rules::{Rules, Trigger};
use refit_core::state::{Batch, BatchId, State};
use refit_core::time::Timestamp;

use super::folder::Folder;
use super::{Report, SEGMENT_READABLE};
use crate::explain::{Verdict, verdicts};
use crate::layout;
use crate::ledger::Ledger;
use crate::port::Entry;
use crate::record::read_segment;

/// What is wrong where a stored event has no fate, or more than one.
const ONE_FATE: &str = "an accepted event has a fate";

/// What an audit knows of the events it has seen.
#[derive(Default)]
pub(super) struct Books {
    pub(super) report: Report,
    /// Where each event became a member, by trigger.
    members: BTreeMap<(String, Hash128), BatchId>,
    /// How many members each batch has, by the verdicts on events and by what moved to it.
    joined: BTreeMap<BatchId, u64>,
    /// How many members each run was given.
    given: BTreeMap<BatchId, u64>,
    /// Batches whose members moved on, and where to.
    moved: BTreeMap<BatchId, BatchId>,
    /// Batches of which not every event can be seen any more.
    partial: BTreeSet<BatchId>,
    consumed: BTreeSet<String>,
    /// Consumed segments that are not stored any more.
    missing: BTreeSet<String>,
    /// Below which names segments may be deleted once they are a window old: when that was said, and the mark.
    marks: Vec<(Timestamp, Timestamp)>,
    /// Events the log says something of.
    decided: BTreeSet<Hash128>,
}

impl Books {
    /// `rules` are those in force, before the commit and by it; none where they cannot be read.
    pub(super) async fn read_segments(
        &mut self,
        ledger: &Ledger,
        commit: &Commit,
        rules: Option<&[Arc<Rules>]>,
    ) -> Result<(), Error> {
        for (number, name) in (0..).zip(&commit.segments) {
            // After the store's clock went back a segment may be read again; its events are duplicates then.
            self.consumed.insert(name.clone());
            let Some(body) = ledger.store().get(&layout::segment_object(name)).await? else {
                self.partial.extend(commit.changes.iter().filter_map(joined_batch));
                self.missing.insert(name.clone());
                continue;
            };
            self.report.segments += 1;
            let events = read_segment(name, &body).unwrap_or_else(|error| {
                self.partial.extend(commit.changes.iter().filter_map(joined_batch));
                self.report.find(SEGMENT_READABLE, error.to_string());
                Vec::new()
            });
            for (place, event) in (0..).zip(&events) {
                let verdicts = verdicts(commit, number, place);
                let fits = |rules: &Arc<Rules>| is_fate(rules, event, &verdicts);
                if !rules.map_or(!verdicts.is_empty(), |all| all.iter().any(fits))
                    && !is_answered(commit, event)
                {
                    let message = format!("commit=`{}`, event=`{}`", commit.seq, event.name());
                    self.report.find(ONE_FATE, message);
                }
                self.read_event(event, &verdicts);
            }
        }
        Ok(())
    }

    fn read_event(&mut self, event: &Event, verdicts: &[Verdict]) {
        self.report.events += 1;
        let mut is_member = false;
        for verdict in verdicts {
            if let Verdict::Accepted { trigger, batch } = verdict {
                is_member = true;
                self.report.accepted += 1;
                self.join(trigger, *batch, event.id());
            }
        }
        self.report.refused += u64::from(!is_member);
    }

    fn join(&mut self, trigger: &str, batch: BatchId, event: Hash128) {
        *self.joined.entry(batch).or_default() += 1;
        if let Some(other) = self.members.insert((trigger.to_owned(), event), batch) {
            let message =
                format!("event=`{event}`, trigger=`{trigger}`, batches=`{other}, {batch}`");
            self.report.find("one batch per event and trigger", message);
        }
    }

    pub(super) async fn read_changes(
        &mut self,
        ledger: &Ledger,
        commit: &Commit,
    ) -> Result<(), Error> {
        self.decided.extend(commit.fresh.identities.iter().map(|(id, _)| *id));
        for change in &commit.changes {
            if let Change::Inbox(InboxChange::DeleteBelow(mark)) = change {
                self.marks.push((commit.now, *mark));
            }
            if let Change::Batch { batch, change: BatchChange::MovedTo(to) } = change {
                self.move_members(*batch, *to);
            }
            if let Change::Batch { batch, change: BatchChange::Discarded } = change
                && !commit.decisions.iter().any(is_obeyed)
            {
                let message = format!("commit=`{}`, batch=`{batch}`", commit.seq);
                self.report.find("a batch is dropped by a person only", message);
            }
            if let Change::Trigger { trigger, change: TriggerChange::Fired { firing, batch } } =
                change
            {
                self.join(trigger, *batch, firing.slot.id(trigger));
            }
            if let Change::Trigger { trigger, change: TriggerChange::Staged { entry, batch } } =
                change
            {
                self.join(trigger, *batch, entry.id(trigger));
            }
            if let Change::Closed(closed) = change {
                self.report.runs += 1;
                self.read_run(ledger, closed).await?;
            }
        }
        Ok(())
    }

    /// An open batch hands over all its members, a run that was replaced what its manifest holds.
    fn move_members(&mut self, from: BatchId, to: BatchId) {
        let open = self.joined.get(&from).copied().unwrap_or(0);
        let count = self.given.get(&from).copied().unwrap_or(open);
        *self.joined.entry(to).or_default() += count;
        if self.partial.contains(&from) {
            self.partial.insert(to);
        }
        self.moved.insert(from, to);
    }

    /// The manifest holds the members of the batch, all of them but those the commit says were left out.
    async fn read_run(&mut self, ledger: &Ledger, closed: &Closed) -> Result<(), Error> {
        let wrong = |message: String| format!("run=`{}`: {message}", closed.batch);
        let what = "a manifest holds the members of its batch";
        let facts = &closed.facts;
        self.given.insert(closed.batch, facts.count);
        let Some(body) = ledger.store().get(&closed.manifest).await? else {
            self.report.find(what, wrong("it is missing".to_owned()));
            return Ok(());
        };
        let members = read_manifest(&body).unwrap_or_default();
        if !closed.manifest.contains(&sha256_hex(&body)) || members.len() as u64 != facts.count {
            self.report.find(what, wrong("it is not what its name says".to_owned()));
        }
        let is_partial = self.partial.contains(&closed.batch);
        let joined = self.joined.get(&closed.batch).copied().unwrap_or(0);
        let adds_up = facts.count + facts.superseded + facts.gone == facts.joined;
        if !adds_up || (joined != facts.joined && !is_partial) {
            self.report.find(what, wrong(format!("joined=`{joined}`, said=`{facts:?}`")));
        }
        let stranger = self.stranger(&closed.trigger, closed.batch, &members);
        if let Some(event) = stranger.filter(|_| !is_partial) {
            self.report.find(what, wrong(format!("a stranger: event=`{event}`")));
        }
        Ok(())
    }

    /// The first of the members of a batch whose event did not join it.
    fn stranger(&self, trigger: &str, id: BatchId, members: &[Member]) -> Option<Hash128> {
        let stranger = members.iter().find(|member| {
            let batch = self.members.get(&(trigger.to_owned(), member.event));
            batch.is_none_or(|batch| self.end_of(*batch) != id)
        });
        stranger.map(|member| member.event)
    }

    /// The parts of open batches hold their members, all of them.
    pub(super) async fn read_open(&mut self, ledger: &Ledger, state: &State) -> Result<(), Error> {
        for (trigger, standing) in &state.triggers {
            let parts = standing.open.values().flat_map(|batch| &batch.parts);
            let names: BTreeSet<&str> = parts.map(|part| part.name.as_str()).collect();
            let mut bodies = BTreeMap::new();
            for name in names {
                let body = ledger.store().get(name).await?;
                bodies.extend(body.map(|body| (name, body)));
            }
            let find = |name: &str| bodies.get(name).map(|body| &body[..]);
            let mut all = stored_lines(state, standing.open.keys().copied(), find).ok();
            for (id, batch) in &standing.open {
                // Where one cannot be read, each is read by itself, so that it is known which.
                let lines = match &mut all {
                    Some(all) => Ok(all.remove(id)),
                    None => stored_lines(state, [*id], find).map(|mut lines| lines.remove(id)),
                };
                let wrong = match lines {
                    Ok(lines) => {
                        self.wrong_in_open(trigger, (*id, batch), lines.unwrap_or_default())
                    }
                    Err(error) => Some(error),
                };
                if let Some(wrong) = wrong {
                    let message = format!("batch=`{id}`: {wrong}");
                    self.report.find("an open batch holds its members", message);
                }
            }
        }
        Ok(())
    }

    /// What is wrong with an open batch and the lines its parts hold.
    fn wrong_in_open(
        &self,
        trigger: &str,
        (id, batch): (BatchId, &Batch),
        lines: Vec<Line>,
    ) -> Option<String> {
        let member = |line| match line {
            Line::Member(member) => Some(member),
            Line::Gone { .. } | Line::Same { .. } => None,
        };
        let members: Vec<Member> = lines.into_iter().filter_map(member).collect();
        let (held, said) = (members.len() as u64, batch.count);
        let is_partial = self.partial.contains(&id);
        let joined = if is_partial { said } else { self.joined.get(&id).copied().unwrap_or(0) };
        if held != said || joined != said {
            return Some(format!("held=`{held}`, joined=`{joined}`, said=`{said}`"));
        }
        let stranger = self.stranger(trigger, id, &members).filter(|_| !is_partial);
        stranger.map(|event| format!("a stranger: event=`{event}`"))
    }

    fn end_of(&self, batch: BatchId) -> BatchId {
        self.moved.get(&batch).map_or(batch, |to| self.end_of(*to))
    }

    /// What no commit has consumed waits, was never acknowledged, or is lost; what was consumed is still kept.
    pub(super) async fn read_inbox(&mut self, ledger: &Ledger, state: &State) -> Result<(), Error> {
        let reach = (state.marks.full - state.timing.grace).compact();
        let mut inbox = Folder::new(ledger, layout::INBOX);
        while let Some(entry) = inbox.next().await? {
            let name = entry.name.strip_prefix(layout::INBOX).unwrap_or(&entry.name);
            if self.consumed.contains(name) {
                continue;
            }
            if !is_acknowledged(state, name, &entry) {
                self.report.orphans += 1;
            } else if name >= reach.as_str() {
                self.report.pending += 1;
            } else {
                self.read_passed_over(ledger, &entry).await?;
            }
        }
        self.check_kept(state, inbox.now);
        Ok(())
    }

    /// What is missing was old enough to be deleted.
    fn check_kept(&mut self, state: &State, now: Timestamp) {
        // A ledger that is ahead of the store's clock goes by a time that only its reconcilers know.
        if now < state.now {
            return;
        }
        let old = self.marks.iter().filter(|(set, _)| *set + state.timing.window <= now);
        let kept = old.map(|(_, mark)| mark.compact()).max().unwrap_or_default();
        for name in self.missing.range(kept..) {
            let message = format!("missing=`{}`", layout::segment_object(name));
            self.report.find("a segment is kept for a window", message);
        }
    }

    /// A segment that was acknowledged and that no listing shows any more: the log must know each of its events by
    /// another delivery.
    async fn read_passed_over(&mut self, ledger: &Ledger, entry: &Entry) -> Result<(), Error> {
        let Some(body) = ledger.store().get(&entry.name).await? else { return Ok(()) };
        let events = read_segment(&entry.name, &body);
        let is_known = |event: &Event| self.decided.contains(&event.id());
        if !events.is_ok_and(|events| events.iter().all(is_known)) {
            let message = format!("listings passed over it: segment=`{}`", entry.name);
            self.report.find(ONE_FATE, message);
        }
        Ok(())
    }
}

/// Whether a segment was acknowledged: its name is near the time the store created it.
fn is_acknowledged(state: &State, name: &str, entry: &Entry) -> bool {
    let near = |named: Timestamp| {
        named.since(entry.created).max(entry.created.since(named)) <= state.timing.name
    };
    layout::segment_time(name).is_some_and(near)
}

/// Whether an event is a command, and was answered.
fn is_answered(commit: &Commit, event: &Event) -> bool {
    matches!(event.fact, Fact::Command(_)) && commit.answer(event.id()).is_some()
}

/// Whether verdicts are all there is to say of an event under these rules: one for every trigger it concerns, or one
/// refusal that holds for all of them.
fn is_fate(rules: &Rules, event: &Event, verdicts: &[Verdict]) -> bool {
    let named: Vec<Option<&str>> = verdicts.iter().map(trigger_of).collect();
    if named.contains(&None) || named.is_empty() {
        return named.len() == 1;
    }
    let distinct: BTreeSet<&str> = named.iter().copied().flatten().collect();
    let mut concerned =
        rules.triggers.iter().filter(|(name, rule)| event.is_for(name) && concerns(rule, event));
    distinct.len() == named.len() && concerned.all(|(name, _)| distinct.contains(name.as_str()))
}

fn trigger_of(verdict: &Verdict) -> Option<&str> {
    match verdict {
        Verdict::Accepted { trigger, .. } => Some(trigger),
        Verdict::Refused { trigger, .. } => trigger.as_deref(),
    }
}

/// Whether an event is one a trigger has something to say of.
fn concerns(rule: &Trigger, event: &Event) -> bool {
    match &event.fact {
        Fact::Object(change) if change.kind == ObjectKind::Finalized => {
            let object = &change.object;
            let is_marker = rule.batch.until.as_ref().is_some_and(|until| until.matches(object));
            is_marker || rule.watches(object)
        }
        Fact::Message(message) => rule.hears(message),
        Fact::Drift(report) => rule.minds(report).next().is_some(),
        Fact::Object(_) | Fact::Command(_) | Fact::Invalid(_) => false,
    }
}

/// Whether a person's command was obeyed.
fn is_obeyed(decision: &Decision) -> bool {
    matches!(decision, Decision::Answered { ok: true, .. })
}

fn joined_batch(change: &Change) -> Option<BatchId> {
    let Change::Batch { batch, change: BatchChange::Joined { .. } } = change else { return None };
    Some(*batch)
}
