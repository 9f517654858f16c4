//! A service of Cloud Run: every change that rests on how it is now makes a revision.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs, google_error};
use crate::fake::server::{Answer, Request};

/// The service, with one container. A change is a run; what is hidden is read as it was before.
#[derive(Clone, Copy, Debug)]
pub struct CloudRunService;

impl Double for CloudRunService {
    fn is_start(&self, request: &Request) -> bool {
        request.method == "PATCH"
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [.., "services", _]) => Answer::json(200, &service(&runs.look())),
            ("PATCH", [.., "services", _]) => {
                let body = request.json();
                if body["etag"] != etag(runs.count()) {
                    return google_error(409, "Conflict for resource: it was changed.");
                }
                let key = body["template"]["labels"]["refit-key"].as_str().unwrap_or_default();
                runs.begin(key, key.to_owned(), body.clone());
                Answer::json(200, &json!({ "name": "operations/1" }))
            }
            ("GET", [.., "services", _, "revisions"]) => {
                let revision = |run: &Run| json!({ "labels": run.body["template"]["labels"] });
                let revisions: Vec<Value> = runs.look().iter().map(revision).collect();
                Answer::json(200, &json!({ "revisions": revisions }))
            }
            _ => google_error(404, "Not found."),
        }
    }
}

/// Says how often it was changed.
fn etag(changes: usize) -> String {
    format!("\"{changes}\"")
}

/// The service after these changes, newest first.
fn service(changes: &[Run]) -> Value {
    let container = json!({ "name": "api", "image": "acme/api" });
    let first = json!({ "containers": [container] });
    let template = changes.first().map_or(first, |newest| newest.body["template"].clone());
    let phase = changes.first().map_or(Phase::Succeeded, |newest| newest.phase);
    let (state, reached) = match phase {
        Phase::Running => ("CONDITION_RECONCILING", false),
        Phase::Succeeded => ("CONDITION_SUCCEEDED", true),
        Phase::Failed | Phase::Cancelled => ("CONDITION_FAILED", false),
    };
    let generation = changes.len() + 1;
    let observed = generation - usize::from(!reached);
    json!({
        "generation": generation.to_string(),
        "observedGeneration": observed.to_string(),
        "reconciling": phase == Phase::Running,
        "etag": etag(changes.len()),
        "template": template,
        "terminalCondition": { "type": "Ready", "state": state },
    })
}
