//! What becomes of runs: answers of services, retries, time-outs, abandoned keys.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::guard::is_ended_by_others;
use super::{Desk, Observation, Outcome};
use crate::commit::{AttemptChange, BatchChange, RunChange};
use crate::key::RunKey;
use crate::mutant::{self, Mutant};
use crate::policy::budget_is_full;
use crate::rules::{Idempotency, OnUnknown, Rules, Trigger};
use crate::run::{Attempt, Cancel, ExternalRun, Finished, Phase, Run};
use crate::state::BatchId;
use crate::time::{Span, Timestamp};
use crate::timing::{ABANDONED_MAX, COMMIT_LAUNCHES_MAX, FINISHED_RUNS_MAX};

impl Desk<'_> {
    /// Takes in what was observed, then moves every run on as far as it goes.
    pub(super) fn follow(&mut self, rules: &Rules) {
        for observation in self.inputs.observations {
            self.observe(rules, observation);
        }
        let is_seen = |attempt: &Attempt| attempt.watch_until.is_some();
        let is_followed = |run: &&Run| run.is_active() || run.attempts.iter().any(is_seen);
        let followed = self.state.runs.values().filter(is_followed);
        for batch in followed.map(|run| run.batch).collect::<Vec<_>>() {
            self.advance(rules, batch);
            if let Some(run) = self.state.runs.get(&batch).filter(|run| run.is_active()).cloned() {
                self.notice_stuck(rules, &run);
            }
        }
        self.archive();
    }

    fn observe(&mut self, rules: &Rules, observation: &Observation) {
        let Observation { batch, attempt: number, basis, external, outcome } = observation;
        let Some(run) = self.state.runs.get(batch) else { return };
        let Some(attempt) = run.attempt_numbered(*number).cloned() else { return };
        let is_new = attempt.basis() == *basis || mutant::is(Mutant::OldAnswerBelieved);
        let is_fresh = attempt.turn.is_none() || is_new || mutant::is(Mutant::OldEndBelieved);
        let is_followed = attempt.external.as_ref().map(|run| &run.id) == external.as_ref();
        match outcome {
            Outcome::Started(external) => self.appeared(*batch, &attempt, external, true),
            Outcome::Found(external) => self.appeared(*batch, &attempt, external, false),
            Outcome::Status { phase, message } if is_followed && is_fresh => {
                self.report(rules, *batch, &attempt, (*phase, message.clone()))
            }
            Outcome::Superseded(external) if is_followed && is_fresh => {
                self.superseded(rules, *batch, &attempt, external)
            }
            Outcome::Vanished if is_new && is_followed => self.vanished(*batch, &attempt),
            Outcome::Unseen(message) if is_followed && attempt.is_live() => {
                let message = format!("it cannot be looked at: {message}");
                self.report(rules, *batch, &attempt, (attempt.phase, Some(message)))
            }
            Outcome::Status { .. }
            | Outcome::Superseded(_)
            | Outcome::Vanished
            | Outcome::Unseen(_) => {}
            Outcome::NotStarted { .. }
            | Outcome::Rejected(_)
            | Outcome::Unclear(_)
            | Outcome::Absent
            | Outcome::NoLookUp => {
                if attempt.phase == Phase::Launching && is_new {
                    self.not_started(rules, *batch, &attempt, outcome);
                }
            }
        }
    }

    /// The service has the run of this attempt. An abandoned key that has no successor yet is taken back.
    fn appeared(&mut self, run: BatchId, attempt: &Attempt, external: &ExternalRun, created: bool) {
        let is_last = |run: &Run| run.is_active() && run.attempt().number == attempt.number;
        let is_last = self.state.runs.get(&run).is_some_and(is_last);
        let external = external.clone();
        match attempt.phase {
            Phase::Launching | Phase::Uncertain => {
                self.change_attempt(
                    run,
                    attempt.number,
                    AttemptChange::Started { external, created },
                );
            }
            Phase::Abandoned if is_last => {
                self.change_attempt(
                    run,
                    attempt.number,
                    AttemptChange::Started { external, created },
                );
            }
            Phase::Abandoned if attempt.external.is_none() => {
                if let Some(run) = self.state.runs.get(&run).cloned() {
                    self.late_twin(&run, attempt, external);
                }
            }
            Phase::Abandoned
            | Phase::Pending
            | Phase::Running
            | Phase::Succeeded
            | Phase::Failed
            | Phase::Cancelled
            | Phase::TimedOut => {}
        }
    }

    fn not_started(&mut self, rules: &Rules, run: BatchId, attempt: &Attempt, outcome: &Outcome) {
        let number = attempt.number;
        let change = match outcome {
            Outcome::NotStarted { after, message } => {
                let wait = self.state.timing.backoff(attempt.refused_calls);
                let until = self.now + after.unwrap_or(wait).max(wait);
                AttemptChange::Postponed { until, message: message.clone() }
            }
            Outcome::Rejected(message) => {
                let message = Some(message.clone());
                AttemptChange::Ended { phase: Phase::Failed, message, watch_until: None }
            }
            Outcome::Unclear(message) if attempt.message.as_ref() == Some(message) => return,
            Outcome::Unclear(message) => AttemptChange::Unclear(message.clone()),
            Outcome::NoLookUp => {
                AttemptChange::Uncertain("the service cannot say whether it started".to_owned())
            }
            Outcome::Absent => return self.absent(rules, run, attempt),
            Outcome::Started(_)
            | Outcome::Found(_)
            | Outcome::Status { .. }
            | Outcome::Superseded(_)
            | Outcome::Vanished
            | Outcome::Unseen(_) => return,
        };
        self.change_attempt(run, number, change);
    }

    /// A look-up after the lease found nothing.
    fn absent(&mut self, rules: &Rules, id: BatchId, attempt: &Attempt) {
        let Some(run) = self.state.runs.get(&id) else { return };
        let again = run.profile.class == Idempotency::A || mutant::is(Mutant::SameKeyAgain);
        if again && run.cancel.is_none() {
            return self.retake(id, attempt.number);
        }
        let on_unknown = rules.triggers.get(&run.trigger).map(|rule| rule.on_unknown);
        let change = match attempt.empty_since {
            None if !mutant::is(Mutant::AbandonAtFirstLookUp) => AttemptChange::LookedUp,
            Some(first) if self.now < first.time + self.state.timing.settle => return,
            Some(_) | None => match on_unknown.unwrap_or(OnUnknown::Relaunch) {
                OnUnknown::Relaunch if is_blind(run) && !is_ended_by_others(run) => {
                    let message = "nothing can be found under the keys of its last attempts";
                    AttemptChange::Uncertain(message.to_owned())
                }
                OnUnknown::Relaunch => AttemptChange::Abandoned(self.now + self.state.timing.watch),
                OnUnknown::Ask => AttemptChange::Uncertain("two look-ups found nothing".to_owned()),
            },
        };
        self.change_attempt(id, attempt.number, change);
    }

    /// The same call may be made again, by the writer of this commit.
    fn retake(&mut self, run: BatchId, attempt: u32) {
        if self.launched < COMMIT_LAUNCHES_MAX {
            self.launched += 1;
            self.change_attempt(run, attempt, AttemptChange::Retaken);
        }
    }

    /// The service says how a run stands. An end is believed once it is known who made the claim; of what a person or
    /// another batch ended, that is asked when the run is to be over.
    pub(super) fn report(
        &mut self,
        rules: &Rules,
        run: BatchId,
        attempt: &Attempt,
        (phase, message): (Phase, Option<String>),
    ) {
        let whole = self.state.runs.get(&run).filter(|run| run.guard.is_some()).cloned();
        let is_end = attempt.is_live() && phase.is_terminal();
        if let Some(whole) = whole.filter(|run| is_end && !is_ended_by_others(run))
            && !self.knows_holder(&whole, attempt)
        {
            return;
        }
        let news =
            attempt.phase != phase || attempt.message != message || attempt.empty_since.is_some();
        let change = match attempt.phase {
            Phase::Abandoned if phase.is_terminal() => AttemptChange::Unwatched,
            Phase::Pending | Phase::Running if phase.is_terminal() => {
                let cancel = self.state.runs.get(&run).and_then(|run| run.cancel.as_ref());
                let message = ended_message(phase, cancel, message);
                let phase = ended_phase(phase, cancel);
                let watch_until =
                    (phase != Phase::Succeeded).then(|| self.now + self.state.timing.watch);
                AttemptChange::Ended { phase, message, watch_until }
            }
            Phase::Failed | Phase::Cancelled | Phase::TimedOut => {
                return self.came_back(rules, run, attempt, (phase, message));
            }
            Phase::Pending | Phase::Running if news => AttemptChange::Progressed { phase, message },
            Phase::Launching
            | Phase::Pending
            | Phase::Running
            | Phase::Succeeded
            | Phase::Abandoned
            | Phase::Uncertain => return,
        };
        self.change_attempt(run, attempt.number, change);
    }

    /// A run the service had is gone: believed only when it stays so.
    fn vanished(&mut self, run: BatchId, attempt: &Attempt) {
        let change = match (attempt.phase, attempt.empty_since) {
            (Phase::Abandoned, _) => AttemptChange::Unwatched,
            (Phase::Pending | Phase::Running, None) => AttemptChange::LookedUp,
            (Phase::Pending | Phase::Running, Some(first))
                if self.now >= first.time + self.state.timing.settle =>
            {
                let message = Some("the service no longer knows the run".to_owned());
                AttemptChange::Ended { phase: Phase::Failed, message, watch_until: None }
            }
            _ => return,
        };
        self.change_attempt(run, attempt.number, change);
    }

    fn advance(&mut self, rules: &Rules, batch: BatchId) {
        let Some(run) = self.state.runs.get(&batch).cloned() else {
            return;
        };
        self.unwatch(&run);
        if !run.is_active() {
            return;
        }
        let attempt = run.attempt();
        match attempt.phase {
            Phase::Launching => self.advance_launching(&run, attempt),
            Phase::Pending | Phase::Running => self.advance_live(rules, &run, attempt),
            Phase::Uncertain => {}
            Phase::Succeeded | Phase::Cancelled => self.conclude(&run, attempt, attempt.phase),
            Phase::Failed | Phase::TimedOut | Phase::Abandoned => self.retry(rules, &run, attempt),
        }
    }

    /// Stops looking at attempts whose time is over. A late twin that is known to be there has as long again to be ended.
    fn unwatch(&mut self, run: &Run) {
        let watch = self.state.timing.watch;
        for attempt in &run.attempts {
            let is_twin = attempt.phase == Phase::Abandoned && attempt.external.is_some();
            let more = if is_twin { watch } else { Span::ZERO };
            if attempt.watch_until.is_some_and(|until| self.now >= until + more) {
                self.change_attempt(run.batch, attempt.number, AttemptChange::Unwatched);
            }
        }
    }

    fn advance_launching(&mut self, run: &Run, attempt: &Attempt) {
        let Some(not_before) = attempt.not_before else {
            return;
        };
        let (batch, number) = (run.batch, attempt.number);
        if run.cancel.is_some() {
            self.end_unstarted(run, attempt);
        } else if self.now >= not_before {
            self.retake(batch, number);
        } else {
            self.wake(not_before);
        }
    }

    /// The last call of an attempt that is to be cancelled certainly started nothing. What an earlier one may still start
    /// is watched for.
    fn end_unstarted(&mut self, run: &Run, attempt: &Attempt) {
        let change = match attempt.in_doubt {
            true => AttemptChange::Abandoned(self.now + self.state.timing.watch),
            false => {
                let message = Some("cancelled before it was started".to_owned());
                AttemptChange::Ended { phase: Phase::Cancelled, message, watch_until: None }
            }
        };
        self.change_attempt(run.batch, attempt.number, change);
        self.conclude(run, attempt, Phase::Cancelled);
    }

    fn advance_live(&mut self, rules: &Rules, run: &Run, attempt: &Attempt) {
        let Some(started) = attempt.started_at.filter(|_| run.cancel.is_none()) else {
            return;
        };
        let own = self.own_rules(rules, run);
        let Some(rule) = own.as_deref().unwrap_or(rules).triggers.get(&run.trigger) else { return };
        let timeout = rule.timeout;
        if self.now >= started + timeout {
            self.change_run(run.batch, RunChange::CancelAsked(Cancel::TimedOut));
        } else {
            self.wake(started + timeout);
        }
    }

    /// The rules a run was started by, where those in force no longer have its trigger; `None` as well while they are being
    /// read, and where they cannot be.
    pub(super) fn own_rules(&mut self, rules: &Rules, run: &Run) -> Option<Arc<Rules>> {
        let is_gone = !rules.triggers.contains_key(&run.trigger);
        if !is_gone || mutant::is(Mutant::RemovedTriggersForget) {
            return None;
        }
        self.rules_of(&run.rules)?.ok()
    }

    /// A failed, timed-out or abandoned attempt is followed by another, or by the end of the run.
    fn retry(&mut self, rules: &Rules, run: &Run, attempt: &Attempt) {
        let rule = rules.triggers.get(&run.trigger);
        let asked = is_ended_by_others(run);
        let (Some(rule), false) = (rule, asked || is_refused(attempt)) else {
            let phase = if asked { Phase::Cancelled } else { final_phase(attempt.phase) };
            return self.conclude(run, attempt, phase);
        };
        let Some(due) = self.next_attempt_at(rule, run, attempt) else {
            return self.conclude(run, attempt, final_phase(attempt.phase));
        };
        if self.now < due || self.launched >= COMMIT_LAUNCHES_MAX {
            return self.wake(due);
        }
        if self.gives_way(run, attempt) {
            return;
        }
        let number = run.attempts.last().map_or(0, |last| last.number) + 1;
        let round = self.next_round(run, attempt, number);
        let counted = if mutant::is(Mutant::RetryReusesKey) { 1 } else { number };
        let key = RunKey::new(&self.state.epoch(), &run.trigger, &run.batch.to_string(), counted);
        let mut renamed = vec![(attempt.key.to_string(), key.to_string())];
        renamed.extend(run.claim(attempt.round).zip(run.claim(round)));
        let parameters = with_names(&attempt.parameters, &renamed);
        self.intend(run.batch, (number, round), key, parameters);
    }

    /// When another attempt may be made; none if there is none left.
    fn next_attempt_at(&self, rule: &Trigger, run: &Run, attempt: &Attempt) -> Option<Timestamp> {
        let ended = attempt.ended_at.unwrap_or(self.now);
        // One that began and was given up by a person was tried.
        let was_tried = |other: &&Attempt| {
            let gave_up = other.number == attempt.number && other.started_at.is_some();
            other.phase != Phase::Abandoned || gave_up
        };
        let tried = run.attempts.iter().filter(was_tried).count();
        let tried = u32::try_from(tried).unwrap_or(u32::MAX);
        let waited = match attempt.phase == Phase::Abandoned && attempt.started_at.is_none() {
            true => ended,
            false if tried >= rule.retry.attempts => return None,
            false => ended + rule.retry.wait(tried + 1),
        };
        let standing = self.state.triggers.get(&run.trigger)?;
        let free = budget_is_full(self.now, rule, standing)
            .filter(|_| !mutant::is(Mutant::BudgetIgnoresRetries));
        Some(free.map_or(waited, |free| free.max(waited)))
    }

    /// Nothing more will be tried, unless another attempt made the claim.
    fn conclude(&mut self, run: &Run, attempt: &Attempt, phase: Phase) {
        if !self.gives_way(run, attempt) {
            let phase = self.end_of(run, attempt, phase);
            self.over(run, phase);
        }
    }

    /// Nothing more will be tried; a batch that replaces the run takes its members over.
    fn over(&mut self, run: &Run, phase: Phase) {
        let batch = run.batch;
        let finished = Finished { phase, at: self.now };
        self.change_run(batch, RunChange::Finished(finished));
        let Some(Cancel::ReplacedBy(to)) = run.cancel else {
            return;
        };
        let forgets = mutant::is(Mutant::MembersMovedNowhere);
        let takes_over = self.state.open_batch(to).is_some_and(|(_, open)| open.key == run.key);
        if phase != Phase::Succeeded
            && (takes_over || mutant::is(Mutant::ReplacesEveryKey))
            && !forgets
        {
            self.change_batch(batch, BatchChange::MovedTo(to));
        }
    }

    /// Lets go of all but the last finished runs of each trigger.
    fn archive(&mut self) {
        let mut over = BTreeMap::<&str, Vec<BatchId>>::new();
        for run in self.state.runs.values().filter(|run| !run.is_active() && !run.is_watched()) {
            over.entry(&run.trigger).or_default().push(run.batch);
        }
        let excess = |runs: Vec<BatchId>| {
            let count = runs.len().saturating_sub(FINISHED_RUNS_MAX);
            runs.into_iter().take(count)
        };
        let excess: Vec<BatchId> = over.into_values().flat_map(excess).collect();
        for batch in excess {
            self.change_run(batch, RunChange::Archived);
        }
    }
}

