//! `refit status`: the overview of a ledger.

use std::fmt;

use futures::TryStreamExt as _;
use refit_core::commit::Decision;
use refit_core::event::PauseMode;
use refit_core::notice::{Letter, Mishap, Outbox};
use refit_core::policy::{Case, judge};
use refit_core::reason::{Hold, Refusal};
use refit_core::rules::{Rules, Trigger};
use refit_core::state::{Batch, BatchId, Held, Standing, State, Trouble};
use refit_core::time::{Span, Timestamp};
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::fate;
use crate::inbox;
use crate::output::table;
use crate::run_row::{RunRow, runs_table};
use crate::words::{ago, count, or_dash};

/// How far back the quarantine is counted.
const QUARANTINE: Span = Span::days(1);
/// Commits that are read for it at the most.
const QUARANTINE_COMMITS_MAX: u64 = 512;

/// Show what is held, how much, until when and why; what runs; and what is wrong
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Every time is the ledger's, in UTC. A batch is judged as of now; what is due starts \
        with the reconciler's next pass.

Examples:
  refit status
  refit status --json --ledger gs://acme-refit/prod"
)]
pub(crate) struct Args {}

/// The overview.
#[derive(Debug, Serialize)]
struct Status {
    location: String,
    ledger: String,
    now: Timestamp,
    commit: u64,
    committed_at: Timestamp,
    /// The revision of the rules in force.
    rules: Option<String>,
    /// Why this binary cannot read them.
    rules_unreadable: Option<String>,
    /// Segments no commit has consumed.
    pending: usize,
    /// Deliveries of the last day that were not understood.
    quarantined: u64,
    triggers: Vec<TriggerRow>,
    batches: Vec<BatchRow>,
    runs: Vec<RunRow>,
    receivers: Vec<ReceiverRow>,
}

#[derive(Debug, Serialize)]
struct TriggerRow {
    trigger: String,
    paused: Option<PauseMode>,
    removed: bool,
    open: usize,
    active: usize,
    /// Attempts launched in the period of its budget.
    launches: usize,
    /// Attempts its budget allows, and the period; none if its rule is not in force.
    budget: Option<(u32, Span)>,
    last_launch: Option<Timestamp>,
    /// The next time of its schedules.
    next_time: Option<Timestamp>,
    trouble: Option<Trouble>,
}

#[derive(Debug, Serialize)]
struct BatchRow {
    batch: BatchId,
    trigger: String,
    key: String,
    members: u64,
    bytes: u64,
    opened_at: Timestamp,
    /// Why it waits, judged now; none if it is due.
    held: Option<Held>,
    /// What ends that, where no time does.
    awaits: Option<&'static str>,
    /// Why it cannot be started as it is.
    trouble: Option<Trouble>,
}

/// Somebody who could not be told of something yet.
#[derive(Debug, Serialize)]
struct ReceiverRow {
    receiver: String,
    /// Notices that are not delivered.
    waiting: u64,
    /// When the next of them is sent.
    next: Option<Timestamp>,
    /// Why the last letter was not delivered, or was given up.
    trouble: Option<Mishap>,
}

pub(super) async fn run(context: &Context, _: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let rules = opened.rules(&state).await?;
    let (book, unreadable) = match rules {
        Some(Ok(book)) => (Some(book), None),
        Some(Err(why)) => (None, Some(why)),
        None => (None, None),
    };
    let now = opened.now(&state).await?;
    let rules = book.as_ref().map(|book| &*book.rules);
    let runs = state.runs.values().rev().filter(|run| run.is_active());
    let status = Status {
        location: opened.location.clone(),
        ledger: state.ledger.clone(),
        now,
        commit: state.seq,
        committed_at: state.now,
        rules: state.rules.clone(),
        rules_unreadable: unreadable,
        pending: inbox::unread(&opened.ledger, &state).await?.len(),
        quarantined: quarantined(&opened, &state, now).await?,
        triggers: triggers(&state, rules, now),
        batches: batches(&state, rules, now),
        runs: runs.map(RunRow::of).collect(),
        receivers: receivers(&state),
    };
    context.output.show(&status)?;
    Ok(Exit::Ok)
}

