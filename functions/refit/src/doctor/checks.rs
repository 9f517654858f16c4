//! The checks, each in a file of its own, in the order a first event would meet what they look at.

mod aws;
mod clock;
mod dead_letters;
mod endpoints;
mod functions;
mod ledger;
mod lifecycle;
mod listeners;
mod loops;
mod notifications;
mod publisher;
mod push;
mod services;
mod wakes;

use super::facts::Facts;
use super::report::{Notes, Report};

/// A check: its name, and how it judges.
type Check = (&'static str, fn(&Facts, &mut Notes<'_>));

const ALL: &[Check] = &[
    ("ledger", ledger::check),
    ("clock", clock::check),
    ("lifecycle", lifecycle::check),
    ("conditional writes", aws::writes::check),
    ("loops", loops::check),
    ("notifications", notifications::check),
    ("notifications", aws::notifications::check),
    ("publisher", publisher::check),
    ("listeners", listeners::check),
    ("listeners", aws::listeners::check),
    ("dead letters", dead_letters::check),
    ("dead letters", aws::dead_letters::check),
    ("push identity", push::check),
    ("wakes", wakes::check),
    ("wakes", aws::wakes::check),
    ("concurrency", aws::concurrency::check),
    ("rights", functions::check),
    ("rights", aws::rights::check),
    ("endpoints", endpoints::check),
    ("services", services::check),
];

/// Judges the facts by every check.
pub(crate) fn examine(facts: &Facts) -> Report {
    let mut report = Report::default();
    for (name, check) in ALL {
        check(facts, &mut report.notes(name));
    }
    report.findings.sort_by_key(|finding| finding.severity);
    report
}
