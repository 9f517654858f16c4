//! What becomes of versions: answers of registries, gates, approvals, stages.

use super::events::{Entrant, Named, Refused};
use super::{Desk, RegistryOutcome, RegistryReport};
use crate::commit::{Change, RunChange, TriggerChange};
use crate::member::Member;
use crate::mutant::{self, Mutant};
use crate::promotion::{
    Asking, Intent, Model, ModelChange, PromoteRule, Promotion, PromotionChange, PromotionPhase,
    Request, Stage, StageEntry, Stages, Version,
};
use crate::reason::Refusal;
use crate::rules::Rules;
use crate::run::{Finished, Phase, Run};
use crate::scope::scope_of_entry;
use crate::state::BatchId;
use crate::time::Span;
use crate::timing::REGISTRY_TRIES_MAX;

/// Steps a version takes in one commit at the most.
const STEPS_MAX: usize = 8;

impl Desk<'_> {
    /// Takes in what registries answered, then moves every version on as far as it goes.
    pub(super) fn promote(&mut self, rules: &Rules) {
        for report in self.inputs.reports {
            self.take_report(rules, report);
        }
        self.begin_promotions(rules);
        for (model, run) in self.promotions() {
            // Each step leads to another phase, or is the last.
            for _ in 0..STEPS_MAX {
                let before = self.promotion(&model, run).map(|promotion| promotion.phase);
                self.advance_promotion(rules, &model, run);
                if self.promotion(&model, run).map(|promotion| promotion.phase) == before {
                    break;
                }
            }
        }
        self.end_waiting(rules);
        self.forget_promotions();
    }

    pub(super) fn change_promotion(&mut self, model: &str, run: BatchId, change: PromotionChange) {
        self.record(Change::Promotion { model: model.to_owned(), run, change });
    }

    /// The versions of which something may still come by itself.
    fn promotions(&self) -> Vec<(String, BatchId)> {
        let goes_on = |phase: PromotionPhase| !phase.is_over() && phase != PromotionPhase::Promoted;
        let of = |(name, model): (&String, &Model)| -> Vec<(String, BatchId)> {
            let coming = model.promotions.values().filter(|promotion| goes_on(promotion.phase));
            coming.map(|promotion| (name.clone(), promotion.run)).collect()
        };
        self.state.models.iter().flat_map(of).collect()
    }

    fn promotion(&self, model: &str, run: BatchId) -> Option<&Promotion> {
        self.state.models.get(model)?.promotions.get(&run)
    }

    fn take_report(&mut self, rules: &Rules, report: &RegistryReport) {
        let RegistryReport { model, run, basis, outcome } = report;
        let Some(run) = *run else { return self.observe_stages(model, *basis, outcome) };
        let Some(promotion) = self.promotion(model, run) else { return };
        let Some(intent) = promotion.intent.clone() else { return };
        let is_new = intent.commit == *basis;
        let change = match outcome {
            RegistryOutcome::Registered { version, stages } => {
                return self.registered(rules, (model, run), version, stages);
            }
            _ if !is_new => return,
            RegistryOutcome::Entered => return self.entered(rules, model, run),
            RegistryOutcome::Absent => {
                let said = intent.message.iter().map(String::as_str);
                let words: Vec<_> = said.chain(["the registry does not have it"]).collect();
                self.not_done(&intent, words.join("; "), None)
            }
            RegistryOutcome::NotDone { after, message } => {
                self.not_done(&intent, message.clone(), *after)
            }
            RegistryOutcome::Refused(message) => PromotionChange::Failed(message.clone()),
            RegistryOutcome::Unclear(message) if intent.message.as_ref() == Some(message) => return,
            RegistryOutcome::Unclear(message) => PromotionChange::Unclear(message.clone()),
            RegistryOutcome::Stages(_) => return,
        };
        self.change_promotion(model, run, change);
    }

    /// What certainly was not done is tried again, later each time, and not for ever.
    fn not_done(&self, intent: &Intent, message: String, after: Option<Span>) -> PromotionChange {
        if intent.refused >= REGISTRY_TRIES_MAX {
            return PromotionChange::Failed(format!("{message}; tries=`{}`", intent.refused + 1));
        }
        let wait = self.state.timing.backoff(intent.refused);
        let until = self.now + after.unwrap_or(wait).max(wait);
        PromotionChange::Postponed { until, message }
    }

    /// Somebody may have changed at the registry who has a stage: that is noted, and not fought.
    fn observe_stages(&mut self, name: &str, basis: u64, outcome: &RegistryOutcome) {
        let RegistryOutcome::Stages(stages) = outcome else { return };
        let Some(model) = self.state.models.get(name) else { return };
        if model.changed != basis || model.is_entering() {
            return;
        }
        for (stage, version) in model.moved(stages) {
            let change = ModelChange::Moved { stage, version };
            self.record(Change::Model { model: name.to_owned(), change });
        }
    }

    /// The registry has a version: the gate is judged by what was measured of it.
    fn registered(
        &mut self,
        rules: &Rules,
        (model, run): (&str, BatchId),
        version: &Version,
        stages: &Stages,
    ) {
        let Some(promotion) = self.promotion(model, run) else { return };
        if promotion.phase != PromotionPhase::Registering {
            return;
        }
        let gate = promotion.rule(rules, model).map(|rule| rule.gate.clone());
        self.change_promotion(model, run, PromotionChange::Registered(version.clone()));
        let production = stages.get(&Stage::Production).map(|current| &current.metrics);
        let faults = match gate {
            Some(gate) => gate.faults(&version.metrics, production),
            None => vec!["the rules no longer say what becomes of it".to_owned()],
        };
        if !faults.is_empty() {
            self.change_promotion(model, run, PromotionChange::Refused(faults));
        }
    }

    /// A version has its stage: triggers that listen to it get a member, of which one may be its test.
    fn entered(&mut self, rules: &Rules, model: &str, run: BatchId) {
        let Some(promotion) = self.promotion(model, run) else { return };
        if promotion.phase != PromotionPhase::Entering {
            return;
        }
        self.change_promotion(model, run, PromotionChange::Entered);
        let Some(promotion) = self.promotion(model, run) else { return };
        let acceptance = promotion.rule(rules, model).and_then(|rule| rule.acceptance.clone());
        let entry = promotion.stage.and_then(|stage| promotion.entry(model, stage));
        let Some(entry) = entry else { return };
        for named in rules.triggers.iter().filter(|(_, rule)| rule.follows(&entry)) {
            let batch = self.announce(named, &entry);
            let tests = entry.stage == Stage::Staging && acceptance.as_ref() == Some(named.0);
            if let Some(batch) = batch.filter(|_| tests) {
                self.change_promotion(model, run, PromotionChange::TestedBy(batch));
            }
        }
        self.flush();
    }

    /// A version that was given a stage becomes a member, once, or is passed over with a reason.
    fn announce(&mut self, named: Named<'_>, entry: &StageEntry) -> Option<BatchId> {
        let (name, _) = named;
        let id = entry.id(name);
        let admitted = match self.known(id) {
            Some(_) => Err(Refused::new(Refusal::Duplicate)),
            None => self.admit_scope(named, || scope_of_entry(name, entry)),
        };
        self.fresh.insert(id, admitted.is_ok());
        let entry = entry.clone();
        let (change, batch) = match admitted {
            Ok(key) => {
                let member = Member::of_entry(id, &entry, self.now);
                let entrant = Entrant { member, arrived: self.now, place: None };
                let batch = self.join(named, key, entrant);
                (TriggerChange::Staged { entry, batch }, Some(batch))
            }
            Err(Refused { reason, detail }) => {
                (TriggerChange::StagePassed { entry, reason, detail }, None)
            }
        };
        self.change_trigger(name, change);
        batch
    }

    /// Runs that succeed by this commit, and whose rule promotes. Those that did before rules said so stay as they are.
    fn begin_promotions(&mut self, rules: &Rules) {
        let succeeded = |change: &Change| match change {
            Change::Run { run, change: RunChange::Finished(finished) }
                if finished.phase == Phase::Succeeded =>
            {
                Some(*run)
            }
            _ => None,
        };
        let runs: Vec<BatchId> = self.changes.iter().filter_map(succeeded).collect();
        for id in runs {
            let Some(run) = self.run_here(id).cloned() else { continue };
            let own = self.own_rules(rules, &run);
            if let Some((model, begun)) = begun(rules, own.as_deref(), &run) {
                self.change_promotion(&model, id, begun);
            }
        }
    }

    /// A run that ends may be let go of by the same commit.
    fn run_here(&self, run: BatchId) -> Option<&Run> {
        self.state.runs.get(&run).or_else(|| self.before.runs.get(&run))
    }

    fn advance_promotion(&mut self, rules: &Rules, model: &str, run: BatchId) {
        let Some(promotion) = self.promotion(model, run) else { return };
        let change = match promotion.phase {
            PromotionPhase::Registering | PromotionPhase::Entering => {
                // What certainly was not done is to be done again once its time has come.
                match promotion.intent.as_ref().and_then(|intent| intent.not_before) {
                    Some(not_before) if self.now < not_before => return self.wake(not_before),
                    not_before => not_before.map(|_| PromotionChange::Retaken),
                }
            }
            PromotionPhase::Candidate | PromotionPhase::Accepted => {
                self.asked_by_rule(rules, model, promotion)
            }
            PromotionPhase::Requested => self.granted(rules, model, promotion),
            PromotionPhase::Testing => self.judged_by_test(rules, model, promotion),
            PromotionPhase::Promoted
            | PromotionPhase::Archived
            | PromotionPhase::Moved
            | PromotionPhase::Refused
            | PromotionPhase::Rejected
            | PromotionPhase::Failed => None,
        };
        if let Some(change) = change {
            self.change_promotion(model, run, change);
        }
    }

    /// A rule asks for a stage at once, or not at all: one that is applied later promotes nothing by itself.
    fn asked_by_rule(
        &self,
        rules: &Rules,
        model: &str,
        promotion: &Promotion,
    ) -> Option<PromotionChange> {
        let rule = promotion.rule(rules, model)?;
        // A rule of another trigger was not what its run was started for.
        if rule.request != Asking::Automatic || !rules.triggers.contains_key(&promotion.trigger) {
            return None;
        }
        let may_ask = self.may_start || mutant::is(Mutant::AppliedRulesPromote);
        if !may_ask && !self.is_news(model, promotion) {
            return None;
        }
        let stage = match promotion.phase {
            PromotionPhase::Candidate => Stage::Staging,
            _ => Stage::Production,
        };
        let (person, reason, takes) = (None, String::new(), rule.stage(stage));
        let (rollback, leaves) = (false, None);
        Some(PromotionChange::Requested { stage, person, reason, rollback, leaves, takes })
    }

    /// Whether a version is registered or accepted by this commit, and not by the rules it applies alone: a test that
    /// had ended before says so now only because a rule asks it.
    fn is_news(&self, model: &str, promotion: &Promotion) -> bool {
        let before = self.before.models.get(model).and_then(|it| it.promotions.get(&promotion.run));
        let Some(before) = before else { return true };
        if before.phase != PromotionPhase::Testing {
            return before.phase != promotion.phase;
        }
        let run = promotion.test.map(|test| self.before.runs.get(&test));
        run.is_some_and(|run| run.is_none_or(|run| run.finished.is_none()))
    }

    /// Enough persons approve, and nothing else is under way: the stage is to be given.
    fn granted(&self, rules: &Rules, name: &str, promotion: &Promotion) -> Option<PromotionChange> {
        let model = self.state.models.get(name)?;
        let request = promotion.request()?;
        let other = model.overtakes(request).filter(|_| !mutant::is(Mutant::RollbackOfAnother));
        if let (Some(other), Some(leaves)) = (other, &request.leaves) {
            let what = "conflict: another version is in production";
            let reason = format!("{what}: version=`{leaves}`, production=`{other}`");
            return Some(PromotionChange::Rejected { person: None, reason });
        }
        let rule = promotion.rule(rules, name)?;
        let is_free = !model.is_entering() || mutant::is(Mutant::TwoEnterAtOnce);
        let tested = model.tested_before(promotion);
        let is_held = tested.is_some_and(|_| !mutant::is(Mutant::TestsCutShort));
        if !promotion.is_approved(rule) || !is_free || is_held {
            return None;
        }
        let faults = outdone(model, promotion, rule);
        let passes = faults.is_empty() || mutant::is(Mutant::GateJudgedOnce);
        Some(if passes { PromotionChange::Entering } else { PromotionChange::Refused(faults) })
    }

    /// The run of its acceptance test decides once it has ended; without a test nothing is asked of a version.
    fn judged_by_test(
        &self,
        rules: &Rules,
        model: &str,
        promotion: &Promotion,
    ) -> Option<PromotionChange> {
        let rule = promotion.rule(rules, model)?;
        let against = |reason: String| PromotionChange::Rejected { person: None, reason };
        Some(match (&rule.acceptance, promotion.test) {
            (None, None) => PromotionChange::Accepted(None),
            (Some(_), _) if mutant::is(Mutant::PromotedUntested) => PromotionChange::Accepted(None),
            (Some(name), None) => against(format!("`{name}` did not take it for a test")),
            (_, Some(test)) => match self.outcome_of(test) {
                Some(Phase::Succeeded) => PromotionChange::Accepted(Some(test)),
                Some(phase) => {
                    let phase = phase.text();
                    against(format!("its acceptance test ended: run=`{test}`, phase=`{phase}`"))
                }
                None if self.is_coming(test) => return None,
                None => against(format!("its acceptance test was dropped: batch=`{test}`")),
            },
        })
    }

    /// How a run ended, if it has.
    fn outcome_of(&self, run: BatchId) -> Option<Phase> {
        let here = self.state.runs.get(&run).and_then(|run| run.finished);
        let just = self.changes.iter().find_map(|change| match change {
            Change::Run { run: ended, change: RunChange::Finished(finished) } if *ended == run => {
                Some(*finished)
            }
            _ => None,
        });
        here.or(just).map(|Finished { phase, .. }| phase)
    }

    /// Whether a batch is open, or a run under way.
    fn is_coming(&self, batch: BatchId) -> bool {
        self.state.open_batch(batch).is_some() || self.state.runs.contains_key(&batch)
    }
}

