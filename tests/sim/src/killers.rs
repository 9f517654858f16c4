//! Which schedules kill which mutant: a table that the tests replay, written anew by `refit-sim mutants --write`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use refit_core::mutant::Mutant;

/// Mutants the simulation does not kill, and what does: their interleaving is too rare to be drawn, or their
/// events are none the simulation draws.
pub const ELSEWHERE: &[(Mutant, &str)] = &[
    (Mutant::OldAnswerBelieved, "cargo run --release -p refit-model"),
    (Mutant::LookUpsTooClose, "cargo run --release -p refit-model"),
    (Mutant::RowGoesOn, "cargo test -p refit-core --test decisions"),
    (Mutant::RestorationIgnored, "cargo test -p refit-core --test decisions"),
    (Mutant::ReplayReachesOthers, "cargo test -p refit-sim --test proof scenarios"),
    (Mutant::SweptBeforeTrigger, "cargo test -p refit-sim --test proof scenarios"),
    (Mutant::ReplayedTwice, "cargo test -p refit-sim --test proof scenarios"),
    (Mutant::ScheduleFiresTwice, "cargo test -p refit-core --test decisions"),
    (Mutant::ScheduleFiresForThePast, "cargo test -p refit-core --test decisions"),
    (Mutant::NoticeForgotten, "cargo test -p refit-core --test decisions"),
    (Mutant::NoticeForgottenUndelivered, "cargo test -p refit-core --test decisions"),
    (Mutant::NoticeTwiceUnderTwoIds, "cargo test -p refit-core --test decisions"),
    (Mutant::ApprovalCountsTwice, "cargo test -p refit-core --test decisions"),
    (Mutant::OneForTheOther, "cargo test -p refit-core --test decisions"),
    (Mutant::PromotedUntested, "cargo test -p refit-core --test decisions"),
    (Mutant::TwoEnterAtOnce, "cargo test -p refit-core --test decisions"),
    (Mutant::RegisteredWithoutLookUp, "cargo test -p refit-testkit --test services"),
];

/// The mutants the simulation is to kill.
pub fn simulated() -> impl Iterator<Item = Mutant> {
    let elsewhere = |mutant: &Mutant| ELSEWHERE.iter().any(|(other, _)| other == mutant);
    Mutant::ALL.iter().copied().filter(move |mutant| !elsewhere(mutant))
}

/// Seeds that are kept of each mutant.
pub const SEEDS_KEPT: usize = 4;
/// The first lines of the table.
const HEAD: &str = "\
# Schedules that kill each mutant of the protocol, and the check that noticed it in the first of them.
# Written by: cargo run --release -p refit-sim -- mutants --write tests/sim/killers.txt
";

/// What kills one mutant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Killers {
    /// Schedules that were run until the first of them, by the search that wrote this.
    pub schedules: u64,
    /// Their seeds.
    pub seeds: Vec<u64>,
    /// The check that noticed it in the first of them.
    pub check: String,
}

/// What kills each mutant, by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table(pub BTreeMap<String, Killers>);

impl Table {
    /// What kills this mutant, as far as is known.
    #[must_use]
    pub fn of(&self, mutant: Mutant) -> Killers {
        self.0.get(&format!("{mutant:?}")).cloned().unwrap_or_default()
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HEAD)?;
        for (mutant, Killers { schedules, seeds, check }) in &self.0 {
            let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
            writeln!(f, "{mutant:<24} after {schedules:>6} by {:<42} {check}", seeds.join(" "))?;
        }
        Ok(())
    }
}

impl FromStr for Table {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        lines.map(read_line).collect::<Result<_, _>>().map(Self)
    }
}

fn read_line(line: &str) -> Result<(String, Killers), String> {
    let read = || {
        let mut words = line.split_whitespace().peekable();
        let mutant = words.next()?.to_owned();
        let schedules = words.nth(1)?.parse().ok()?;
        words.next().filter(|word| *word == "by")?;
        let mut seeds = Vec::new();
        while let Some(seed) = words.peek().and_then(|word| word.parse().ok()) {
            seeds.push(seed);
            words.next();
        }
        let check = words.collect::<Vec<_>>().join(" ");
        Some((mutant, Killers { schedules, seeds, check }))
    };
    read().ok_or_else(|| format!("not a line of the table: `{line}`"))
}

/// The name of the check that found a violation: what comes before its details.
#[must_use]
pub fn check_of(violation: &str) -> String {
    let head = violation.split(": ").find(|part| !part.starts_with("tick")).unwrap_or(violation);
    let is_name = |word: &&str| !word.chars().any(|c| c.is_ascii_digit());
    head.split_whitespace().filter(is_name).collect::<Vec<_>>().join(" ")
}
