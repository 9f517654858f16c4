//! While the pipeline cannot be prepared (the service does not answer, the pipeline is not there), batches are held and go
//! on coalescing; it is tried again with growing pauses. A batch whose own parameters cannot be had is held alone.

use crate::policy::Case;
use crate::reason::Hold;
use crate::state::Held;

pub(super) fn judge(case: &Case<'_>) -> Option<Held> {
    let troubles = case.standing.trouble.iter().chain(&case.batch.trouble);
    let until = troubles.map(|trouble| trouble.until).max()?;
    (case.now < until).then_some(Held { reason: Hold::Unprepared, until: Some(until) })
}
