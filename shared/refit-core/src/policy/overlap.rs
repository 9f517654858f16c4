//! `overlap`: what to do while a run of the trigger is active. `forbid` holds the batch, and members go on
//! joining it; `queue` keeps closed batches waiting in line; `replace` waits until the active run, which is
//! cancelled, is seen to have ended.

use crate::policy::Case;
use crate::reason::Hold;
use crate::rules::Overlap;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    if case.active == 0 {
        return None;
    }
    let reason = match case.rule.overlap {
        Overlap::Allow => return None,
        Overlap::Forbid | Overlap::Queue(_) => Hold::ActiveRun,
        Overlap::Replace => Hold::Replacing,
    };
    Some(Held { reason, until: None })
}
