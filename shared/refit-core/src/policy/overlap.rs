//! `overlap`: what to do while a run of the trigger is active. `forbid` holds the batch, and members go on
//! joining it; `queue` keeps closed batches waiting in line; `replace` waits until the active run of the same key, which
//! is cancelled, is seen to have ended, and takes its members over: whatever the rules say by then.

use crate::policy::Case;
use crate::reason::Hold;
use crate::rules::Overlap;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let reason = match case.rule.overlap {
        _ if case.replaces => Hold::Replacing,
        _ if case.active == 0 => return None,
        Overlap::Allow => return None,
        Overlap::Replace if case.alike > 0 => Hold::Replacing,
        Overlap::Forbid | Overlap::Queue(_) | Overlap::Replace => Hold::ActiveRun,
    };
    Some(Held { reason, until: None })
}
