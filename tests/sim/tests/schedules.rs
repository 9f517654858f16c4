//! Many schedules, each with other faults: nothing is lost, nothing happens twice, everything comes to rest.

use std::collections::BTreeSet;
use std::fs;
use std::num::NonZero;
use std::path::Path;
use std::process::Command;

use refit_core::mutant::Mutant;
use refit_sim::faults::Fault;
use refit_sim::many::{Summary, corpus, corpus_in, run_many, run_one, seeds};
use refit_sim::schedule::Plan;

/// Schedules of a test run.
const SCHEDULES: u64 = 100_000;

fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, NonZero::get)
}

fn quietly(seeds: impl Iterator<Item = u64> + Send, threads: usize) -> Summary {
    run_many(seeds, threads, None, &|_| (), &|_| false)
}

/// What went wrong, if anything did, with the way to see it.
fn report(summary: &Summary) -> String {
    let lines = summary.failures.iter().take(10).map(|verdict| {
        let seed = verdict.seed;
        let wrong = verdict.violations.join("; ");
        format!("{wrong}\n    see: cargo run --release -p refit-sim -- show {seed}")
    });
    let first = summary.failures.iter().map(|verdict| verdict.seed).min();
    let story = first.map(|seed| run_one(&Plan { seed, verbose: true }, None).story());
    lines.chain(story).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_hundred_thousand_schedules_break_no_guarantee() {
    let summary = quietly(seeds(0, SCHEDULES), threads());
    tell!(
        "schedules {}, events accepted {}, commits {}, runs {}, faults {}, trace hash {:016x}",
        summary.schedules,
        summary.acknowledged,
        summary.commits,
        summary.runs,
        summary.injected.total(),
        summary.hash,
    );
    for fault in Fault::ALL {
        let count = summary.injected.of(*fault);
        tell!("  {count:>9}  {}", fault.text());
        assert!(count > 0, "never injected: {}", fault.text());
    }
    assert_eq!(summary.schedules, SCHEDULES);
    assert_eq!(summary.duplicates(), 0, "{}", report(&summary));
    assert_eq!(summary.losses(), 0, "{}", report(&summary));
    assert!(summary.failures.is_empty(), "{}", report(&summary));
    assert!(summary.acknowledged > SCHEDULES && summary.runs > SCHEDULES);
    // Every schedule ends with a phase in which nothing goes wrong, or its liveness would prove nothing.
    assert_eq!(summary.faults_at_rest, 0);
}

#[test]
fn a_seed_decides_everything() {
    for seed in seeds(0, 300) {
        let plan = Plan { seed, verbose: false };
        let (first, again) = (run_one(&plan, None), run_one(&plan, None));
        assert_eq!((first.hash, first.steps), (again.hash, again.steps), "seed {seed}");
        assert_eq!(first.counts, again.counts, "seed {seed}");
    }
    let hash = quietly(seeds(0, 300), 1).hash;
    for threads in [1, 2, 3, 8] {
        assert_eq!(quietly(seeds(0, 300), threads).hash, hash, "threads {threads}");
    }
    assert_ne!(quietly(seeds(1, 300), 2).hash, hash, "other seeds, another world");
}

#[test]
fn what_once_failed_does_not_fail_again() {
    for (seed, found) in corpus() {
        let verdict = run_one(&Plan { seed, verbose: true }, None);
        assert!(verdict.violations.is_empty(), "{found}:\n{}", verdict.story());
    }
}

#[test]
fn a_seed_that_fails_is_kept_once_in_the_corpus_that_every_run_replays() {
    let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join("corpus.txt");
    fs::write(&kept, "# seeds\n").expect("the folder is ours");
    for _ in 0..2 {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit-sim"));
        let options = ["--schedules", "30", "--mutant", "AcknowledgeBeforeDurable", "--keep"];
        let output = command.args(options).arg(&kept).output().expect("it runs");
        assert!(!output.status.success(), "schedules have failed");
    }
    let kept = fs::read_to_string(&kept).expect("it is there");
    let seeds: Vec<_> = corpus_in(&kept).collect();
    assert!(seeds.iter().any(|(_, found)| found.starts_with("lost")), "{kept}");
    let distinct: BTreeSet<u64> = seeds.iter().map(|(seed, _)| *seed).collect();
    assert_eq!(distinct.len(), seeds.len(), "{kept}");
}

#[test]
fn a_seed_that_fails_tells_its_story() {
    let mutant = Some(Mutant::AcknowledgeBeforeDurable);
    let failing =
        run_many(0..10_000, threads(), mutant, &|_| (), &|summary| !summary.failures.is_empty());
    let seed = failing.failures.first().expect("a schedule fails").seed;
    let verdict = run_one(&Plan { seed, verbose: true }, mutant);
    let story = verdict.story();
    assert!(story.starts_with(&format!("seed {seed}\n")), "{story}");
    for word in ["door0.1", "creates inbox/", "creates log/", "rest", "wrong: lost: "] {
        assert!(story.contains(word), "{word} is not in\n{story}");
    }
    // Times, in order, to the millisecond.
    let times: Vec<f64> = story
        .lines()
        .filter(|line| line.starts_with(' '))
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert!(times.len() > 10 && times.is_sorted(), "{story}");
    let quiet = run_one(&Plan { seed, verbose: false }, mutant);
    assert_eq!(quiet.hash, verdict.hash, "looking changes nothing");
}
