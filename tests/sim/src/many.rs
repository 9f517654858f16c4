//! Many schedules, on every core.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use refit_core::mutant::{self, Mutant};

use crate::check::Verdict;
use crate::faults::Injected;
use crate::killers::{Killers, check_of};
use crate::outside::lock;
use crate::schedule::{Plan, SMALL, run};
use crate::world::Counts;

/// What came of many schedules.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Schedules.
    pub schedules: u64,
    /// Steps of the executor.
    pub steps: u64,
    /// What went wrong in the worlds, on purpose.
    pub injected: Injected,
    /// How much of that while nothing was to go wrong any more.
    pub faults_at_rest: u64,
    /// Calls to the stores.
    pub counts: Counts,
    /// Events acknowledged.
    pub acknowledged: u64,
    /// Commits.
    pub commits: u64,
    /// Runs that really began.
    pub runs: u64,
    /// The hashes of all schedules together, in whatever order they ran.
    pub hash: u64,
    /// The schedules with something wrong.
    pub failures: Vec<Verdict>,
}

impl Summary {
    fn add(&mut self, verdict: Verdict) {
        self.schedules += 1;
        self.steps += verdict.steps;
        self.injected.add(&verdict.injected);
        self.faults_at_rest += verdict.faults_at_rest;
        self.counts.add(&verdict.counts);
        self.acknowledged += verdict.acknowledged;
        self.commits += verdict.commits;
        self.runs += verdict.runs;
        self.hash ^= verdict.hash.wrapping_mul(verdict.seed.wrapping_mul(2) + 1);
        if !verdict.violations.is_empty() {
            self.failures.push(verdict);
        }
    }

    /// Schedules in which more happened than should: two runs for one, or two batches.
    #[must_use]
    pub fn duplicates(&self) -> usize {
        self.with(&["two runs", "runs of batch", "one batch per event", "one run per attempt"])
    }

    /// Schedules in which less happened than should: something accepted was lost, or waits for ever.
    #[must_use]
    pub fn losses(&self) -> usize {
        self.with(&["lost", "has a fate", "liveness", "holds the members"])
    }

    /// Schedules with a violation of one of these checks.
    fn with(&self, checks: &[&str]) -> usize {
        let is_of = |text: &String| checks.iter().any(|check| text.contains(check));
        self.failures.iter().filter(|verdict| verdict.violations.iter().any(is_of)).count()
    }
}

/// Of so many schedules one is of a large world, in which what is rare is seen.
const LARGE_EVERY: u64 = 10;

/// Seeds of so many schedules, large worlds and small ones, from this one on.
pub fn seeds(first: u64, schedules: u64) -> impl Iterator<Item = u64> + Send {
    let large = schedules.div_ceil(LARGE_EVERY);
    let from = |first: u64, count| first..first.saturating_add(count);
    from(first, large).chain(from(SMALL.saturating_add(first), schedules - large))
}

/// Runs the schedules of these seeds; `progress` is told how many are done. Ends early where `enough` says so.
pub fn run_many(
    seeds: impl Iterator<Item = u64> + Send,
    threads: usize,
    mutant: Option<Mutant>,
    progress: &(dyn Fn(u64) + Sync),
    enough: &(dyn Fn(&Summary) -> bool + Sync),
) -> Summary {
    let seeds = Mutex::new(seeds);
    let is_over = AtomicBool::new(false);
    let next = || lock(&seeds).next().filter(|_| !is_over.load(Ordering::Relaxed));
    let summary = Mutex::new(Summary::default());
    let work = || {
        mutant::activate(mutant);
        while let Some(seed) = next() {
            let verdict = run_caught(&Plan { seed, verbose: false });
            let mut all = lock(&summary);
            all.add(verdict);
            progress(all.schedules);
            if enough(&all) {
                is_over.store(true, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    summary.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A schedule in which the product panics is one with something wrong.
fn run_caught(plan: &Plan) -> Verdict {
    catch_unwind(AssertUnwindSafe(|| run(plan))).unwrap_or_else(|_| Verdict {
        seed: plan.seed,
        violations: vec!["a panic".to_owned()],
        ..Verdict::default()
    })
}

/// Seeds that once failed, each with what it found.
const CORPUS: &str = include_str!("../corpus.txt");

/// Seeds that once failed, each with what it found then.
///
/// # Panics
/// If the corpus has a line that is not `seed: what it found`.
pub fn corpus() -> impl Iterator<Item = (u64, &'static str)> {
    corpus_in(CORPUS)
}

/// The same of a text.
///
/// # Panics
/// If it has a line that is not `seed: what it found`.
pub fn corpus_in(text: &str) -> impl Iterator<Item = (u64, &str)> {
    let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (seed, found) = line.split_once(':').expect("a line is `seed: what it found`");
        (seed.trim().parse().expect("a seed is a number"), found.trim())
    })
}

/// Adds seeds that failed, each with what it found, to a corpus, unless they are in it.
///
/// # Errors
/// The file's.
pub fn keep(path: &Path, failures: &[Verdict]) -> io::Result<()> {
    let known = fs::read_to_string(path)?;
    let is_known = |seed: u64| known.lines().any(|line| line.starts_with(&format!("{seed}:")));
    let mut file = OpenOptions::new().append(true).open(path)?;
    for Verdict { seed, violations, .. } in failures.iter().filter(|it| !is_known(it.seed)) {
        let found =
            violations.first().map_or("", |violation| violation.lines().next().unwrap_or(""));
        writeln!(file, "{seed}: {found}")?;
    }
    Ok(())
}

/// Runs one schedule on this thread, with a mutant if one is named.
#[must_use]
pub fn run_one(plan: &Plan, mutant: Option<Mutant>) -> Verdict {
    mutant::activate(mutant);
    let verdict = run_caught(plan);
    mutant::activate(None);
    verdict
}

/// Schedules after which one that shows that something is wrong is enough.
const PATIENCE: u64 = 1000;

/// Runs schedules with a mutant until so many have shown that something is wrong, or one after a while.
#[must_use]
pub fn hunt(mutant: Mutant, seeds: Range<u64>, threads: usize, kills: usize) -> Killers {
    let first = seeds.start;
    let summary = run_many(seeds, threads, Some(mutant), &|_| (), &|summary| {
        let found = summary.failures.len();
        found >= kills || (found > 0 && summary.schedules >= PATIENCE)
    });
    let mut failures = summary.failures;
    failures.sort_unstable_by_key(|verdict| verdict.seed);
    let schedules = failures.first().map_or(summary.schedules, |verdict| verdict.seed - first + 1);
    let noticed = failures.first().and_then(|verdict| verdict.violations.first());
    let check = noticed.map(|violation| check_of(violation)).unwrap_or_default();
    Killers { schedules, seeds: failures.iter().map(|verdict| verdict.seed).collect(), check }
}
