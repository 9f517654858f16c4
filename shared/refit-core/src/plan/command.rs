//! What becomes of a person's command.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Desk;
use crate::commit::{AttemptChange, BatchChange, Change, RunChange, TriggerChange};
use crate::event::{Command, Held, PauseMode};
use crate::mutant::{self, Mutant};
use crate::policy::{Case, judge};
use crate::rules::Rules;
use crate::run::{Cancel, ExternalRun, Phase, Run};
use crate::state::{Batch, BatchId, Seal, Standing};
use crate::time::Timestamp;

impl Desk<'_> {
    /// Obeys a command, or says why not. `said_at` is when it was given, where that is known.
    pub(super) fn obey(
        &mut self,
        rules: &mut Arc<Rules>,
        command: &Command,
        said_at: Option<Timestamp>,
    ) -> Result<String, String> {
        match command {
            Command::Apply { revision, replaces, start } => {
                self.check_replaced(replaces.as_deref(), revision)?;
                let new =
                    self.rules_of(revision).unwrap_or_else(|| Err("being read".to_owned()))?;
                let old = std::mem::replace(rules, Arc::clone(&new));
                // What was due by rules that cannot be read is not known: all that is due now waits for a person.
                let old = if self.is_usable() { old } else { Arc::default() };
                Ok(self.apply_rules(&old, &new, *start))
            }
            Command::Pause { trigger, mode } => self.pause(trigger, *mode),
            Command::Resume { trigger, held } => self.resume(trigger, *held),
            Command::Cancel { run } => self.cancel(run),
            // The list of the quarantine is read from the inbox: nothing of the state changes.
            Command::Dismiss { event } => {
                Ok(format!("off the list of the quarantine: event=`{event}`"))
            }
            Command::Settle { run, started } => self.settle(run, started.as_deref()),
            Command::Promotion(said) => self.hear(rules, said, said_at),
        }
    }

    /// Whether rules may take the place of those in force. They themselves replace nothing: who applied them died before
    /// the answer, and applies again.
    pub(super) fn replaces(&self, replaces: Option<&str>, revision: &str) -> bool {
        let current = self.state.rules.as_deref();
        replaces == current || current == Some(revision)
    }

    fn check_replaced(&self, replaces: Option<&str>, revision: &str) -> Result<(), String> {
        if self.replaces(replaces, revision) {
            return Ok(());
        }
        let current = self.state.rules.as_deref().unwrap_or("none");
        Err(format!(
            "conflict: other rules were applied meanwhile: current=`{current}`, applied=`{revision}`"
        ))
    }

    fn apply_rules(&mut self, old: &Rules, new: &Rules, start: bool) -> String {
        let known: BTreeSet<&String> = self
            .state
            .triggers
            .iter()
            .filter(|(_, standing)| !standing.removed)
            .map(|(name, _)| name)
            .collect();
        let added: Vec<String> =
            new.triggers.keys().filter(|name| !known.contains(name)).cloned().collect();
        let removed = known.iter().filter(|name| !new.triggers.contains_key(**name));
        let removed: Vec<String> = removed.map(|name| (*name).clone()).collect();
        let due_before = self.due(old);
        let mut summary = format!("applied: triggers=`{}`", new.triggers.len());
        for (what, names) in [("added", &added), ("removed", &removed)] {
            if !names.is_empty() {
                summary = format!("{summary}, {what}=`{}`", names.join(", "));
            }
        }
        let returning: Vec<BatchId> = self.returning(&added);
        let pauses = pauses(old, new);
        let unpaused: Vec<String> = pauses
            .iter()
            .filter(|(_, mode)| mode.is_none())
            .map(|(name, _)| name.clone())
            .collect();
        self.record(Change::Applied { revision: new.revision.clone(), added, removed, pauses });
        self.may_start = start;
        if start {
            return format!("{summary}; what is due may start");
        }
        if mutant::is(Mutant::ApplyStartsRuns) {
            return summary;
        }
        let due_now = self.due(new);
        let newly = due_now.difference(&due_before).map(|(batch, _)| *batch);
        let held = unpaused.iter().flat_map(|name| self.open_of(name));
        let ask: BTreeSet<BatchId> = newly.chain(returning).chain(held).collect();
        let waiting = ask.len();
        for batch in ask {
            self.change_batch(batch, BatchChange::Asked);
        }
        match waiting {
            0 => summary,
            count => format!("{summary}; batches that wait for a decision: count=`{count}`"),
        }
    }

    /// Open batches of triggers that were removed and are here again.
    fn returning(&self, added: &[String]) -> Vec<BatchId> {
        added.iter().flat_map(|name| self.open_of(name)).collect()
    }

    pub(super) fn open_of(&self, trigger: &str) -> Vec<BatchId> {
        self.open_where(trigger, |_| true)
    }

    fn open_where(&self, trigger: &str, is_meant: impl Fn(&Batch) -> bool) -> Vec<BatchId> {
        let standing = self.state.triggers.get(trigger);
        let open = standing.into_iter().flat_map(|standing| standing.open.iter());
        open.filter(|(_, batch)| is_meant(batch)).map(|(id, _)| *id).collect()
    }

    /// The open batches these rules would start now, and those they would start once no run is active, told apart.
    fn due(&self, rules: &Rules) -> BTreeSet<(BatchId, bool)> {
        let overlooks = mutant::is(Mutant::ApplyOverlooksRuns);
        let mut due = BTreeSet::new();
        for (name, rule) in &rules.triggers {
            let open = self.state.triggers.get(name).map(|standing| standing.open.keys());
            for id in open.into_iter().flatten() {
                let Some(case) = Case::of(&self.state, self.now, (name, rule), *id) else {
                    continue;
                };
                let cases = [(case, false), (case.alone(), true)];
                let held = |(case, _): &(Case<'_>, bool)| judge(case).is_some();
                let of_batch =
                    cases.into_iter().filter(|case| !held(case) && (case.1 || !overlooks));
                due.extend(of_batch.map(|(_, alone)| (*id, alone)));
            }
        }
        due
    }

    fn pause(&mut self, trigger: &str, mode: PauseMode) -> Result<String, String> {
        self.standing(trigger)?;
        self.change_trigger(trigger, TriggerChange::Paused(mode));
        Ok(format!("paused: trigger=`{trigger}`"))
    }

    fn resume(&mut self, trigger: &str, held: Held) -> Result<String, String> {
        let paused = self.standing(trigger)?.paused.is_some();
        let open = self.open_of(trigger);
        if paused {
            self.change_trigger(trigger, TriggerChange::Resumed);
        }
        match held {
            Held::Ask if !paused => Err(format!("it is not paused: trigger=`{trigger}`")),
            Held::Ask => {
                for batch in &open {
                    self.change_batch(*batch, BatchChange::Asked);
                }
                Ok(format!(
                    "resumed: trigger=`{trigger}`, batches that wait for a decision=`{}`",
                    open.len()
                ))
            }
            Held::Coalesce => self.coalesce(trigger, paused),
            Held::Discard => Ok(self.discard(trigger, paused)),
        }
    }

    /// Lets held batches go on, as few batches as possible.
    fn coalesce(&mut self, trigger: &str, paused: bool) -> Result<String, String> {
        if self.standing(trigger)?.removed {
            return Err(format!(
                "it is not in the rules: add it again, or discard: trigger=`{trigger}`"
            ));
        }
        let asked = self.open_where(trigger, |batch| batch.ask);
        for batch in &asked {
            self.change_batch(*batch, BatchChange::Answered);
        }
        for batch in &asked {
            if let Some(to) = self.successor(trigger, *batch) {
                // Members that joined by this very commit are not stored yet, and go along.
                self.joining.hand_over(*batch, to);
                self.change_batch(*batch, BatchChange::MovedTo(to));
            }
        }
        match paused || !asked.is_empty() {
            true => Ok(format!("resumed: trigger=`{trigger}`")),
            false => Err(format!("nothing waits for a decision: trigger=`{trigger}`")),
        }
    }

    /// The batch with the same key that takes members, where a batch that only waited does not itself.
    fn successor(&self, trigger: &str, batch: BatchId) -> Option<BatchId> {
        let standing = self.state.triggers.get(trigger)?;
        let open = standing.open.get(&batch)?;
        let to = standing.accepting.get(&open.key).copied().filter(|to| *to != batch)?;
        (open.sealed == Some(Seal::Asked)).then_some(to)
    }

    fn discard(&mut self, trigger: &str, paused: bool) -> String {
        let removed = self.state.triggers.get(trigger).is_some_and(|standing| standing.removed);
        // Otherwise those that go no further without a person: they ask, or cannot be started as they are.
        let waits = |batch: &Batch| batch.ask || batch.trouble.is_some();
        let batches = self.open_where(trigger, |batch| paused || removed || waits(batch));
        let mut runs = 0;
        for batch in &batches {
            runs += self.discard_replaced(trigger, *batch);
            self.joining.forget(*batch);
            self.change_batch(*batch, BatchChange::Discarded);
        }
        let text = format!("discarded: trigger=`{trigger}`, batches=`{}`", batches.len());
        match runs {
            0 => text,
            _ => format!("{text}, with the members of runs that are being replaced=`{runs}`"),
        }
    }

    /// Runs whose members a discarded batch was to take over end for good: what a person discards holds these as well.
    fn discard_replaced(&mut self, trigger: &str, batch: BatchId) -> usize {
        let replaced = self
            .state
            .active_runs(trigger)
            .filter(|run| run.cancel == Some(Cancel::ReplacedBy(batch)));
        let replaced: Vec<BatchId> = replaced.map(|run| run.batch).collect();
        for run in &replaced {
            self.change_run(*run, RunChange::CancelAsked(Cancel::Asked));
        }
        replaced.len()
    }

    fn standing(&self, trigger: &str) -> Result<&Standing, String> {
        let known = || self.state.triggers.keys().cloned().collect::<Vec<_>>().join(", ");
        self.state
            .triggers
            .get(trigger)
            .ok_or_else(|| format!("unknown trigger: name=`{trigger}`, known=`{}`", known()))
    }

    fn cancel(&mut self, name: &str) -> Result<String, String> {
        let run = self.run_named(name)?;
        let batch = run.batch;
        if let Some(finished) = run.finished {
            return Err(format!("it is over: run=`{batch}`, phase=`{}`", finished.phase.text()));
        }
        self.change_run(batch, RunChange::CancelAsked(Cancel::Asked));
        Ok(format!("to be cancelled: run=`{batch}`"))
    }

    fn settle(&mut self, name: &str, started: Option<&str>) -> Result<String, String> {
        let run = self.run_named(name)?;
        let (batch, attempt) = (run.batch, run.attempt());
        let gives_up = attempt.is_live() && started.is_none();
        if gives_up {
            self.check_given_up(run)?;
        } else {
            self.check_unsettled(run)?;
        }
        let number = attempt.number;
        let (change, said) = match started {
            Some(id) => {
                let external = ExternalRun { id: id.to_owned(), url: None };
                let change = AttemptChange::Started { external, created: false };
                (change, format!("settled as started: run=`{batch}`, id=`{id}`"))
            }
            None => {
                let word = if gives_up { "given up" } else { "settled as not started" };
                let change = AttemptChange::Abandoned(self.now + self.state.timing.watch);
                (change, format!("{word}: run=`{batch}`"))
            }
        };
        self.change_attempt(batch, number, change);
        Ok(said)
    }

    /// A person decides of a start only what nobody else can say.
    fn check_unsettled(&self, run: &Run) -> Result<(), String> {
        let (batch, attempt) = (run.batch, run.attempt());
        let over = attempt.intended_at + self.state.timing.lease + self.state.timing.settle;
        let may_be = attempt.not_before.is_none() || attempt.in_doubt;
        match attempt.phase {
            Phase::Uncertain => Ok(()),
            Phase::Launching if !may_be => {
                Err(format!("it was certainly not started: run=`{batch}`"))
            }
            Phase::Launching if self.now < over => {
                Err(format!("it may be starting yet: run=`{batch}`, until=`{over}`"))
            }
            Phase::Launching => Ok(()),
            phase => Err(format!("it is not uncertain: run=`{batch}`, phase=`{}`", phase.text())),
        }
    }

    /// A run its service has is given up only once it was to be cancelled, and nothing came of it.
    fn check_given_up(&self, run: &Run) -> Result<(), String> {
        let settle = self.state.timing.settle;
        let asked = run.cancel.as_ref().and(run.cancel_at.max(run.attempt().started_at));
        if asked.is_some_and(|at| self.now >= at + settle) {
            return Ok(());
        }
        Err(format!(
            "the service has it: cancel it first, and settle it if the service says nothing for `{settle}` after that: run=`{}`",
            run.batch
        ))
    }

    fn run_named(&self, name: &str) -> Result<&Run, String> {
        self.state.run_named(name).ok_or_else(|| format!("unknown run: name=`{name}`"))
    }
}

/// Triggers whose pause the rule file changes, and to what.
fn pauses(old: &Rules, new: &Rules) -> BTreeMap<String, Option<PauseMode>> {
    let before = |name: &String| old.triggers.get(name).and_then(|rule| rule.pause);
    let changed = new.triggers.iter().filter(|(name, rule)| rule.pause != before(name));
    changed.map(|(name, rule)| (name.clone(), rule.pause)).collect()
}
