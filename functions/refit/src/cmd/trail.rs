//! `refit trail`: where a version comes from, and who let it go where.

use std::fmt;

use refit_core::member::{Member, read_manifest};
use refit_core::promotion::{Promotion, Version};
use refit_core::run::Run;
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_engine::explain::{Episode, Subject, tell};
use serde::Serialize;

use super::runs::whole;
use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::fate;
use crate::progress::Progress;
use crate::run_row::RunRow;
use crate::words::count;

/// Members a person is shown.
const SHOWN: usize = 20;

/// Tell where a version comes from: its run, its data, the rules, and who let it go where
#[derive(Debug, clap::Args)]
#[command(after_help = "Reads the whole log: what the state has forgotten is told as well.

Examples:
  refit trail churn 3
  refit trail churn 3 --json | jq '.members[].uri'")]
pub(crate) struct Args {
    /// The model
    model: String,
    /// The version, by the registry's name of it, such as 3
    version: String,
}

#[derive(Debug, Serialize)]
struct Trail {
    model: String,
    registry: String,
    version: Version,
    /// The revision of the rules it began under.
    promoted_under: String,
    /// The revision of the rules its run was launched under.
    launched_under: String,
    run: RunRow,
    members: Vec<Member>,
    episodes: Vec<Told>,
}

/// A change on its way.
#[derive(Debug, Serialize)]
struct Told {
    at: Timestamp,
    commit: u64,
    what: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let opened = context.open_existing().await?;
    let state = whole(&opened, context.output).await?;
    let unknown = || {
        let message = format!(
            "no such version is known: model=`{}`, version=`{}`; `refit models` lists them",
            args.model, args.version
        );
        Failure::new(Exit::NotFound, message)
    };
    let model = state.models.get(&args.model).ok_or_else(unknown)?;
    let promotion = model.version(&args.version).ok_or_else(unknown)?;
    let (version, run) = found(&state, promotion).ok_or_else(unknown)?;
    let trail = Trail {
        model: args.model.clone(),
        registry: model.registry.clone(),
        version: version.clone(),
        promoted_under: promotion.rules.clone(),
        launched_under: run.rules.clone(),
        run: RunRow::of(run),
        members: members(&opened, run).await?,
        episodes: episodes(context, &opened, &state, run).await?,
    };
    context.output.show(&trail)?;
    Ok(Exit::Ok)
}

fn found<'a>(state: &'a State, promotion: &'a Promotion) -> Option<(&'a Version, &'a Run)> {
    Some((promotion.version.as_ref()?, state.runs.get(&promotion.run)?))
}

async fn members(opened: &Opened, run: &Run) -> Result<Vec<Member>, Failure> {
    let body = opened.ledger.store().get(&run.manifest).await?;
    let read = body.map(|body| read_manifest(&body));
    let read = read.unwrap_or_else(|| Err("it is not stored".to_owned()));
    read.map_err(|why| {
        let message = format!("the manifest cannot be read: {why}: name=`{}`", run.manifest);
        Failure::new(Exit::Internal, message)
    })
}

async fn episodes(
    context: &Context,
    opened: &Opened,
    state: &State,
    run: &Run,
) -> Result<Vec<Told>, Failure> {
    let progress = Progress::new(context.output, "commits read");
    let counted = |commits| progress.count(commits);
    let subject = Subject::Batch(run.batch);
    let mut story = tell(&opened.ledger, state, &subject, Timestamp::EPOCH, &counted).await?;
    let of_run = story.batches.remove(&run.batch).unwrap_or_default();
    let told = of_run.iter().filter_map(|Episode { commit, at, change }| {
        Some(Told { at: *at, commit: *commit, what: fate::episode(change)? })
    });
    Ok(told.collect())
}

/// What a member is called.
fn named(member: &Member) -> String {
    let generation = member.generation.as_ref().map(|it| format!("#{it}")).unwrap_or_default();
    format!("{}{generation}, event {}", member.name(), member.event)
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, registry, version, run, .. } = self;
        writeln!(f, "{model} {} at {registry}", version.name)?;
        if let Some(uri) = &version.uri {
            writeln!(f, "  files: {uri}")?;
        }
        for (name, value) in &version.metrics {
            writeln!(f, "  {name}: {value}")?;
        }
        let id = run.id.as_deref().unwrap_or("-");
        writeln!(
            f,
            "run {} of {}, on {} as {id}, key {}",
            run.run, run.trigger, run.service, run.key
        )?;
        writeln!(
            f,
            "rules {} at the launch, {} at the promotion",
            self.launched_under, self.promoted_under
        )?;
        let members = count(self.members.len() as u64, "member", "members");
        writeln!(f, "{members} in {}", run.manifest)?;
        for member in self.members.iter().take(SHOWN) {
            writeln!(f, "  {}", named(member))?;
        }
        if self.members.len() > SHOWN {
            writeln!(
                f,
                "  and {} more: refit manifest cat {}",
                self.members.len() - SHOWN,
                run.run
            )?;
        }
        self.episodes
            .iter()
            .try_for_each(|Told { at, commit, what }| writeln!(f, "{at} commit {commit}: {what}"))
    }
}
