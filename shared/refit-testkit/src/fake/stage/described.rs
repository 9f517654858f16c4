//! A service of someone's own.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs};
use crate::fake::server::{Answer, Request};

/// The service: `PUT` or `POST /runs/KEY` starts a run, `GET /runs?key=KEY` lists, `GET /runs/ID` looks.
#[derive(Clone, Copy, Debug)]
pub struct Described {
    /// Whether a key that is taken is refused.
    pub takes_keys: bool,
}

impl Double for Described {
    fn is_start(&self, request: &Request) -> bool {
        request.path.len() == 2 && request.method != "GET"
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("PUT" | "POST", ["runs", key]) if self.takes_keys && runs.has(key) => {
                Answer::json(409, &json!({ "error": "there is one" }))
            }
            ("PUT" | "POST", ["runs", key]) => {
                let id = format!("r-{}", runs.count() + 1);
                Answer::json(201, &shown(&runs.begin(key, id, request.json())))
            }
            ("GET", ["runs"]) => {
                let found: Vec<Value> = runs.look().iter().map(shown).collect();
                Answer::json(200, &json!({ "runs": found }))
            }
            ("GET", ["runs", id]) => match runs.one(id) {
                Some(run) => Answer::json(200, &shown(&run)),
                None => Answer::json(404, &json!({ "error": "no such run" })),
            },
            ("POST", ["runs", id, "stop"]) => {
                Answer::json(if runs.cancel(id) { 202 } else { 409 }, &json!({}))
            }
            _ => Answer::json(404, &json!({ "error": "not found" })),
        }
    }
}

fn shown(run: &Run) -> Value {
    let state = match run.phase {
        Phase::Running => "active",
        Phase::Succeeded => "done",
        Phase::Failed => "error",
        Phase::Cancelled => "stopped",
    };
    json!({ "id": run.id, "key": run.key, "state": state })
}
