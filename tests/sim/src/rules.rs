//! Rules drawn for a schedule: every setting meets every fault sooner or later.

use std::collections::BTreeMap;
use std::sync::Arc;

use refit_core::expression::Expression;
use refit_core::rules::{
    Budget, ObjectMatch, On, OnUnknown, Overlap, Retry, Rules, RunRule, Trigger,
};
use refit_core::scope::{OBJECT_VARIABLES, RUN_VARIABLES};
use refit_core::template::Template;
use refit_core::time::Span;
use refit_engine::gather::RuleBook;
use refit_wire::pipeline::PipelineService;
use serde_json::json;

use crate::random::Random;
use crate::service::services;

/// A revision of the rules, drawn.
#[must_use]
pub fn draw(random: &mut Random, revision: &str) -> RuleBook {
    let kinds = services();
    let mut rules = Rules { revision: revision.to_owned(), ..Rules::default() };
    rules.services = kinds.iter().map(|(name, kind)| (name.clone(), kind.profile())).collect();
    for name in ["t", "u"].iter().take(usize::try_from(random.between(1, 2)).unwrap_or(1)) {
        rules.triggers.insert((*name).to_owned(), trigger(random));
    }
    book(rules)
}

/// The book of these rules, with the services of the simulation.
#[must_use]
pub fn book(rules: Rules) -> RuleBook {
    let services: BTreeMap<String, Arc<dyn PipelineService>> = services()
        .into_iter()
        .map(|(name, kind)| (name, Arc::new(kind) as Arc<dyn PipelineService>))
        .collect();
    RuleBook { rules: Arc::new(rules), services }
}

/// A trigger on everything, starting runs at a service of this class.
#[must_use]
pub fn plain(service: &str) -> Trigger {
    let manifest = Template::parse(&json!("${ batch.manifest }"), RUN_VARIABLES);
    let parameters = manifest.ok().map(|template| ("manifest".to_owned(), template));
    let run = RunRule {
        service: service.to_owned(),
        target: json!({}),
        parameters: parameters.into_iter().collect(),
        cache: false,
    };
    let on = ObjectMatch { bucket: "b".to_owned(), ..ObjectMatch::default() };
    let mut trigger = Trigger::new(vec![On::Objects(on)], run);
    trigger.batch.quiet = Some(Span::secs(10));
    trigger.batch.max_wait = Some(Span::secs(60));
    trigger
}

fn trigger(random: &mut Random) -> Trigger {
    let mut trigger = plain(["a", "b", "c"][usize::try_from(random.below(3)).unwrap_or(0)]);
    let batch = &mut trigger.batch;
    batch.quiet = Some(Span::secs(random.between(1, 20)));
    batch.max_count = *random.pick(&[100_000, 100_000, 1, 2, 5]);
    if random.per_mille(150) {
        batch.by = Expression::compile("object.name.split('/')[0]", OBJECT_VARIABLES).ok();
    }
    if random.per_mille(150) {
        batch.min_count = 3;
    }
    if random.per_mille(100) {
        let suffix = "_SUCCESS".to_owned();
        batch.until =
            Some(ObjectMatch { bucket: "b".to_owned(), suffix, ..ObjectMatch::default() });
    }
    if random.per_mille(100) {
        batch.each = true;
    }
    if random.per_mille(200) {
        trigger.when = Expression::compile("object.size > 3", OBJECT_VARIABLES).ok();
    }
    if random.per_mille(250) {
        trigger.cooldown = Span::secs(random.between(5, 60));
    }
    trigger.overlap = *random.pick(&[
        Overlap::Forbid,
        Overlap::Forbid,
        Overlap::Allow,
        Overlap::Queue(1),
        Overlap::Replace,
    ]);
    let (runs, per) = *random.pick(&[(1000, 24), (24, 24), (3, 24)]);
    trigger.budget = Budget { runs, per: Span::hours(per) };
    let attempts = u32::try_from(random.between(1, 3)).unwrap_or(1);
    trigger.retry = Retry { attempts, backoff: Span::secs(10), max_backoff: Span::secs(30) };
    if random.per_mille(200) {
        trigger.timeout = Span::secs(30);
    }
    trigger.on_unknown = OnUnknown::Relaunch;
    trigger
}
