//! Moves a state forward by a commit: plain application of data.
//!
//! Nothing is decided here, so that old logs stay readable when the deciding code changes. A change that names
//! something the state does not have is passed over: [`crate::invariants`] is where such a commit is refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::commit::{
    AttemptChange, BatchChange, Change, Closed, Commit, InboxChange, MemoryChange, RunChange,
    TriggerChange,
};
use crate::mutant::{self, Mutant};
use crate::notice::{NoticeKind, OutboxChange};
use crate::promotion::{Model, PromotionChange, apply_to_model, apply_to_promotion};
use crate::run::{Attempt, Cancel, ExternalRun, Mark, Phase, Run};
use crate::schedule::Slot;
use crate::state::{Batch, BatchId, PartRef, ScheduleMark, Seal, Standing, State};
use crate::time::{Span, Timestamp};

/// What every change of a commit shares.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp<'a> {
    pub(crate) seq: u64,
    pub(crate) nonce: &'a str,
    pub(crate) now: Timestamp,
}

/// Applies a commit.
pub fn fold(state: &mut State, commit: &Commit) {
    let stamp = Stamp { seq: commit.seq, nonce: &commit.nonce, now: commit.now };
    for change in &commit.changes {
        apply(state, change, stamp);
    }
    remember_segments(state, &commit.segments);
    if !commit.fresh.is_empty() {
        Arc::make_mut(&mut state.memory).add(commit.now.day(), &commit.fresh);
    }
    state.seq = commit.seq;
    state.now = commit.now;
}

/// Keeps the names a full listing may still show.
fn remember_segments(state: &mut State, consumed: &[String]) {
    let from = (state.marks.full - state.timing.grace).compact();
    let keeps_all = state.recent.first().is_none_or(|first| *first >= from);
    if consumed.is_empty() && keeps_all {
        return;
    }
    let recent = Arc::make_mut(&mut state.recent);
    recent.extend(consumed.iter().cloned());
    while recent.first().is_some_and(|first| *first < from) {
        recent.pop_first();
    }
}

/// Applies one change.
pub(crate) fn apply(state: &mut State, change: &Change, stamp: Stamp<'_>) {
    match change {
        Change::Created { ledger, timing } => {
            state.ledger.clone_from(ledger);
            state.timing.clone_from(timing);
        }
        Change::Inbox(change) => apply_to_inbox(state, change, stamp),
        Change::Applied { revision, added, removed, pauses } => {
            let before = state.rules.replace(revision.clone());
            apply_rules(state, (added, removed), before.as_deref(), stamp);
            for (name, mode) in pauses {
                state.triggers.entry(name.clone()).and_modify(|standing| standing.paused = *mode);
            }
        }
        Change::Trigger { trigger, change } => {
            if let Some(standing) = state.triggers.get_mut(trigger) {
                apply_to_trigger(standing, change);
            }
            if matches!(change, TriggerChange::Resumed | TriggerChange::LaunchesForgotten(_)) {
                release_trigger(state, trigger);
            }
        }
        Change::Batch { batch, change } => apply_to_batch(state, *batch, change, stamp),
        Change::Stored { part, batches } => {
            for (id, count) in batches {
                if let Some((_, batch)) = open_mut(state, *id) {
                    batch.parts.push(PartRef {
                        name: part.clone(),
                        batch: Some(*id),
                        count: *count,
                    });
                }
            }
        }
        Change::Closed(closed) => close(state, closed, stamp),
        Change::Run { run, change } => apply_to_run(state, *run, change, stamp),
        Change::Attempt { run, attempt, change } => {
            if let AttemptChange::Intended { key, parameters, round, .. } = change {
                let attempt = Attempt::new(*attempt, *key, parameters.clone());
                intend(state, *run, Attempt { round: *round, ..attempt }, stamp);
            } else if let Some(run) = state.runs.get_mut(run) {
                if matches!(change, AttemptChange::Reopened(_)) {
                    reopen(run);
                }
                if let AttemptChange::Claimed { watch_until, .. } = change {
                    give_up_rivals(run, *attempt, *watch_until, stamp);
                }
                if let Some(attempt) = run.attempt_mut(*attempt) {
                    apply_to_attempt(attempt, change, stamp);
                }
            }
        }
        Change::Memory(change) => apply_to_memory(state, change, stamp),
        Change::Outbox { receiver, change } => apply_to_outbox(state, receiver, change, stamp),
        Change::Promotion { model, run, change } => {
            if let PromotionChange::Begun { registry, .. } = change {
                let known = Arc::make_mut(&mut state.models).entry(model.clone());
                known.or_insert_with(|| Model::new(registry.clone()));
            }
            if let Some(model) = Arc::make_mut(&mut state.models).get_mut(model) {
                apply_to_promotion(model, *run, change, stamp);
            }
        }
        Change::Model { model, change } => {
            if let Some(model) = Arc::make_mut(&mut state.models).get_mut(model) {
                apply_to_model(model, change, stamp);
            }
        }
    }
}

