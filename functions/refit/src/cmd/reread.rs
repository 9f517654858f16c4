//! `refit reread`: looks into the inbox for what a wrong clock hid.

use std::fmt;

use refit_core::event::Event;
use refit_core::plan::Segment;
use refit_core::time::Timestamp;
use refit_engine::reread::reread;
use serde::Serialize;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Look for recorded events that no listing shows, because a clock was wrong by days, and record them again
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The reconciler does the same once a day. Only segments whose name tells another time than their creation are \
        read, and on a ledger in a directory all of them. An event that the ledger knows is a duplicate, whatever became of it.

Examples:
  refit reread --dry-run
  refit reread --ledger gs://acme-refit/prod"
)]
pub(crate) struct Args {
    /// Tell what is hidden, and record nothing
    #[arg(long)]
    dry_run: bool,
}

/// What was hidden.
#[derive(Debug, Serialize)]
struct Found {
    segments: Vec<Hidden>,
    is_recorded: bool,
}

#[derive(Debug, Serialize)]
struct Hidden {
    segment: String,
    created: Timestamp,
    events: usize,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let base = &opened.base;
    context.output.note("listing the inbox");
    let (mut hidden, mut from) = (Vec::new(), None);
    loop {
        let reach = (state.marks.full, base.store_clock);
        let page = reread(&base.store, &state, reach, from.as_deref()).await?;
        hidden.extend(page.0);
        match page.1 {
            Some(next) => from = Some(next),
            None => break,
        }
    }
    let segments = hidden.iter().map(|segment| Hidden {
        segment: segment.name.clone(),
        created: segment.created,
        events: segment.events.len(),
    });
    let segments: Vec<Hidden> = segments.collect();
    let is_recorded = !args.dry_run && !segments.is_empty();
    if is_recorded {
        let events = hidden.into_iter().flat_map(aged).collect();
        opened.record(context.output, events).await?;
    }
    context.output.show(&Found { segments, is_recorded })?;
    Ok(Exit::Ok)
}

/// The events of a segment, no younger than it: recording them again does not make them news.
fn aged(segment: Segment) -> impl Iterator<Item = Event> {
    let created = segment.created;
    segment.events.into_iter().map(move |event| {
        let time = event.time.map_or(created, |time| time.min(created));
        Event { time: Some(time), ..event }
    })
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Hidden { segment, created, events } in &self.segments {
            writeln!(f, "hidden: segment=`{segment}`, created=`{created}`, events=`{events}`")?;
        }
        let recorded = if self.is_recorded { " and recorded again" } else { "" };
        writeln!(f, "hidden{recorded}: segments=`{}`", self.segments.len())
    }
}
