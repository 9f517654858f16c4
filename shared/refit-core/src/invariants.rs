//! What must hold of every commit, by name.
//!
//! The reconciler refuses to write a commit that breaks one, the simulation checks them after every step, and
//! `refit fsck` over a whole log.

mod promotions;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::commit::{AttemptChange, BatchChange, Change, Commit, MemoryChange, TriggerChange};
use crate::fold::fold;
use crate::key::Hash128;
use crate::notice::OutboxChange;
use crate::policy::budget_is_full;
use crate::rules::{Overlap, Rules};
use crate::run::{Attempt, Cancel, Phase, Run};
use crate::state::{Batch, BatchId, ScheduleMark, Standing, State, Streak};
use crate::time::Span;
use crate::transition::Passage;

/// A broken invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name.
    pub invariant: &'static str,
    /// What breaks it.
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.invariant, self.message)
    }
}

/// A commit between the state it was made on and the state it leads to.
struct Step<'a> {
    before: &'a State,
    commit: &'a Commit,
    after: &'a State,
    rules: Option<&'a Rules>,
}

/// Says what breaks the invariant, if anything does.
type Invariant = fn(&Step<'_>) -> Option<String>;

/// Every invariant, with its name.
const ALL: &[(&str, Invariant)] = &[
    ("the log has no gap", no_gap),
    ("time never goes back", no_going_back),
    ("a segment is consumed once", segments_once),
    ("an event is a member once", events_once),
    ("a batch is opened once", batches_once),
    ("members add up", members_add_up),
    ("what a commit depends on is named by it", objects_named),
    ("a terminal phase is final unless reopened", terminal_is_final),
    ("a finished run is final unless reopened", finished_is_final),
    ("only what ended badly is reopened", only_bad_ends_reopen),
    ("one run per attempt", one_run_per_attempt),
    ("an attempt follows one that ended", attempts_follow),
    ("only the writer of an intent owns it", writers_own),
    ("overlap holds", overlap_holds),
    ("what replaces a run waits for its end", successors_wait),
    ("members move within their key", moves_within_key),
    ("cooldown holds", cooldown_holds),
    ("the budget holds", budget_holds),
    ("a launch is counted once", launches_once),
    ("a time of a schedule comes once", times_once),
    ("a row of reports is counted up", rows_count_up),
    ("a transition is told once, under one id", transitions_told),
    ("a run makes one version", promotions::registered_once),
    ("a stage is with one version", promotions::one_per_stage),
    ("one version is given a stage at a time", promotions::one_enters),
    ("a stage is approved as its rule asks", promotions::stages_approved),
    ("a test decides once it has succeeded", promotions::tests_decide),
    ("production comes by way of staging", promotions::by_way_of_staging),
    ("what is rejected stays so", promotions::against_is_final),
    ("a rollback takes the place of the version it names", promotions::rollback_of_named),
];

/// The names of all invariants.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|(name, _)| *name)
}

/// Everything a commit breaks on this state. `rules` are those in force after it; without them, what they limit is
/// not checked.
#[must_use]
pub fn check(before: &State, commit: &Commit, rules: Option<&Rules>) -> Vec<Violation> {
    // The memory and the names of segments are many, and no invariant looks at them afterwards.
    let mut after = State { memory: Arc::default(), recent: Arc::default(), ..before.clone() };
    fold(&mut after, commit);
    let step = Step { before, commit, after: &after, rules };
    let broken = ALL.iter().filter_map(|(invariant, holds)| {
        holds(&step).map(|message| Violation { invariant, message })
    });
    broken.collect()
}

fn no_gap(step: &Step<'_>) -> Option<String> {
    let (last, next) = (step.before.seq, step.commit.seq);
    (next != last + 1).then(|| format!("after=`{last}`, commit=`{next}`"))
}

fn no_going_back(step: &Step<'_>) -> Option<String> {
    let (last, now) = (step.before.now, step.commit.now);
    (now < last).then(|| format!("last=`{last}`, now=`{now}`"))
}

fn segments_once(step: &Step<'_>) -> Option<String> {
    let mut seen = BTreeSet::new();
    let again =
        |name: &&String| step.before.recent.contains(*name) || !seen.insert((*name).clone());
    step.commit.segments.iter().find(again).map(|name| format!("segment=`{name}`"))
}

