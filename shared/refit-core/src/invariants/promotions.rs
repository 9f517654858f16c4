//! What must hold of versions of models.

use std::collections::BTreeSet;

use super::Step;
use crate::commit::Change;
use crate::promotion::{
    Approval, Model, PromoteRule, Promotion, PromotionChange, PromotionPhase, Request, Stage,
};
use crate::run::{Phase, Run};
use crate::state::BatchId;

/// What the commit changes of versions, each with its model.
fn of_promotions<'a>(
    step: &'a Step<'_>,
) -> impl Iterator<Item = (&'a str, BatchId, &'a PromotionChange)> {
    step.commit.changes.iter().filter_map(|change| {
        let Change::Promotion { model, run, change } = change else { return None };
        Some((model.as_str(), *run, change))
    })
}

fn after<'a>(step: &'a Step<'_>, model: &str, run: BatchId) -> Option<&'a Promotion> {
    step.after.models.get(model)?.promotions.get(&run)
}

/// A stage of a model is with one version, and who has it knows.
pub(super) fn one_per_stage(step: &Step<'_>) -> Option<String> {
    let wrong = |(name, model): (&String, &Model)| {
        Stage::ALL.iter().find_map(|stage| {
            let holder = model.holders.get(stage).and_then(|holder| holder.run);
            let has = |it: &&Promotion| it.stage == Some(*stage);
            let runs: Vec<BatchId> =
                model.promotions.values().filter(has).map(|it| it.run).collect();
            let is_right = runs.len() <= 1
                && holder.is_none_or(|run| runs == [run] || !model.promotions.contains_key(&run))
                && (holder.is_some() || runs.is_empty());
            (!is_right).then(|| format!("model=`{name}`, stage=`{stage}`, versions=`{runs:?}`"))
        })
    };
    step.after.models.iter().find_map(wrong)
}

/// One version of a model is given a stage at a time.
pub(super) fn one_enters(step: &Step<'_>) -> Option<String> {
    let entering = |model: &Model| {
        let phases = model.promotions.values().map(|promotion| promotion.phase);
        phases.filter(|phase| *phase == PromotionPhase::Entering).count()
    };
    let many = step.after.models.iter().find(|(_, model)| entering(model) > 1);
    many.map(|(name, model)| format!("model=`{name}`, versions=`{}`", entering(model)))
}

/// A version sets out for a stage only with the approvals its rule asks for, each of another person, and with four
/// eyes of none who asked for it or had a say before. Where the rule names who may approve, they are among these.
pub(super) fn stages_approved(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    of_promotions(step).find_map(|(model, run, change)| {
        if *change != PromotionChange::Entering {
            return None;
        }
        let promotion = after(step, model, run)?;
        let rule = promotion.rule(rules, model);
        let (Some(rule), Some((request, earlier))) = (rule, promotion.requests.split_last()) else {
            return Some(format!("model=`{model}`, run=`{run}`, nobody asked"));
        };
        let persons = approvers(promotion, rule, request, earlier);
        let needed = rule.needed(request) as usize;
        (persons.len() < needed).then(|| {
            let approved = persons.len();
            format!("model=`{model}`, run=`{run}`, approved=`{approved}`, needed=`{needed}`")
        })
    })
}

/// The persons who approve a request and may, found from what is written of each.
fn approvers(
    promotion: &Promotion,
    rule: &PromoteRule,
    request: &Request,
    earlier: &[Request],
) -> BTreeSet<String> {
    let plain = |person: &String| person.trim().to_lowercase();
    let (now, before): (Vec<&Approval>, Vec<&Approval>) =
        promotion.approvals.iter().partition(|it| it.request as usize == earlier.len() + 1);
    let mut bound: BTreeSet<String> = request.person.iter().map(plain).collect();
    if !request.rollback {
        bound.extend(earlier.iter().filter_map(|it| it.person.as_ref()).map(plain));
        bound.extend(before.iter().map(|it| plain(&it.person)));
    }
    let named: BTreeSet<String> = rule.approvers.keys().map(plain).collect();
    let may = |person: &String| {
        let is_free = !rule.wants_four_eyes(request) || !bound.contains(person);
        is_free && (named.is_empty() || named.contains(person))
    };
    now.iter().map(|it| plain(&it.person)).filter(may).collect()
}

