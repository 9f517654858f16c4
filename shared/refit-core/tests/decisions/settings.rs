//! The settings of a rule in a world of text.

use refit_core::event::PauseMode;
use refit_core::expression::Expression;
use refit_core::rules::{
    BatchRule, Budget, Glob, Idempotency, MessageMatch, ObjectMatch, On, OnUnknown, Overlap, Retry,
    ServiceProfile, Trigger,
};
use refit_core::scope::{OBJECT_VARIABLES, RUN_VARIABLES};
use refit_core::template::Template;
use serde_json::json;

/// Sets `key=value` wherever it belongs.
pub(crate) fn set(
    setting: &str,
    rule: &mut Trigger,
    objects: &mut ObjectMatch,
    profile: &mut ServiceProfile,
) {
    let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
    let known = set_objects(key, value, objects)
        || set_batch(key, value, &mut rule.batch)
        || set_limits(key, value, rule)
        || set_run(key, value, rule, profile);
    assert!(known, "unknown setting: {key}");
}

fn set_objects(key: &str, value: &str, objects: &mut ObjectMatch) -> bool {
    match key {
        "bucket" => objects.bucket = value.to_owned(),
        "prefix" => objects.prefix = value.to_owned(),
        "suffix" => objects.suffix = value.to_owned(),
        "glob" => objects.glob = Some(Glob::new(value).unwrap()),
        "zero_bytes" => objects.zero_bytes = true,
        "identical" => objects.identical = true,
        _ => return false,
    }
    true
}

fn set_batch(key: &str, value: &str, batch: &mut BatchRule) -> bool {
    match key {
        "quiet" => batch.quiet = Some(value.parse().unwrap()),
        "max_wait" => batch.max_wait = Some(value.parse().unwrap()),
        "min_count" => batch.min_count = value.parse().unwrap(),
        "min_bytes" => batch.min_bytes = value.parse().unwrap(),
        "max_count" => batch.max_count = value.parse().unwrap(),
        "by" => batch.by = Some(expression(value)),
        "each" => batch.each = true,
        "until" => {
            let suffix = value.to_owned();
            batch.until =
                Some(ObjectMatch { bucket: "b".into(), suffix, ..ObjectMatch::default() });
            batch.quiet = None;
        }
        _ => return false,
    }
    true
}

fn set_limits(key: &str, value: &str, rule: &mut Trigger) -> bool {
    match key {
        "cooldown" => rule.cooldown = value.parse().unwrap(),
        "timeout" => rule.timeout = value.parse().unwrap(),
        "overlap" => {
            rule.overlap = match value.split_once(':').unwrap_or((value, "")) {
                ("allow", _) => Overlap::Allow,
                ("forbid", _) => Overlap::Forbid,
                ("replace", _) => Overlap::Replace,
                (_, places) => Overlap::Queue(places.parse().unwrap()),
            };
        }
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
        _ => return false,
    }
    true
}

fn set_run(key: &str, value: &str, rule: &mut Trigger, profile: &mut ServiceProfile) -> bool {
    match key {
        "message" => {
            let ty = (!value.is_empty()).then(|| value.to_owned());
            rule.on.push(On::Message(MessageMatch { ty, source: None }));
        }
        "when" => rule.when = Some(expression(value)),
        "class" => {
            profile.class = match value {
                "A" => Idempotency::A,
                "B" => Idempotency::B,
                _ => Idempotency::C,
            };
        }
        "trouble" => rule.run.target = json!({"trouble": value}),
        "param" => {
            let (name, text) = value.split_once(':').unwrap();
            let template = Template::parse(&json!(text), RUN_VARIABLES).unwrap();
            rule.run.parameters.insert(name.to_owned(), template);
        }
        _ => return false,
    }
    true
}

fn expression(text: &str) -> Expression {
    Expression::compile(text, OBJECT_VARIABLES).unwrap()
}
