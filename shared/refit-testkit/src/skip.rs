//! Tests that cannot be made where they run.

use std::io::Write as _;

/// Says that a test is not made, and why.
///
/// # Panics
/// If `REFIT_SKIP` is `never`, as in a lane that has installed everything.
pub fn skipped(test: &str, why: &str) {
    #[expect(clippy::disallowed_methods, reason = "only tests ask")]
    let is_allowed = std::env::var_os("REFIT_SKIP").is_none_or(|skip| skip != "never");
    assert!(is_allowed, "no test may be skipped here: {test}: {why}");
    say(test, why);
}

/// What a test prints is shown only if it fails; this is shown in any case.
pub(crate) fn say(test: &str, why: &str) {
    // Whoever closed it does not want to know.
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {why}");
}
