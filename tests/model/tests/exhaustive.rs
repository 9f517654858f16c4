//! Every state of the small products, and the mutants they kill at once.

use std::io::Write as _;
use std::time::Duration;

use refit_core::mutant::Mutant;
use refit_core::rules::Idempotency;
use refit_model::explore::{Limits, Report, explore};
use refit_model::mutants::{QUICK, kill, scope_of};
use refit_model::property::Guarantee;
use refit_model::scope::Scope;

const ALL: Limits = Limits { threads: 2, depth: None, time: None };
const MINUTE: Limits = Limits { time: Some(Duration::from_secs(60)), ..ALL };

/// Tells what was explored on stderr, which the test harness does not swallow.
fn tell(what: &dyn std::fmt::Display) {
    writeln!(std::io::stderr(), "{what}").expect("stderr takes what is told");
}

/// Explores all of a scope.
fn exhaust(scope: Scope) -> Report {
    let report = explore(scope, ALL);
    tell(&report);
    assert!(report.wrong.is_none(), "{report}");
    assert!(report.is_complete, "{report}");
    report
}

#[test]
fn one_event_of_each_class_with_crashes_and_time() {
    for (class, ticks) in [(Idempotency::A, 2), (Idempotency::B, 2), (Idempotency::C, 2)] {
        let report = exhaust(Scope { ticks, ..Scope::new(1, 1, class) });
        assert!(report.unique > 10_000, "it explores little: {report}");
    }
}

#[test]
fn one_event_delivered_twice() {
    exhaust(Scope { ticks: 1, ..Scope::new(1, 2, Idempotency::A) });
}

#[test]
fn clocks_that_name_segments_wrongly() {
    let scope = Scope { ticks: 1, skew: true, errors: false, ..Scope::new(1, 1, Idempotency::A) };
    exhaust(Scope { crashes: false, ..scope });
}

/// A second run that appears `settle` or more after its lease is expected, and the only fault. One that begins while its
/// key is looked up is ended; that it may also go on is noticed with [`Mutant::LateTwinLeft`].
#[test]
fn a_call_without_a_bound_starts_a_twin_that_is_cancelled() {
    let scope = Scope { late: true, errors: false, ..Scope::new(1, 1, Idempotency::B) };
    let scope = Scope { ticks: 2, crashes: false, ..scope };
    exhaust(scope);
    let left = explore(Scope { mutant: Some(Mutant::LateTwinLeft), ..scope }, ALL);
    tell(&left);
    let noticed = left.wrong.map(|(wrong, _)| wrong.to_string()).unwrap_or_default();
    assert!(noticed.starts_with("recovery from every state: a run is left under way"), "{noticed}");
}

/// The protocol as it is, within the same scope and beyond the same depth, breaks nothing.
#[test]
fn mutants_are_killed_and_what_kills_them_spares_the_protocol() {
    let is_modelled = |mutant: &&Mutant| scope_of(**mutant).is_some();
    assert!(Mutant::ALL.iter().filter(is_modelled).all(|mutant| QUICK.contains(mutant)));
    for mutant in QUICK {
        let report = kill(*mutant, MINUTE).expect("it is modelled");
        tell(&format_args!("{mutant:?}: {report}"));
        let (_, steps) =
            report.wrong.as_ref().unwrap_or_else(|| panic!("{mutant:?} lives: {report}"));
        let limits = Limits { depth: Some(steps.len() + 2), ..ALL };
        let sound = explore(Scope { mutant: None, ..report.scope }, limits);
        tell(&format_args!("without it: {sound}"));
        assert!(sound.wrong.is_none(), "{mutant:?} is not what breaks it: {sound}");
    }
}

#[test]
fn every_guarantee_has_a_name_of_its_own() {
    let names: std::collections::BTreeSet<&str> =
        Guarantee::ALL.iter().map(|(_, name)| *name).collect();
    assert_eq!(names.len(), Guarantee::ALL.len());
}

/// What is not all is not told as all, and the rules that are explored are those asked for.
#[test]
fn the_command_says_whether_it_explored_everything() {
    let run = |arguments: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_refit-model"));
        let output = command.args(arguments.split(' ')).output().expect("it runs");
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), told.contains("complete"), told.contains("cut short"))
    };
    let small = "--ticks 0 --no-crashes --no-errors";
    assert_eq!(run(small), (Some(0), true, false));
    assert_eq!(run(&format!("{small} --depth 3")), (Some(2), false, true));
    let mutant = "mutants --only ManifestNamedByBatch";
    assert_eq!(run(mutant).0, Some(0));
    assert_eq!(run(&format!("--depth 1 {mutant}")).0, Some(1), "nobody looks far enough");
    let queue = "--overlap queue --attempts 2 --budget 1 --cooldown 1 --cuts";
    assert_eq!(run(&format!("{small} {queue} --depth 5")), (Some(2), false, true));
}
