//! Which versions are let go of: what waits behind newer ones, and what is over.

use super::Desk;
use crate::promotion::{Model, Promotion, PromotionChange, PromotionPhase};
use crate::rules::Rules;
use crate::state::BatchId;
use crate::timing::{PROMOTIONS_MAX, PROMOTIONS_WAITING_MAX};

/// A version of a model, and why nothing more comes of it.
type Ended = (BatchId, String);

impl Desk<'_> {
    /// Ends what waits behind newer versions for too long.
    pub(super) fn end_waiting(&mut self, rules: &Rules) {
        self.end_each(|name, model| passed_over(rules, name, model));
        self.end_each(|_, model| crowded_out(model));
    }

    fn end_each(&mut self, ended: impl Fn(&str, &Model) -> Vec<Ended>) {
        let of = |(name, model): (&String, &Model)| {
            let named = |(run, reason)| (name.clone(), run, reason);
            ended(name, model).into_iter().map(named).collect::<Vec<_>>()
        };
        let all: Vec<(String, BatchId, String)> = self.state.models.iter().flat_map(of).collect();
        for (name, run, reason) in all {
            let change = PromotionChange::Rejected { person: None, reason };
            self.change_promotion(&name, run, change);
        }
    }

    /// Lets go of all but the last versions of which nothing more comes.
    pub(super) fn forget_promotions(&mut self) {
        let of = |(name, model): (&String, &Model)| -> Vec<(String, BatchId)> {
            let over = model.promotions.values().filter(|promotion| {
                let is_kept =
                    promotion.stage.is_some() || model.former.last() == Some(&promotion.run);
                promotion.phase.is_over() && !is_kept
            });
            let over: Vec<BatchId> = over.map(|promotion| promotion.run).collect();
            let excess = over.len().saturating_sub(PROMOTIONS_MAX);
            over.into_iter().take(excess).map(|run| (name.clone(), run)).collect()
        };
        let excess: Vec<(String, BatchId)> = self.state.models.iter().flat_map(of).collect();
        for (name, run) in excess {
            self.change_promotion(&name, run, PromotionChange::Forgotten);
        }
    }
}

/// Of the versions that wait for the test of another one, all but the newest: versions that are made faster than they
/// are tested would wait ever longer.
fn passed_over(rules: &Rules, name: &str, model: &Model) -> Vec<Ended> {
    let is_held = |it: &&Promotion| {
        it.phase == PromotionPhase::Requested
            && model.tested_before(it).is_some()
            && it.rule(rules, name).is_some_and(|rule| it.is_approved(rule))
    };
    let held: Vec<&Promotion> = model.promotions.values().filter(is_held).collect();
    let Some((newest, others)) = held.split_last() else { return Vec::new() };
    let newest = newest.name().unwrap_or_default();
    let reason = format!("a newer version waits for staging: version=`{newest}`");
    others.iter().map(|it| (it.run, reason.clone())).collect()
}

/// The oldest of too many that wait.
fn crowded_out(model: &Model) -> Vec<Ended> {
    let waiting = || model.promotions.values().filter(|it| it.is_waiting());
    let excess = waiting().count().saturating_sub(PROMOTIONS_WAITING_MAX);
    let reason = format!("{PROMOTIONS_WAITING_MAX} newer versions wait");
    waiting().take(excess).map(|it| (it.run, reason.clone())).collect()
}
