//! `refit used`: what was made of an object.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use refit_core::commit::{BatchChange, Change};
use refit_core::event::{DataRef, Event, Fact};
use refit_core::member::{Member, manifest_members};
use refit_core::promotion::{Promotion, PromotionPhase, Stage};
use refit_core::state::{BatchId, State};
use refit_core::time::{Span, Timestamp};
use refit_engine::explain::{Fate, Kept, Story, Subject, Verdict, tell};
use serde::Serialize;

use super::runs::whole;
use super::why::{objects, say_unreadable};
use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;
use crate::run_row::{RunRow, runs_table};

/// Tell which runs were given an object, and which versions of models they made
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  refit used gs://acme-data/churn/day=1.parquet
  refit used gs://acme-data/churn/day=1.parquet --json | jq '.versions[].version'")]
pub(crate) struct Args {
    /// The object: gs://bucket/name, s3://bucket/name or bucket/name; #generation may follow
    object: String,
    /// How far back to look; as far as the log goes unless said
    #[arg(long, value_name = "SPAN")]
    since: Option<Span>,
}

#[derive(Debug, Serialize)]
struct Used {
    runs: Vec<RunRow>,
    versions: Vec<Made>,
    #[serde(skip)]
    now: Timestamp,
}

/// A version that a run made.
#[derive(Debug, Serialize)]
struct Made {
    model: String,
    version: Option<String>,
    run: BatchId,
    phase: PromotionPhase,
    stage: Option<Stage>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let opened = context.open_existing().await?;
    let state = whole(&opened, context.output).await?;
    let now = opened.now(&state).await?;
    let since = args.since.map_or(Timestamp::EPOCH, |span| now - span);
    let mut batches = BTreeSet::new();
    for object in objects(&args.object) {
        let progress = Progress::new(context.output, "commits read");
        let count = |commits| progress.count(commits);
        let subject = Subject::object(&object);
        let story = tell(&opened.ledger, &state, &subject, since, &count).await?;
        drop(progress);
        say_unreadable(context.output, &story);
        let taken = batches_of(&story, object.generation.as_deref());
        batches.extend(given(&opened, &state, taken, &object).await?);
    }
    let runs: Vec<RunRow> =
        batches.iter().filter_map(|batch| state.runs.get(batch)).map(RunRow::of).collect();
    if runs.is_empty() {
        let within = args.since.map(|span| format!(" in the last {span}")).unwrap_or_default();
        let message = format!(
            "no run was given it{within}: object=`{}`; `refit why` tells what became of it",
            args.object
        );
        return Err(Failure::new(Exit::NotFound, message));
    }
    let versions = made(&state, &batches);
    context.output.show(&Used { runs, versions, now })?;
    Ok(Exit::Ok)
}

/// Of these batches, those whose run was given the object: when a batch closed, a newer generation may have been in its
/// place.
async fn given(
    opened: &Opened,
    state: &State,
    batches: BTreeSet<BatchId>,
    object: &DataRef,
) -> Result<BTreeSet<BatchId>, Failure> {
    let is_it = |member: Member| {
        let generation = object.generation.is_none() || member.generation == object.generation;
        generation && member.uri == Some(object.uri())
    };
    let mut given = BTreeSet::new();
    for run in batches.iter().filter_map(|batch| state.runs.get(batch)) {
        let manifest = opened.ledger.store().get(&run.manifest).await?;
        let holds = |body: Bytes| manifest_members(&body).flatten().any(is_it);
        // What has been deleted says nothing.
        if manifest.is_none_or(holds) {
            given.insert(run.batch);
        }
    }
    Ok(given)
}

/// The batches an object went into, and those their members moved to.
fn batches_of(story: &Story, generation: Option<&str>) -> BTreeSet<BatchId> {
    let is_meant = |fate: &&Fate| match &fate.kept {
        _ if generation.is_none() => true,
        Kept::Event(Event { fact: Fact::Object(change), .. }) => {
            change.object.generation.as_deref() == generation
        }
        Kept::Member(member) => member.generation.as_deref() == generation,
        Kept::Event(_) | Kept::Nothing { .. } => false,
    };
    let meant = story.fates.iter().filter(is_meant);
    let mut left: Vec<BatchId> = meant
        .flat_map(|fate| &fate.verdicts)
        .filter_map(|verdict| match verdict {
            Verdict::Accepted { batch, .. } => Some(*batch),
            Verdict::Refused { .. } => None,
        })
        .collect();
    let moves: BTreeMap<BatchId, BatchId> = story
        .batches
        .values()
        .flatten()
        .filter_map(|episode| match &episode.change {
            Change::Batch { batch, change: BatchChange::MovedTo(to) } => Some((*batch, *to)),
            _ => None,
        })
        .collect();
    let mut found = BTreeSet::new();
    while let Some(batch) = left.pop() {
        if found.insert(batch) {
            left.extend(moves.get(&batch));
        }
    }
    found
}

fn made(state: &State, batches: &BTreeSet<BatchId>) -> Vec<Made> {
    let of = |(model, promotion): (&String, &Promotion)| Made {
        model: model.clone(),
        version: promotion.name().map(str::to_owned),
        run: promotion.run,
        phase: promotion.phase,
        stage: promotion.stage,
    };
    let all = state
        .models
        .iter()
        .flat_map(|(name, model)| model.promotions.values().map(move |it| (name, it)));
    all.filter(|(_, promotion)| batches.contains(&promotion.run)).map(of).collect()
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&runs_table(&self.runs, self.now))?;
        for Made { model, version, run, phase, stage } in &self.versions {
            let version = version.as_deref().unwrap_or("(not registered)");
            let stage = stage.map(|stage| format!(", in {stage}")).unwrap_or_default();
            writeln!(f, "{model} {version} of {run}: {}{stage}", phase.text())?;
        }
        Ok(())
    }
}
