//! Rules drawn for a schedule: every setting meets every fault sooner or later.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use refit_core::expression::Expression;
use refit_core::rules::{
    Budget, ObjectMatch, On, OnUnknown, Overlap, Retry, Rules, RunRule, Trigger,
};
use refit_core::scope::{OBJECT_VARIABLES, RUN_VARIABLES};
use refit_core::template::Template;
use refit_core::time::Span;
use refit_engine::gather::{Placed, RuleBook};
use refit_wire::pipeline::PipelineService;
use serde_json::json;

use crate::random::Random;
use crate::service::{Place, services};

/// The name up to the first slash: what batches are divided by.
pub static BY_FOLDER: LazyLock<Option<Expression>> =
    LazyLock::new(|| Expression::compile("object.name.split('/')[0]", OBJECT_VARIABLES).ok());
/// A condition that some objects meet.
static IS_LARGE: LazyLock<Option<Expression>> =
    LazyLock::new(|| Expression::compile("object.size > 3", OBJECT_VARIABLES).ok());
/// The parameters of every run.
static PARAMETERS: LazyLock<BTreeMap<String, Template>> = LazyLock::new(|| {
    let manifest = Template::parse(&json!("${ batch.manifest }"), RUN_VARIABLES);
    manifest.ok().map(|template| ("manifest".to_owned(), template)).into_iter().collect()
});

/// A revision of the rules, drawn, of one trigger or two, at the most so many.
#[must_use]
pub fn draw(random: &mut Random, revision: &str, most: i64) -> RuleBook {
    let count = usize::try_from(random.between(1, most)).unwrap_or(1);
    let triggers: Vec<_> =
        ["t", "u"].into_iter().take(count).map(|name| (name, trigger(random))).collect();
    let place = if random.per_mille(300) { Place::West } else { Place::East };
    book_at(Rules { revision: revision.to_owned(), ..rules_of(triggers) }, place)
}

/// Rules with these triggers and every service of the simulation.
#[must_use]
pub fn rules_of<'a>(triggers: impl IntoIterator<Item = (&'a str, Trigger)>) -> Rules {
    let triggers = triggers.into_iter().map(|(name, trigger)| (name.to_owned(), trigger));
    let services = services(Place::East).into_iter().map(|(name, kind)| (name, kind.profile()));
    Rules { triggers: triggers.collect(), services: services.collect(), ..Rules::default() }
}

/// The book of these rules, with the services of the simulation where they are at first.
#[must_use]
pub fn book(rules: Rules) -> RuleBook {
    book_at(rules, Place::East)
}

/// The book of these rules, with the services of the simulation at a place.
#[must_use]
pub fn book_at(rules: Rules, place: Place) -> RuleBook {
    let services = services(place).into_iter().map(|(name, kind)| {
        let adapter: Arc<dyn PipelineService> = Arc::new(kind);
        (name, Placed { adapter, place: place.name().to_owned() })
    });
    RuleBook {
        rules: Arc::new(rules),
        services: services.collect(),
        tellers: BTreeMap::new(),
        registries: BTreeMap::new(),
    }
}

/// A trigger on everything, starting runs at a service of this class.
#[must_use]
pub fn plain(service: &str) -> Trigger {
    let run = RunRule {
        service: service.to_owned(),
        target: json!({}),
        parameters: PARAMETERS.clone(),
        cache: false,
        guard: None,
    };
    let on = ObjectMatch { bucket: "b".to_owned(), ..ObjectMatch::default() };
    let mut trigger = Trigger::new(vec![On::Objects(on)], run);
    trigger.batch.quiet = Some(Span::secs(10));
    trigger.batch.max_wait = Some(Span::secs(60));
    trigger
}

/// A trigger on everything at a service of class A, due after a minute of quiet or an hour.
#[must_use]
pub fn after_a_minute() -> Trigger {
    let mut trigger = plain("a");
    trigger.batch.quiet = Some(Span::mins(1));
    trigger.batch.max_wait = Some(Span::hours(1));
    trigger
}

fn trigger(random: &mut Random) -> Trigger {
    let mut trigger = plain(["a", "b", "c"][usize::try_from(random.below(3)).unwrap_or(0)]);
    let batch = &mut trigger.batch;
    batch.quiet = Some(Span::secs(random.between(1, 20)));
    batch.max_count = *random.pick(&[100_000, 100_000, 1, 2, 5]);
    if random.per_mille(150) {
        batch.by.clone_from(&BY_FOLDER);
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
        trigger.when.clone_from(&IS_LARGE);
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