fn apply_to_outbox(state: &mut State, receiver: &str, change: &OutboxChange, stamp: Stamp<'_>) {
    if let OutboxChange::Raised { notice, .. } = change
        && let (NoticeKind::Budget, Some(trigger)) = (notice.kind, &notice.trigger)
    {
        let standing = state.triggers.entry(trigger.clone());
        standing.and_modify(|standing| standing.told_budget = notice.until);
    }
    let outboxes = Arc::make_mut(&mut state.outboxes);
    if *change == OutboxChange::Closed {
        outboxes.remove(receiver);
        return;
    }
    let outbox = outboxes.entry(receiver.to_owned()).or_default();
    outbox.apply(change, stamp.nonce, stamp.now);
}

fn apply_to_inbox(state: &mut State, change: &InboxChange, stamp: Stamp<'_>) {
    let marks = &mut state.marks;
    match change {
        InboxChange::Listed { fast, full } => (marks.fast, marks.full) = (*fast, *full),
        InboxChange::DeleteBelow(mark) => marks.delete.push((stamp.now, *mark)),
        InboxChange::DeleteDone(before) => marks.delete.retain(|(set, _)| set >= before),
        InboxChange::Restored => marks.restored = Some(stamp.now),
    }
}

fn apply_rules(
    state: &mut State,
    (added, removed): (&[String], &[String]),
    before: Option<&str>,
    stamp: Stamp<'_>,
) {
    for name in added {
        let standing = state.triggers.entry(name.clone());
        let standing = standing.or_insert_with(|| Standing::new(stamp.now));
        if std::mem::take(&mut standing.removed) {
            standing.since = stamp.now;
            standing.removed_from = None;
        }
    }
    for name in removed {
        if let Some(standing) = state.triggers.get_mut(name) {
            standing.removed = true;
            standing.removed_from = before.map(str::to_owned);
            standing.accepting.clear();
            standing.schedules.clear();
            standing.streaks.clear();
        }
        release_trigger(state, name);
    }
    for standing in state.triggers.values_mut() {
        standing.trouble = None;
        standing.open.values_mut().for_each(|batch| batch.trouble = None);
    }
}

/// A trigger that is gone from the rules stays as long as a batch or an unfinished run of it does, a budget may count its
/// launches, or a person has paused it.
fn release_trigger(state: &mut State, name: &str) {
    let forgets = mutant::is(Mutant::BudgetForgottenWithTrigger);
    let kept = |standing: &Standing| {
        !forgets && (standing.paused.is_some() || !standing.launches.is_empty())
    };
    let standing = state.triggers.get(name).filter(|standing| standing.removed);
    let empty = standing.is_some_and(|standing| standing.open.is_empty() && !kept(standing));
    if empty && state.active_runs(name).next().is_none() {
        state.triggers.remove(name);
    }
}

fn apply_to_trigger(standing: &mut Standing, change: &TriggerChange) {
    match change {
        TriggerChange::Paused(mode) => standing.paused = Some(*mode),
        TriggerChange::Resumed => standing.paused = None,
        TriggerChange::Troubled(trouble) => standing.trouble = Some(trouble.clone()),
        TriggerChange::Untroubled => standing.trouble = None,
        TriggerChange::Streak { series, streak } => {
            standing.streaks.insert(*series, *streak);
        }
        TriggerChange::StreakForgotten(series) => {
            standing.streaks.remove(series);
        }
        TriggerChange::Scheduled { .. }
        | TriggerChange::Unscheduled(_)
        | TriggerChange::Fired { .. }
        | TriggerChange::Passed { .. }
        | TriggerChange::Missed { .. } => apply_to_schedules(&mut standing.schedules, change),
        TriggerChange::LaunchesForgotten(before) => standing.launches.retain(|at| at >= before),
        TriggerChange::Staged { .. } | TriggerChange::StagePassed { .. } => {}
    }
}

