//! The API of servers before 2.0, which newer ones still speak.

use serde_json::{Map, Value, json};

use super::State;
use super::catalog::{Catalog, Experiment, Pipeline, check_untyped};
use super::filter::Filter;
use super::runs::{Draft, Phase, Run, Wrong};
use crate::fake::server::Request;

/// What a start may hold; anything else is refused.
const FIELDS: [&str; 6] =
    ["id", "name", "description", "pipeline_spec", "resource_references", "service_account"];

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Result<Value, Wrong> {
    let State { catalog, runs, .. } = state;
    match (request.method.as_str(), path) {
        ("GET", ["pipelines"]) => {
            let filter = Filter::read(request, "op")?;
            let wanted = |it: &&Pipeline| filter.wants("name", &it.name);
            let found = catalog.pipelines.iter().filter(wanted).map(pipeline).collect();
            Ok(page("pipelines", found))
        }
        ("GET", ["pipeline_versions"]) => {
            let filter = Filter::read(request, "op")?;
            let found = Some(catalog.pipeline(request.query("resource_key.id").unwrap_or(""))?);
            let found = found.filter(|it| filter.wants("name", &it.version));
            Ok(page("versions", found.into_iter().map(version).collect()))
        }
        ("GET", ["pipeline_versions", id, "templates"]) => {
            let template = catalog.of_version(id)?.workflow().to_string();
            Ok(json!({ "template": template }))
        }
        ("GET", ["experiments"]) => {
            let filter = Filter::read(request, "op")?;
            let wanted = |it: &&Experiment| filter.wants("name", &it.name);
            let found = catalog.experiments.iter().filter(wanted).map(experiment).collect();
            Ok(page("experiments", found))
        }
        ("POST", ["experiments"]) => {
            let name = request.json()["name"].as_str().unwrap_or_default().to_owned();
            catalog.add_experiment(&name).map(experiment)
        }
        ("POST", ["runs"]) => runs.begin(draft(catalog, request)?).map(detail),
        ("GET", ["runs"]) => {
            let filter = Filter::read(request, "op")?;
            let of = request.query("resource_reference_key.id").unwrap_or_default();
            let wanted =
                |it: &Run| filter.wants("name", &it.name) && (of.is_empty() || it.experiment == of);
            Ok(page("runs", runs.list(wanted).into_iter().map(run).collect()))
        }
        ("GET", ["runs", id]) => runs.look(id).map(detail),
        ("POST", ["runs", id, "terminate"]) => runs.terminate(id).map(|()| json!({})),
        _ => Err(Wrong::missing("Not Found")),
    }
}

fn draft(catalog: &Catalog, request: &Request) -> Result<Draft, Wrong> {
    let body = request.json();
    let fields = body.as_object().ok_or_else(|| Wrong::input("the body is no JSON"))?;
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Wrong::input(format!("unknown field \"{name}\" in api.Run")));
    }
    let name = body["name"].as_str().unwrap_or_default().to_owned();
    if name.is_empty() {
        return Err(Wrong::input("The run name is empty"));
    }
    let experiment = referenced(&body, "EXPERIMENT").unwrap_or_default();
    catalog.check_experiment(&experiment)?;
    let parameters = parameters(&body["pipeline_spec"]["parameters"])?;
    check_untyped(&definition(catalog, &body)?, &parameters)?;
    let id = body["id"].as_str().map(str::to_owned);
    Ok(Draft { id, name, experiment, parameters: Value::Object(parameters), request: body })
}

/// The workflow a start brings along, or names.
fn definition(catalog: &Catalog, body: &Value) -> Result<Value, Wrong> {
    let brought = body["pipeline_spec"]["workflow_manifest"].as_str();
    match (brought, referenced(body, "PIPELINE_VERSION")) {
        (Some(text), None) => {
            serde_json::from_str(text).map_err(|_| Wrong::input("the workflow cannot be read"))
        }
        (None, Some(version)) => {
            let found = catalog.of_version(&version).map(Pipeline::workflow);
            found.map_err(|wrong| Wrong::new(500, 13, wrong.message))
        }
        _ => Err(Wrong::input("one of a workflow and a version is wanted")),
    }
}

fn referenced(body: &Value, kind: &str) -> Option<String> {
    let references = body["resource_references"].as_array()?;
    let found = references.iter().find(|reference| reference["key"]["type"] == kind)?;
    found["key"]["id"].as_str().map(str::to_owned)
}

/// Parameters by name: every one a string.
fn parameters(list: &Value) -> Result<Map<String, Value>, Wrong> {
    let pair = |parameter: &Value| {
        let value = parameter["value"].as_str()?;
        Some((parameter["name"].as_str()?.to_owned(), json!(value)))
    };
    let pairs = list.as_array().into_iter().flatten().map(pair);
    pairs.collect::<Option<_>>().ok_or_else(|| Wrong::input("a parameter is no string"))
}

fn page(name: &str, items: Vec<Value>) -> Value {
    match items.len() {
        0 => json!({}),
        size => json!({ name: Value::Array(items), "total_size": size }),
    }
}

fn pipeline(pipeline: &Pipeline) -> Value {
    let Pipeline { id, name, created, .. } = pipeline;
    json!({ "id": id, "name": name, "created_at": created, "default_version": version(pipeline) })
}

fn version(pipeline: &Pipeline) -> Value {
    json!({ "id": pipeline.version, "name": pipeline.version, "created_at": pipeline.created })
}

fn experiment(experiment: &Experiment) -> Value {
    let Experiment { id, name, created } = experiment;
    json!({
        "id": id,
        "name": name,
        "created_at": created,
        "storage_state": "STORAGESTATE_AVAILABLE",
    })
}

fn detail(it: &Run) -> Value {
    json!({ "run": run(it), "pipeline_runtime": { "workflow_manifest": "{}" } })
}

fn run(run: &Run) -> Value {
    let mut answer = run.request.clone();
    answer["id"] = json!(run.id);
    answer["storage_state"] = json!("STORAGESTATE_AVAILABLE");
    answer["status"] = json!(status(run.phase()));
    answer["created_at"] = json!(run.began());
    answer["scheduled_at"] = json!(run.began());
    answer["finished_at"] = json!(run.ended());
    answer
}

fn status(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "Pending",
        Phase::Running => "Running",
        Phase::Canceling => "Terminating",
        Phase::Succeeded => "Succeeded",
        Phase::Failed => "Failed",
    }
}
