//! How far this machine's clock is from the store's: names in the inbox begin with a time.

use refit_core::time::Span;
use refit_core::timing::Timing;

use crate::doctor::facts::{Clocks, Facts};
use crate::doctor::report::Notes;

/// How far apart the clocks may be: stores tell the time to the second, and an answer takes some.
const APART: Span = Span::secs(10);
/// What sets the clock of most machines.
const CURE: &str = "sudo timedatectl set-ntp true";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let Some(Clocks { machine, store, is_one }) = facts.ledger.clocks else { return };
    if is_one {
        return notes.unchecked("this machine", "the store has no clock but the machine's");
    }
    let apart = machine.max(store).since(machine.min(store));
    let way = if machine > store { "ahead" } else { "behind" };
    let wrong = format!("the clock is {} {way} of the store's", crate::words::about(apart));
    if apart > Timing::default().name {
        let what = format!("{wrong}: what this machine writes into the inbox is not accepted");
        notes.error("this machine", what, CURE);
    } else if apart > APART {
        notes.warn("this machine", wrong, CURE);
    } else {
        notes.fine("this machine");
    }
}
