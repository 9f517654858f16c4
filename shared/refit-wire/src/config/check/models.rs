//! What is wrong between triggers that make models and those that listen to them.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::promotion::{PromoteRule, Stage};
use refit_core::rules::{ModelMatch, On, Trigger};

use super::super::convert::Triggers;
use super::super::document::NodeId;
use super::super::likely::did_you_mean;
use super::super::located::{given, named};
use super::super::report::Notes;
use super::super::v1;

/// Checks that models are made which are listened to, that tests are there, and that no model leads to itself.
pub(in super::super) fn models(notes: &mut Notes<'_>, triggers: &Triggers, file: &v1::File) {
    for (name, at, rule) in triggers {
        if let Some(promote) = &rule.promote {
            check_acceptance(notes, triggers, (name, *at), promote);
            check_registry(notes, triggers, (name, *at), promote);
        }
        for model in models_of(rule) {
            check_made(notes, triggers, (name, *at), model);
        }
    }
    check_loops(notes, triggers);
    check_in_use(notes, file);
}

/// A trigger's name, and where it stands.
pub(super) type Place<'a> = (&'a String, NodeId);

/// Where a setting of a trigger stands.
pub(super) fn setting(notes: &Notes<'_>, (name, at): Place<'_>, path: &[&str]) -> NodeId {
    let document = notes.document;
    let mut node = document.root();
    for step in ["triggers", name.as_str()].iter().chain(path) {
        let Some(entry) = document.entry(node, step) else { return at };
        node = entry.value;
    }
    node
}

fn models_of(rule: &Trigger) -> impl Iterator<Item = &ModelMatch> {
    rule.on.iter().filter_map(|on| match on {
        On::Model(model) => Some(model),
        On::Objects(_) | On::Message(_) | On::Drift(_) | On::Schedule(_) => None,
    })
}

fn check_acceptance(
    notes: &mut Notes<'_>,
    triggers: &Triggers,
    place: Place<'_>,
    promote: &PromoteRule,
) {
    let Some(test) = &promote.acceptance else { return };
    let at = setting(notes, place, &["promote", "acceptance"]);
    let model = &promote.model;
    let cure = format!("it needs `on: {{ model: {{ model: {model}, stage: staging }} }}`");
    let Some((.., rule)) = triggers.iter().find(|(name, ..)| name == test) else {
        let names = triggers.iter().map(|(name, ..)| name.as_str());
        let cure = did_you_mean(test, names).unwrap_or(cure);
        notes.refuse(at, format!("there is no trigger `{test}`")).cured_by(cure);
        return;
    };
    let tests = |it: &ModelMatch| it.model == *model && it.stage == Stage::Staging;
    if !models_of(rule).any(tests) {
        let message = format!("`{test}` does not listen to what is in staging of `{model}`");
        notes.refuse(at, message).cured_by(cure);
    }
}

/// One model is kept at one registry, whoever makes its versions.
fn check_registry(
    notes: &mut Notes<'_>,
    triggers: &Triggers,
    place: Place<'_>,
    promote: &PromoteRule,
) {
    let earlier = triggers.iter().take_while(|(name, ..)| name != place.0);
    let mut others = earlier.filter_map(|(name, _, rule)| Some((name, rule.promote.as_ref()?)));
    let other = others
        .find(|(_, other)| other.model == promote.model && other.registry != promote.registry);
    if let Some((name, other)) = other {
        let at = setting(notes, place, &["promote", "registry"]);
        let message = format!("`{name}` keeps this model elsewhere: registry=`{}`", other.registry);
        notes.refuse(at, message).cured_by("name one registry for all versions of a model");
    }
}

fn check_made(notes: &mut Notes<'_>, triggers: &Triggers, place: Place<'_>, model: &ModelMatch) {
    let made = || triggers.iter().filter_map(|(.., rule)| rule.promote.as_ref());
    if made().any(|promote| promote.model == model.model) {
        return;
    }
    let names = made().map(|promote| promote.model.as_str());
    let cure = did_you_mean(&model.model, names)
        .unwrap_or_else(|| "add `promote` to the trigger that makes it".to_owned());
    let at = setting(notes, place, &["on", "model", "model"]);
    let message = format!("no trigger promotes `{}`: it can never fire", model.model);
    notes.refuse(at, message).cured_by(cure);
}

/// A version that is given a stage must not lead to another of the same model, and so on without end.
fn check_loops(notes: &mut Notes<'_>, triggers: &Triggers) {
    let mut leads: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (.., rule) in triggers {
        for (from, to) in models_of(rule).zip(rule.promote.iter().cycle()) {
            leads.entry(&from.model).or_default().insert(&to.model);
        }
    }
    for (name, at, rule) in triggers {
        let Some(promote) = &rule.promote else { continue };
        let Some(from) = models_of(rule).find(|from| reaches(&leads, &promote.model, &from.model))
        else {
            continue;
        };
        let at = setting(notes, (name, *at), &["promote", "model"]);
        let message = format!(
            "a version of `{}` would lead to another one, without end: model=`{}`",
            from.model, promote.model
        );
        notes.refuse(at, message).cured_by("promote it under another name");
    }
}

/// Whether versions of one model lead to versions of another, which may be itself.
fn reaches(leads: &BTreeMap<&str, BTreeSet<&str>>, from: &str, to: &str) -> bool {
    let mut seen = BTreeSet::new();
    let mut left = vec![from];
    while let Some(model) = left.pop() {
        if model == to {
            return true;
        }
        if seen.insert(model) {
            left.extend(leads.get(model).into_iter().flatten());
        }
    }
    false
}

/// Warns of registries no trigger uses.
fn check_in_use(notes: &mut Notes<'_>, file: &v1::File) {
    let promotes = named(&file.triggers).iter().filter_map(|(_, rule)| {
        let promote = given(&rule.value.as_ref()?.promote)?.0;
        Some(given(&promote.registry)?.0)
    });
    let used: BTreeSet<&String> = promotes.collect();
    for (name, _) in named(&file.registries) {
        if let Some(text) = name.value.as_ref().filter(|text| !used.contains(text)) {
            notes.warn(name.at, format!("no trigger uses the registry `{text}`"));
        }
    }
}
