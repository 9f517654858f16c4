//! `refit runs`: the runs, newest first.

use std::collections::BTreeMap;
use std::fmt;

use futures::TryStreamExt as _;
use refit_core::fold::fold;
use refit_core::run::Run;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;
use refit_engine::explain::batch_of;
use refit_engine::ledger::begin;
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;
use crate::run_row::{RunRow, runs_table};

/// List runs, newest first: those that are active, and the last fifty of each trigger that are over
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  refit runs
  refit runs --trigger churn --json | jq '.runs[0].phase'
  refit runs --all")]
pub(crate) struct Args {
    /// Only the runs of this trigger
    #[arg(long, value_name = "NAME")]
    trigger: Option<String>,
    /// Every run there ever was, from the whole log
    #[arg(long)]
    all: bool,
}

#[derive(Debug, Serialize)]
struct Runs {
    runs: Vec<RunRow>,
    #[serde(skip)]
    now: Timestamp,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let now = opened.now(&state).await?;
    let known = match args.all {
        true => all(&opened, context.output).await?,
        false => state.runs,
    };
    let asked = |run: &&Run| args.trigger.as_ref().is_none_or(|trigger| *trigger == run.trigger);
    let runs = known.values().rev().filter(asked).map(RunRow::of).collect();
    context.output.show(&Runs { runs, now })?;
    Ok(Exit::Ok)
}

/// Every run of the log, as the log left it.
pub(super) async fn all(
    opened: &Opened,
    output: Output,
) -> Result<BTreeMap<BatchId, Run>, Failure> {
    let progress = Progress::new(output, "commits read");
    let mut runs = BTreeMap::new();
    let Some(genesis) = opened.ledger.commit(0).await? else { return Ok(runs) };
    let mut state: State = begin(&genesis);
    let mut commits = std::pin::pin!(opened.commits_after(0));
    while let Some(commit) = commits.try_next().await? {
        fold(&mut state, &commit);
        for batch in commit.changes.iter().filter_map(batch_of) {
            runs.extend(state.runs.get(&batch).map(|run| (batch, run.clone())));
        }
        progress.count(commit.seq);
    }
    Ok(runs)
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runs.is_empty() {
            true => f.write_str("no runs"),
            false => f.write_str(&runs_table(&self.runs, self.now)),
        }
    }
}
