//! Which schedules kill which mutant: a table that the tests replay, written anew by `refit-sim mutants --write`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::str::FromStr;

use refit_core::mutant::Mutant;
use refit_model::explore::Limits;
use refit_model::mutants::kill;

use crate::told::{REPLAYED, SWEPT, Told};

/// Tests that kill mutants the simulation does not.
#[derive(Clone, Copy, Debug)]
pub struct Suite {
    /// What of them is run from here.
    pub here: Here,
    /// How they are run; the name of a test follows.
    pub command: &'static str,
    /// The file they are in, from the root of the repository.
    pub file: &'static str,
    /// The file that names the mutants, where the tests take them from a list.
    pub list: &'static str,
}

/// How a mutant that the schedules do not kill is run.
#[derive(Clone, Copy, Debug)]
pub enum Here {
    /// By the model, within the scope it has for the mutant.
    Model,
    /// In a world that is told.
    Told(&'static Told),
    /// By the test that is named, which fails unless the mutant is noticed.
    Test,
}

/// What a mutant is run with.
#[derive(Clone, Copy, Debug)]
pub struct Means<'a> {
    /// How far the model looks.
    pub limits: Limits,
    /// The program that runs tests.
    pub cargo: &'a Path,
}

impl Suite {
    /// Runs what kills this mutant: what has noticed it; none where it lives.
    #[must_use]
    pub fn hunt(&self, mutant: Mutant, test: &str, means: Means<'_>) -> Option<String> {
        match self.here {
            Here::Told(told) => told.wrong_with(mutant).into_iter().next(),
            Here::Model => kill(mutant, means.limits)
                .and_then(|report| report.wrong)
                .map(|(wrong, steps)| format!("{wrong} ({} steps)", steps.len())),
            Here::Test => self.holds(test, means.cargo).then(|| test.to_owned()),
        }
    }

    /// Whether this test is there and holds.
    fn holds(&self, test: &str, cargo: &Path) -> bool {
        let mut command = Command::new(cargo);
        command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
        command.args(self.command.split(' ').skip(1)).arg(test).stderr(Stdio::inherit());
        let output = command.output().expect("cargo can be started");
        output.status.success() && passed(&String::from_utf8_lossy(&output.stdout)) > 0
    }
}

/// How many tests have passed, by what their harness tells.
fn passed(told: &str) -> u64 {
    let counts = told.lines().filter_map(|line| {
        let (count, _) = line.strip_prefix("test result: ok. ")?.split_once(" passed")?;
        count.parse::<u64>().ok()
    });
    counts.sum()
}

const MODEL: Suite = Suite {
    here: Here::Model,
    command: "cargo test -p refit-model --test exhaustive",
    file: "tests/model/tests/exhaustive.rs",
    list: "tests/model/src/mutants.rs",
};
const DECISIONS: Suite = Suite {
    here: Here::Test,
    command: "cargo test -p refit-core --features mutants --test decisions",
    file: "shared/refit-core/tests/decisions/mutants.rs",
    list: "shared/refit-core/tests/decisions/mutants.rs",
};
const REPLAYS: Suite = Suite {
    here: Here::Told(&REPLAYED),
    command: "cargo test -p refit-sim --test proof",
    file: "tests/sim/tests/scenarios/people.rs",
    list: "tests/sim/tests/scenarios/people.rs",
};
const SWEEPS: Suite = Suite { here: Here::Told(&SWEPT), ..REPLAYS };
const SERVICES: Suite = Suite {
    here: Here::Test,
    command: "cargo test -p refit-testkit --test services",
    file: "shared/refit-testkit/tests/services/models.rs",
    list: "shared/refit-testkit/tests/services/models.rs",
};

const RESTORED: Suite = Suite {
    here: Here::Test,
    command: "cargo test -p refit-testkit --test services",
    file: "shared/refit-testkit/tests/services/restored.rs",
    list: "shared/refit-testkit/tests/services/restored.rs",
};
const NOTICES: Suite = Suite {
    here: Here::Test,
    command: "cargo test -p refit-testkit --test services",
    file: "shared/refit-testkit/tests/services/notices.rs",
    list: "shared/refit-testkit/tests/services/notices.rs",
};

