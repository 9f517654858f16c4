//! `refit runs`: the runs, newest first.

use std::collections::BTreeMap;
use std::fmt;

use futures::TryStreamExt as _;
use refit_core::commit::{Change, RunChange};
use refit_core::fold::fold;
use refit_core::promotion::PromotionChange;
use refit_core::run::Run;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;
use refit_engine::ledger::begin;
use serde::Serialize;

use crate::context::{Context, Opened, no_ledger};
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
    let triggers: Vec<String> = state.triggers.keys().cloned().collect();
    let known = match args.all {
        true => whole(&opened, context.output).await?.runs,
        false => state.runs,
    };
    is_known(args.trigger.as_deref(), &known, &triggers)?;
    let asked = |run: &&Run| args.trigger.as_ref().is_none_or(|trigger| *trigger == run.trigger);
    let runs = known.values().rev().filter(asked).map(RunRow::of).collect();
    context.output.show(&Runs { runs, now })?;
    Ok(Exit::Ok)
}

/// Says so where nothing is known of a trigger that is asked for.
fn is_known(
    trigger: Option<&str>,
    runs: &BTreeMap<BatchId, Run>,
    triggers: &[String],
) -> Result<(), Failure> {
    let Some(name) = trigger else { return Ok(()) };
    if triggers.iter().any(|known| known == name) || runs.values().any(|run| run.trigger == name) {
        return Ok(());
    }
    let known = triggers.join(", ");
    let message = format!("there is no such trigger: name=`{name}`, known=`{known}`");
    Err(Failure::new(Exit::NotFound, message))
}

/// The state with every run and every version of the log, as the log left them: what it drops in time is kept here.
pub(super) async fn whole(opened: &Opened, output: Output) -> Result<State, Failure> {
    let progress = Progress::new(output, "commits read");
    let none = || no_ledger(&opened.location);
    let genesis = opened.ledger.commit(0).await?.ok_or_else(none)?;
    let mut state: State = begin(&genesis);
    let mut commits = std::pin::pin!(opened.commits_after(0));
    while let Some(mut commit) = commits.try_next().await? {
        let drops = |it: &Change| {
            matches!(
                it,
                Change::Run { change: RunChange::Archived, .. }
                    | Change::Promotion { change: PromotionChange::Forgotten, .. }
            )
        };
        commit.changes.retain(|change| !drops(change));
        fold(&mut state, &commit);
        progress.count(commit.seq);
    }
    Ok(state)
}

impl fmt::Display for Runs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.runs.is_empty() {
            true => f.write_str("no runs"),
            false => f.write_str(&runs_table(&self.runs, self.now)),
        }
    }
}
