//! `object` beside a bare server: both take an event and make one outgoing call, and `object` makes it durable.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;
use tempfile::TempDir;

use crate::load::{self, as_f64};
use crate::process::Process;
use crate::stopwatch::Stopwatch;

/// Connections at the same time.
const CONNECTIONS: [usize; 3] = [1, 16, 128];
/// Starts whose median is taken.
const STARTS: usize = 9;
/// Events before anything is measured.
const WARM_UP: usize = 500;

/// One server to measure.
struct Subject<'a> {
    name: &'a str,
    program: &'a Path,
    arguments: Vec<&'a str>,
    variables: Vec<(&'a str, &'a str)>,
}

impl Subject<'_> {
    async fn start(&self) -> anyhow::Result<Process> {
        Process::start(self.program, &self.arguments, &self.variables).await
    }
}

/// How slow a start may be beside the floor's.
const START_MAX: f64 = 3.0;
/// What an idle process may hold, in megabytes.
const RESIDENT_MAX: f64 = 20.0;
/// What an event may cost beside the floor's, in time of the processor.
const CPU_MAX: f64 = 5.0;
/// How many events a second there must be for each of the floor's.
const RATE_MIN: f64 = 0.3;

/// A goal, and how far it is reached.
struct Goal {
    what: String,
    met: f64,
    is_reached: bool,
}

impl Goal {
    fn at_most(what: &str, met: f64, limit: f64) -> Self {
        Self { what: format!("{what} ≤ {limit}"), met, is_reached: met <= limit }
    }

    fn at_least(what: &str, met: f64, limit: f64) -> Self {
        Self { what: format!("{what} ≥ {limit}"), met, is_reached: met >= limit }
    }
}

/// Measures, prints tables, and fails where a goal is missed.
pub(crate) async fn measure(object: &Path, events: usize) -> anyhow::Result<()> {
    let sink = Process::this(&["sink"]).await?;
    let target = format!("http://{}/", sink.place);
    let folder = TempDir::with_prefix("refit-bench")?;
    let ledger = folder.path().join("ledger").display().to_string();
    let this = std::env::current_exe()?;
    let on = |ledger| vec![("PORT", "0"), ("REFIT_LEDGER", ledger), ("REFIT_WAKE", &*target)];
    let subjects = [
        Subject {
            name: "floor",
            program: &this,
            arguments: vec!["floor", &target],
            variables: Vec::new(),
        },
        Subject {
            name: "object, memory",
            program: object,
            arguments: Vec::new(),
            variables: on("memory:"),
        },
        Subject {
            name: "object, directory",
            program: object,
            arguments: Vec::new(),
            variables: on(&ledger),
        },
    ];
    durable_floor(folder.path())?;
    let mut goals = starts(&subjects).await?;
    goals.extend(loads(&subjects, events).await?);
    for Goal { what, met, is_reached } in &goals {
        let word = if *is_reached { "reached" } else { "missed" };
        print(&format!("{word}: {what}: {met:.2}"))?;
    }
    anyhow::ensure!(goals.iter().all(|goal| goal.is_reached), "a goal is missed");
    Ok(())
}

/// What a disk takes to make one record durable, one after another.
fn durable_floor(folder: &Path) -> anyhow::Result<()> {
    let mut file = std::fs::File::create(folder.join("floor"))?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let watch = Stopwatch::start();
        file.write_all(&[0; 1024])?;
        file.sync_all()?;
        times.push(watch.elapsed());
    }
    times.sort_unstable();
    print(&format!(
        "append and fsync of 1 KiB: p50 {}, p99 {}\n",
        millis(times[100]),
        millis(times[198])
    ))
}

/// The goals are those of the ledger in memory, the second, beside the floor, the first.
async fn starts(subjects: &[Subject<'_>]) -> anyhow::Result<Vec<Goal>> {
    let mut met = Vec::new();
    let mut table = table(&["", "cold start to first answer", "resident when idle"]);
    for subject in subjects {
        let (mut times, mut resident) = (Vec::new(), Vec::new());
        for _ in 0..STARTS {
            let process = subject.start().await?;
            resident.push(process.resident()?);
            load::one(&process.place).await?;
            times.push(process.started.elapsed());
        }
        times.sort_unstable();
        resident.sort_unstable_by(f64::total_cmp);
        met.push((times[STARTS / 2].as_secs_f64(), resident[STARTS / 2]));
        let idle = format!("{:.1} MB", resident[STARTS / 2]);
        table.add_row([subject.name.to_owned(), millis(times[STARTS / 2]), idle]);
    }
    print(&format!("{table}\n"))?;
    Ok(vec![
        Goal::at_most("cold start beside the floor's", met[1].0 / met[0].0, START_MAX),
        Goal::at_most("megabytes when idle", met[1].1, RESIDENT_MAX),
    ])
}

async fn loads(subjects: &[Subject<'_>], events: usize) -> anyhow::Result<Vec<Goal>> {
    let mut goals = Vec::new();
    let mut table =
        table(&["", "at once", "events/s", "p50", "p99", "CPU per event", "resident after"]);
    for connections in CONNECTIONS {
        let mut costs = Vec::new();
        for subject in subjects {
            let process = subject.start().await?;
            load::run(&process.place, WARM_UP, connections).await?;
            let before = process.cpu()?;
            let met = load::run(&process.place, events, connections).await?;
            let used = (process.cpu()? - before).as_secs_f64() * 1000.0 / as_f64(events);
            costs.push((used, met.rate()));
            table.add_row([
                subject.name.to_owned(),
                connections.to_string(),
                format!("{:.0}", met.rate()),
                millis(met.percentile(50)),
                millis(met.percentile(99)),
                format!("{used:.3} ms"),
                format!("{:.1} MB", process.resident()?),
            ]);
        }
        let (cpu, rate) = (costs[1].0 / costs[0].0, costs[1].1 / costs[0].1);
        let at_once = |what: &str| format!("{what} beside the floor's, {connections} at once");
        goals.push(Goal::at_most(&at_once("CPU per event"), cpu, CPU_MAX));
        goals.push(Goal::at_least(&at_once("events/s"), rate, RATE_MIN));
    }
    print(&format!("{table}\n"))?;
    Ok(goals)
}

fn table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head.iter().copied());
    table
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