/// No version is accepted before the test its rule asks for has succeeded, and none asks for production before it is
/// accepted.
pub(super) fn tests_decide(step: &Step<'_>) -> Option<String> {
    let rules = step.rules?;
    of_promotions(step).find_map(|(model, run, change)| {
        let PromotionChange::Accepted(test) = change else { return None };
        let promotion = after(step, model, run)?;
        let rule = promotion.rule(rules, model);
        let is_asked = rule.is_some_and(|rule| rule.acceptance.is_some());
        let fine = match test {
            None => !is_asked,
            Some(test) => promotion.test == Some(*test) && has_succeeded(step, *test),
        };
        (!fine).then(|| format!("model=`{model}`, run=`{run}`, test=`{test:?}`"))
    })
}

fn has_succeeded(step: &Step<'_>, run: BatchId) -> bool {
    let runs = [step.after.runs.get(&run), step.before.runs.get(&run)];
    let attempts = runs.into_iter().flatten().filter_map(Run::counted);
    attempts.map(|attempt| attempt.phase).any(|phase| phase == Phase::Succeeded)
        || step.commit.changes.iter().any(|change| {
            use crate::commit::{AttemptChange, Change};
            matches!(change, Change::Attempt { run: ended, change: AttemptChange::Ended { phase, .. }, .. }
                if *ended == run && *phase == Phase::Succeeded)
        })
}

/// Production is asked for by way of staging, unless it is to be had back.
pub(super) fn by_way_of_staging(step: &Step<'_>) -> Option<String> {
    of_promotions(step).find_map(|(model, run, change)| {
        let PromotionChange::Requested { stage: Stage::Production, rollback: false, .. } = change
        else {
            return None;
        };
        let was = step.before.models.get(model).and_then(|it| it.promotions.get(&run));
        let was_accepted = was.is_some_and(|it| it.phase == PromotionPhase::Accepted);
        let accepts = |(_, other, change): (&str, BatchId, &PromotionChange)| {
            other == run && matches!(change, PromotionChange::Accepted(_))
        };
        let fine = was_accepted || of_promotions(step).any(accepts);
        (!fine).then(|| format!("model=`{model}`, run=`{run}`"))
    })
}

/// A run makes one version, which has one name.
pub(super) fn registered_once(step: &Step<'_>) -> Option<String> {
    of_promotions(step).find_map(|(model, run, change)| {
        let known = step.before.models.get(model).and_then(|it| it.promotions.get(&run));
        let again = match change {
            PromotionChange::Begun { .. } => known.is_some(),
            PromotionChange::Registered(_) => known.is_some_and(|it| it.version.is_some()),
            _ => false,
        };
        again.then(|| format!("model=`{model}`, run=`{run}`"))
    })
}

/// What nobody may take back: a version that was found not good enough, or rejected, gets no stage.
pub(super) fn against_is_final(step: &Step<'_>) -> Option<String> {
    let is_final = |phase| {
        matches!(phase, PromotionPhase::Refused | PromotionPhase::Rejected | PromotionPhase::Failed)
    };
    of_promotions(step).find_map(|(model, run, change)| {
        let known = step.before.models.get(model)?.promotions.get(&run)?;
        let asks = matches!(change, PromotionChange::Requested { rollback: false, .. });
        (asks && is_final(known.phase)).then(|| format!("model=`{model}`, run=`{run}`"))
    })
}

/// A rollback takes production from the version it names, or from none.
pub(super) fn rollback_of_named(step: &Step<'_>) -> Option<String> {
    of_promotions(step).find_map(|(name, run, change)| {
        let model = step.after.models.get(name).filter(|_| *change == PromotionChange::Entering)?;
        let leaves = model.promotions.get(&run)?.request()?.leaves.as_ref()?;
        let holder = &model.holders.get(&Stage::Production)?.version;
        (holder != leaves)
            .then(|| format!("model=`{name}`, named=`{leaves}`, production=`{holder}`"))
    })
}
