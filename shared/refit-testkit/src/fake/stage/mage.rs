//! Mage: every start is a run, and errors come with status 200.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs};
use crate::fake::server::{Answer, Request};

/// The service, with any trigger that is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Mage;

impl Double for Mage {
    fn is_start(&self, request: &Request) -> bool {
        request.path.last().is_some_and(|last| last == "api_trigger")
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("POST", [.., "api_trigger"]) => {
                let body = request.json();
                let key = body["pipeline_run"]["variables"]["refit_key"].clone();
                let id = (runs.count() + 1).to_string();
                let run = runs.begin(key.as_str().unwrap_or_default(), id, body);
                Answer::json(200, &json!({ "pipeline_run": shown(&run) }))
            }
            ("GET", [.., "pipeline_schedules", _, "pipeline_runs"]) => {
                let found: Vec<Value> = runs.look().iter().map(shown).collect();
                Answer::json(200, &json!({ "pipeline_runs": found }))
            }
            ("GET", [.., "pipeline_runs", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &json!({ "pipeline_run": shown(&run) })),
                None => error(404, "record_not_found"),
            },
            ("PUT", [.., "pipeline_runs", id]) => match runs.cancel(id) {
                true => Answer::json(200, &json!({})),
                false => error(400, "the run has ended"),
            },
            _ => error(404, "record_not_found"),
        }
    }
}

fn error(code: u16, exception: &str) -> Answer {
    let error = json!({ "code": code, "exception": exception, "message": "Traceback" });
    Answer::json(200, &json!({ "error": error }))
}

fn shown(run: &Run) -> Value {
    let status = match run.phase {
        Phase::Running => "running",
        Phase::Succeeded => "completed",
        Phase::Failed => "failed",
        Phase::Cancelled => "cancelled",
    };
    let id: u64 = run.id.parse().unwrap_or_default();
    json!({
        "id": id,
        "status": status,
        "pipeline_schedule_id": 7,
        "execution_date": "2026-11-21 09:00:00",
        "created_at": "2026-11-21 09:00:00",
        "variables": run.body["pipeline_run"]["variables"],
    })
}
