//! A registry of models like MLflow's: what it keeps, and what goes wrong with it. It is ours, so it proves what refit
//! does with such a registry, not that MLflow is such.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::server::{Answer, Reacting, Reaction, Request, Server, Site};

/// The paths of what changes something.
const WRITES: [&str; 3] =
    ["model-versions/create", "model-versions/transition-stage", "registered-models/alias"];

/// How a request goes wrong that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It asks to wait, and does nothing.
    TooMany,
    /// No answer comes, and nothing is done.
    Closed,
    /// It is done, and no answer comes.
    AnswerLost,
    /// It is done, and 500 is answered.
    FailedAfter,
}

#[derive(Debug, Default)]
struct Kept {
    /// The keys of the versions, in their order.
    versions: Vec<String>,
    aliases: BTreeMap<String, String>,
    /// The stages of old, by version.
    stages: BTreeMap<String, String>,
    mishaps: VecDeque<Mishap>,
}

/// A server of MLflow that has one model, `churn`, and a run for every key that is asked for.
#[derive(Debug, Default)]
pub struct Mlflow(Mutex<Kept>);

impl Mlflow {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets the next request go wrong that creates a version, moves an alias or gives a stage of old. Several wait in
    /// line.
    pub fn mishap(&self, mishap: Mishap) {
        self.lock().mishaps.push_back(mishap);
    }

    /// How many versions there are.
    #[must_use]
    pub fn versions(&self) -> usize {
        self.lock().versions.len()
    }

    /// The version an alias is of.
    #[must_use]
    pub fn alias(&self, name: &str) -> Option<String> {
        self.lock().aliases.get(name).cloned()
    }

    /// The stage of old that a version has.
    #[must_use]
    pub fn stage(&self, version: &str) -> String {
        self.lock().stage(version).to_owned()
    }

    /// Moves an alias, as a person does.
    pub fn set_alias(&self, name: &str, version: &str) {
        self.lock().aliases.insert(name.to_owned(), version.to_owned());
    }

    /// Listens on this machine: the server, which ends when it is dropped.
    #[must_use]
    pub fn listen(self: &Arc<Self>) -> Server {
        let server = Server::new();
        server.open(Arc::<Self>::clone(self));
        server
    }

    /// Reacts to a request for something below `/api/2.0/mlflow/`.
    #[must_use]
    pub fn react_to(&self, path: &str, query: &[(String, String)], body: &Value) -> Reaction {
        let mut kept = self.lock();
        if !WRITES.contains(&path) {
            let missing = || json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "none" });
            let found = kept.read(path, query, body);
            return answer(if found.is_some() { 200 } else { 404 }, &found.unwrap_or_else(missing));
        }
        let busy = json!({ "error_code": "REQUEST_LIMIT_EXCEEDED", "message": "busy" });
        let wrong = json!({ "error_code": "INTERNAL_ERROR", "message": "wrong" });
        match kept.mishaps.pop_front() {
            None => answer(200, &kept.write(path, body)),
            Some(Mishap::TooMany) => answer(429, &busy),
            Some(Mishap::Closed) => Reaction::Close,
            Some(Mishap::AnswerLost) => {
                kept.write(path, body);
                Reaction::Close
            }
            Some(Mishap::FailedAfter) => {
                kept.write(path, body);
                answer(500, &wrong)
            }
        }
    }
}

impl Site for Mlflow {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let path = request.path.get(3..).unwrap_or_default().join("/");
        let reaction = self.react_to(&path, &request.query, &request.json());
        Box::pin(std::future::ready(reaction))
    }
}

fn answer(status: u16, body: &Value) -> Reaction {
    Reaction::Answer(Answer::json(status, body))
}

impl Kept {
    fn version(&self, at: usize) -> Option<Value> {
        let key = self.versions.get(at)?;
        let tags = json!([{ "key": "refit_key", "value": key }]);
        let version = (at + 1).to_string();
        Some(json!({ "name": "churn", "version": version, "status": "READY",
                     "current_stage": self.stage(&version),
                     "source": "s3://m/model", "run_id": key, "tags": tags }))
    }

    fn stage(&self, version: &str) -> &str {
        self.stages.get(version).map_or("None", String::as_str)
    }

    /// Gives a version a stage of old; who has it already is archived, where that is asked for.
    fn transition(&mut self, version: String, stage: String, archives: bool) {
        for held in self.stages.values_mut().filter(|held| archives && **held == stage) {
            "Archived".clone_into(held);
        }
        self.stages.insert(version, stage);
    }

    fn run(key: &str) -> Value {
        json!({ "info": { "run_id": key, "artifact_uri": "s3://m" },
                "data": { "metrics": [{ "key": "auc", "value": 0.93 }] } })
    }

    fn read(&self, path: &str, query: &[(String, String)], body: &Value) -> Option<Value> {
        let text = |name: &str| {
            let found = query.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str()).unwrap_or_default()
        };
        Some(match path {
            "registered-models/get" => {
                let alias = |(name, version)| json!({ "alias": name, "version": version });
                let aliases: Vec<Value> = self.aliases.iter().map(alias).collect();
                json!({ "registered_model": { "name": "churn", "aliases": aliases } })
            }
            "model-versions/search" => {
                let ours = |at: &usize| text("filter").contains(&self.versions[*at]);
                let found = (0..self.versions.len()).filter(ours);
                let found: Vec<Value> = found.filter_map(|at| self.version(at)).collect();
                json!({ "model_versions": found })
            }
            "model-versions/get" => {
                let at = text("version").parse::<usize>().ok()?.checked_sub(1)?;
                json!({ "model_version": self.version(at)? })
            }
            "experiments/get-by-name" => json!({ "experiment": { "experiment_id": "1" } }),
            "runs/search" => {
                let filter = body["filter"].as_str().unwrap_or_default();
                json!({ "runs": [Self::run(filter.split('\'').nth(1)?)] })
            }
            "runs/get" => json!({ "run": Self::run(text("run_id")) }),
            "registered-models/create" => json!({ "registered_model": { "name": "churn" } }),
            _ => return None,
        })
    }

    fn write(&mut self, path: &str, body: &Value) -> Value {
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        if path == "registered-models/alias" {
            self.aliases.insert(text("alias"), text("version"));
            return json!({});
        }
        if path == "model-versions/transition-stage" {
            let archives = body["archive_existing_versions"] == true;
            self.transition(text("version"), text("stage"), archives);
            return json!({});
        }
        self.versions.push(text("run_id"));
        json!({ "model_version": self.version(self.versions.len() - 1) })
    }
}
