//! What keeps the state small and the ledger findable: stored lines, merged parts, marks, the memory.

use super::Desk;
use crate::commit::{BatchChange, Change, InboxChange, MemoryChange, TriggerChange};
use crate::key::sha256_hex;
use crate::member::{PartLine, part};
use crate::memory::{SeenRun, StoredRun};
use crate::mutant::{self, Mutant};
use crate::rules::Rules;
use crate::state::{PartRef, VERSION};
use crate::time::{Day, Timestamp};
use crate::timing::{BATCH_PARTS_MAX, BUDGET_PER_MAX, MEMORY_LIVE_MAX};

impl Desk<'_> {
    /// Writes down what must outlive this commit.
    pub(super) fn keep(&mut self, rules: &Rules) {
        self.merge_parts();
        self.store_lines();
        self.forget_launches(rules);
        self.keep_deleted();
        self.keep_memory();
        self.keep_marks();
    }

    /// A batch of too many parts gets one that holds all its lines; at most one batch per commit.
    fn merge_parts(&mut self) {
        let standings = self.state.triggers.iter();
        let batches = standings
            .flat_map(|(name, standing)| standing.open.iter().map(move |open| (name, open)));
        let scattered = batches.filter(|(_, (_, batch))| batch.parts.len() >= BATCH_PARTS_MAX);
        let first = scattered.map(|(name, (id, batch))| (name.clone(), *id, batch.count)).next();
        let Some((name, id, count)) = first else {
            return;
        };
        let Some(mut lines) = self.stored_lines(&name, id) else {
            return;
        };
        // What is told of objects that are no members yet may be of the members of a run it is to replace.
        let (members, told) = self.joining.of(id);
        lines.extend([members, told].concat());
        self.joining.forget(id);
        let lines: Vec<PartLine> =
            lines.into_iter().map(|line| PartLine { batch: Some(id), line }).collect();
        let part = PartRef { name: self.store_part(&lines), batch: Some(id), count };
        self.change_batch(id, BatchChange::Merged(part));
    }

    /// One part holds the lines of every batch that stays open.
    fn store_lines(&mut self) {
        let joining = std::mem::take(&mut self.joining);
        let (lines, batches) = joining.into_part(|id| self.state.open_batch(id).is_some());
        if !lines.is_empty() {
            let part = self.store_part(&lines);
            self.record(Change::Stored { part, batches });
        }
    }

    fn store_part(&mut self, lines: &[PartLine]) -> String {
        let content = part(lines);
        let name = format!("parts/{:020}-{}", self.seq, sha256_hex(&content));
        self.objects.push((name.clone(), content));
        name
    }

    /// Launches no budget looks at any more are dropped, a few at a time.
    fn forget_launches(&mut self, rules: &Rules) {
        let ruled = self
            .state
            .triggers
            .iter()
            .filter_map(|(name, standing)| Some((name, standing, rules.triggers.get(name)?)));
        let old = ruled.filter_map(|(name, standing, rule)| {
            let excess = standing.launches.len().saturating_sub(rule.budget.runs as usize);
            // As many as a budget counts stay, as it may look farther back some day.
            let newest = standing.launches.get(excess).copied().unwrap_or(self.now);
            let before = newest.min(self.now - rule.budget.per);
            let first =
                standing.launches.first().filter(|first| excess >= 64 && **first < before)?;
            Some((name.clone(), before.max(*first)))
        });
        let gone = self.state.triggers.iter().filter(|(_, standing)| {
            let last = standing.launches.last();
            standing.removed && last.is_some_and(|last| *last + BUDGET_PER_MAX < self.now)
        });
        let gone = gone.map(|(name, _)| (name.clone(), self.now));
        for (trigger, before) in old.chain(gone).collect::<Vec<_>>() {
            self.change_trigger(&trigger, TriggerChange::LaunchesForgotten(before));
        }
    }

    fn keep_deleted(&mut self) {
        let deleted = self.inputs.deleted;
        if !deleted.retired.is_empty() {
            self.record(Change::Memory(MemoryChange::Deleted(deleted.retired.clone())));
        }
        if let Some(before) = deleted.marks_before {
            self.record(Change::Inbox(InboxChange::DeleteDone(before)));
        }
        if let Some((at, swept)) = deleted.done {
            self.record(Change::Memory(MemoryChange::Kept { at, swept }));
        }
    }

    fn keep_memory(&mut self) {
        let window = self.state.timing.window;
        let before = (self.now - window).day();
        let last_day = self.state.now.day();
        if mutant::is(Mutant::IdentitiesForgottenEarly) {
            let tomorrow = Day(self.now.day().0 + 1);
            self.record(Change::Memory(MemoryChange::Forgotten(tomorrow)));
        } else if self.is_commit() && self.now.day() != last_day {
            self.record(Change::Memory(MemoryChange::Forgotten(before)));
        }
        if self.memory.len() > MEMORY_LIVE_MAX
            && let Some(last) = self.memory.newest()
        {
            let stored = StoredRun { v: VERSION, entries: self.memory.until(last) };
            let content = serde_json::to_vec(&stored).expect("the memory has string keys");
            let name = format!("seen/{:020}-{}", self.seq, sha256_hex(&content));
            self.objects.push((name.clone(), content));
            let run = SeenRun { name, last, filter: stored.entries.filter() };
            self.record(Change::Memory(MemoryChange::Spilled(run)));
        }
    }

    /// The marks go with every commit; alone they are worth one only after a long listing, or once a day.
    fn keep_marks(&mut self) {
        let listing = self.inputs.listing;
        let marks = &self.state.marks;
        let moved =
            listing.fast > marks.fast || listing.full > marks.full || listing.fast < marks.fast;
        let daily =
            marks.delete.last().is_none_or(|(set, _)| self.now >= *set + self.state.timing.keep);
        let mark = listing.full - self.state.timing.grace;
        if moved && (self.is_commit() || listing.long) {
            let (fast, full) = (listing.fast, listing.full);
            self.record(Change::Inbox(InboxChange::Listed { fast, full }));
            if daily && listing.full > Timestamp::EPOCH {
                self.record(Change::Inbox(InboxChange::DeleteBelow(mark)));
            }
            if self.state.marks.kept == Timestamp::EPOCH {
                self.record(Change::Memory(MemoryChange::Kept { at: self.now, swept: 0 }));
            }
        }
    }
}
