//! Runs the checks of the protocol for as long as one likes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use refit_core::mutant::Mutant;
use refit_sim::many::{Summary, kill, run_many};
use refit_sim::schedule::{Plan, run};

/// Runs the engine in simulated worlds, every fault from a seed, and checks every guarantee.
#[derive(Debug, Parser)]
struct Args {
    /// How many schedules to run
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,
    /// The seed of the first; the others follow
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many threads to run them on
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs one schedule and prints what happens in it, line by line
    Show {
        /// Its seed
        seed: u64,
    },
    /// Runs every mutant of the protocol until a check notices it; fails if one lives
    Mutants {
        /// Schedules for each at the most
        #[arg(long, default_value_t = 100_000)]
        schedules: u64,
        /// Only mutants whose name holds this
        #[arg(long, default_value = "")]
        only: String,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let clean = match &args.command {
        None => schedules(&args),
        Some(Command::Show { seed }) => show(*seed),
        Some(Command::Mutants { schedules, only }) => mutants(*schedules, only, args.threads),
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "the rate is measured by the machine's clock")]
fn schedules(args: &Args) -> bool {
    let started = std::time::Instant::now();
    let progress = |done: u64| {
        if done.is_multiple_of(10_000) {
            eprintln!("{done} of {} schedules", args.schedules);
        }
    };
    let seeds = args.seed..args.seed.saturating_add(args.schedules);
    let summary = run_many(seeds, args.threads, None, &progress, &|_| false);
    print(&summary, started.elapsed());
    summary.failures.is_empty()
}

fn print(summary: &Summary, took: Duration) {
    let Summary { schedules, steps, faults, acknowledged, commits, runs, hash, failures } = summary;
    let of = |what: &str| {
        let with = |violations: &Vec<String>| violations.iter().any(|text| text.contains(what));
        failures.iter().filter(|verdict| with(&verdict.violations)).count()
    };
    println!("schedules        {schedules}");
    println!("steps            {steps}");
    println!("faults injected  {faults}");
    println!("events accepted  {acknowledged}");
    println!("commits          {commits}");
    println!("runs started     {runs}");
    println!(
        "duplicates       {}",
        of("two runs") + of("runs of batch") + of("one batch per event")
    );
    println!("losses           {}", of("lost") + of("has a fate"));
    println!("other failures   {}", failures.len());
    println!("schedules/s      {:.0}", *schedules as f64 / took.as_secs_f64());
    println!("trace hash       {hash:016x}");
    for verdict in failures.iter().take(20) {
        println!("seed {}: {}", verdict.seed, verdict.violations.join("; "));
    }
}

fn show(seed: u64) -> bool {
    let verdict = run(&Plan { seed, verbose: true });
    for line in &verdict.lines {
        println!("{line}");
    }
    for violation in &verdict.violations {
        println!("wrong: {violation}");
    }
    verdict.violations.is_empty()
}

fn mutants(schedules: u64, only: &str, threads: usize) -> bool {
    let chosen = Mutant::ALL.iter().filter(|mutant| format!("{mutant:?}").contains(only));
    let mut alive = 0;
    for mutant in chosen {
        let killed = kill(*mutant, schedules, threads);
        let by = killed.by.as_deref().unwrap_or("it lives");
        alive += usize::from(killed.by.is_none());
        println!("{:<26} {:>7} schedules  {}", format!("{mutant:?}"), killed.schedules, by);
    }
    alive == 0
}