fn apply_to_schedules(marks: &mut BTreeMap<String, ScheduleMark>, change: &TriggerChange) {
    if let TriggerChange::Scheduled { schedule, from } = change {
        marks.insert(schedule.clone(), ScheduleMark { until: *from, civil: String::new() });
    } else if let TriggerChange::Unscheduled(schedule) = change {
        marks.remove(schedule);
    } else if let TriggerChange::Missed { schedule, until, .. } = change {
        // The time it ends at may be one to act on.
        let before = *until - Span::from_millis(1);
        marks.entry(schedule.clone()).and_modify(|mark| mark.until = mark.until.max(before));
    } else if let TriggerChange::Fired { firing, .. } | TriggerChange::Passed { firing, .. } =
        change
    {
        let Slot { at, civil } = firing.slot.clone();
        let mark = ScheduleMark { until: at, civil };
        marks.entry(firing.schedule.clone()).and_modify(|known| *known = mark);
    }
}

fn apply_to_batch(state: &mut State, id: BatchId, change: &BatchChange, stamp: Stamp<'_>) {
    match change {
        BatchChange::Joined { .. } => join(state, id, change),
        BatchChange::Merged(part) => {
            let Some((_, batch)) = open_mut(state, id) else { return };
            let before = std::mem::replace(&mut batch.parts, vec![part.clone()]);
            retire(state, &before, stamp);
        }
        BatchChange::Sealed(why) => seal(state, id, *why),
        BatchChange::Asked => {
            seal(state, id, Seal::Asked);
            set_ask(state, id, true);
        }
        BatchChange::Answered => {
            set_ask(state, id, false);
            unseal(state, id);
        }
        BatchChange::Holding(held) => {
            if let Some((_, batch)) = open_mut(state, id) {
                batch.held = Some(*held);
            }
        }
        BatchChange::Troubled(trouble) => {
            if let Some((_, batch)) = open_mut(state, id) {
                batch.trouble = Some(trouble.clone());
            }
        }
        BatchChange::Discarded | BatchChange::Emptied => {
            if let Some((trigger, dropped)) = take_open(state, id) {
                retire(state, &dropped.parts, stamp);
                release_trigger(state, &trigger);
            }
        }
        BatchChange::MovedTo(to) => move_members(state, id, *to),
    }
}

fn join(state: &mut State, id: BatchId, change: &BatchChange) {
    let BatchChange::Joined { trigger, key, count, bytes, first_at, last_at } = change else {
        return;
    };
    let Some(standing) = state.triggers.get_mut(trigger) else { return };
    let fresh = !standing.open.contains_key(&id);
    let open = standing.open.entry(id).or_insert_with(|| Batch::new(key.clone(), *first_at));
    open.count += count;
    open.bytes = open.bytes.saturating_add(*bytes);
    open.opened_at = open.opened_at.min(*first_at);
    open.last_at = open.last_at.max(*last_at);
    if fresh {
        standing.accepting.insert(key.clone(), id);
    }
}

fn set_ask(state: &mut State, id: BatchId, ask: bool) {
    if let Some((_, batch)) = open_mut(state, id) {
        batch.ask = ask;
    }
}

fn seal(state: &mut State, id: BatchId, why: Seal) {
    let Some((trigger, batch)) = open_mut(state, id) else { return };
    batch.sealed.get_or_insert(why);
    let key = batch.key.clone();
    let Some(standing) = state.triggers.get_mut(&trigger) else { return };
    if standing.accepting.get(&key) == Some(&id) {
        standing.accepting.remove(&key);
    }
}

/// A batch that only waited for a decision takes members again, unless another one does by now.
fn unseal(state: &mut State, id: BatchId) {
    let Some((trigger, batch)) = open_mut(state, id) else {
        return;
    };
    if batch.sealed != Some(Seal::Asked) {
        return;
    }
    let key = batch.key.clone();
    let Some(standing) = state.triggers.get_mut(&trigger) else {
        return;
    };
    if !standing.accepting.contains_key(&key) && !standing.removed {
        standing.accepting.insert(key, id);
        standing.open.entry(id).and_modify(|batch| batch.sealed = None);
    }
}

