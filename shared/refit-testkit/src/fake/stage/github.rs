//! GitHub Actions, with a workflow whose runs have the key in their title.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs};
use crate::fake::server::{Answer, Request};

/// The service.
#[derive(Clone, Copy, Debug)]
pub struct Github {
    /// Whether a start is answered with the run.
    pub details: bool,
}

impl Double for Github {
    fn is_start(&self, request: &Request) -> bool {
        request.path.last().is_some_and(|last| last == "dispatches")
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("POST", [.., "dispatches"]) => self.start(request, runs),
            ("GET", [.., "workflows", _, "runs"]) => {
                let found: Vec<Value> = runs.look().iter().map(shown).collect();
                Answer::json(200, &json!({ "total_count": found.len(), "workflow_runs": found }))
            }
            ("GET", [.., "workflows", _]) => {
                Answer::json(200, &json!({ "id": 1, "state": "active" }))
            }
            ("GET", [.., "runs", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &shown(&run)),
                None => Answer::json(404, &json!({ "message": "Not Found" })),
            },
            ("GET", [.., "actions", "runs"]) => {
                Answer::json(200, &json!({ "total_count": 0, "workflow_runs": [] }))
            }
            ("POST", [.., "runs", id, "cancel" | "force-cancel"]) => match runs.cancel(id) {
                true => Answer::json(202, &json!({})),
                false => Answer::json(409, &json!({ "message": "Cannot cancel a workflow run." })),
            },
            _ => Answer::json(404, &json!({ "message": "Not Found" })),
        }
    }
}

impl Github {
    fn start(self, request: &Request, runs: &mut Runs) -> Answer {
        let body = request.json();
        if body.get("return_run_details").is_some() && !self.details {
            let message = "Invalid request. \"return_run_details\" is not a permitted key.";
            return Answer::json(400, &json!({ "message": message }));
        }
        let key = [&body["inputs"]["refit_key"], &body["client_payload"]["refit"]["key"]];
        let key = key.into_iter().find_map(Value::as_str).unwrap_or_default().to_owned();
        let names_run = body.get("return_run_details").is_some();
        let run = runs.begin(&key, (runs.count() + 1).to_string(), body);
        match names_run {
            true => Answer::json(200, &json!({ "workflow_run_id": number(&run) })),
            false => Answer::text(204, "application/json", ""),
        }
    }
}

fn number(run: &Run) -> u64 {
    run.id.parse().unwrap_or_default()
}

fn shown(run: &Run) -> Value {
    let (status, conclusion) = match run.phase {
        Phase::Running => ("in_progress", Value::Null),
        Phase::Succeeded => ("completed", json!("success")),
        Phase::Failed => ("completed", json!("failure")),
        Phase::Cancelled => ("completed", json!("cancelled")),
    };
    let title = format!("retrain {}", run.key);
    json!({ "id": number(run), "status": status, "conclusion": conclusion, "display_title": title })
}
