//! Whether the ledger can be read, a reconciler has been there, and rules are in force.

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let location = &facts.ledger.location;
    match &facts.ledger.founded {
        Some(Ok(true)) => notes.fine(location),
        Some(Ok(false)) => notes.warn(
            location,
            "no reconciler has made a pass yet: nothing is decided on",
            format!("refit serve --ledger {location}"),
        ),
        Some(Err(why)) => notes.error(
            location,
            format!("the ledger cannot be read: {why}"),
            format!("refit status --ledger {location}"),
        ),
        None => {}
    }
    match &facts.config {
        Some(Err(why)) => notes.error(
            location,
            format!("the rules cannot be read: {why}"),
            format!("refit apply refit.yaml --ledger {location}"),
        ),
        None => notes.warn(
            location,
            "no rules are in force: events are recorded, and nothing is started",
            format!("refit apply refit.yaml --ledger {location}"),
        ),
        Some(Ok(_)) => {}
    }
}
