//! `refit manifest`: what a run was given.

use futures::TryStreamExt as _;
use refit_core::commit::{AttemptChange, Change};
use refit_core::key::RunKey;
use refit_core::state::{BatchId, State};
use serde_json::Value;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::progress::Progress;

/// The folder of manifests in a ledger.
const FOLDER: &str = "manifests/";

/// Read the manifest of a run
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Print the members of a run, one JSON object per line
    #[command(after_help = "With --json they are one list.

Examples:
  refit manifest cat b17
  refit manifest cat file:///srv/refit/manifests/00000000000000000017-3f….jsonl")]
    Cat {
        /// The URI or the name of a manifest, or a run: a batch such as b17, or a run key such as rf-…
        #[arg(value_name = "URI|RUN")]
        manifest: String,
    },
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let Command::Cat { manifest } = args.command;
    let (opened, name) = find(context, &manifest).await?;
    let missing =
        || Failure::new(Exit::NotFound, format!("there is no such manifest: name=`{name}`"));
    let body = opened.ledger.store().get(&name).await?.ok_or_else(missing)?;
    let text = String::from_utf8_lossy(&body);
    if !context.output.is_json() {
        context.output.show_text("members", &text)?;
        return Ok(Exit::Ok);
    }
    let members: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    let members = members.map_err(|error| {
        Failure::new(Exit::Internal, format!("the manifest cannot be read: {error}: name=`{name}`"))
    })?;
    context.output.show_value(&Value::Array(members))?;
    Ok(Exit::Ok)
}

/// The ledger a manifest lies in, and its name there. A URI names both.
async fn find(context: &Context, text: &str) -> Result<(Opened, String), Failure> {
    if let Some((root, name)) = text.rsplit_once(FOLDER) {
        let opened = match root.trim_end_matches('/') {
            "" => context.open_existing().await?,
            location => context.open_existing_at(location.to_owned()).await?,
        };
        return Ok((opened, format!("{FOLDER}{name}")));
    }
    let (opened, state) = context.load().await?;
    let name = of_run(&opened, &state, text, context.output).await?;
    Ok((opened, name))
}

async fn of_run(
    opened: &Opened,
    state: &State,
    run: &str,
    output: Output,
) -> Result<String, Failure> {
    if let Some(run) = state.run_named(run) {
        return Ok(run.manifest.clone());
    }
    let unknown = || Failure::new(Exit::NotFound, format!("there is no such run: run=`{run}`"));
    let batch = match run.parse::<RunKey>() {
        Ok(key) => batch_of_key(opened, key, output).await?.ok_or_else(unknown)?,
        Err(_) => run.parse::<BatchId>().map_err(|why| Failure::new(Exit::Usage, why))?,
    };
    let mut commits = std::pin::pin!(opened.commits_after(batch.seq.saturating_sub(1)));
    while let Some(commit) = commits.try_next().await? {
        for change in commit.changes {
            match change {
                Change::Closed(closed) if closed.batch == batch => return Ok(closed.manifest),
                _ => {}
            }
        }
    }
    Err(unknown())
}

/// The batch that an attempt with this key belongs to, found in the log.
pub(super) async fn batch_of_key(
    opened: &Opened,
    wanted: RunKey,
    output: Output,
) -> Result<Option<BatchId>, Failure> {
    let progress = Progress::new(output, "commits read");
    let mut commits = std::pin::pin!(opened.commits_after(0));
    while let Some(commit) = commits.try_next().await? {
        progress.count(commit.seq);
        for change in &commit.changes {
            if let Change::Attempt { run, change: AttemptChange::Intended { key, .. }, .. } = change
                && *key == wanted
            {
                return Ok(Some(*run));
            }
        }
    }
    Ok(None)
}