/// How an attempt that was to be cancelled ended: a service may call it failed.
fn ended_phase(phase: Phase, cancel: Option<&Cancel>) -> Phase {
    match (phase, cancel) {
        (Phase::Failed | Phase::Cancelled, Some(Cancel::TimedOut)) => Phase::TimedOut,
        (Phase::Failed | Phase::Cancelled, Some(_)) => Phase::Cancelled,
        _ => phase,
    }
}

/// What is said of an end: who looks for a run that was cancelled unasked is to look at its service.
fn ended_message(phase: Phase, cancel: Option<&Cancel>, said: Option<String>) -> Option<String> {
    if phase != Phase::Cancelled || cancel.is_some() {
        return said;
    }
    let more = said.map(|said| format!(": {said}")).unwrap_or_default();
    Some(format!("it was cancelled at its service, and not by refit{more}"))
}

/// Whether so many keys were given up that the look-up, not the start, is likelier to fail: each further key would be one
/// more training that nobody sees.
fn is_blind(run: &Run) -> bool {
    let was_seen = |attempt: &&Attempt| attempt.external.is_some();
    let since = run.attempts.iter().rev().take_while(|attempt| !was_seen(attempt));
    let unseen = since.filter(|attempt| attempt.phase == Phase::Abandoned).count();
    unseen >= ABANDONED_MAX && !mutant::is(Mutant::BlindRelaunches)
}

/// Whether the service refused the start for good, so that another attempt would end alike.
fn is_refused(attempt: &Attempt) -> bool {
    attempt.phase == Phase::Failed && attempt.started_at.is_none()
}

fn final_phase(phase: Phase) -> Phase {
    if phase == Phase::Abandoned { Phase::Failed } else { phase }
}

/// The parameters of a retry: the same, but for the names in them that are other now.
fn with_names(parameters: &Value, renamed: &[(String, String)]) -> Value {
    let replace = |text: String, (old, new): &(String, String)| text.replace(old, new);
    match parameters {
        Value::String(text) => Value::String(renamed.iter().fold(text.clone(), replace)),
        Value::Array(items) => items.iter().map(|item| with_names(item, renamed)).collect(),
        Value::Object(fields) => {
            let rename =
                |(name, item): (&String, &Value)| (name.clone(), with_names(item, renamed));
            fields.iter().map(rename).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => parameters.clone(),
    }
}
