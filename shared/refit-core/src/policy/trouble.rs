//! While the pipeline cannot be prepared (the service does not answer, the pipeline is not there, the
//! parameters do not fit it), batches are held and go on coalescing; it is tried again with growing pauses.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let trouble = case.standing.trouble.as_ref()?;
    let held = Held { reason: Hold::Unprepared, until: Some(trouble.until) };
    (case.now < trouble.until).then_some(held)
}
