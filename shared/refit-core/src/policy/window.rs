//! `window`: the hours and days, in a zone, within which a batch may start its run. Retries do not wait for it.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let until = case.rule.window.as_ref()?.opens(case.now)?;
    Some(Held { reason: Hold::Window, until: Some(until) })
}
