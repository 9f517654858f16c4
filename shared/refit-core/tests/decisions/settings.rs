//! The settings of a rule, as words.

use std::collections::BTreeMap;

use crate::models::promote;
use jiff::civil::Weekday;
use refit_core::event::PauseMode;
use refit_core::expression::Expression;
use refit_core::rules::{
    Budget, DriftMatch, Glob, Idempotency, MessageMatch, ModelMatch, ObjectMatch, On, OnUnknown,
    Overlap, Retry, RunRule, ServiceProfile, Trigger,
};
use refit_core::schedule::{Misfire, Schedule, Zone};
use refit_core::scope::{EACH_VARIABLES, OBJECT_AND_DRIFT_VARIABLES, RUN_VARIABLES};
use refit_core::template::Template;
use refit_core::time::Span;
use refit_core::window::Window;
use serde_json::json;

/// A run of nothing in particular.
pub(crate) fn run_rule(name: &str) -> RunRule {
    RunRule {
        service: name.to_owned(),
        target: json!({}),
        parameters: BTreeMap::new(),
        cache: false,
        guard: None,
    }
}

fn drift_entry(rule: &mut Trigger) -> &mut DriftMatch {
    match rule.on.last_mut() {
        Some(On::Drift(entry)) => entry,
        _ => panic!("`drift` comes first"),
    }
}

/// Sets one setting of a rule.
pub(crate) fn set(
    setting: &str,
    rule: &mut Trigger,
    objects: &mut ObjectMatch,
    profile: &mut ServiceProfile,
) {
    let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
    let span = || Some(value.parse::<Span>().unwrap());
    let count = || value.parse().unwrap();
    let expression = || Some(Expression::compile(value, OBJECT_AND_DRIFT_VARIABLES).unwrap());
    match key {
        "bucket" => objects.bucket = value.to_owned(),
        "prefix" => objects.prefix = value.to_owned(),
        "suffix" => objects.suffix = value.to_owned(),
        "glob" => objects.glob = Some(Glob::new(value).unwrap()),
        "zero_bytes" => objects.zero_bytes = true,
        "identical" => objects.identical = true,
        "when" => rule.when = expression(),
        "quiet" => rule.batch.quiet = span(),
        "max_wait" => rule.batch.max_wait = span(),
        "min_count" => rule.batch.min_count = count(),
        "min_bytes" => rule.batch.min_bytes = count(),
        "max_count" => rule.batch.max_count = count(),
        "by" => rule.batch.by = expression(),
        "each" => rule.batch.each = true,
        "until" => {
            let suffix = value.to_owned();
            rule.batch.until =
                Some(ObjectMatch { bucket: "b".into(), suffix, ..ObjectMatch::default() });
            rule.batch.quiet = None;
        }
        "cooldown" => rule.cooldown = value.parse().unwrap(),
        "timeout" => rule.timeout = value.parse().unwrap(),
        "overlap" => rule.overlap = overlap(value),
        "budget" => {
            let (runs, per) = value.split_once('/').unwrap();
            rule.budget = Budget { runs: runs.parse().unwrap(), per: per.parse().unwrap() };
        }
        "retry" => {
            let parts: Vec<&str> = value.split('/').collect();
            rule.retry = Retry {
                attempts: parts[0].parse().unwrap(),
                backoff: parts[1].parse().unwrap(),
                max_backoff: parts[2].parse().unwrap(),
            };
        }
        "pause" => {
            rule.pause = Some(if value == "ignore" { PauseMode::Ignore } else { PauseMode::Hold })
        }
        "on_unknown" => {
            rule.on_unknown = if value == "ask" { OnUnknown::Ask } else { OnUnknown::Relaunch }
        }
        "class" => {
            profile.class = match value {
                "A" => Idempotency::A,
                "B" => Idempotency::B,
                _ => Idempotency::C,
            };
        }
        "guard" => rule.run.guard = Some(value.to_owned()),
        "notify" => rule.notify = value.split(',').map(str::to_owned).collect(),
        "trouble" => rule.run.target = json!({"trouble": value}),
        "param" => {
            let (name, text) = value.split_once(':').unwrap();
            let variables = if rule.batch.each { EACH_VARIABLES } else { RUN_VARIABLES };
            let template = Template::parse(&json!(text), variables).unwrap();
            rule.run.parameters.insert(name.to_owned(), template);
        }
        _ => set_source(key, value, rule),
    }
}

fn overlap(value: &str) -> Overlap {
    match value.split_once(':').unwrap_or((value, "")) {
        ("allow", _) => Overlap::Allow,
        ("forbid", _) => Overlap::Forbid,
        ("replace", _) => Overlap::Replace,
        (_, places) => Overlap::Queue(places.parse().unwrap()),
    }
}

/// The settings of messages, drift, schedules and windows.
fn set_source(key: &str, value: &str, rule: &mut Trigger) {
    match key {
        "message" => {
            let ty = (!value.is_empty()).then(|| value.to_owned());
            rule.on.push(On::Message(MessageMatch { ty, ..MessageMatch::default() }));
        }
        "model" => {
            let (model, stage) = value.split_once(':').unwrap();
            let stage = stage.parse().unwrap();
            rule.on.push(On::Model(ModelMatch { model: model.to_owned(), stage }));
            rule.batch.each = true;
        }
        "promote" => rule.promote = Some(promote(value)),
        "drift" => rule.on.push(On::Drift(DriftMatch {
            model: value.to_owned(),
            min_share: None,
            features: [].into(),
            consecutive: 1,
        })),
        "min_share" => drift_entry(rule).min_share = Some(value.parse().unwrap()),
        "features" => {
            drift_entry(rule).features = value.split(',').map(str::to_owned).collect();
        }
        "consecutive" => drift_entry(rule).consecutive = value.parse().unwrap(),
        "cron" => {
            // `30 2 * * *@Europe/Berlin@last`
            let parts: Vec<&str> = value.split('@').collect();
            let misfire = match parts.get(2) {
                Some(&"none") => Misfire::None,
                Some(&"last") | None => Misfire::Last,
                Some(count) => Misfire::All(count.parse().unwrap()),
            };
            let zone = Zone::new(parts[1]).unwrap();
            rule.on.push(On::Schedule(Schedule::new(parts[0], zone, misfire).unwrap()));
        }
        "window" => {
            // `Europe/Berlin@22:00-06:00`, on weekdays
            let (zone, hours) = value.split_once('@').unwrap();
            let (from, to) = hours.split_once('-').unwrap();
            let day = |n| Weekday::from_monday_one_offset(n).unwrap();
            let time = |text: &str| text.parse().unwrap();
            rule.window = Some(Window {
                zone: Zone::new(zone).unwrap(),
                days: (1..=5).map(day).collect(),
                from: time(from),
                to: time(to),
            });
        }
        other => panic!("unknown setting: {other}"),
    }
}
