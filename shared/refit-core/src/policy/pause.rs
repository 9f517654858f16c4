//! `pause`: nothing starts while a trigger is paused; what arrives is kept or ignored.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    case.standing.paused.map(|_| Held { reason: Hold::Paused, until: None })
}