/// Mutants the simulation does not kill, and the test that does: their interleaving is too rare to be drawn, or their
/// events are none the simulation draws.
pub const ELSEWHERE: &[(Mutant, Suite, &str)] = &[
    (
        Mutant::OldAnswerBelieved,
        MODEL,
        "mutants_are_killed_and_what_kills_them_spares_the_protocol",
    ),
    (Mutant::LookUpsTooClose, MODEL, "mutants_are_killed_and_what_kills_them_spares_the_protocol"),
    (Mutant::LateTwinLeft, MODEL, "a_call_without_a_bound_starts_a_twin_that_is_cancelled"),
    (
        Mutant::OldEndBelieved,
        DECISIONS,
        "an_end_that_is_believed_after_the_run_was_started_again_is_noticed",
    ),
    (Mutant::ReopenedBesideOthers, DECISIONS, "a_run_that_goes_on_beside_another_is_noticed"),
    (Mutant::RowGoesOn, DECISIONS, "a_row_that_goes_on_is_noticed"),
    (
        Mutant::RestorationIgnored,
        DECISIONS,
        "a_restored_ledger_that_takes_what_it_forgot_is_noticed",
    ),
    (Mutant::RestorationUnseen, RESTORED, "without_a_look_at_the_log_a_gap_is_written"),
    (Mutant::NamesComeAgain, DECISIONS, "a_restored_ledger_gives_no_key_and_no_claim_again"),
    (Mutant::ReplayReachesOthers, REPLAYS, "a_replay_that_goes_wrong_is_noticed"),
    (
        Mutant::SweptBeforeTrigger,
        SWEEPS,
        "a_sweep_starts_nothing_for_what_is_older_than_the_trigger",
    ),
    (Mutant::ReplayedTwice, REPLAYS, "a_replay_that_goes_wrong_is_noticed"),
    (Mutant::ScheduleFiresTwice, DECISIONS, "a_time_that_comes_again_is_noticed"),
    (Mutant::ScheduleFiresForThePast, DECISIONS, "a_schedule_that_begins_in_the_past_is_noticed"),
    (Mutant::NoticeForgotten, DECISIONS, "a_transition_nobody_is_told_of_is_noticed"),
    (Mutant::NoticeForgottenUndelivered, DECISIONS, "a_letter_that_was_not_delivered_is_kept"),
    (Mutant::NoticeTwiceUnderTwoIds, DECISIONS, "a_notice_under_two_ids_is_noticed"),
    (Mutant::NoticeIdsComeAgain, DECISIONS, "an_id_that_comes_again_is_noticed"),
    (Mutant::LetterSentUnsealed, NOTICES, "a_letter_that_is_sent_unsealed_loses_what_joins_it"),
    (Mutant::TestsCutShort, DECISIONS, "a_test_that_is_cut_short_is_noticed"),
    (
        Mutant::GateJudgedOnce,
        DECISIONS,
        "a_version_is_judged_beside_the_one_that_is_in_production_when_its_turn_comes",
    ),
    (Mutant::RollbackOfAnother, DECISIONS, "a_rollback_of_another_version_is_noticed"),
    (Mutant::ApprovalCountsTwice, DECISIONS, "a_person_who_is_counted_twice_is_noticed"),
    (Mutant::OneForTheOther, DECISIONS, "a_person_who_approves_what_they_asked_for_is_noticed"),
    (
        Mutant::AnybodyApproves,
        DECISIONS,
        "an_approval_of_somebody_the_rule_does_not_name_is_noticed",
    ),
    (Mutant::EarlierRequestApproved, DECISIONS, "a_word_on_an_earlier_request_changes_nothing"),
    (
        Mutant::BudgetForgottenWithTrigger,
        DECISIONS,
        "a_budget_that_is_forgotten_with_its_trigger_is_noticed",
    ),
    (Mutant::OneHoldsAll, DECISIONS, "one_batch_that_holds_all_is_noticed"),
    (
        Mutant::RemovedTriggersForget,
        DECISIONS,
        "rules_that_are_forgotten_with_a_trigger_are_noticed",
    ),
    (
        Mutant::AppliedRulesPromote,
        DECISIONS,
        "rules_that_promote_when_they_are_applied_are_noticed",
    ),
    (Mutant::BlindRelaunches, DECISIONS, "starts_that_go_on_unseen_are_noticed"),
    (Mutant::ClaimUnread, DECISIONS, "a_run_that_stood_down_and_a_twin_ended_too_soon_are_noticed"),
    (
        Mutant::TwinEndedUnclaimed,
        DECISIONS,
        "a_run_that_stood_down_and_a_twin_ended_too_soon_are_noticed",
    ),
    (Mutant::PromotedUntested, DECISIONS, "a_version_that_goes_on_untested_is_noticed"),
    (Mutant::TwoEnterAtOnce, DECISIONS, "two_versions_on_their_way_to_stages_at_once_are_noticed"),
    (Mutant::RegisteredWithoutLookUp, SERVICES, "without_a_look_up_a_version_is_registered_twice"),
];

/// The mutants the simulation is to kill.
pub fn simulated() -> impl Iterator<Item = Mutant> {
    let elsewhere = |mutant: &Mutant| ELSEWHERE.iter().any(|(other, ..)| other == mutant);
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
