//! `batch.quiet`, `batch.max_wait`, `batch.until`: hold while data may still be arriving.
//!
//! The quiet time restarts on every accepted member; `max_wait` counts from the first and fires even if data
//! still arrives; a marker, or `max_count` members, close the batch at once.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    if case.is_complete() {
        return None;
    }
    let rule = &case.rule.batch;
    let end = case.batch.opened_at + rule.longest_wait();
    let due = rule.quiet.map_or(end, |quiet| end.min(case.batch.last_at + quiet));
    let reason = if rule.until.is_some() { Hold::Marker } else { Hold::Quiet };
    (case.now < due).then_some(Held { reason, until: Some(due) })
}
