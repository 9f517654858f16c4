//! Explores the protocol of the ledger by command.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use refit_core::mutant::Mutant;
use refit_core::rules::{Idempotency, Overlap};
use refit_model::explore::{Limits, explore};
use refit_model::mutants::kill;
use refit_model::scope::Scope;

/// Explores the protocol of the ledger exhaustively
///
/// Exits with 1 where something is wrong, and with 2 where nothing is but the exploration was cut short.
#[derive(Debug, Parser)]
struct Args {
    /// Events
    #[arg(long, default_value_t = 1)]
    events: u8,
    /// Deliveries of each
    #[arg(long, default_value_t = 1)]
    deliveries: u8,
    /// The class of the service: a, b or c
    #[arg(long, default_value = "a", value_parser = class)]
    class: Idempotency,
    /// Ticks of half an hour that pass while faults happen
    #[arg(long, default_value_t = 3)]
    ticks: u8,
    /// Ticks a batch stays open after its last member
    #[arg(long, default_value_t = 0)]
    quiet: u8,
    /// What a due batch does while a run is active: forbid, allow, replace or queue (of one)
    #[arg(long, default_value = "forbid", value_parser = overlap)]
    overlap: Overlap,
    /// Attempts of a run that fails; runs fail only where there are several
    #[arg(long, default_value_t = 1)]
    attempts: u32,
    /// Attempts in any hundred ticks
    #[arg(long, default_value_t = 100)]
    budget: u32,
    /// Ticks between two launches
    #[arg(long, default_value_t = 0)]
    cooldown: u8,
    /// A pass may leave segments unread
    #[arg(long)]
    cuts: bool,
    /// Clocks that name segments are wrong
    #[arg(long)]
    skew: bool,
    /// No process crashes
    #[arg(long)]
    no_crashes: bool,
    /// No call to the store fails
    #[arg(long)]
    no_errors: bool,
    /// Services refuse start calls
    #[arg(long)]
    refusals: bool,
    /// Start calls of class b and c may take effect however late
    #[arg(long)]
    late: bool,
    /// Steps from the beginning at the most
    #[arg(long)]
    depth: Option<usize>,
    /// Seconds at the most
    #[arg(long)]
    time: Option<u64>,
    /// Threads
    #[arg(long, default_value_t = 2)]
    threads: usize,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Explores every mutant of the protocol until something is wrong; fails if one that is modelled lives
    Mutants {
        /// Seconds for each at the most
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only mutants whose name holds this
        #[arg(long, default_value = "")]
        only: String,
    },
}

fn class(text: &str) -> Result<Idempotency, String> {
    match text {
        "a" => Ok(Idempotency::A),
        "b" => Ok(Idempotency::B),
        "c" => Ok(Idempotency::C),
        _ => Err("it is a, b or c".to_owned()),
    }
}

fn overlap(text: &str) -> Result<Overlap, String> {
    match text {
        "forbid" => Ok(Overlap::Forbid),
        "allow" => Ok(Overlap::Allow),
        "replace" => Ok(Overlap::Replace),
        "queue" => Ok(Overlap::Queue(1)),
        _ => Err("it is forbid, allow, replace or queue".to_owned()),
    }
}

/// The exit code of an exploration that was cut short: nothing is wrong in what was explored, which is not all.
const CUT_SHORT: u8 = 2;

fn main() -> ExitCode {
    let args = Args::parse();
    match &args.command {
        None => one(&args),
        Some(Command::Mutants { seconds, only }) => {
            let time = Some(Duration::from_secs(*seconds));
            match mutants(only, Limits { threads: args.threads, depth: args.depth, time }) {
                0 => ExitCode::SUCCESS,
                _ => ExitCode::FAILURE,
            }
        }
    }
}

fn one(args: &Args) -> ExitCode {
    let scope = Scope {
        ticks: args.ticks,
        quiet: args.quiet,
        overlap: args.overlap,
        attempts: args.attempts,
        budget: args.budget,
        cooldown: args.cooldown,
        cuts: args.cuts,
        skew: args.skew,
        crashes: !args.no_crashes,
        errors: !args.no_errors,
        refusals: args.refusals,
        late: args.late,
        ..Scope::new(args.events, args.deliveries, args.class)
    };
    let limits = Limits {
        threads: args.threads,
        depth: args.depth,
        time: args.time.map(Duration::from_secs),
    };
    let report = explore(scope, limits);
    println!("{report}");
    match (&report.wrong, report.is_complete) {
        (Some(_), _) => ExitCode::FAILURE,
        (None, false) => ExitCode::from(CUT_SHORT),
        (None, true) => ExitCode::SUCCESS,
    }
}

/// Prints what became of each mutant: how many of those that are modelled live.
fn mutants(only: &str, limits: Limits) -> usize {
    let mut alive = 0;
    for mutant in Mutant::ALL {
        let name = format!("{mutant:?}");
        if !name.contains(only) {
            continue;
        }
        let Some(report) = kill(*mutant, limits) else {
            println!("{name:<26} not modelled");
            continue;
        };
        alive += usize::from(report.wrong.is_none());
        let seconds = report.took.as_secs_f64();
        let by = match &report.wrong {
            Some((wrong, steps)) => format!("{wrong} ({} steps)", steps.len()),
            None if report.is_complete => "it lives: every state was explored".to_owned(),
            None => "it lives".to_owned(),
        };
        println!("{name:<26} {:>9} states {seconds:>6.1} s  {by}", report.unique);
    }
    alive
}
