//! The lines a commit adds to batches, until a part holds them.

use std::collections::{BTreeMap, BTreeSet};

use crate::member::{Line, Member, PartLine};
use crate::state::BatchId;

/// Lines of this commit.
#[derive(Default)]
pub(super) struct Joining {
    members: BTreeMap<BatchId, Vec<Line>>,
    /// What is told to many batches is kept once, as thousands may be open. Of objects that are no members of a batch it
    /// means nothing to it.
    told: Vec<Line>,
    told_to: BTreeSet<BatchId>,
}

impl Joining {
    pub(super) fn join(&mut self, batch: BatchId, member: Member) {
        self.members.entry(batch).or_default().push(Line::Member(member));
    }

    /// Tells these batches something, and those that are joined by this commit: a deletion may come before its upload.
    pub(super) fn tell(&mut self, batches: impl IntoIterator<Item = BatchId>, line: Line) {
        self.told.push(line);
        self.told_to.extend(batches);
    }

    /// The members that join a batch, and what it is told, also of objects that are none of them.
    pub(super) fn of(&self, batch: BatchId) -> (&[Line], &[Line]) {
        let members = self.members.get(&batch);
        let is_told = members.is_some() || self.told_to.contains(&batch);
        (members.map_or(&[], Vec::as_slice), if is_told { &self.told } else { &[] })
    }

    /// Lets go of the lines of a batch.
    pub(super) fn forget(&mut self, batch: BatchId) {
        self.members.remove(&batch);
        self.told_to.remove(&batch);
    }

    /// Another batch takes the lines of one over.
    pub(super) fn hand_over(&mut self, from: BatchId, to: BatchId) {
        if let Some(members) = self.members.remove(&from) {
            self.members.entry(to).or_default().extend(members);
        }
        if self.told_to.remove(&from) {
            self.told_to.insert(to);
        }
    }

    /// The part that serves all batches that stay open, and how many members each has in it.
    pub(super) fn into_part(
        self,
        stays_open: impl Fn(BatchId) -> bool,
    ) -> (Vec<PartLine>, BTreeMap<BatchId, u64>) {
        let (mut lines, mut batches) = (Vec::new(), BTreeMap::new());
        for batch in self.told_to.into_iter().filter(|batch| stays_open(*batch)) {
            batches.insert(batch, 0);
        }
        for (batch, members) in self.members.into_iter().filter(|(batch, _)| stays_open(*batch)) {
            batches.insert(batch, members.len() as u64);
            lines.extend(members.into_iter().map(|line| PartLine { batch: Some(batch), line }));
        }
        if !batches.is_empty() {
            lines.extend(self.told.into_iter().map(|line| PartLine { batch: None, line }));
        }
        (lines, batches)
    }
}
