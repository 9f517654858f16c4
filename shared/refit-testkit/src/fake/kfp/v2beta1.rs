//! The API of servers from 2.0 on.

use serde_json::{Value, json};

use super::State;
use super::catalog::{Catalog, Experiment, Pipeline, check_typed};
use super::filter::Filter;
use super::runs::{Draft, Phase, Run, Wrong};
use crate::fake::server::Request;

/// What a start may hold; anything else is refused.
const FIELDS: [&str; 9] = [
    "run_id",
    "experiment_id",
    "display_name",
    "description",
    "pipeline_version_reference",
    "pipeline_spec",
    "runtime_config",
    "service_account",
    "storage_state",
];
/// Bytes of the parameters of a run.
const PARAMETER_BYTES_MAX: usize = 10_000;

pub(super) fn answer(state: &mut State, request: &Request, path: &[&str]) -> Result<Value, Wrong> {
    let State { catalog, runs, .. } = state;
    match (request.method.as_str(), path) {
        ("GET", ["healthz"]) => Ok(json!({ "multi_user": false })),
        ("GET", ["pipelines", "names", name]) => {
            let found = catalog.pipelines.iter().find(|pipeline| pipeline.name == *name);
            let missing = || Wrong::missing(format!("Pipeline {name} not found"));
            found.map(pipeline).ok_or_else(missing)
        }
        ("GET", ["pipelines", id]) => catalog.pipeline(id).map(pipeline),
        ("GET", ["pipelines", id, "versions"]) => {
            let filter = Filter::read(request, "operation")?;
            let found = Some(catalog.pipeline(id)?);
            let found = found.filter(|it| filter.wants("display_name", &it.version));
            Ok(page("pipeline_versions", found.into_iter().map(version).collect()))
        }
        ("GET", ["pipelines", id, "versions", wanted]) => {
            let found = Some(catalog.pipeline(id)?).filter(|it| it.version == *wanted);
            let missing = || Wrong::missing(format!("PipelineVersion {wanted} not found"));
            found.map(version).ok_or_else(missing)
        }
        ("GET", ["experiments"]) => {
            let filter = Filter::read(request, "operation")?;
            let wanted = |it: &&Experiment| filter.wants("display_name", &it.name);
            let found = catalog.experiments.iter().filter(wanted).map(experiment).collect();
            Ok(page("experiments", found))
        }
        ("POST", ["experiments"]) => {
            let name = request.json()["display_name"].as_str().unwrap_or_default().to_owned();
            catalog.add_experiment(&name).map(experiment)
        }
        ("POST", ["runs"]) => runs.begin(draft(catalog, request)?).map(run),
        ("GET", ["runs"]) => {
            let filter = Filter::read(request, "operation")?;
            let of = request.query("experiment_id").unwrap_or_default();
            let wanted = |it: &Run| {
                filter.wants("display_name", &it.name) && (of.is_empty() || it.experiment == of)
            };
            Ok(page("runs", runs.list(wanted).into_iter().map(run).collect()))
        }
        ("GET", ["runs", id]) => runs.look(id).map(run),
        ("POST", ["runs", verb]) => match verb.split_once(':') {
            Some((id, "terminate")) => runs.terminate(id).map(|()| json!({})),
            Some(_) | None => Err(Wrong::missing("Not Found")),
        },
        _ => Err(Wrong::missing("Not Found")),
    }
}

fn draft(catalog: &Catalog, request: &Request) -> Result<Draft, Wrong> {
    let body = request.json();
    let fields = body.as_object().ok_or_else(|| Wrong::input("the body is no JSON"))?;
    if let Some(name) = fields.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Wrong::input(format!("unknown field \"{name}\" in v2beta1.Run")));
    }
    let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
    if text("display_name").is_empty() {
        return Err(Wrong::new(500, 13, "Invalid input error: The run name is empty"));
    }
    catalog.check_experiment(&text("experiment_id"))?;
    let parameters = body["runtime_config"]["parameters"].clone();
    check_typed(&definition(catalog, &body)?, &parameters)?;
    if parameters.to_string().len() > PARAMETER_BYTES_MAX {
        return Err(Wrong::input("the input parameters are larger than the maximum"));
    }
    Ok(Draft {
        id: body["run_id"].as_str().map(str::to_owned),
        name: text("display_name"),
        experiment: text("experiment_id"),
        parameters,
        request: body,
    })
}

/// The definition a start brings along, or names.
fn definition(catalog: &Catalog, body: &Value) -> Result<Value, Wrong> {
    match (body.get("pipeline_spec"), body.get("pipeline_version_reference")) {
        (Some(definition), None) => Ok(definition.clone()),
        (None, Some(reference)) => {
            let version = reference["pipeline_version_id"].as_str().unwrap_or_default();
            let found = catalog.of_version(version).map(Pipeline::compiled);
            // Unknown versions come back as errors of the server.
            found.map_err(|wrong| Wrong::new(500, 13, wrong.message))
        }
        _ => Err(Wrong::input("one of pipeline_spec and pipeline_version_reference is wanted")),
    }
}

fn page(name: &str, items: Vec<Value>) -> Value {
    match items.len() {
        0 => json!({}),
        size => json!({ name: Value::Array(items), "total_size": size }),
    }
}

fn pipeline(pipeline: &Pipeline) -> Value {
    let Pipeline { id, name, created, .. } = pipeline;
    json!({ "pipeline_id": id, "display_name": name, "created_at": created })
}

fn version(pipeline: &Pipeline) -> Value {
    let Pipeline { id, version, created, .. } = pipeline;
    json!({
        "pipeline_id": id,
        "pipeline_version_id": version,
        "display_name": version,
        "created_at": created,
        "pipeline_spec": pipeline.compiled(),
    })
}

fn experiment(experiment: &Experiment) -> Value {
    let Experiment { id, name, created } = experiment;
    json!({
        "experiment_id": id,
        "display_name": name,
        "created_at": created,
        "storage_state": "AVAILABLE",
    })
}

fn run(run: &Run) -> Value {
    let mut answer = run.request.clone();
    let history: Vec<Value> = run
        .history
        .iter()
        .map(|(at, phase)| json!({ "update_time": at, "state": state(*phase) }))
        .collect();
    answer["run_id"] = json!(run.id);
    answer["storage_state"] = json!("AVAILABLE");
    answer["state"] = json!(state(run.phase()));
    answer["created_at"] = json!(run.began());
    answer["scheduled_at"] = json!(run.began());
    answer["finished_at"] = json!(run.ended());
    answer["state_history"] = json!(history);
    answer
}

fn state(phase: Phase) -> &'static str {
    match phase {
        Phase::Pending => "PENDING",
        Phase::Running => "RUNNING",
        Phase::Canceling => "CANCELING",
        Phase::Succeeded => "SUCCEEDED",
        Phase::Failed => "FAILED",
    }
}
