//! What would come of events that are sent again: the planner is asked, and nothing is recorded.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use refit_core::commit::{Change, Commit};
use refit_core::event::Event;
use refit_core::fold::fold;
use refit_core::plan::Segment;
use refit_core::rules::Rules;
use refit_core::state::{BatchId, State};
use refit_core::timing::SEGMENT_EVENTS_MAX;
use refit_engine::explain::{Verdict, verdicts};
use refit_engine::layout;
use serde::Serialize;

use crate::cmd::status::held_now;
use crate::context::Opened;
use crate::exit::Failure;
use crate::fate;
use crate::preview::Planner;
use crate::words::count;

/// What would come of a batch.
#[derive(Debug, Serialize)]
pub(super) struct Outlook {
    batch: BatchId,
    trigger: String,
    members: u64,
    then: String,
}

/// What would be decided of each event, and what of the batches they would join.
pub(super) async fn shadow(
    opened: &Opened,
    state: &State,
    rules: &Arc<Rules>,
    events: &[Event],
) -> Result<(Vec<Vec<String>>, Vec<Outlook>), Failure> {
    let mut state = state.clone();
    state.now = opened.now(&state).await?;
    let segments: Vec<Segment> = (0..)
        .zip(events.chunks(SEGMENT_EVENTS_MAX))
        .map(|(number, events)| segment(&state, number, events))
        .collect();
    let planned = Planner::new(opened).plan(&state, rules, &segments).await?;
    let Some(commit) = planned.commit else { return Ok((Vec::new(), Vec::new())) };
    let judged: Vec<Vec<Verdict>> = (0..)
        .zip(&segments)
        .flat_map(|(number, segment)| {
            let commit = &commit;
            (0..).zip(&segment.events).map(move |(place, _)| verdicts(commit, number, place))
        })
        .collect();
    let joined = judged.iter().flatten().filter_map(|verdict| match verdict {
        Verdict::Accepted { batch, .. } => Some(*batch),
        Verdict::Refused { .. } => None,
    });
    let joined: BTreeSet<BatchId> = joined.collect();
    let told = judged.iter().map(|verdicts| verdicts.iter().map(fate::verdict).collect());
    Ok((told.collect(), outlooks(&state, rules, &commit, joined)))
}

fn segment(state: &State, number: u32, events: &[Event]) -> Segment {
    let name = layout::segment(state.now, &format!("shadow-{number:06}"));
    Segment { name, created: state.now, events: events.to_vec() }
}

fn outlooks(
    state: &State,
    rules: &Rules,
    commit: &Commit,
    batches: BTreeSet<BatchId>,
) -> Vec<Outlook> {
    let mut after = state.clone();
    fold(&mut after, commit);
    let closed = |id: BatchId| {
        commit.changes.iter().find_map(|change| match change {
            Change::Closed(closed) if closed.batch == id => Some(closed),
            _ => None,
        })
    };
    let outlook = |batch: BatchId| {
        if let Some(closed) = closed(batch) {
            let (trigger, members) = (closed.trigger.clone(), closed.facts.count);
            return Some(Outlook { batch, trigger, members, then: "starts a run".to_owned() });
        }
        let (trigger, open) = after.open_batch(batch)?;
        let held = held_now(&after, Some(rules), batch, after.now);
        let then = held.map_or_else(|| "is due".to_owned(), fate::held);
        Some(Outlook { batch, trigger: trigger.to_owned(), members: open.count, then })
    };
    batches.into_iter().filter_map(outlook).collect()
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, trigger, members, then } = self;
        write!(f, "{batch} of {trigger} with {}: {then}", count(*members, "member", "members"))
    }
}