fn events_once(step: &Step<'_>) -> Option<String> {
    let accepted = step.commit.fresh.identities.iter().filter(|(_, accepted)| *accepted);
    let known = |id| step.before.memory.identity(id).is_some_and(|known| known.accepted);
    accepted.map(|(id, _)| *id).find(|id| known(*id)).map(|id| format!("event=`{id}`"))
}

fn batches_once(step: &Step<'_>) -> Option<String> {
    let joined = step.commit.changes.iter().filter_map(|change| {
        let Change::Batch { batch, change: BatchChange::Joined { .. } } = change else {
            return None;
        };
        Some(*batch)
    });
    let known = |id: BatchId| step.before.open_batch(id).is_some();
    let reused = |id: &BatchId| {
        !known(*id) && (id.seq != step.commit.seq || step.before.runs.contains_key(id))
    };
    joined.into_iter().find(reused).map(|id| format!("batch=`{id}`"))
}

fn members_add_up(step: &Step<'_>) -> Option<String> {
    let batches = step.after.triggers.values().flat_map(|standing| standing.open.iter());
    let wrong = |(_, batch): &(&BatchId, &Batch)| {
        batch.count != batch.parts.iter().map(|part| part.count).sum::<u64>()
    };
    batches
        .into_iter()
        .find(wrong)
        .map(|(id, batch)| format!("batch=`{id}`, members=`{}`", batch.count))
}

fn objects_named(step: &Step<'_>) -> Option<String> {
    let named: BTreeSet<&String> = step.commit.uses.iter().collect();
    let marker = format!("/{:020}-", step.commit.seq);
    let needed = step.commit.changes.iter().filter_map(needs);
    let wrong = |name: &&String| !named.contains(*name) || !name.contains(&marker);
    needed.into_iter().find(wrong).map(|name| format!("object=`{name}`"))
}

/// The object a change makes the state depend on.
fn needs(change: &Change) -> Option<&String> {
    if let Change::Stored { part, .. } = change {
        Some(part)
    } else if let Change::Batch { change: BatchChange::Merged(part), .. } = change {
        Some(&part.name)
    } else if let Change::Closed(closed) = change {
        Some(&closed.manifest)
    } else if let Change::Memory(MemoryChange::Spilled(run)) = change {
        Some(&run.name)
    } else {
        None
    }
}

/// Every attempt before and after the commit, where it is in both.
fn attempts<'a>(step: &'a Step<'_>) -> impl Iterator<Item = (&'a Run, &'a Attempt, &'a Attempt)> {
    step.before.runs.iter().flat_map(|(id, run)| {
        let after = step.after.runs.get(id);
        let pair = move |attempt: &'a Attempt| {
            Some((run, attempt, after?.attempt_numbered(attempt.number)?))
        };
        run.attempts.iter().filter_map(pair)
    })
}

/// An abandoned key that appears is taken back as long as it has no successor; whoever made the claim is, and those
/// that did not are given up; what its service reopens goes on.
fn terminal_is_final(step: &Step<'_>) -> Option<String> {
    let changed = |(run, before, after): &(&Run, &Attempt, &Attempt)| {
        let is_newest = run.attempt().number == before.number;
        let taken_back = before.phase == Phase::Abandoned && is_newest;
        let may_change = run.is_active() && (taken_back || is_claimed(step, run, before));
        let reopened = reopened(step).any(|attempt| attempt == (run.batch, before.number));
        before.phase.is_terminal() && after.phase != before.phase && !may_change && !reopened
    };
    let text = |(run, before, after): (&Run, &Attempt, &Attempt)| {
        format!(
            "run=`{}`, attempt=`{}`, was=`{}`, is=`{}`",
            run.batch,
            before.number,
            before.phase.text(),
            after.phase.text()
        )
    };
    attempts(step).find(changed).map(text)
}

/// Whether the commit says who made the claim the attempt was to make.
fn is_claimed(step: &Step<'_>, run: &Run, attempt: &Attempt) -> bool {
    step.commit.changes.iter().any(|change| {
        let Change::Attempt { run: of, attempt: number, change: AttemptChange::Claimed { .. } } =
            change
        else {
            return false;
        };
        let holder = run.attempt_numbered(*number);
        *of == run.batch && holder.is_some_and(|holder| holder.is_rival_of(attempt))
    })
}

