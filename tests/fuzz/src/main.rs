//! Fuzzes for as long as one likes, and keeps what it finds.
#![expect(clippy::print_stdout, reason = "printing is what it is for")]

use std::fs;
use std::io;
use std::num::NonZero;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use clap::{Parser, Subcommand};
use refit_fuzz::hunt::{Hunt, work};
use refit_fuzz::targets::{ALL, Target};
use refit_fuzz::work::Summary;

/// Gives every parser that meets the outside what nobody meant.
#[derive(Debug, Parser)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Says what can be fuzzed
    List,
    /// Fuzzes a target, or `all`, as many at once as there are cores; fails if anything was found
    Run {
        /// Its name
        target: String,
        /// How long, for each
        #[arg(long, default_value_t = 10.0)]
        minutes: f64,
        /// Where the randomness begins
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Gives a target one file
    Show {
        /// Its name
        target: String,
        /// The file
        file: PathBuf,
    },
    /// What `run` starts
    #[command(hide = true)]
    Work { target: String, note: PathBuf, seed: u64, seconds: u64 },
}

fn main() -> io::Result<ExitCode> {
    match Args::parse().command {
        Command::List => {
            ALL.iter().for_each(|target| println!("{}: {}", target.name, target.about))
        }
        Command::Show { target, file } => {
            println!("{:?}", (named(&target)?.give)(&fs::read(file)?))
        }
        Command::Work { target, note, seed, seconds } => {
            let target = named(&target)?;
            show(target, seconds, &work(target, &note, seed, Duration::from_secs(seconds))?)?;
        }
        Command::Run { target, minutes, seed } => return hunt(&target, minutes, seed),
    }
    Ok(ExitCode::SUCCESS)
}

fn hunt(name: &str, minutes: f64, seed: u64) -> io::Result<ExitCode> {
    let length = Duration::from_secs_f64(minutes * 60.0);
    let targets: Vec<&'static Target> = match name {
        "all" => ALL.iter().collect(),
        name => vec![named(name)?],
    };
    let found = hunts(&targets, length, seed)?;
    found.iter().for_each(|path| println!("found: {}", path.display()));
    println!("{} findings", found.len());
    Ok(if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Hunts in every target, each in a process of its own, as many at once as there are cores.
fn hunts(targets: &[&'static Target], length: Duration, seed: u64) -> io::Result<Vec<PathBuf>> {
    let next = AtomicUsize::new(0);
    let hunt = || -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        while let Some(target) = targets.get(next.fetch_add(1, Ordering::Relaxed)) {
            found.extend(Hunt { target, length, seed }.run()?);
        }
        Ok(found)
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        let hunters: Vec<_> = (0..cores).map(|_| scope.spawn(hunt)).collect();
        let found = hunters.into_iter().map(|it| it.join().expect("no hunter panics"));
        Ok(found.collect::<io::Result<Vec<_>>>()?.concat())
    })
}

fn show(target: &Target, seconds: u64, summary: &Summary) -> io::Result<()> {
    let (slowest, input) = &summary.slowest;
    let kept = std::env::temp_dir().join(format!("refit-fuzz-{}-slowest", target.name));
    fs::write(&kept, input)?;
    println!(
        "{}: {} inputs in {seconds} s, {} a second, {} understood, {} outcomes, slowest {} ms ({})",
        target.name,
        summary.given,
        summary.given / seconds.max(1),
        summary.understood,
        summary.outcomes,
        slowest.as_millis(),
        kept.display(),
    );
    Ok(())
}

fn named(name: &str) -> io::Result<&'static Target> {
    let found = ALL.iter().find(|target| target.name == name);
    found.ok_or_else(|| io::Error::other(format!("no such target: name=`{name}`")))
}