/// Those with letters that are not delivered, or of which the last was given up.
fn receivers(state: &State) -> Vec<ReceiverRow> {
    let row = |(receiver, outbox): (&String, &Outbox)| ReceiverRow {
        receiver: receiver.clone(),
        waiting: outbox.letters.values().map(Letter::count).sum(),
        next: outbox.letters.values().map(|letter| letter.due).min(),
        trouble: outbox.trouble.clone(),
    };
    let rows = state.outboxes.iter().map(row);
    rows.filter(|row| row.waiting > 0 || row.trouble.is_some()).collect()
}

/// How many deliveries of the last day were not understood.
async fn quarantined(opened: &Opened, state: &State, now: Timestamp) -> Result<u64, Failure> {
    let from = state.seq.saturating_sub(QUARANTINE_COMMITS_MAX);
    let since = now - QUARANTINE;
    let recent = opened.commits_after(from).try_fold(0, |sum, commit| {
        let invalid = commit.decisions.iter().filter_map(|decision| match decision {
            Decision::Refused { reason: Refusal::Invalid, events, .. } => Some(events.len()),
            Decision::Refused { .. } | Decision::Accepted { .. } | Decision::Answered { .. } => {
                None
            }
        });
        let found: u64 = if commit.now >= since { invalid.sum() } else { 0 };
        std::future::ready(Ok(sum + found))
    });
    Ok(recent.await?)
}

fn triggers(state: &State, rules: Option<&Rules>, now: Timestamp) -> Vec<TriggerRow> {
    let row = |(name, standing): (&String, &Standing)| {
        let rule = rules.and_then(|rules| rules.triggers.get(name));
        let budget = rule.map(|rule| (rule.budget.runs, rule.budget.per));
        let since = budget.map_or(Timestamp::EPOCH, |(_, per)| now - per);
        TriggerRow {
            trigger: name.clone(),
            paused: standing.paused,
            removed: standing.removed,
            open: standing.open.len(),
            active: state.active_runs(name).count(),
            launches: standing.launches.iter().filter(|at| **at > since).count(),
            budget,
            last_launch: standing.last_launch,
            next_time: rule.and_then(|rule| next_time(rule, now)),
            trouble: standing.trouble.clone(),
        }
    };
    state.triggers.iter().map(row).collect()
}

/// The next time of any schedule of a trigger.
fn next_time(rule: &Trigger, now: Timestamp) -> Option<Timestamp> {
    rule.schedules().filter_map(|schedule| Some(schedule.next(now)?.at)).min()
}

fn batches(state: &State, rules: Option<&Rules>, now: Timestamp) -> Vec<BatchRow> {
    let of = |(name, standing): (&String, &Standing)| {
        let row = |(id, batch): (&BatchId, &Batch)| {
            let held = held_now(state, rules, *id, now);
            BatchRow {
                batch: *id,
                trigger: name.clone(),
                key: batch.key.clone(),
                members: batch.count,
                bytes: batch.bytes,
                opened_at: batch.opened_at,
                held,
                awaits: held.and_then(|held| fate::awaited(held.reason)),
                trouble: batch.trouble.clone(),
            }
        };
        standing.open.iter().map(row).collect::<Vec<_>>()
    };
    state.triggers.iter().flat_map(of).collect()
}

/// Why an open batch waits, judged now; none if it is due.
pub(super) fn held_now(
    state: &State,
    rules: Option<&Rules>,
    id: BatchId,
    now: Timestamp,
) -> Option<Held> {
    let (name, batch) = state.open_batch(id)?;
    let standing = state.triggers.get(name)?;
    let Some(rule) = rules.and_then(|rules| rules.triggers.get(name)) else {
        let removed = Held { reason: Hold::TriggerRemoved, until: None };
        return if standing.removed { Some(removed) } else { batch.held };
    };
    let held = judge(&Case::of(state, now, (name, rule), id)?)?;
    let until = held.until.or_else(|| match held.reason {
        Hold::ActiveRun | Hold::Replacing => times_out(state, name, rule),
        _ => None,
    });
    Some(Held { until, ..held })
}

