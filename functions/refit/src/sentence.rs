//! What a trigger does, in a few sentences.

use refit_core::event::PauseMode;
use refit_core::promotion::{Asking, PromoteRule, StageRule};
use refit_core::rules::{
    BatchRule, DriftMatch, Glob, MessageMatch, ModelMatch, ObjectMatch, On, OnUnknown, Overlap,
    Trigger,
};
use refit_core::time::Span;
use serde_json::Value;

/// What a trigger does, in a few sentences.
pub(crate) fn sentence(rule: &Trigger) -> String {
    let promotes = rule.promote.as_ref().map(promotes).unwrap_or_default();
    let sentences = [listens(rule), starts(rule), limits(rule), promotes, pauses(rule).to_owned()];
    let said: Vec<String> = sentences.into_iter().filter(|text| !text.is_empty()).collect();
    said.join(" ")
}

fn listens(rule: &Trigger) -> String {
    let on: Vec<String> = rule.on.iter().map(source).collect();
    let when = rule.when.as_ref().map(|when| format!(", if `{}`,", when.source()));
    let joins = match (&rule.batch.by, rule.batch.each) {
        (_, true) => "is a batch of its own".to_owned(),
        (Some(by), false) => format!("joins the batch of its `{}`", by.source()),
        (None, false) => "joins the open batch".to_owned(),
    };
    format!("Every {}{} {joins}.", on.join(", and every "), when.unwrap_or_default())
}

fn source(on: &On) -> String {
    match on {
        On::Objects(objects) => format!("new object {}", place(objects)),
        On::Message(message) => heard(message),
        On::Drift(drift) => minded(drift),
        On::Schedule(schedule) => format!("time of `{}`", schedule.text()),
        On::Model(ModelMatch { model, stage }) => {
            format!("version of `{model}` that is given {stage}")
        }
    }
}

fn place(objects: &ObjectMatch) -> String {
    let mut text = format!("in `{}`", objects.bucket);
    if !objects.prefix.is_empty() {
        text.push_str(&format!(" that begins with `{}`", objects.prefix));
    }
    if !objects.suffix.is_empty() {
        text.push_str(&format!(" that ends with `{}`", objects.suffix));
    }
    if let Some(glob) = &objects.glob {
        text.push_str(&format!(" that matches `{}`", glob.text()));
    }
    text
}

fn heard(message: &MessageMatch) -> String {
    let ty = message.ty.as_ref().map(|ty| format!(" of type `{ty}`")).unwrap_or_default();
    let source = message.source.as_ref().map(|source| format!(" from `{source}`"));
    let paths: Vec<&str> = message.paths.iter().map(Glob::text).collect();
    let touching = match paths.is_empty() {
        true => String::new(),
        false => format!(" that touches `{}`", paths.join("`, `")),
    };
    format!("message{ty}{}{touching}", source.unwrap_or_default())
}

fn minded(drift: &DriftMatch) -> String {
    let mut text = format!("report of drift in `{}`", drift.model);
    if !drift.features.is_empty() {
        let features: Vec<&str> = drift.features.iter().map(String::as_str).collect();
        text.push_str(&format!(" of a feature among `{}`", features.join("`, `")));
    }
    if let Some(share) = drift.min_share {
        text.push_str(&format!(" in at least {share} of the columns"));
    }
    match drift.consecutive {
        0 | 1 => text,
        count => format!("{text} that is the last of {count} in a row"),
    }
}

