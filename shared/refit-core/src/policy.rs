//! The reasons to hold a batch, each in a file of its own, in the order they are judged.
//!
//! The first that holds is the stated reason, with the time at which the batch is judged again. Adding one is
//! one file and one row of [`ALL`].

mod ask;
mod budget;
mod cooldown;
mod min;
mod overlap;
mod pause;
mod quiet;
mod trouble;
mod window;

use crate::rules::Trigger;
use crate::run::Cancel;
use crate::state::{Batch, BatchId, Held, Standing, State};
use crate::time::Timestamp;

/// A batch to be judged, with everything its fate depends on.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The time of the commit.
    pub now: Timestamp,
    /// The rule of its trigger.
    pub rule: &'a Trigger,
    /// How its trigger stands.
    pub standing: &'a Standing,
    /// The batch.
    pub batch: &'a Batch,
    /// Runs of the trigger that are not over.
    pub active: usize,
    /// Of these, runs of batches with the same key.
    pub alike: usize,
    /// Whether one of them is being ended for this batch, which is to take its members over.
    pub replaces: bool,
}

impl<'a> Case<'a> {
    /// The case of an open batch of this trigger; `None` where it is not open.
    #[must_use]
    pub fn of(
        state: &'a State,
        now: Timestamp,
        (name, rule): (&'a str, &'a Trigger),
        id: BatchId,
    ) -> Option<Self> {
        let standing = state.triggers.get(name)?;
        let batch = standing.open.get(&id)?;
        let mut case = Self { now, rule, standing, batch, active: 0, alike: 0, replaces: false };
        for run in state.active_runs(name) {
            case.active += 1;
            case.alike += usize::from(run.key == batch.key);
            case.replaces |= run.cancel == Some(Cancel::ReplacedBy(id));
        }
        Some(case)
    }

    /// The same once no run is active.
    #[must_use]
    pub fn alone(self) -> Self {
        Self { active: 0, alike: 0, replaces: false, ..self }
    }

    /// Whether the batch takes no more members: waiting for others would be in vain.
    fn is_complete(&self) -> bool {
        self.batch.sealed.is_some() || self.batch.count >= self.rule.batch.max_count
    }
}

/// Says why a batch is held, if this policy holds it.
pub type Policy = fn(&Case<'_>) -> Option<Held>;

/// Every policy, in order of judgement.
pub const ALL: &[Policy] = &[
    ask::judge,
    pause::judge,
    min::judge,
    quiet::judge,
    trouble::judge,
    cooldown::judge,
    window::judge,
    budget::judge,
    overlap::judge,
];

/// The first reason to hold the batch; none if it may start a run.
#[must_use]
pub fn judge(case: &Case<'_>) -> Option<Held> {
    ALL.iter().find_map(|policy| policy(case))
}

/// Whether the budget has room for one more attempt, and if not, from when.
#[must_use]
pub fn budget_is_full(now: Timestamp, rule: &Trigger, standing: &Standing) -> Option<Timestamp> {
    budget::full_until(now, rule, standing)
}
