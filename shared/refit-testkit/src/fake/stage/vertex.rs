//! Vertex AI Pipelines: ids are the caller's, and one that is taken is refused.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs, google_error};
use crate::fake::server::{Answer, Request};

/// The service, with a registry of one pipeline beside it.
#[derive(Clone, Copy, Debug)]
pub struct Vertex;

impl Double for Vertex {
    fn is_start(&self, request: &Request) -> bool {
        request.method == "POST" && request.query("pipelineJobId").is_some()
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", ["v1", "projects", .., "tags", _]) => {
                Answer::json(200, &json!({ "version": "projects/acme/versions/sha256:9f86d081" }))
            }
            ("GET", [_, _, _, "sha256:9f86d081"]) => Answer::json(200, &pipeline()),
            ("POST", ["v1", .., "pipelineJobs", ""] | ["v1", .., "pipelineJobs"]) => {
                let id = request.query("pipelineJobId").unwrap_or_default();
                if runs.has(id) {
                    return google_error(409, "Pipeline job with the specified ID already exists.");
                }
                Answer::json(200, &job(&runs.begin(id, id.to_owned(), request.json())))
            }
            ("GET", ["v1", .., "pipelineJobs", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &job(&run)),
                None => google_error(404, "The PipelineJob does not exist."),
            },
            ("POST", ["v1", .., "pipelineJobs", verb]) => {
                match runs.cancel(verb.trim_end_matches(":cancel")) {
                    true => Answer::json(200, &json!({})),
                    false => google_error(400, "The job has ended."),
                }
            }
            _ => google_error(404, "Not found."),
        }
    }
}

fn pipeline() -> Value {
    json!({
        "pipelineInfo": { "name": "churn" },
        "schemaVersion": "2.1.0",
        "root": {
            "inputDefinitions": { "parameters": { "manifest": { "parameterType": "STRING" } } },
            "dag": { "tasks": { "train": { "cachingOptions": { "enableCache": true } } } },
        },
    })
}

fn job(run: &Run) -> Value {
    let state = match run.phase {
        Phase::Running => "PIPELINE_STATE_RUNNING",
        Phase::Succeeded => "PIPELINE_STATE_SUCCEEDED",
        Phase::Failed => "PIPELINE_STATE_FAILED",
        Phase::Cancelled => "PIPELINE_STATE_CANCELLED",
    };
    json!({
        "name": format!("projects/1/locations/europe-west4/pipelineJobs/{}", run.id),
        "state": state,
        "labels": run.body["labels"],
    })
}