fn finished_is_final(step: &Step<'_>) -> Option<String> {
    let reopened: BTreeSet<BatchId> = reopened(step).map(|(run, _)| run).collect();
    let is_over = |run: &&Run| run.finished.is_some() && !reopened.contains(&run.batch);
    let finished = step.before.runs.values().filter(is_over);
    let changed = |run: &&Run| {
        let after = step.after.runs.get(&run.batch);
        after.is_some_and(|after| {
            after.finished != run.finished || after.attempts.len() != run.attempts.len()
        })
    };
    finished.into_iter().find(changed).map(|run| format!("run=`{}`", run.batch))
}

/// Attempts of which the commit says that their services started them again.
fn reopened(step: &Step<'_>) -> impl Iterator<Item = (BatchId, u32)> {
    step.commit.changes.iter().filter_map(|change| {
        let Change::Attempt { run, attempt, change: AttemptChange::Reopened(_) } = change else {
            return None;
        };
        Some((*run, *attempt))
    })
}

/// The attempt that counts, within its time, of a run whose members nobody took over; and one that goes on may be replaced
/// at its service.
fn only_bad_ends_reopen(step: &Step<'_>) -> Option<String> {
    let wrong = |(id, number): &(BatchId, u32)| {
        let run = step.before.runs.get(id);
        let may_reopen = run.zip(run.and_then(|run| run.attempt_numbered(*number)));
        !may_reopen.is_some_and(|(run, attempt)| {
            let was_replaced = matches!(run.cancel, Some(Cancel::ReplacedBy(_)));
            attempt.is_live() || (run.may_reopen(attempt) && !was_replaced)
        })
    };
    reopened(step).find(wrong).map(|(run, number)| format!("run=`{run}`, attempt=`{number}`"))
}

fn one_run_per_attempt(step: &Step<'_>) -> Option<String> {
    let mut keys = BTreeSet::new();
    let attempts = step
        .after
        .runs
        .values()
        .flat_map(|run| run.attempts.iter().map(move |attempt| (run, attempt)));
    let mut again = attempts.filter(|(_, attempt)| !keys.insert(attempt.key));
    again.next().map(|(run, attempt)| format!("run=`{}`, key=`{}`", run.batch, attempt.key))
}

fn attempts_follow(step: &Step<'_>) -> Option<String> {
    let wrong = |run: &&Run| {
        let counted =
            run.attempts.iter().zip(1..).all(|(attempt, number)| attempt.number == number);
        let counts = run.attempt().number;
        let mut others = run.attempts.iter().filter(|attempt| attempt.number != counts);
        let ended = |attempt: &Attempt| {
            matches!(attempt.phase, Phase::Failed | Phase::TimedOut | Phase::Abandoned)
        };
        !counted || !others.all(ended)
    };
    let runs = step.after.runs.values().filter(|run| !run.attempts.is_empty());
    runs.into_iter().find(wrong).map(|run| format!("run=`{}`", run.batch))
}

fn writers_own(step: &Step<'_>) -> Option<String> {
    let mut intents = step.commit.intents();
    let owned = |(batch, number): &(BatchId, u32)| {
        let attempt = step.after.runs.get(batch).and_then(|run| run.attempt_numbered(*number));
        attempt.is_none_or(|attempt| {
            attempt.owner == step.commit.nonce && attempt.intent == step.commit.seq
        })
    };
    intents
        .find(|intent| !owned(intent))
        .map(|(batch, number)| format!("run=`{batch}`, attempt=`{number}`"))
}

/// Triggers this commit closes batches of, with how many.
fn closed<'a>(step: &'a Step<'_>) -> BTreeMap<&'a str, usize> {
    let mut closed = BTreeMap::new();
    for change in &step.commit.changes {
        if let Change::Closed(batch) = change {
            *closed.entry(batch.trigger.as_str()).or_default() += 1;
        }
    }
    closed
}

