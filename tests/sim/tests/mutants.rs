//! Every mutant of the protocol is killed: a check that no mutant can fail is not a check.

use refit_core::mutant::Mutant;
use refit_sim::killers::{ELSEWHERE, Killers, Table, check_of, simulated};
use refit_sim::many::{hunt, run_one};
use refit_sim::schedule::Plan;

/// Schedules known to kill, written by `refit-sim mutants --write`.
const TABLE: &str = include_str!("../killers.txt");
/// Schedules that are searched where none of the known ones kills any more.
const SEARCH: u64 = 20_000;

/// Deliberate breakages the protocol must not survive, by the rule they break.
const REQUIRED: &[(&str, Mutant)] = &[
    ("acknowledge before durable", Mutant::AcknowledgeBeforeDurable),
    ("acknowledge by own clock", Mutant::AcknowledgeByOwnClock),
    ("manifest named by batch id", Mutant::ManifestNamedByBatch),
    ("seen written after the commit", Mutant::IdentitiesNotInCommit),
    ("launch without intent", Mutant::CallWithoutIntent),
    ("relaunch without look-up", Mutant::RelaunchWithoutLookUp),
    ("lease by local clock", Mutant::LeaseByOwnClock),
    ("same key on a second class-B start", Mutant::SameKeyAgain),
    ("stale state committed after a log name was deleted", Mutant::LogDeleted),
    ("watermark set to the newest name seen", Mutant::WatermarkNewestName),
    ("membership by time window", Mutant::MembersByTimeWindow),
    ("seen forgotten early", Mutant::IdentitiesForgottenEarly),
    ("snapshot trusted blindly", Mutant::SnapshotTrustedBlindly),
    ("retry re-uses key", Mutant::RetryReusesKey),
    ("forbid drops members", Mutant::ForbidDropsMembers),
    ("budget counts launches twice", Mutant::BudgetCountsTwice),
    ("segment deleted while held", Mutant::SegmentsDeletedUnread),
    ("part deleted while held", Mutant::PartsDeletedWhileHeld),
    ("watermark past unread segments", Mutant::WatermarkPastUnread),
    ("successor started before the predecessor ended", Mutant::SuccessorStartsEarly),
    ("first deploy fires", Mutant::SweptBeforeTrigger),
    ("applying rules fires", Mutant::ApplyStartsRuns),
];

/// The first of the known schedules that still kills: which it is, and the check that noticed.
fn known_kill(mutant: Mutant, known: &Killers) -> Option<(u64, String)> {
    known.seeds.iter().find_map(|seed| {
        let verdict = run_one(&Plan { seed: *seed, verbose: false }, Some(mutant));
        let violation = verdict.violations.first()?;
        Some((*seed, check_of(violation)))
    })
}

#[test]
fn every_mutant_is_killed() {
    let table: Table = TABLE.parse().expect("the table can be read");
    let mut alive = Vec::new();
    for (mutant, suite, test) in ELSEWHERE {
        tell!("{:<24} killed by: {} {test}", format!("{mutant:?}"), suite.command);
    }
    for mutant in simulated() {
        let known = table.of(mutant);
        let killed = known_kill(mutant, &known).or_else(|| {
            tell!("no known schedule kills {mutant:?} any more: write the table anew");
            let found = hunt(mutant, 0..SEARCH, 2, 1);
            found.seeds.first().map(|seed| (*seed, found.check.clone()))
        });
        match killed {
            Some((seed, check)) => tell!(
                "{:<24} killed by `{check}` in seed {seed}; found after {} schedules",
                format!("{mutant:?}"),
                known.schedules,
            ),
            None => alive.push(mutant),
        }
    }
    assert!(alive.is_empty(), "these live: {alive:?}");
}

/// The tests that are said to kill the others are there, and name them.
#[test]
fn every_killer_elsewhere_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |file: &str| {
        std::fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"))
    };
    for (mutant, suite, test) in ELSEWHERE {
        let is_test = read(suite.file).contains(&format!("fn {test}()"));
        assert!(is_test, "{mutant:?}: there is no test {test} in {}", suite.file);
        let named = format!("Mutant::{mutant:?}");
        assert!(read(suite.list).contains(&named), "{named} is not in {}", suite.list);
    }
}

/// What kills a mutant is the mutant: without it the same schedules are clean.
#[test]
fn the_schedules_that_kill_are_clean_without_the_mutant() {
    let table: Table = TABLE.parse().expect("the table can be read");
    assert_eq!(table.to_string(), TABLE, "the table is as it was written");
    let mut seeds: Vec<u64> = table.0.values().flat_map(|killers| killers.seeds.clone()).collect();
    seeds.sort_unstable();
    seeds.dedup();
    for seed in seeds {
        let verdict = run_one(&Plan { seed, verbose: false }, None);
        assert!(verdict.violations.is_empty(), "seed {seed}: {:?}", verdict.violations);
    }
}

#[test]
fn every_required_breakage_is_a_mutant_that_is_killed() {
    let table: Table = TABLE.parse().expect("the table can be read");
    for (rule, mutant) in REQUIRED {
        let is_drawn = !table.of(*mutant).seeds.is_empty();
        let is_elsewhere = ELSEWHERE.iter().any(|(other, ..)| other == mutant);
        assert!(is_drawn || is_elsewhere, "`{rule}`: nothing is known to kill {mutant:?}");
    }
    assert_eq!(table.0.len(), simulated().count());
}

/// Hunts for the mutants with this in their names as a person would: the last line, and whether it succeeded.
fn command(arguments: &str) -> (String, bool) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_refit-sim"));
    let output = command.arg("mutants").args(arguments.split(' ')).output().expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (told.lines().last().unwrap_or_default().to_owned(), output.status.success())
}

/// The command runs all of them, says how many were noticed, and fails if one lives.
#[test]
fn the_command_fails_if_a_mutant_lives_whatever_it_is_run_by() {
    let last =
        |killed: u32, alive: u32| (format!("{killed} were killed, {alive} live"), alive == 0);
    assert_eq!(command("--only Replay"), last(2, 0));
    assert_eq!(command("--only SweptBeforeTrigger"), last(1, 0));
    assert_eq!(command("--only OldAnswerBelieved"), last(1, 0));
    assert_eq!(command("--only ManifestNamedByBatch"), last(1, 0));
    assert_eq!(command("--only ManifestNamedByBatch --schedules 0"), last(0, 1));
    // A stand-in tells what cargo tells of a test that holds, of one that fails, and of one that is not there.
    let cargo = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stand-in");
    for (told, killed) in [("holds", 1), ("fails", 0), ("is-missing", 0)] {
        let hunted = command(&format!("--only RowGoesOn --cargo {cargo}/{told}"));
        assert_eq!(hunted, last(killed, 1 - killed), "{told}");
    }
}
