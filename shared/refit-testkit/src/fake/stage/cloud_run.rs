//! Cloud Run jobs: every start is an execution, whatever it holds.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs, google_error};
use crate::fake::server::{Answer, Request};

/// The service, with any job that is asked for, each of one container.
#[derive(Clone, Copy, Debug)]
pub struct CloudRun;

impl Double for CloudRun {
    fn is_start(&self, request: &Request) -> bool {
        request.path.last().is_some_and(|last| last.ends_with(":run"))
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [.., "jobs", _]) => {
                let container = json!({ "name": "train" });
                Answer::json(
                    200,
                    &json!({ "template": { "template": { "containers": [container] } } }),
                )
            }
            ("POST", [.., "jobs", _]) => {
                let body = request.json();
                let env = body["overrides"]["containerOverrides"][0]["env"].clone();
                let key = env[0]["value"].as_str().unwrap_or_default();
                let run = runs.begin(key, format!("train-{}", runs.count() + 1), body);
                Answer::json(200, &json!({ "name": "operations/1", "metadata": execution(&run) }))
            }
            ("GET", [.., "executions"]) => {
                let executions: Vec<Value> = runs.look().iter().map(execution).collect();
                Answer::json(200, &json!({ "executions": executions }))
            }
            ("GET", [.., "executions", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &execution(&run)),
                None => google_error(404, "Resource does not exist."),
            },
            ("POST", [.., "executions", verb]) => {
                match runs.cancel(verb.trim_end_matches(":cancel")) {
                    true => Answer::json(200, &json!({})),
                    false => google_error(400, "The execution is completed."),
                }
            }
            _ => google_error(404, "Not found."),
        }
    }
}

fn execution(run: &Run) -> Value {
    let (state, reason) = match run.phase {
        Phase::Running => ("CONDITION_RECONCILING", "EXECUTION_REASON_UNDEFINED"),
        Phase::Succeeded => ("CONDITION_SUCCEEDED", "EXECUTION_REASON_UNDEFINED"),
        Phase::Failed => ("CONDITION_FAILED", "NON_ZERO_EXIT_CODE"),
        Phase::Cancelled => ("CONDITION_FAILED", "CANCELLED"),
    };
    let container = json!({ "env": run.body["overrides"]["containerOverrides"][0]["env"] });
    json!({
        "name": format!("projects/acme/locations/europe-west4/jobs/train/executions/{}", run.id),
        "template": { "containers": [container] },
        "conditions": [{ "type": "Completed", "state": state, "executionReason": reason }],
    })
}
