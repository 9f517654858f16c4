//! A batch that rules or a resumed trigger would start at once waits for a person: applying rules never starts
//! a run unless asked to. So does a batch whose trigger is gone from the rules.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let reason = match (case.standing.removed, case.batch.ask) {
        (true, _) => Hold::TriggerRemoved,
        (false, true) => Hold::Ask,
        (false, false) => return None,
    };
    Some(Held { reason, until: None })
}