/// When the last of the active runs of a trigger has taken too long; none if one has not begun, or is to end anyway.
fn times_out(state: &State, name: &str, rule: &Trigger) -> Option<Timestamp> {
    let ends = state.active_runs(name).map(|run| {
        let started = run.attempt().started_at.filter(|_| run.cancel.is_none())?;
        Some(started + rule.timeout)
    });
    ends.collect::<Option<Vec<_>>>()?.into_iter().max()
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_head(f)?;
        if !self.triggers.is_empty() {
            let head = ["TRIGGER", "STATE", "OPEN", "ACTIVE", "LAUNCHES", "BUDGET", "LAST-LAUNCH"];
            write!(f, "\n{}", table(head, self.triggers.iter().map(TriggerRow::cells)))?;
        }
        if !self.batches.is_empty() {
            let head = ["BATCH", "TRIGGER", "KEY", "MEMBERS", "BYTES", "SINCE", "UNTIL", "HELD"];
            write!(f, "\n{}", table(head, self.batches.iter().map(BatchRow::cells)))?;
        }
        if !self.runs.is_empty() {
            write!(f, "\n{}", runs_table(&self.runs, self.now))?;
        }
        self.write_times(f)?;
        self.write_troubles(f)?;
        self.receivers.iter().try_for_each(|row| write!(f, "\n{row}"))
    }
}

impl Status {
    fn write_head(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ledger      {}, id {}", self.location, self.ledger)?;
        match self.commit {
            // The founding commit has no time.
            0 => writeln!(f, "commit      0, the founding of the ledger")?,
            seq => {
                let committed = ago(self.now, self.committed_at);
                writeln!(f, "commit      {seq} at {}, {committed}", self.committed_at)?;
            }
        }
        let rules =
            self.rules.as_deref().unwrap_or("none in force: `refit apply` puts some in force");
        writeln!(f, "rules       {rules}")?;
        if let Some(why) = &self.rules_unreadable {
            writeln!(f, "            this binary cannot read them: {why}")?;
        }
        let pending = count(self.pending as u64, "segment waits", "segments wait");
        writeln!(f, "inbox       {pending} for the reconciler")?;
        let quarantined = count(self.quarantined, "delivery", "deliveries");
        writeln!(f, "quarantine  {quarantined} not understood in the last day")
    }

    fn write_times(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timed = self.triggers.iter().filter_map(|row| Some((&row.trigger, row.next_time?)));
        timed.into_iter().try_for_each(|(trigger, at)| write!(f, "\n{trigger}: next time {at}"))
    }

    fn write_troubles(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prepared = "cannot be prepared";
        let of_triggers =
            self.triggers.iter().map(|row| (row.trigger.clone(), prepared, &row.trouble));
        let started = "cannot be started as it is";
        let of_batches =
            self.batches.iter().map(|row| (row.batch.to_string(), started, &row.trouble));
        for (name, what, trouble) in of_triggers.chain(of_batches) {
            let Some(Trouble { message, failures, until }) = trouble else { continue };
            let tries = count(u64::from(*failures), "time", "times");
            write!(f, "\n{name}: {what}, {tries} so far, next at {until}: {message}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ReceiverRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waiting = count(self.waiting, "notice", "notices");
        write!(f, "{}: {waiting} not delivered", self.receiver)?;
        self.next.map_or(Ok(()), |next| write!(f, ", next at {next}"))?;
        let Some(Mishap { at, lost, message }) = &self.trouble else { return Ok(()) };
        let what = if *lost { "given up" } else { "failed" };
        write!(f, "; one was {what} at {at}: {message}")
    }
}

impl TriggerRow {
    fn cells(&self) -> [String; 7] {
        let state = match (self.removed, self.paused, &self.trouble) {
            (true, _, _) => "removed",
            (false, Some(PauseMode::Hold), _) => "paused",
            (false, Some(PauseMode::Ignore), _) => "paused-ignoring",
            (false, None, Some(_)) => "in-trouble",
            (false, None, None) => "ready",
        };
        [
            self.trigger.clone(),
            state.to_owned(),
            self.open.to_string(),
            self.active.to_string(),
            self.launches.to_string(),
            or_dash(self.budget.map(|(runs, per)| format!("{runs}/{per}"))),
            or_dash(self.last_launch),
        ]
    }
}

/// Why a batch waits, and what for where no time ends that.
fn reason(held: Held) -> String {
    let awaited = fate::awaited(held.reason).map(|awaited| format!(", until {awaited}"));
    format!("{}{}", held.reason.text(), awaited.unwrap_or_default())
}

impl BatchRow {
    fn cells(&self) -> [String; 8] {
        [
            self.batch.to_string(),
            self.trigger.clone(),
            self.key.split_whitespace().collect::<Vec<_>>().join("_"),
            self.members.to_string(),
            self.bytes.to_string(),
            self.opened_at.to_string(),
            or_dash(self.held.and_then(|held| held.until)),
            self.held.map_or_else(|| "due: the next pass starts it".to_owned(), reason),
        ]
    }
}