/// What is wrong with a version that is to go to production, beside the one that is there by now: the gate was judged by
/// the one that was there when it was registered.
fn outdone(model: &Model, promotion: &Promotion, rule: &PromoteRule) -> Vec<String> {
    let goes_on = |request: &&Request| request.stage == Stage::Production && !request.rollback;
    let holder = promotion.request().filter(goes_on).and(model.holders.get(&Stage::Production));
    let current = holder.and_then(|holder| model.promotions.get(&holder.run?)?.version.as_ref());
    match (current, &promotion.version) {
        (Some(current), Some(version)) => {
            rule.gate.faults(&version.metrics, Some(&current.metrics))
        }
        _ => Vec::new(),
    }
}

/// The model of a run that succeeded, and how its version begins. Where its trigger is called otherwise by now, that one
/// says so which makes versions of the same model.
fn begun(rules: &Rules, own: Option<&Rules>, run: &Run) -> Option<(String, PromotionChange)> {
    let said = own.unwrap_or(rules).triggers.get(&run.trigger)?.promote.as_ref()?;
    let rule = match own {
        Some(_) => rules.promoting(&said.model)?.promote.as_ref()?,
        None => said,
    };
    let attempt = run.counted()?;
    let change = PromotionChange::Begun {
        registry: rule.registry.clone(),
        trigger: run.trigger.clone(),
        rules: rules.revision.clone(),
        key: attempt.key,
        external: attempt.external.as_ref()?.id.clone(),
    };
    Some((rule.model.clone(), change))
}
