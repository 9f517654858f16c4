//! Runs that their services start again, or replace by another, after they had ended badly.
//!
//! A person repairs a cluster and presses "retry" there: the run that was over goes on, and what it comes to counts.

use super::Desk;
use super::guard::{Holder, is_ended_by_others};
use crate::commit::AttemptChange;
use crate::mutant::{self, Mutant};
use crate::rules::{Overlap, Rules};
use crate::run::{Attempt, Cancel, ExternalRun, Phase, Run};
use crate::state::BatchId;

impl Desk<'_> {
    /// The service says of an attempt that ended badly that it goes on, or has ended well since.
    pub(super) fn came_back(
        &mut self,
        rules: &Rules,
        id: BatchId,
        attempt: &Attempt,
        (phase, message): (Phase, Option<String>),
    ) {
        let is_back = !phase.is_terminal() || phase == Phase::Succeeded;
        let Some(external) = attempt.external.clone().filter(|_| is_back) else { return };
        if !self.reopen(rules, id, attempt, external) || !phase.is_terminal() {
            return;
        }
        let number = attempt.number;
        let run = self.state.runs.get(&id);
        if let Some(attempt) = run.and_then(|run| run.attempt_numbered(number)).cloned() {
            self.report(rules, id, &attempt, (phase, message));
        }
    }

    /// The service made another run in place of that of this attempt.
    pub(super) fn superseded(
        &mut self,
        rules: &Rules,
        id: BatchId,
        attempt: &Attempt,
        external: &ExternalRun,
    ) {
        let is_other = attempt.external.as_ref().is_some_and(|known| known.id != external.id);
        if !is_other {
            return;
        }
        let Some(run) = self.state.runs.get(&id).cloned() else { return };
        if self.stands_down(&run, attempt, external) {
            let message = Some("its retry only stands down at the guard".to_owned());
            self.report(rules, id, attempt, (Phase::Failed, message));
        } else if attempt.is_live() {
            let change = AttemptChange::Reopened(external.clone());
            self.change_attempt(id, attempt.number, change);
        } else {
            self.reopen(rules, id, attempt, external.clone());
        }
    }

    /// Whether another than this retry has made the claim, or may have: followed by turns, the two would never end.
    fn stands_down(&mut self, run: &Run, attempt: &Attempt, retry: &ExternalRun) -> bool {
        match self.holder(run, attempt) {
            Holder::Nobody => false,
            Holder::Attempt(_, holder) => holder.id != retry.id,
            Holder::Unknown(_) => true,
        }
    }

    /// Lets a run that is over go on, where nothing stands against it.
    fn reopen(
        &mut self,
        rules: &Rules,
        id: BatchId,
        attempt: &Attempt,
        external: ExternalRun,
    ) -> bool {
        let run = self.state.runs.get(&id);
        let is_free = run.is_some_and(|run| run.may_reopen(attempt) && self.has_room(rules, run));
        if is_free {
            self.change_attempt(id, attempt.number, AttemptChange::Reopened(external));
        }
        is_free
    }

    /// Whether the members of a run are still its own, and its trigger has no other run that it may not overlap.
    fn has_room(&self, rules: &Rules, run: &Run) -> bool {
        let is_ending = run.is_active() && is_ended_by_others(run);
        if is_ending || matches!(run.cancel, Some(Cancel::ReplacedBy(_))) {
            return false;
        }
        let rule = rules.triggers.get(&run.trigger);
        let overlaps = rule.is_some_and(|rule| rule.overlap == Overlap::Allow)
            || mutant::is(Mutant::ReopenedBesideOthers);
        overlaps || self.state.active_runs(&run.trigger).all(|other| other.batch == run.batch)
    }
}
