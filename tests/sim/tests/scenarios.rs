//! Bugs that other products shipped, as scenarios with exact times. The number of each is that of the list in
//! `docs/guarantees.md`; those that wait for a setting are in [`WAITING`] with its name.

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
/// Scenarios of the command line, tested with it.
const ELSEWHERE: &[(u32, &str)] = &[(30, "a replay without a filter is refused")];

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

#[test]
fn scenarios_that_wait_say_for_what() {
    for (number, what, setting) in WAITING {
        tell!("scenario {number} ({what}) waits for: {setting}");
    }
    let numbers = WAITING.iter().map(|(number, ..)| *number);
    let mut all: Vec<u32> = numbers.chain(ELSEWHERE.iter().map(|(number, _)| *number)).collect();
    all.extend(arrivals::NUMBERS);
    all.extend(batches::NUMBERS);
    all.extend(launches::NUMBERS);
    all.extend(load::NUMBERS);
    all.extend(people::NUMBERS);
    all.extend(times::NUMBERS);
    all.sort_unstable();
    assert_eq!(
        all,
        (1..=35).collect::<Vec<u32>>(),
        "each scenario is built, waits, or is elsewhere"
    );
}