/// The members of a batch or a run go to a batch of the same trigger and key.
fn moves_within_key(step: &Step<'_>) -> Option<String> {
    let place = |state: &State, id: BatchId| {
        let open = state.open_batch(id).map(|(name, open)| (name.to_owned(), open.key.clone()));
        open.or_else(|| state.runs.get(&id).map(|run| (run.trigger.clone(), run.key.clone())))
    };
    step.commit.changes.iter().find_map(|change| {
        let Change::Batch { batch, change: BatchChange::MovedTo(to) } = change else { return None };
        let [from, goes_to] =
            [*batch, *to].map(|id| place(step.before, id).or_else(|| place(step.after, id)));
        let both = from.zip(goes_to);
        both.filter(|(from, to)| from != to).map(|_| format!("from=`{batch}`, to=`{to}`"))
    })
}

/// The batch that is to take the members of a run over is open until the run has ended.
fn successors_wait(step: &Step<'_>) -> Option<String> {
    let left = |run: &&Run| match run.cancel {
        Some(Cancel::ReplacedBy(to)) => {
            step.before.open_batch(to).is_some() && step.after.open_batch(to).is_none()
        }
        _ => false,
    };
    let run = step.after.runs.values().filter(|run| run.is_active()).find(left)?;
    Some(format!("run=`{}`", run.batch))
}

fn overlap_holds(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    let alone =
        |name: &str| rules.triggers.get(name).is_some_and(|rule| rule.overlap != Overlap::Allow);
    let active = |name: &str| {
        step.after.runs.values().filter(|run| run.trigger == name && run.is_active()).count()
    };
    let came_back = reopened(step).filter_map(|(run, _)| {
        let run = step.before.runs.get(&run).filter(|run| !run.is_active())?;
        Some(run.trigger.as_str())
    });
    let mut names = closed(step).into_keys().chain(came_back);
    let wrong = names.find(|name| alone(name) && active(name) > 1);
    wrong.map(|name| format!("trigger=`{name}`, active=`{}`", active(name)))
}

fn cooldown_holds(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    let wrong = |(name, launched): &(&str, usize)| {
        let cooldown = rules.triggers.get(*name).map_or(Span::ZERO, |rule| rule.cooldown);
        let last = step.before.triggers.get(*name).and_then(|standing| standing.last_launch);
        let early = last.is_some_and(|last| step.commit.now < last + cooldown);
        early || (*launched > 1 && cooldown > Span::ZERO)
    };
    closed(step).into_iter().find(wrong).map(|(name, _)| format!("trigger=`{name}`"))
}

fn budget_holds(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    let intends = step.commit.changes.iter().filter_map(|change| {
        let Change::Attempt { run, change: AttemptChange::Intended { .. }, .. } = change else {
            return None;
        };
        step.after.runs.get(run)
    });
    let launched: BTreeSet<&str> = intends.map(|run| run.trigger.as_str()).collect();
    let over = |name: &&str| {
        let (Some(rule), Some(standing)) =
            (rules.triggers.get(*name), step.after.triggers.get(*name))
        else {
            return false;
        };
        let mut without_last = standing.clone();
        without_last.launches.pop();
        budget_is_full(step.commit.now, rule, &without_last).is_some()
    };
    launched.into_iter().find(over).map(|name| format!("trigger=`{name}`"))
}

/// Every attempt counts once in the budget, whatever is forgotten of older ones.
fn launches_once(step: &Step<'_>) -> Option<String> {
    let now = step.commit.now;
    let intended = |name: &str| {
        let attempts = step.commit.changes.iter().filter(|change| {
            let Change::Attempt { run, change: AttemptChange::Intended { .. }, .. } = change else {
                return false;
            };
            step.after.runs.get(run).is_some_and(|run| run.trigger == name)
        });
        attempts.count()
    };
    let counted = |standing: &Standing| standing.launches.iter().filter(|at| **at == now).count();
    let wrong = |(name, after): &(&String, &Standing)| {
        let before = step.before.triggers.get(*name).map_or(0, counted);
        counted(after) != before + intended(name)
    };
    step.after.triggers.iter().find(wrong).map(|(name, _)| format!("trigger=`{name}`"))
}

/// What the commit changes of how triggers stand.
fn of_triggers<'a>(step: &'a Step<'_>) -> impl Iterator<Item = (&'a str, &'a TriggerChange)> {
    step.commit.changes.iter().filter_map(|change| {
        let Change::Trigger { trigger, change } = change else { return None };
        Some((trigger.as_str(), change))
    })
}

