//! `budget`: so many attempts in a sliding period, retries and abandoned ones counted. Over budget, batches are
//! held and go on coalescing; nothing is dropped.

use crate::policy::Case;
use crate::reason::Hold;
use crate::rules::Trigger;
use crate::state::{Held, Standing};
use crate::time::Timestamp;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let until = full_until(case.now, case.rule, case.standing)?;
    Some(Held { reason: Hold::Budget, until: Some(until) })
}

/// When the oldest launch that matters leaves the period, if there is no room for another one before.
pub(super) fn full_until(now: Timestamp, rule: &Trigger, standing: &Standing) -> Option<Timestamp> {
    let budget = rule.budget;
    let blocking = standing.launches.len().checked_sub(budget.runs as usize)?;
    let frees = *standing.launches.get(blocking)? + budget.per;
    (now < frees).then_some(frees)
}
