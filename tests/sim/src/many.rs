//! Many schedules, on every core.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use refit_core::mutant::{self, Mutant};

use crate::check::Verdict;
use crate::schedule::{Plan, run};

/// What came of many schedules.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Schedules.
    pub schedules: u64,
    /// Steps of the executor.
    pub steps: u64,
    /// Faults injected into calls to the store.
    pub faults: u64,
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
        self.faults += verdict.counts.faults;
        self.acknowledged += verdict.acknowledged;
        self.commits += verdict.commits;
        self.runs += verdict.runs;
        self.hash ^= verdict.hash.wrapping_mul(verdict.seed.wrapping_mul(2) + 1);
        if !verdict.violations.is_empty() {
            self.failures.push(verdict);
        }
    }
}

/// Runs the schedules of these seeds; `progress` is told how many are done. Ends early where `enough` says so.
pub fn run_many(
    seeds: std::ops::Range<u64>,
    threads: usize,
    mutant: Option<Mutant>,
    progress: &(dyn Fn(u64) + Sync),
    enough: &(dyn Fn(&Summary) -> bool + Sync),
) -> Summary {
    let next = AtomicU64::new(seeds.start);
    let summary = Mutex::new(Summary::default());
    let work = || {
        #[cfg(feature = "mutants")]
        mutant::activate(mutant);
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let verdict = run_caught(seed);
            let mut all = summary.lock().unwrap_or_else(PoisonError::into_inner);
            all.add(verdict);
            progress(all.schedules);
            if enough(&all) {
                next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    summary.into_inner().unwrap_or_else(PoisonError::into_inner)
}

/// A schedule in which the product panics is one with something wrong.
fn run_caught(seed: u64) -> Verdict {
    let outcome = catch_unwind(AssertUnwindSafe(|| run(&Plan { seed, verbose: false })));
    outcome.unwrap_or_else(|_| Verdict {
        seed,
        violations: vec!["a panic".to_owned()],
        ..Verdict::default()
    })
}

/// How a mutant ended.
#[derive(Clone, Debug)]
pub struct Killed {
    /// The mutant.
    pub mutant: Mutant,
    /// The first thing that was seen to be wrong; none if it lives.
    pub by: Option<String>,
    /// Schedules until then.
    pub schedules: u64,
}

/// Runs schedules with a mutant until one shows that something is wrong.
#[must_use]
pub fn kill(mutant: Mutant, schedules: u64, threads: usize) -> Killed {
    let summary = run_many(0..schedules, threads, Some(mutant), &|_| (), &|summary| {
        !summary.failures.is_empty()
    });
    let first = summary.failures.iter().min_by_key(|verdict| verdict.seed);
    Killed {
        mutant,
        by: first.and_then(|verdict| verdict.violations.first().cloned()),
        schedules: first.map_or(summary.schedules, |verdict| verdict.seed + 1),
    }
}
