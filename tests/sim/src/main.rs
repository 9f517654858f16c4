//! Runs schedules and prints what came of them.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use refit_sim::schedule::{Plan, run};

fn main() {
    let mut args = std::env::args().skip(1);
    let count: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(100);
    let seed: u64 = args.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    let verbose = args.next().is_some();
    let mut steps = 0;
    let mut runs = 0;
    for seed in seed..seed + count {
        let verdict = run(&Plan { seed, verbose });
        steps += verdict.steps;
        runs += verdict.runs;
        for line in &verdict.lines {
            println!("{line}");
        }
        if !verdict.violations.is_empty() {
            println!("seed {seed}: {:?}", verdict.violations);
        }
    }
    println!("{count} schedules, {steps} steps, {runs} runs");
}
