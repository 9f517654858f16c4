//! `cooldown`: the least time between two launches of a trigger. Retries do not wait for it.

use crate::mutant::{self, Mutant};
use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    if mutant::is(Mutant::CooldownIgnored) {
        return None;
    }
    let until = case.standing.last_launch? + case.rule.cooldown;
    (case.now < until).then_some(Held { reason: Hold::Cooldown, until: Some(until) })
}