/// A schedule begins with the commit that finds it; its times come in order, by the clock and by the calendar, and
/// not before their time.
fn times_once(step: &Step<'_>) -> Option<String> {
    let now = step.commit.now;
    let mut marks: BTreeMap<(&str, &str), ScheduleMark> = BTreeMap::new();
    for (trigger, change) in of_triggers(step) {
        if let TriggerChange::Scheduled { schedule, from } = change {
            if *from != now {
                return Some(format!("trigger=`{trigger}`, begins=`{from}`"));
            }
            let mark = ScheduleMark { until: *from, civil: String::new() };
            marks.insert((trigger, schedule), mark);
        }
        let (TriggerChange::Fired { firing, .. } | TriggerChange::Passed { firing, .. }) = change
        else {
            continue;
        };
        let slot = &firing.slot;
        let standing = step.before.triggers.get(trigger);
        let known = standing.and_then(|standing| standing.schedules.get(&firing.schedule));
        let place = (trigger, firing.schedule.as_str());
        let last = marks.get(&place).or(known);
        if !last.is_some_and(|last| last.until < slot.at && last.civil < slot.civil)
            || slot.at > now
        {
            return Some(format!("trigger=`{trigger}`, time=`{}`", slot.civil));
        }
        marks.insert(place, ScheduleMark { until: slot.at, civil: slot.civil.clone() });
    }
    None
}

/// A report adds one to its row or ends it, and none is about an earlier time than the last.
fn rows_count_up(step: &Step<'_>) -> Option<String> {
    let is_row = |change: &Change| {
        matches!(change, Change::Trigger { change: TriggerChange::Streak { .. }, .. })
    };
    if !step.commit.changes.iter().any(is_row) {
        return None;
    }
    let known = step.before.triggers.iter().flat_map(|(trigger, standing)| {
        standing.streaks.iter().map(move |(series, streak)| ((trigger, *series), *streak))
    });
    let mut rows: BTreeMap<(&String, Hash128), Streak> = known.collect();
    for change in &step.commit.changes {
        if let Change::Applied { removed, .. } = change {
            rows.retain(|(trigger, _), _| !removed.contains(*trigger));
        }
        let Change::Trigger { trigger, change } = change else { continue };
        if let TriggerChange::StreakForgotten(series) = change {
            rows.remove(&(trigger, *series));
        }
        let TriggerChange::Streak { series, streak } = change else { continue };
        let last = rows.insert((trigger, *series), *streak);
        let (count, at) = last.map_or((0, streak.at), |last| (last.count, last.at));
        if streak.at < at || (streak.count != 0 && streak.count != count + 1) {
            return Some(format!("trigger=`{trigger}`, was=`{count}`, is=`{}`", streak.count));
        }
    }
    None
}

/// Everybody who is to be told of a transition is, once; nobody is told of anything else.
fn transitions_told(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    let commit = step.commit;
    let passage =
        Passage { before: step.before, after: step.after, seq: commit.seq, now: commit.now };
    let notices = passage.notices(commit.changes.iter(), &commit.decisions);
    let mut wanted: Vec<(&str, Hash128)> = Vec::new();
    for notice in &notices {
        wanted.extend(rules.told(notice).map(|(name, _)| (name.as_str(), notice.id)));
    }
    let mut counted = 0;
    let mut raised = Vec::new();
    for change in &commit.changes {
        let Change::Outbox { receiver, change } = change else { continue };
        if let OutboxChange::Raised { letter, notice, .. } = change {
            let outbox = step.before.outboxes.get(receiver);
            let open = outbox.and_then(|outbox| outbox.letters.get(letter));
            if open.is_some_and(|open| open.is_sealed(commit.now)) {
                return Some(format!("the letter may have been sent: notice=`{}`", notice.id));
            }
            raised.push((receiver.as_str(), notice.id));
        }
        counted += usize::from(matches!(change, OutboxChange::Counted(_)));
    }
    if let Some((receiver, id)) = raised.iter().find(|told| !wanted.contains(told)) {
        return Some(format!("nothing happened: receiver=`{receiver}`, notice=`{id}`"));
    }
    let distinct: BTreeSet<_> = raised.iter().collect();
    (distinct.len() != raised.len() || raised.len() + counted != wanted.len())
        .then(|| format!("told=`{}`, to be told=`{}`", raised.len() + counted, wanted.len()))
}
