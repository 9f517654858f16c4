//! `batch.min_count`, `batch.min_bytes`: hold until reached, but not beyond `max_wait`. A batch that takes no
//! more members is not held for having too few.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let rule = &case.rule.batch;
    let end = case.batch.opened_at + rule.longest_wait();
    if case.is_complete() || case.now >= end {
        return None;
    }
    let reason = if case.batch.count < rule.min_count {
        Hold::MinCount
    } else if case.batch.bytes < rule.min_bytes {
        Hold::MinBytes
    } else {
        return None;
    };
    Some(Held { reason, until: Some(end) })
}
