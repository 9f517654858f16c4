//! The run a trigger starts.

use std::collections::BTreeMap;

use refit_core::rules::{BatchRule, On, RunRule};
use refit_core::template::Template;
use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::super::document::{Document, Kind, NodeId};
use super::super::likely::did_you_mean;
use super::super::located::{Located, given};
use super::super::report::Notes;
use super::super::v1::{self, RUN_SETTINGS};
use super::expression::Scene;
use super::guard;
use super::trigger::is_of_models;
use super::{Service, Services};

/// Members at the most where a run is given their URIs: so many names of 50 bytes fit the 10,000 bytes a service
/// takes.
const URIS_MAX: u64 = 200;

/// The run of the trigger at `at`, and the service it runs on where that is known.
pub(super) fn rule<'s>(
    notes: &mut Notes<'_>,
    services: &'s Services,
    trigger: &v1::Trigger,
    (batch, on): (&BatchRule, &[On]),
    at: NodeId,
) -> (Option<RunRule>, Option<&'s Service>) {
    let Some(run) = &trigger.run else {
        let cure = "write what it starts, such as `run: { service: NAME, … }`";
        notes.refuse_missing(at, "run", cure);
        return (None, None);
    };
    let Some(value) = &run.value else {
        return (None, None);
    };
    let service = service(notes, services, &value.service, run.at);
    let target = target(notes, service, run.at);
    if let (Some(service), Some((Value::Object(fields), at))) = (service, given(&value.parameters))
    {
        check_names(notes, (service, &target), fields, at);
    }
    let rule = RunRule {
        service: given(&value.service).map(|(name, _)| name.clone()).unwrap_or_default(),
        target,
        parameters: parameters(notes, &value.parameters, (batch, on)),
        cache: cache(notes, &value.cache, service),
        guard: None,
    };
    let guard = guard::folder(notes, value, &rule, service);
    (Some(RunRule { guard, ..rule }), service)
}

fn service<'s>(
    notes: &mut Notes<'_>,
    services: &'s Services,
    setting: &Option<Located<String>>,
    run: NodeId,
) -> Option<&'s Service> {
    let names = || services.keys().map(String::as_str);
    let Some(setting) = setting else {
        let cure = match services.keys().next() {
            Some(name) => format!("add `service: {name}`"),
            None => "name a service of the map `services`".to_owned(),
        };
        notes.refuse_missing(run, "service", cure);
        return None;
    };
    let name = setting.value.as_ref()?;
    let Some(service) = services.get(name) else {
        let known: Vec<String> = names().map(|name| format!("`{name}`")).collect();
        let cure = did_you_mean(name, names()).unwrap_or_else(|| match known.is_empty() {
            true => "add it to the map `services`".to_owned(),
            false => format!("known services: {}", known.join(", ")),
        });
        notes.refuse(setting.at, format!("there is no service `{name}`")).cured_by(cure);
        return None;
    };
    service.as_ref()
}

/// What the service is to run: everything in `run` that is not for every service.
fn target(notes: &mut Notes<'_>, service: Option<&Service>, run: NodeId) -> Value {
    if let Some(service) = service {
        notes.read_without(run, RUN_SETTINGS, |reader| service.config.check_target_in(reader));
    }
    let document = notes.document;
    for entry in document.entries(run) {
        let name = document.text_of(entry.name).unwrap_or_default();
        for at in texts(document, entry.value) {
            let computed = document.text_of(at).is_some_and(|text| text.contains("${"));
            if computed && !RUN_SETTINGS.contains(&name) {
                let message = "what to run cannot be computed from events";
                notes.refuse(at, message).cured_by("only `parameters` may hold `${ }`");
            }
        }
    }
    let target = notes.read_without(run, RUN_SETTINGS, |reader| Value::deserialize(reader));
    target.unwrap_or_default()
}

fn cache(
    notes: &mut Notes<'_>,
    setting: &Option<Located<v1::Switch>>,
    service: Option<&Service>,
) -> bool {
    let Some((cache, at)) = given(setting) else { return false };
    if let Some(service) = service.filter(|service| !service.config.caches()) {
        let kind = service.config.kind();
        let message = format!("this service has no cache that refit switches: kind=`{kind}`");
        notes.refuse(at, message).cured_by("leave it out, and see to it in the pipeline");
    }
    *cache == v1::Switch::On
}

fn parameters(
    notes: &mut Notes<'_>,
    setting: &Option<Located<Value>>,
    (batch, on): (&BatchRule, &[On]),
) -> BTreeMap<String, Template> {
    let Some((value, at)) = given(setting) else {
        return BTreeMap::new();
    };
    let Value::Object(fields) = value else {
        notes.refuse(at, "expected a map from names to values");
        return BTreeMap::new();
    };
    let scene = if is_of_models(on) { Scene::of_model_runs() } else { Scene::of_runs(batch.each) };
    let document = notes.document;
    for text in texts(document, at) {
        scene.check_template(notes, text, document.text_of(text).unwrap_or_default());
    }
    let mut parameters = BTreeMap::new();
    for (name, value) in fields {
        if let Some(template) = scene.template(value) {
            check_uris(notes, (name, &template), at, batch);
            parameters.insert(name.clone(), template);
        }
    }
    parameters
}

/// Checks the names of parameters as the service takes them: each by itself, so that the wrong one is pointed at,
/// and then all together.
fn check_names(
    notes: &mut Notes<'_>,
    (service, target): (&Service, &Value),
    fields: &Map<String, Value>,
    parameters: NodeId,
) {
    let names: Vec<&str> = fields.keys().map(String::as_str).collect();
    let wrong: Vec<(&str, String)> = names
        .iter()
        .filter_map(|name| Some((*name, service.config.check_parameters(target, &[name]).err()?)))
        .collect();
    for (name, message) in &wrong {
        let entry = notes.document.entry(parameters, name);
        notes.refuse(entry.map_or(parameters, |entry| entry.name), message);
    }
    if let (true, Err(message)) =
        (wrong.is_empty(), service.config.check_parameters(target, &names))
    {
        notes.refuse(parameters, message);
    }
}

fn check_uris(
    notes: &mut Notes<'_>,
    (name, template): (&String, &Template),
    parameters: NodeId,
    batch: &BatchRule,
) {
    if batch.each || batch.max_count <= URIS_MAX || !template.uses("batch", "uris") {
        return;
    }
    let entry = notes.document.entry(parameters, name);
    let message = format!(
        "`batch.uris` could be longer than a service takes: max_count=`{}`, limit=`{URIS_MAX}`",
        batch.max_count
    );
    let cure = format!("use `batch.manifest`, or set `batch.max_count` to at most {URIS_MAX}");
    notes.refuse(entry.map_or(parameters, |entry| entry.value), message).cured_by(cure);
}

/// The nodes at and below `at` that are text.
fn texts(document: &Document<'_>, at: NodeId) -> Vec<NodeId> {
    match &document.node(at).kind {
        Kind::Text(_) => vec![at],
        Kind::List(items) => items.iter().flat_map(|item| texts(document, *item)).collect(),
        Kind::Map(entries) => {
            entries.iter().flat_map(|entry| texts(document, entry.value)).collect()
        }
        Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Refused => Vec::new(),
    }
}
