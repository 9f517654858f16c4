//! `refit sweep`: looks into the watched buckets for what notifications missed.

use std::fmt;
use std::sync::Arc;

use refit_core::event::{Event, Fact};
use refit_core::key::Hash128;
use refit_core::state::State;
use refit_core::time::Span;
use refit_engine::call::Caller;
use refit_engine::gather::Gatherer;
use refit_engine::sweep::{Eyes, Sweep, Swept};
use refit_host::function::read_rules;
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// Look into the watched buckets, and record the objects that notifications missed
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The reconciler does the same once a day. Recorded is what a trigger in force watches, the ledger does not \
        know, is no older than that trigger and than the ledger remembers, and no younger than 10 minutes, whose \
        notification may be under way. It takes the permission storage.objects.list on the buckets. Buckets of S3 \
        are not swept: those written s3://, and those without a scheme where the ledger is in S3. What S3 never announced \
        is not found. A bucket of `refit dev` is swept with STORAGE_EMULATOR_HOST=127.0.0.1:8377.

Examples:
  refit sweep --dry-run
  refit sweep --ledger gs://acme-refit/prod"
)]
pub(crate) struct Args {
    /// Tell what was missed, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// How long to wait before what was not answered is asked again.
const PAUSE: Span = Span::secs(2);

/// What a sweep found.
#[derive(Debug, Serialize)]
struct Found {
    swept: Swept,
    missed: Vec<Missed>,
    is_recorded: bool,
}

/// An object that was missed.
#[derive(Debug, Serialize)]
struct Missed {
    event: Hash128,
    name: String,
    generation: Option<String>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let (swept, missed) = look(context, &opened, &state).await?;
    let told = missed.iter().map(Missed::new).collect();
    let is_recorded = !args.dry_run && !missed.is_empty();
    if is_recorded {
        opened.record(context.output, missed).await?;
    }
    let found = Found { swept, missed: told, is_recorded };
    context.output.show(&found)?;
    Ok(if found.swept.troubles.is_empty() { Exit::Ok } else { Exit::Internal })
}

/// Looks into the watched buckets: what a sweep comes to, and the events of what was missed.
pub(crate) async fn look(
    context: &Context,
    opened: &Opened,
    state: &State,
) -> Result<(Swept, Vec<Event>), Failure> {
    let rules = match opened.rules(state).await? {
        Some(Ok(book)) => book.rules,
        Some(Err(why)) => {
            let message = format!("the rules in force cannot be read by this version: {why}");
            return Err(Failure::new(Exit::Invalid, message));
        }
        None => return Err(Failure::new(Exit::NotFound, "no rules are in force")),
    };
    let now = opened.now(state).await?;
    let base = &opened.base;
    let caller =
        Caller { transport: &base.transport, clock: &base.clock, limit: state.timing.call };
    let buckets = &base.buckets;
    let mut gatherer = Gatherer::new(Arc::clone(&base.store), read_rules(), buckets.clone());
    let mut eyes = Eyes { buckets, caller, gatherer: &mut gatherer, state, now, rules: &rules };
    let mut sweep = Sweep::new(&rules, &base.root);
    let progress = Progress::new(context.output, "objects looked at");
    let mut missed = Vec::new();
    while !sweep.is_over() {
        if sweep.is_stuck() {
            base.clock.sleep(PAUSE).await;
        }
        missed.extend(sweep.look(&mut eyes).await?);
        progress.count(sweep.swept.objects);
    }
    drop(progress);
    Ok((sweep.swept, missed))
}

impl Opened {
    /// Records events of any number, and wakes the reconciler without waiting for it.
    pub(crate) async fn record(
        &self,
        output: crate::output::Output,
        events: Vec<Event>,
    ) -> Result<(), Failure> {
        let intake = self.base.intake();
        let writes = events.into_iter().map(|event| intake.append(vec![event]));
        futures::future::try_join_all(writes).await?;
        Box::pin(self.wake(output)).await;
        Ok(())
    }
}

impl Missed {
    fn new(event: &Event) -> Self {
        let generation = match &event.fact {
            Fact::Object(change) => change.object.generation.clone(),
            Fact::Message(_) | Fact::Drift(_) | Fact::Command(_) | Fact::Invalid(_) => None,
        };
        Self { event: event.id(), name: event.name(), generation }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Missed { event, name, generation } in &self.missed {
            let generation = generation.as_ref().map(|text| format!("#{text}")).unwrap_or_default();
            writeln!(f, "missed: {name}{generation}, event {event}")?;
        }
        let swept = &self.swept;
        let recorded = if self.is_recorded { " and recorded" } else { "" };
        writeln!(
            f,
            "objects=`{}`, known=`{}`, missed{recorded}=`{}`, unwatched=`{}`, older than their trigger=`{}`, too old=`{}`, too new=`{}`",
            swept.objects,
            swept.known,
            swept.missed,
            swept.unwatched,
            swept.before_trigger,
            swept.too_old,
            swept.too_new
        )?;
        swept.troubles.iter().try_for_each(|trouble| writeln!(f, "not swept: {trouble}"))
    }
}
