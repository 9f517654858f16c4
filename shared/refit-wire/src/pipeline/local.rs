//! The pipelines `refit dev` runs on this machine.

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::plan::{Outcome, Parameter, ParameterKind, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Fault, clip};
use super::endpoint::Endpoint;
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{Auth, Request, Response};

const ROOT: [&str; 3] = ["apis", "local", "v1"];

/// The pipelines `refit dev` runs on this machine, with an API like a real service's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Local")]
pub struct Config {
    /// Where it answers; this machine only. Default: `http://127.0.0.1:8377`, where `refit dev` does.
    #[serde(default = "default_endpoint")]
    pub endpoint: Endpoint,
}

fn default_endpoint() -> Endpoint {
    Endpoint::new("http://127.0.0.1:8377").expect("it is a URL of this machine")
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LocalRun")]
pub struct Target {
    /// The pipeline, by name. The version is the definition it has when the batch closes.
    #[schemars(length(min = 1))]
    pub pipeline: String,
}

/// What a run is of, with its version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    pipeline: String,
    version: String,
}

/// What the service answers to a question for a pipeline.
#[derive(Deserialize)]
struct Pipeline {
    version: String,
    parameters: Option<BTreeMap<String, Declared>>,
}

#[derive(Deserialize)]
struct Declared {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    optional: bool,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "A",
        start: "`POST /apis/local/v1/runs` under the run key",
        find: "by the run key",
        status: "`GET …/runs/KEY`",
        cancel: "`POST …/runs/KEY:cancel`",
        again: "not possible",
        push: "none",
        specs: &[],
        proof: "the service itself, killed at every point, in `functions/refit/tests/dev/points.rs`",
    };

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        if !self.endpoint.is_loopback() {
            let host = self.endpoint.host();
            return Err(format!("`local` runs pipelines on this machine: host=`{host}`"));
        }
        let auth = Auth::GoogleAccessToken { hosts: vec![self.endpoint.place()] };
        Ok(Box::new(Local { endpoint: self.endpoint.clone(), auth }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        match target.pipeline.is_empty() {
            false => Ok(()),
            true => Err("`pipeline` is empty".to_owned()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }
}

#[derive(Debug)]
struct Local {
    endpoint: Endpoint,
    auth: Auth,
}

impl Local {
    fn request(&self, method: Method, rest: &[&str]) -> Request {
        let segments: Vec<&str> = ROOT.iter().chain(rest).copied().collect();
        Request::new(method, self.endpoint.at(&segments)).auth(self.auth.clone())
    }
}

impl PipelineService for Local {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::A, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let name = match Target::deserialize(target) {
            Ok(target) => target.pipeline,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let request = self.request(Method::GET, &["pipelines", &name]);
        Step::Send(Call::once(request, move |reply| {
            let body = reply.as_ref().ok().and_then(Response::json);
            match answer::read(reply, words) {
                Ok(answer) => prepared(name, answer),
                Err(Fault::Missing) => Err(missing(&name, body.as_ref().and_then(words))),
                Err(fault) => Err(fault.to_string()),
            }
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let pinned = match Pinned::deserialize(launch.target) {
            Ok(pinned) => pinned,
            Err(error) => return Step::Done(Outcome::Rejected(error.to_string())),
        };
        let body = json!({
            "id": launch.key,
            "pipeline": pinned.pipeline,
            "version": pinned.version,
            "parameters": launch.parameters,
            "labels": { "trigger": launch.trigger, "batch": launch.batch },
        });
        let request = self.request(Method::POST, &["runs"]).json(&body);
        Step::Send(Call::once(request, |reply| match &reply {
            // The key has a run of another request.
            Ok(response) if response.status == 409 => answer::rejected(response, words),
            _ => answer::started(reply, words, external),
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let request = self.request(Method::GET, &["runs", &launch.key.to_string()]);
        Some(Call::once(request, |reply| match answer::read(reply, words) {
            Ok(run) => external(&run).map(Outcome::Found),
            Err(Fault::Missing) => Some(Outcome::Absent),
            Err(_) => None,
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let request = self.request(Method::GET, &["runs", &run.id]);
        Call::once(request, |reply| match answer::read(reply, words) {
            Ok(run) => external(&run).map(|_| standing(&run)),
            Err(fault) => fault.of_run(),
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let request = self.request(Method::POST, &["runs", &format!("{}:cancel", run.id)]);
        Some(Call::once(request, |reply| match answer::read(reply, words) {
            Ok(_) | Err(Fault::Missing) => Ok(()),
            Err(fault) => Err(fault.to_string()),
        }))
    }
}

/// Says that there is no such pipeline, in the service's words, which name the folders it has looked in.
fn missing(pipeline: &str, said: Option<&str>) -> String {
    match said.filter(|said| !said.is_empty()) {
        Some(said) => clip(said),
        None => format!("there is no such pipeline: pipeline=`{pipeline}`"),
    }
}

fn prepared(pipeline: String, answer: Value) -> Result<Prepared, String> {
    let unread = |_| {
        format!("the service describes a pipeline in a way we cannot read: pipeline=`{pipeline}`")
    };
    let Pipeline { version, parameters } = Pipeline::deserialize(answer).map_err(unread)?;
    let declared =
        |(name, Declared { kind, optional })| (name, Parameter { kind: kind_of(&kind), optional });
    let parameters = parameters.map(|all| all.into_iter().map(declared).collect());
    Ok(Prepared { target: json!(Pinned { pipeline, version }), parameters })
}

fn kind_of(kind: &str) -> ParameterKind {
    match kind {
        "string" => ParameterKind::String,
        "integer" => ParameterKind::Integer,
        "double" => ParameterKind::Double,
        "boolean" => ParameterKind::Boolean,
        "list" => ParameterKind::List,
        "struct" => ParameterKind::Struct,
        _ => ParameterKind::Any,
    }
}

fn external(run: &Value) -> Option<ExternalRun> {
    let id = run.get("id")?.as_str().filter(|id| !id.is_empty())?;
    Some(ExternalRun { id: id.to_owned(), url: None })
}

fn standing(run: &Value) -> Outcome {
    let text = |field: &str| run.get(field).and_then(Value::as_str);
    let state = text("state").unwrap_or_default();
    let phase = match state {
        "pending" => Phase::Pending,
        "running" => Phase::Running,
        "succeeded" => Phase::Succeeded,
        "failed" => Phase::Failed,
        "cancelled" => Phase::Cancelled,
        _ => {
            let message = Some(format!("unknown state: state=`{}`", clip(state)));
            return Outcome::Status { phase: Phase::Running, message };
        }
    };
    Outcome::Status { phase, message: text("message").map(clip) }
}

/// Whatever answers on this machine is the service.
fn words(body: &Value) -> Option<&str> {
    let said = ["message", "error"].iter().find_map(|field| body.get(field)?.as_str());
    body.is_object().then_some(said.unwrap_or_default())
}
