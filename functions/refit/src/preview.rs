//! What rules would start, found by the planner itself on the state as it is.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use refit_core::commit::{BatchChange, Change, Commit};
use refit_core::error::{Error, ErrorKind};
use refit_core::event::Command;
use refit_core::plan::{Deleted, Found, Inputs, Listing, Need, Plan, Prepared, Segment, plan};
use refit_core::policy::{Case, judge};
use refit_core::rules::Rules;
use refit_core::state::{BatchId, State};
use refit_core::time::Timestamp;
use refit_engine::call;
use refit_engine::gather::{Gatherer, RuleBook};
use refit_engine::layout;
use refit_engine::submit::command_event;
use refit_host::function::read_rules;
use serde::Serialize;

use crate::context::Opened;
use crate::exit::Failure;
use crate::words::count;

/// How often the planner may ask for more.
const ROUNDS_MAX: usize = 16;

/// A batch that new rules concern.
#[derive(Debug, Serialize)]
pub(crate) struct Due {
    batch: BatchId,
    trigger: String,
    members: u64,
    then: Then,
}

/// What becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Then {
    /// It starts a run, with or without the new rules.
    StartsAnyway,
    /// The new rules start a run of it.
    Starts,
    /// It is due by the new rules, and waits for a decision.
    Waits,
    /// Its trigger is gone, and it waits to be discarded or for the trigger to come back.
    TriggerRemoved,
}

/// A service under which runs are active that began while it was another.
#[derive(Debug, Serialize)]
pub(crate) struct Staying {
    service: String,
    runs: usize,
}

/// The active runs that `book` does not take to another place: each stays with its service as it was when it began.
pub(crate) async fn staying(
    opened: &Opened,
    state: &State,
    book: &RuleBook,
) -> Result<Vec<Staying>, Failure> {
    let mut gatherer = Planner::new(opened).gatherer;
    let mut staying: BTreeMap<&str, usize> = BTreeMap::new();
    for run in state.runs.values().filter(|run| run.is_active()) {
        let began = gatherer.book(&run.rules).await?.ok();
        let place = |book: &RuleBook| Some(book.services.get(&run.service)?.place.clone());
        let began = began.as_deref().and_then(place);
        if began.is_none() || began != place(book) {
            *staying.entry(&run.service).or_default() += 1;
        }
    }
    let staying = staying.into_iter();
    Ok(staying.map(|(service, runs)| Staying { service: service.to_owned(), runs }).collect())
}

/// What applying `rules` at `now` would make of the open batches.
pub(crate) async fn preview(
    opened: &Opened,
    state: &State,
    now: Timestamp,
    rules: &Arc<Rules>,
    start: bool,
) -> Result<Vec<Due>, Failure> {
    let mut state = state.clone();
    state.now = now;
    let mut planner = Planner::new(opened);
    planner.found.rules.insert(rules.revision.clone(), Ok(Arc::clone(rules)));
    let planned = planner.plan(&state, rules, &[apply_segment(&state, rules, start)]).await?;
    let old = state.rules.as_ref().and_then(|revision| planner.found.rules.get(revision));
    let old = old.and_then(|old| old.as_ref().ok());
    Ok(planned
        .commit
        .iter()
        .flat_map(|commit| due(&state, old.map(|old| &**old), commit))
        .collect())
}

/// The planner with what it asks for, and without the calls to services.
pub(crate) struct Planner<'a> {
    opened: &'a Opened,
    found: Found,
    gatherer: Gatherer,
}

impl<'a> Planner<'a> {
    /// A planner that has asked for nothing yet.
    pub(crate) fn new(opened: &'a Opened) -> Self {
        let (store, buckets) = (&opened.base.store, &opened.base.buckets);
        let gatherer = Gatherer::new(Arc::clone(store), read_rules(), buckets.clone());
        Self { opened, found: Found::default(), gatherer }
    }

    /// What would be decided of these segments under these rules.
    pub(crate) async fn plan(
        &mut self,
        state: &State,
        rules: &Rules,
        segments: &[Segment],
    ) -> Result<Plan, Failure> {
        for _ in 0..ROUNDS_MAX {
            let planned = plan(state, &self.inputs(state, segments));
            if planned.needs.is_empty() {
                return Ok(planned);
            }
            let mut needs = planned.needs;
            needs.retain(|need| !self.pretend(need, rules));
            let base = &self.opened.base;
            let (transport, clock) = (&base.transport, &base.clock);
            let caller = call::Caller { transport, clock, limit: state.timing.call };
            self.gatherer.satisfy(state, needs, &caller, &mut self.found).await?;
        }
        Err(Error::new(ErrorKind::Internal, "the planner asks for more and more").into())
    }