fn move_members(state: &mut State, from: BatchId, to: BatchId) {
    let source = match take_open(state, from) {
        Some((_, batch)) => Some((batch.count, batch.bytes, batch.opened_at, batch.parts)),
        None => state.runs.get(&from).map(|run| {
            let part = PartRef { name: run.manifest.clone(), batch: None, count: run.facts.count };
            (run.facts.count, run.facts.bytes, run.facts.opened_at, vec![part])
        }),
    };
    let (Some((count, bytes, opened_at, parts)), Some((_, batch))) = (source, open_mut(state, to))
    else {
        return;
    };
    batch.count += count;
    batch.bytes = batch.bytes.saturating_add(bytes);
    batch.opened_at = batch.opened_at.min(opened_at);
    batch.parts.extend(parts);
    for run in state.runs.values_mut().filter(|run| run.is_active()) {
        if run.cancel == Some(Cancel::ReplacedBy(from)) {
            run.cancel = Some(Cancel::ReplacedBy(to));
        }
    }
}

fn close(state: &mut State, closed: &Closed, stamp: Stamp<'_>) {
    let Some((trigger, batch)) = take_open(state, closed.batch) else {
        return;
    };
    retire(state, &batch.parts, stamp);
    let rules = state.rules.clone().unwrap_or_default();
    let run = Run {
        batch: closed.batch,
        trigger: trigger.clone(),
        key: batch.key,
        rules,
        service: closed.service.clone(),
        profile: closed.profile,
        target: closed.target.clone(),
        cache: closed.cache,
        guard: closed.guard.clone(),
        manifest: closed.manifest.clone(),
        facts: closed.facts.clone(),
        attempts: Vec::new(),
        cancel: None,
        cancel_at: None,
        finished: None,
    };
    state.runs.insert(closed.batch, run);
    if let Some(standing) = state.triggers.get_mut(&trigger) {
        standing.last_launch = Some(stamp.now);
    }
}

fn intend(state: &mut State, id: BatchId, attempt: Attempt, stamp: Stamp<'_>) {
    let Some(run) = state.runs.get_mut(&id) else { return };
    forget_time_out(run);
    run.attempts.push(attempt);
    run.attempts.last_mut().into_iter().for_each(|attempt| take(attempt, stamp));
    if let Some(standing) = state.triggers.get_mut(&run.trigger) {
        standing.launches.push(stamp.now);
        if mutant::is(Mutant::BudgetCountsTwice) {
            standing.launches.push(stamp.now);
        }
    }
}

/// Another attempt has its own time.
fn forget_time_out(run: &mut Run) {
    if run.cancel == Some(Cancel::TimedOut) {
        (run.cancel, run.cancel_at) = (None, None);
    }
}

/// Makes the writer of this commit the one who may call.
fn take(attempt: &mut Attempt, stamp: Stamp<'_>) {
    attempt.intent = stamp.seq;
    stamp.nonce.clone_into(&mut attempt.owner);
    attempt.intended_at = stamp.now;
    attempt.not_before = None;
    attempt.empty_since = None;
}

/// One attempt made the claim: the others under it come to nothing, and are ended where they were not seen to end.
fn give_up_rivals(run: &mut Run, number: u32, watch_until: Timestamp, stamp: Stamp<'_>) {
    forget_time_out(run);
    let Some(holder) = run.attempt_numbered(number).cloned() else { return };
    let others = run.attempts.iter_mut().filter(|other| other.number != number);
    let rivals = others.filter(|other| other.is_rival_of(&holder));
    for rival in rivals.filter(|rival| rival.phase != Phase::Abandoned) {
        rival.watch_until = (!rival.phase.is_terminal()).then_some(watch_until);
        rival.phase = Phase::Abandoned;
        rival.ended_at.get_or_insert(stamp.now);
    }
}

/// A run that was over goes on, whatever it was to end for.
fn reopen(run: &mut Run) {
    if run.finished.take().is_some() {
        (run.cancel, run.cancel_at) = (None, None);
    }
    let was_live = run.counted().is_some_and(Attempt::is_live);
    if !was_live {
        forget_time_out(run);
    }
}

/// Its service has it, as this run.
fn began(attempt: &mut Attempt, external: &ExternalRun, stamp: Stamp<'_>) {
    attempt.phase = Phase::Pending;
    attempt.external = Some(external.clone());
    attempt.started_at = Some(stamp.now);
    attempt.ended_at = None;
    attempt.watch_until = None;
    attempt.empty_since = None;
    attempt.message = None;
    attempt.stuck = false;
}