/// How the versions its runs make get on.
fn promotes(rule: &PromoteRule) -> String {
    let PromoteRule { registry, model, gate, request, staging, acceptance, production, approvers } =
        rule;
    let metrics: Vec<&str> = gate.0.keys().map(String::as_str).collect();
    let gated = match metrics.is_empty() {
        true => String::new(),
        false => format!(", if its {} are within their limits,", metrics.join(", ")),
    };
    let asked = match request {
        Asking::Automatic => "goes",
        Asking::Manual => "goes, where somebody asks for it,",
    };
    let takes = |stage: &StageRule| match (stage.approvals, stage.four_eyes) {
        (0, _) => "without approval".to_owned(),
        (1, false) => "once one person approves".to_owned(),
        (1, true) => "once another person approves".to_owned(),
        (count, false) => format!("once {count} persons approve"),
        (count, true) => format!("once {count} other persons approve"),
    };
    let named: Vec<&str> = approvers.keys().map(String::as_str).collect();
    let named = match named.is_empty() {
        true => String::new(),
        false => format!(" Only {} may approve.", named.join(", ")),
    };
    let test = acceptance.as_ref().map(|name| format!(", there a run of `{name}` accepts it"));
    format!(
        "What a run that succeeds makes is registered at `{registry}` as a version of `{model}`, which{gated} \
         {asked} to staging {}{}, and to production {}.{named}",
        takes(staging),
        test.unwrap_or_default(),
        takes(production)
    )
}

fn starts(rule: &Trigger) -> String {
    let service = &rule.run.service;
    let what =
        format!("It starts {} on `{service}` {}", target(&rule.run.target), due(&rule.batch));
    let overlap = match rule.overlap {
        Overlap::Allow => "also while another run is active".to_owned(),
        Overlap::Forbid => "but not while a run is active".to_owned(),
        Overlap::Queue(places) => {
            format!("but not while a run is active: up to {places} batches wait in line")
        }
        Overlap::Replace => "and cancels a run that is active".to_owned(),
    };
    format!("{what}, {overlap}.")
}

/// What is run: the pipeline by name, or all that is said of it.
pub(crate) fn target(target: &Value) -> String {
    match target.get("pipeline").and_then(Value::as_str) {
        Some(pipeline) => format!("pipeline `{pipeline}`"),
        None => format!("`{target}`"),
    }
}

fn due(rule: &BatchRule) -> String {
    let longest = rule.longest_wait();
    let latest = format!("{longest} after the first at the latest");
    let due = match (&rule.until, rule.quiet) {
        _ if rule.each => "at once".to_owned(),
        (Some(marker), _) => format!("when its marker {} arrives, {latest}", place(marker)),
        (None, Some(Span::ZERO)) => "at once".to_owned(),
        (None, Some(quiet)) if quiet < longest => {
            format!("when nothing arrived for {quiet}, {latest}")
        }
        (None, _) if longest == Span::ZERO => "at once".to_owned(),
        (None, _) => format!("{longest} after the first arrived"),
    };
    let least = [(rule.min_count, "members"), (rule.min_bytes, "bytes")];
    let least = least.into_iter().filter(|(count, _)| *count > 0);
    let least =
        least.map(|(count, what)| format!(", and not with less than {count} {what} before"));
    least.fold(due, |due, least| due + &least)
}

fn limits(rule: &Trigger) -> String {
    let budget = format!("At most {} runs per {}", rule.budget.runs, rule.budget.per);
    let cooldown = match rule.cooldown {
        Span::ZERO => String::new(),
        cooldown => format!(", {cooldown} apart"),
    };
    let window = rule.window.as_ref().map(|window| {
        let (from, to) = (window.from.strftime("%H:%M"), window.to.strftime("%H:%M"));
        let days: Vec<String> = window.days.iter().map(|day| format!("{day:?}")).collect();
        format!(", started from {from} to {to} ({}) on {}", window.zone.name(), days.join(", "))
    });
    let window = window.unwrap_or_default();
    let retry = match rule.retry.attempts {
        0 | 1 => "one that fails is not tried again".to_owned(),
        attempts => format!("one that fails is tried {attempts} times in all"),
    };
    let unknown = match rule.on_unknown {
        OnUnknown::Relaunch => "",
        OnUnknown::Ask => "; where the fate of a start is unknown, a person is asked",
    };
    format!(
        "{budget}{cooldown}{window}; {retry}, one that takes longer than {} is cancelled{unknown}.",
        rule.timeout
    )
}

fn pauses(rule: &Trigger) -> &'static str {
    match rule.pause {
        None => "",
        Some(PauseMode::Hold) => "It is paused: what arrives is kept, and nothing starts.",
        Some(PauseMode::Ignore) => "It is paused: what arrives is ignored.",
    }
}
