//! Housekeeping: the only thing that deletes. Once a day it removes what nothing can need any more.
//!
//! `log/`, `manifests/` that a commit names and `rules/` stay for ever.

use std::collections::BTreeSet;

use refit_core::error::Error;
use refit_core::mutant::{self, Mutant};
use refit_core::plan::Deleted;
use refit_core::state::State;
use refit_core::time::{Span, Timestamp};

use crate::layout;
use crate::ledger::{Ledger, SNAPSHOTS_KEPT};

/// Objects one round deletes at the most; the next pass goes on.
const DELETES_MAX: usize = 500;
/// Commits one round looks for garbage of at the most.
const COMMITS_MAX: usize = 200;

/// Whether the day's work is due.
#[must_use]
pub fn is_due(state: &State, now: Timestamp) -> bool {
    state.marks.kept != Timestamp::EPOCH && now >= state.marks.kept + state.timing.keep
}

/// How far this process has got with the day's work.
#[derive(Debug, Default)]
pub struct House {
    swept: Option<u64>,
}

impl House {
    /// Deletes a bounded number of objects if a day has passed, and says what the next commit should record.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep(
        &mut self,
        ledger: &Ledger,
        state: &State,
        now: Timestamp,
    ) -> Result<Deleted, Error> {
        if !is_due(state, now) {
            return Ok(Deleted::default());
        }
        let (segments, marks_before) = self.segments(ledger, state, now).await?;
        let snapshots = self.snapshots(ledger, state).await?;
        let retired = self.retired(ledger, state, now).await?;
        let swept = self.garbage(ledger, state, now).await?;
        let is_done = segments + snapshots + retired.len() < DELETES_MAX;
        let done = swept.filter(|_| is_done).map(|swept| (now, swept));
        if done.is_some() {
            self.swept = None;
        }
        Ok(Deleted { retired, marks_before, done })
    }

    /// Segments below a mark that is a window old: every event in them is decided, and too old to come again.
    async fn segments(
        &self,
        ledger: &Ledger,
        state: &State,
        now: Timestamp,
    ) -> Result<(usize, Option<Timestamp>), Error> {
        let old = state.marks.delete.iter().filter(|(set, _)| *set + state.timing.window <= now);
        let unread = mutant::is(Mutant::SegmentsDeletedUnread).then_some((now, now));
        let Some((set, mark)) = old.max_by_key(|(_, mark)| *mark).copied().or(unread) else {
            return Ok((0, None));
        };
        let end = layout::segment_object(&mark.compact());
        let page = ledger.store().list(layout::INBOX, layout::INBOX, DELETES_MAX).await?;
        let names: Vec<String> =
            page.entries.into_iter().map(|entry| entry.name).filter(|name| *name < end).collect();
        for name in &names {
            ledger.store().delete(name).await?;
        }
        let done = names.len() < DELETES_MAX;
        Ok((names.len(), done.then(|| set + Span::from_millis(1))))
    }

    async fn snapshots(&self, ledger: &Ledger, state: &State) -> Result<usize, Error> {
        if mutant::is(Mutant::LogDeleted) {
            for seq in 1..state.seq.saturating_sub(1) {
                ledger.store().delete(&layout::commit(seq)).await?;
            }
        }
        let page = ledger.store().list(layout::SNAPSHOT, layout::SNAPSHOT, DELETES_MAX).await?;
        let old = page.entries.iter().skip(SNAPSHOTS_KEPT);
        for entry in old.clone() {
            ledger.store().delete(&entry.name).await?;
        }
        Ok(old.count())
    }

    /// Parts and runs no state has referred to for over a window.
    async fn retired(
        &self,
        ledger: &Ledger,
        state: &State,
        now: Timestamp,
    ) -> Result<Vec<String>, Error> {
        if mutant::is(Mutant::PartsDeletedWhileHeld) {
            for name in state.parts_in_use() {
                ledger.store().delete(name).await?;
            }
        }
        let old = state.retired.iter().filter(|(_, since)| **since + state.timing.window < now);
        let names: Vec<String> = old.map(|(name, _)| name.clone()).take(DELETES_MAX).collect();
        for name in &names {
            ledger.store().delete(name).await?;
        }
        Ok(names)
    }

    /// Removes objects that carry the number of a commit which does not name them, a week after it: what a writer
    /// that lost left behind. Answers with the last commit looked at once there are no more.
    async fn garbage(
        &mut self,
        ledger: &Ledger,
        state: &State,
        now: Timestamp,
    ) -> Result<Option<u64>, Error> {
        let before = self.swept.unwrap_or(state.marks.swept);
        let first = layout::commit(before + 1);
        let page = ledger.store().list(layout::LOG, &first, COMMITS_MAX).await?;
        let is_old = |created| created + state.timing.garbage <= now.min(page.now);
        let old = page.entries.iter().take_while(|entry| is_old(entry.created));
        let seqs: Vec<u64> = old.filter_map(|entry| layout::commit_seq(&entry.name)).collect();
        let Some(last) = seqs.last().copied() else { return Ok(Some(before)) };
        let mut named = BTreeSet::new();
        for seq in &seqs {
            named.extend(ledger.commit(*seq).await?.into_iter().flat_map(|commit| commit.uses));
        }
        for folder in layout::COMMIT_OBJECTS {
            sweep(ledger, folder, before + 1, last, &named).await?;
        }
        self.swept = Some(last);
        Ok((seqs.len() < COMMITS_MAX).then_some(last))
    }
}

/// Deletes the objects of commits `from..=last` in a folder that none of them names.
async fn sweep(
    ledger: &Ledger,
    folder: &str,
    from: u64,
    last: u64,
    named: &BTreeSet<String>,
) -> Result<(), Error> {
    let mut start = format!("{folder}{from:020}");
    loop {
        let page = ledger.store().list(folder, &start, 1000).await?;
        for entry in page.entries {
            match layout::object_seq(&entry.name) {
                Some(seq) if seq > last => return Ok(()),
                Some(_) if !named.contains(&entry.name) => {
                    ledger.store().delete(&entry.name).await?
                }
                Some(_) | None => {}
            }
        }
        let Some(next) = page.next else { return Ok(()) };
        start = next;
    }
}