fn apply_to_attempt(attempt: &mut Attempt, change: &AttemptChange, stamp: Stamp<'_>) {
    match change {
        AttemptChange::Intended { .. } => take(attempt, stamp),
        AttemptChange::Retaken => {
            attempt.in_doubt |= attempt.not_before.is_none();
            take(attempt, stamp);
        }
        AttemptChange::Postponed { until, message } => {
            attempt.not_before = Some(*until);
            attempt.refused_calls += 1;
            attempt.message = Some(message.clone());
        }
        AttemptChange::Unclear(message) => attempt.message = Some(message.clone()),
        AttemptChange::ClaimUnknown(message) => {
            attempt.message = Some(message.clone());
            attempt.stuck = false;
        }
        AttemptChange::Started { external, .. } | AttemptChange::Claimed { external, .. } => {
            began(attempt, external, stamp);
        }
        AttemptChange::LookedUp => {
            attempt.empty_since = Some(Mark { commit: stamp.seq, time: stamp.now });
        }
        AttemptChange::Abandoned(watch_until) => {
            attempt.phase = Phase::Abandoned;
            attempt.watch_until = Some(*watch_until);
            attempt.ended_at = Some(stamp.now);
        }
        AttemptChange::Uncertain(message) => {
            attempt.phase = Phase::Uncertain;
            attempt.message = Some(message.clone());
        }
        AttemptChange::Progressed { phase, message } => {
            attempt.phase = *phase;
            attempt.message.clone_from(message);
            attempt.empty_since = None;
        }
        AttemptChange::Ended { phase, message, watch_until } => {
            attempt.phase = *phase;
            attempt.ended_at = Some(stamp.now);
            attempt.message.clone_from(message);
            attempt.watch_until = *watch_until;
            attempt.turn = Some(stamp.seq);
        }
        AttemptChange::Reopened(external) => {
            began(attempt, external, stamp);
            attempt.turn = Some(stamp.seq);
            attempt.reopened += 1;
        }
        AttemptChange::LateTwin(external) => attempt.external = Some(external.clone()),
        AttemptChange::Unwatched => attempt.watch_until = None,
        AttemptChange::Stuck(_) => attempt.stuck = true,
    }
}

fn apply_to_run(state: &mut State, id: BatchId, change: &RunChange, stamp: Stamp<'_>) {
    match change {
        RunChange::CancelAsked(why) => {
            if let Some(run) = state.runs.get_mut(&id) {
                run.cancel = Some(why.clone());
                run.cancel_at.get_or_insert(stamp.now);
            }
        }
        RunChange::Finished(finished) => {
            let Some(run) = state.runs.get_mut(&id) else { return };
            run.finished = Some(*finished);
            let trigger = run.trigger.clone();
            release_trigger(state, &trigger);
        }
        RunChange::Archived => {
            state.runs.remove(&id);
        }
    }
}

fn apply_to_memory(state: &mut State, change: &MemoryChange, stamp: Stamp<'_>) {
    match change {
        MemoryChange::Forgotten(before) => {
            let unused = Arc::make_mut(&mut state.memory).forget(*before);
            state.retired.extend(unused.into_iter().map(|name| (name, stamp.now)));
        }
        MemoryChange::Spilled(run) => Arc::make_mut(&mut state.memory).spill(run.clone()),
        MemoryChange::Deleted(names) => state.retired.retain(|name, _| !names.contains(name)),
        MemoryChange::Kept { at, swept } => (state.marks.kept, state.marks.swept) = (*at, *swept),
    }
}

fn open_mut<'a>(state: &'a mut State, id: BatchId) -> Option<(String, &'a mut Batch)> {
    let find = |(name, standing): (&String, &'a mut Standing)| {
        standing.open.get_mut(&id).map(|batch| (name.clone(), batch))
    };
    state.triggers.iter_mut().find_map(find)
}

fn take_open(state: &mut State, id: BatchId) -> Option<(String, Batch)> {
    seal(state, id, Seal::Full);
    let (name, standing) =
        state.triggers.iter_mut().find(|(_, standing)| standing.open.contains_key(&id))?;
    let batch = standing.open.remove(&id)?;
    Some((name.clone(), batch))
}

/// Notes since when parts are no longer referred to; one may hold lines of other batches as well.
fn retire(state: &mut State, parts: &[PartRef], stamp: Stamp<'_>) {
    let parts = parts.iter().filter(|part| part.batch.is_some());
    let unused = parts.filter(|part| !state.parts_in_use().any(|used| used == part.name));
    let unused: Vec<String> = unused.map(|part| part.name.clone()).collect();
    state.retired.extend(unused.into_iter().map(|name| (name, stamp.now)));
}
