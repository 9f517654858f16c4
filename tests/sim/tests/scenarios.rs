//! Bugs that other products shipped, as scenarios with exact times. The number of each is that of the list in
//! `docs/guarantees.md`, and begins the documentation of its test; those that wait for a setting are in [`WAITING`]
//! with its name.

mod arrivals;
mod batches;
mod launches;
mod load;
mod people;
mod times;

use refit_core::rules::{ObjectMatch, On, Trigger};
use refit_sim::rules::after_a_minute as trigger;
use refit_sim::script::Script;

/// Scenarios of settings that are not built yet: their numbers, what they are, and what they wait for.
const WAITING: &[(u32, &str, &str)] = &[
    (6, "a1 to a10, then b1, joined", "on.all"),
    (7, "a today, b tomorrow, with a daily reset", "on.all, within"),
    (23, "an unrelated event after a join fired", "on.all"),
];
/// Scenarios that are tested elsewhere, wholly or in part: the file, from the root of the repository, and the test.
const ELSEWHERE: &[(u32, &str, &str)] =
    &[(30, "functions/refit/tests/cli/replay.rs", "a_replay_says_what_it_is_to_send_again")];
/// The files of this suite.
const SOURCES: &[&str] = &[
    include_str!("scenarios/arrivals.rs"),
    include_str!("scenarios/batches.rs"),
    include_str!("scenarios/launches.rs"),
    include_str!("scenarios/load.rs"),
    include_str!("scenarios/people.rs"),
    include_str!("scenarios/times.rs"),
];

/// A trigger on everything, due after a minute of quiet or an hour, for objects under a prefix.
fn under(prefix: &str) -> Trigger {
    let prefix = prefix.to_owned();
    let on = ObjectMatch { bucket: "b".to_owned(), prefix, ..ObjectMatch::default() };
    Trigger { on: vec![On::Objects(on)], ..trigger() }
}

/// What was launched, each with its second.
fn launched(script: &Script) -> Vec<(f64, Vec<String>)> {
    let launched = script.launched().into_iter();
    launched.map(|batch| (batch.at as f64 / 1000.0, batch.members)).collect()
}

/// What is expected to be launched.
fn batches(expected: &[(f64, &[&str])]) -> Vec<(f64, Vec<String>)> {
    let own = |names: &&[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    expected.iter().map(|(at, names)| (*at, own(names))).collect()
}

/// No guarantee is broken and nothing is left to do.
#[track_caller]
fn is_clean(script: &Script) {
    let wrong = script.wrong();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The numbers of the tests in a source: what their documentation begins with.
fn numbers(source: &str) -> Vec<u32> {
    let items = source.split("\n\n").filter(|item| item.contains("\n#[test]\nfn "));
    let number =
        |item: &str| item.trim_start().strip_prefix("/// ")?.split_once(": ")?.0.parse().ok();
    items.filter_map(number).collect()
}

#[test]
fn every_scenario_is_a_test_or_waits() {
    for (number, what, setting) in WAITING {
        tell!("scenario {number} ({what}) waits for: {setting}");
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for (number, file, test) in ELSEWHERE {
        let source = std::fs::read_to_string(root.join(file)).expect("the file is there");
        assert!(source.contains(&format!("fn {test}()")), "{number}: there is no {test} in {file}");
    }
    let mut all: Vec<u32> = SOURCES.iter().flat_map(|source| numbers(source)).collect();
    all.extend(WAITING.iter().map(|(number, ..)| *number));
    all.extend(ELSEWHERE.iter().map(|(number, ..)| *number));
    all.sort_unstable();
    all.dedup();
    let missing: Vec<u32> = (1..=35).filter(|number| !all.contains(number)).collect();
    assert!(missing.is_empty(), "neither a test nor waiting: {missing:?}");
    assert_eq!(all.len(), 35, "{all:?}");
}