    fn inputs<'i>(&'i self, state: &State, segments: &'i [Segment]) -> Inputs<'i> {
        static NOTHING: Deleted = Deleted { retired: Vec::new(), marks_before: None, done: None };
        let (fast, full) = (state.marks.fast, state.marks.full);
        let listing = Listing { now: state.now, fast, full, long: false, more: false };
        Inputs {
            root: &self.opened.base.root,
            nonce: "preview",
            listing,
            segments,
            observations: &[],
            reports: &[],
            deliveries: &[],
            deleted: &NOTHING,
            found: &self.found,
        }
    }

    /// Takes a pipeline for prepared without asking its service: nothing is started.
    fn pretend(&mut self, need: &Need, rules: &Rules) -> bool {
        let Need::Prepared { revision, trigger } = need else { return false };
        let rule = rules.triggers.get(trigger);
        let target = rule.map(|rule| rule.run.target.clone()).unwrap_or_default();
        let prepared = Prepared { target, parameters: None };
        self.found.prepared.insert((revision.clone(), trigger.clone()), Ok(prepared));
        true
    }
}

fn apply_segment(state: &State, rules: &Rules, start: bool) -> Segment {
    let (revision, replaces) = (rules.revision.clone(), state.rules.clone());
    let event = command_event(Command::Apply { revision, replaces, start }, "preview", "preview");
    let name = layout::segment(state.now, "preview");
    Segment { name, created: state.now, events: vec![event] }
}

fn due(state: &State, old: Option<&Rules>, commit: &Commit) -> Vec<Due> {
    let of = |batch: BatchId, then: Then| {
        let (trigger, open) = state.open_batch(batch)?;
        Some(Due { batch, trigger: trigger.to_owned(), members: open.count, then })
    };
    let changed = commit.changes.iter().flat_map(|change| match change {
        Change::Closed(closed) => {
            let is_due = is_due(state, old, closed.batch);
            let then = if is_due { Then::StartsAnyway } else { Then::Starts };
            Vec::from_iter(of(closed.batch, then))
        }
        Change::Batch { batch, change: BatchChange::Asked } => {
            Vec::from_iter(of(*batch, Then::Waits))
        }
        Change::Applied { removed, .. } => {
            let standings = removed.iter().filter_map(|name| state.triggers.get(name));
            let open = standings.flat_map(|standing| standing.open.keys());
            open.filter_map(|batch| of(*batch, Then::TriggerRemoved)).collect()
        }
        Change::Created { .. }
        | Change::Inbox(_)
        | Change::Trigger { .. }
        | Change::Batch { .. }
        | Change::Stored { .. }
        | Change::Run { .. }
        | Change::Attempt { .. }
        | Change::Memory(_)
        | Change::Outbox { .. }
        | Change::Promotion { .. }
        | Change::Model { .. } => Vec::new(),
    });
    changed.collect()
}

/// Whether the rules in force start a run of the batch as well.
fn is_due(state: &State, rules: Option<&Rules>, batch: BatchId) -> bool {
    let judged = || {
        let (trigger, _) = state.open_batch(batch)?;
        let rule = rules?.triggers.get(trigger)?;
        let case = Case::of(state, state.now, (trigger, rule), batch)?;
        Some(judge(&case).is_none())
    };
    judged().unwrap_or(false)
}

impl fmt::Display for Staying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { service, runs } = self;
        match runs {
            1 => write!(
                f,
                "1 active run of service {service} began before and stays with it as it was"
            ),
            _ => write!(
                f,
                "{runs} active runs of service {service} began before and stay with it as it was"
            ),
        }
    }
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { batch, trigger, members, then } = self;
        write!(f, "{batch} of {trigger} with {}: ", count(*members, "member", "members"))?;
        match then {
            Then::StartsAnyway => write!(f, "starts a run, with or without these rules"),
            Then::Starts => write!(f, "starts a run"),
            Then::Waits => write!(
                f,
                "becomes due, and waits for `refit resume {trigger} --coalesce` or `--discard`; with --start it starts a run"
            ),
            Then::TriggerRemoved => write!(
                f,
                "waits for its trigger to come back, or for `refit resume {trigger} --discard`"
            ),
        }
    }
}
