//! An endpoint of Vertex AI: the newest deployment that is ready has the traffic, and one id is deployed once.

use serde_json::{Value, json};

use super::{Double, Phase, Run, Runs, google_error};
use crate::fake::server::{Answer, Request};

/// The endpoint. A deployment is a run, which is listed while it is made; one that is undeployed is cancelled.
#[derive(Clone, Copy, Debug)]
pub struct VertexEndpoint;

impl Double for VertexEndpoint {
    fn is_start(&self, request: &Request) -> bool {
        request.path.last().is_some_and(|last| last.ends_with(":deployModel"))
    }

    fn answer(&self, request: &Request, runs: &mut Runs) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (request.method.as_str(), path.as_slice()) {
            ("GET", [.., "endpoints", _]) => Answer::json(200, &endpoint(&runs.look())),
            ("GET", [.., "operations"]) => {
                let all: Vec<Value> = runs.look().iter().map(operation).collect();
                Answer::json(200, &json!({ "operations": all }))
            }
            ("GET", [.., "operations", key]) => match runs.one(key) {
                Some(run) => Answer::json(200, &operation(&run)),
                None => google_error(404, "There is no such operation."),
            },
            ("POST", [.., verb]) if verb.ends_with(":deployModel") => deploy(request, runs),
            ("POST", [.., verb]) if verb.ends_with(":undeployModel") => undeploy(request, runs),
            _ => google_error(404, "Not found."),
        }
    }
}

fn deploy(request: &Request, runs: &mut Runs) -> Answer {
    let body = request.json();
    let id = &body["deployedModel"]["id"];
    if runs.all.iter().any(|run| run.body["deployedModel"]["id"] == *id) {
        return google_error(400, "The DeployedModel ID is taken.");
    }
    let key = body["deployedModel"]["displayName"].as_str().unwrap_or_default().to_owned();
    Answer::json(200, &operation(&runs.begin(&key, key.clone(), body)))
}

fn undeploy(request: &Request, runs: &mut Runs) -> Answer {
    let wanted = request.json()["deployedModelId"].clone();
    let found = runs.all.iter_mut().find(|run| run.body["deployedModel"]["id"] == wanted);
    match found {
        Some(run) => {
            run.phase = Phase::Cancelled;
            Answer::json(200, &json!({ "name": "operations/undeploy" }))
        }
        None => google_error(404, "There is no such DeployedModel."),
    }
}

/// The endpoint with these deployments, newest first.
fn endpoint(runs: &[Run]) -> Value {
    let is_listed = |run: &&Run| matches!(run.phase, Phase::Running | Phase::Succeeded);
    let listed: Vec<&Run> = runs.iter().filter(is_listed).collect();
    let deployed = |(at, run): (usize, &&Run)| {
        let deployed = &run.body["deployedModel"];
        let since = format!("2026-11-21T09:{:02}:00Z", listed.len() - at);
        json!({ "id": deployed["id"], "displayName": deployed["displayName"], "createTime": since })
    };
    let ready = listed.iter().find(|run| run.phase == Phase::Succeeded);
    let traffic = ready.and_then(|run| run.body["deployedModel"]["id"].as_str());
    let traffic = traffic.map_or_else(|| json!({}), |id| json!({ id: 100 }));
    let deployed: Vec<Value> = listed.iter().enumerate().map(deployed).collect();
    json!({ "deployedModels": deployed, "trafficSplit": traffic })
}

fn operation(run: &Run) -> Value {
    let ty = "type.googleapis.com/google.cloud.aiplatform.v1.DeployModelOperationMetadata";
    let name = format!("projects/1/locations/europe-west4/endpoints/4567/operations/{}", run.id);
    let mut operation = json!({
        "name": name, "done": run.phase != Phase::Running, "metadata": { "@type": ty },
    });
    match run.phase {
        Phase::Failed => operation["error"] = json!({ "code": 13, "message": "It failed." }),
        Phase::Cancelled => operation["error"] = json!({ "code": 1, "message": "Cancelled." }),
        Phase::Running | Phase::Succeeded => {}
    }
    operation
}
