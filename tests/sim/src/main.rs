//! Runs the checks of the protocol for as long as one likes.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "printing is what it is for")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use refit_core::mutant::Mutant;
use refit_model::explore::Limits;
use refit_sim::faults::Fault;
use refit_sim::killers::{ELSEWHERE, Means, SEEDS_KEPT, Table, simulated};
use refit_sim::many::{Summary, corpus, hunt, keep, run_many, run_one, seeds};
use refit_sim::schedule::Plan;

/// Where seeds are kept that once failed.
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus.txt");

/// Runs the engine in simulated worlds, every fault from a seed, and checks every guarantee.
#[derive(Debug, Parser)]
struct Args {
    /// How many schedules to run
    #[arg(long, default_value_t = 10_000)]
    schedules: u64,
    /// The seed of the first; the others follow. One in ten is of a large world, the rest, with seeds from 2^32 on, of small
    /// ones
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many threads to run them on
    #[arg(long, default_value_t = 2, global = true)]
    threads: usize,
    /// With this mutant of the protocol
    #[arg(long, global = true, value_parser = named)]
    mutant: Option<Mutant>,
    /// The corpus that seeds which fail are added to. Default: that of the tests, which every run replays that is built
    /// after; where there is a mutant, none
    #[arg(long)]
    keep: Option<PathBuf>,
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
    ///
    /// Those that only tests of other packages kill are run by these, which `cargo` builds.
    Mutants {
        /// Schedules for each at the most
        #[arg(long, default_value_t = 100_000)]
        schedules: u64,
        /// Seconds the model looks for each of those that no schedule kills
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Only mutants whose name holds this
        #[arg(long, default_value = "")]
        only: String,
        /// Where to write the table of what kills each
        #[arg(long)]
        write: Option<PathBuf>,
        /// What runs tests of other packages
        #[arg(long, env = "CARGO", default_value = "cargo")]
        cargo: PathBuf,
    },
}

fn main() -> ExitCode {
    let args = Args::parse();
    let clean = match &args.command {
        None => schedules(&args),
        Some(Command::Show { seed }) => show(*seed, args.mutant, true),
        Some(Command::Mutants { schedules, seconds, only, write, cargo }) => {
            let time = Some(Duration::from_secs(*seconds));
            let limits = Limits { threads: args.threads, depth: None, time };
            let means = Means { limits, cargo };
            let hunt = Hunt { schedules: *schedules, means, only, killed: 0, alive: 0 };
            mutants(hunt, write.as_ref())
        }
    };
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "the rate is measured by the machine's clock")]
fn schedules(args: &Args) -> bool {
    let mutant = args.mutant;
    let started = std::time::Instant::now();
    let progress = |done: u64| {
        if done.is_multiple_of(10_000) {
            eprintln!("{done} of {} schedules", args.schedules);
        }
    };
    let failed = corpus().filter(|(seed, _)| !show(*seed, mutant, false)).count();
    println!("corpus           {} seeds that once failed, {failed} fail", corpus().count());
    let seeds = seeds(args.seed, args.schedules);
    let summary = run_many(seeds, args.threads, mutant, &progress, &|_| false);
    print(&summary, started.elapsed());
    if let Some(seed) = summary.failures.iter().map(|verdict| verdict.seed).min() {
        show(seed, mutant, false);
    }
    let usual = mutant.is_none().then(|| Path::new(CORPUS));
    let corpus = args.keep.as_deref().or(usual).filter(|_| !summary.failures.is_empty());
    if let Some(path) = corpus {
        keep(path, &summary.failures).expect("the corpus can be written");
    }
    summary.failures.is_empty() && failed == 0
}

/// Runs a schedule, and prints what happened in it if something is wrong, or always.
fn show(seed: u64, mutant: Option<Mutant>, always: bool) -> bool {
    let verdict = run_one(&Plan { seed, verbose: true }, mutant);
    if always || !verdict.violations.is_empty() {
        print!("{}", verdict.story());
    }
    verdict.violations.is_empty()
}

fn print(summary: &Summary, took: Duration) {
    let Summary { schedules, steps, injected, counts, acknowledged, commits, runs, .. } = summary;
    println!("schedules        {schedules}");
    println!("steps            {steps}");
    println!("events accepted  {acknowledged}");
    println!("commits          {commits}");
    println!("passes           {}", counts.passes);
    println!(
        "store calls      {} creates, {} lists, {} reads",
        counts.creates(),
        counts.lists,
        counts.gets
    );
    println!("faults injected  {}", injected.total());
    for fault in Fault::ALL {
        println!("  {:>12}  {}", injected.of(*fault), fault.text());
    }
    println!("runs started     {runs}");
    println!("duplicates       {}", summary.duplicates());
    println!("losses           {}", summary.losses());
    println!("failures in all  {}", summary.failures.len());
    println!("schedules/s      {:.0}", *schedules as f64 / took.as_secs_f64());
    println!("trace hash       {:016x}", summary.hash);
    for verdict in summary.failures.iter().take(20) {
        println!("seed {}: {}", verdict.seed, verdict.violations.join("; "));
    }
}

fn named(name: &str) -> Result<Mutant, String> {
    let found = Mutant::ALL.iter().find(|mutant| format!("{mutant:?}") == name);
    found.copied().ok_or_else(|| format!("no such mutant: {name}"))
}

/// How a hunt for mutants goes.
struct Hunt<'a> {
    /// Schedules for each at the most.
    schedules: u64,
    /// What the others are run with.
    means: Means<'a>,
    /// A part of the names.
    only: &'a str,
    /// How many were noticed.
    killed: usize,
    /// How many were not.
    alive: usize,
}

impl Hunt<'_> {
    fn is_chosen(&self, mutant: Mutant) -> bool {
        format!("{mutant:?}").contains(self.only)
    }

    /// Those that the schedules do not kill: by the model, in a world that is told, or by the test that is named.
    fn the_others(&mut self) {
        for (mutant, suite, test) in ELSEWHERE {
            if !self.is_chosen(*mutant) {
                continue;
            }
            let by = suite.hunt(*mutant, test, self.means);
            self.killed += usize::from(by.is_some());
            self.alive += usize::from(by.is_none());
            let (name, lives) =
                (format!("{mutant:?}"), format!("it lives: {} {test}", suite.command));
            println!("{name:<26} {}", by.unwrap_or(lives));
        }
    }

    /// Those that the schedules kill, with the schedules that do.
    fn simulated(&mut self) -> Table {
        let mut table = Table::default();
        for mutant in simulated().filter(|mutant| self.is_chosen(*mutant)).collect::<Vec<_>>() {
            let killers = hunt(mutant, 0..self.schedules, self.means.limits.threads, SEEDS_KEPT);
            let name = format!("{mutant:?}");
            let lives = killers.seeds.is_empty();
            let by = if lives { "it lives" } else { &killers.check };
            println!("{name:<26} {:>7} schedules  {by}", killers.schedules);
            if lives {
                self.alive += 1;
            } else {
                self.killed += 1;
                table.0.insert(name, killers);
            }
        }
        table
    }
}

fn mutants(mut hunt: Hunt<'_>, write: Option<&PathBuf>) -> bool {
    hunt.the_others();
    let table = hunt.simulated();
    let Hunt { killed, alive, .. } = hunt;
    println!("{killed} were killed, {alive} live");
    if let Some(path) = write {
        std::fs::write(path, table.to_string()).expect("the table can be written");
    }
    alive == 0
}
