//! Cloud Build: every start is a build, whatever it holds.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs, google_error};
use crate::fake::server::{Answer, Request};

/// The service, with any trigger that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct CloudBuild;

impl Double for CloudBuild {
    fn is_start(&self, request: &Request) -> bool {
        request.path.last().is_some_and(|last| last.ends_with(":run"))
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [.., "triggers", name]) => {
                Answer::json(200, &json!({ "id": "t-1", "name": name }))
            }
            ("POST", [.., "triggers", _]) => {
                let body = request.json();
                let key = body["source"]["substitutions"]["_REFIT_KEY"].clone();
                let id = format!("b-{}", runs.count() + 1);
                let run = runs.begin(key.as_str().unwrap_or_default(), id, body);
                Answer::json(
                    200,
                    &json!({ "name": "operations/1", "metadata": { "build": build(&run) } }),
                )
            }
            ("GET", [.., "builds"]) => {
                let builds: Vec<Value> = runs.look().iter().map(build).collect();
                Answer::json(200, &json!({ "builds": builds }))
            }
            ("GET", [.., "builds", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &build(&run)),
                None => google_error(404, "Requested entity was not found."),
            },
            ("POST", [.., "builds", verb]) => match runs.cancel(verb.trim_end_matches(":cancel")) {
                true => Answer::json(200, &json!({})),
                false => google_error(400, "The build is done."),
            },
            _ => google_error(404, "Not found."),
        }
    }
}

fn build(run: &Run) -> Value {
    let status = match run.phase {
        Phase::Running => "WORKING",
        Phase::Succeeded => "SUCCESS",
        Phase::Failed => "FAILURE",
        Phase::Cancelled => "CANCELLED",
    };
    let second = run.id.trim_start_matches("b-");
    json!({
        "id": run.id,
        "status": status,
        "buildTriggerId": "t-1",
        "createTime": format!("2026-11-21T09:00:{second:0>2}Z"),
        "substitutions": run.body["source"]["substitutions"],
    })
}
