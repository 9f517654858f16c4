//! The registry `refit dev` has on this machine.

use ::http::Method;
use refit_core::plan::RegistryOutcome;
use refit_core::promotion::{Stage, Stages, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, ModelRegistry, Registration, Settings, Told, lowest, numbers, unread, written};
use crate::call::{Call, Step};
use crate::http::{Auth, Request};
use crate::pipeline::answer;
use crate::pipeline::endpoint::Endpoint;

/// Characters of the name of a model, which is that of a folder.
const MODEL_CHARS_MAX: usize = 63;

/// The registry `refit dev` has on this machine, beside its pipelines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LocalRegistry")]
pub struct Config {
    /// Where it answers; this machine only. Default: `http://127.0.0.1:8377`, where `refit dev` does.
    #[serde(default = "default_endpoint")]
    pub endpoint: Endpoint,
}

fn default_endpoint() -> Endpoint {
    Endpoint::new("http://127.0.0.1:8377").expect("it is a URL of this machine")
}

impl Settings for Config {
    const ABOUT: About = About {
        create: "`POST /registry/models/MODEL/versions` under the run key, which copies the files of the run",
        find: "by the run key; a second POST of one key gives the same version",
        metrics: "`metrics.json` of the run",
        stage: "`PUT /registry/models/MODEL/stages/STAGE`",
        spec: None,
        walked: None,
    };

    fn open(&self) -> Result<Box<dyn ModelRegistry>, String> {
        if !self.endpoint.is_loopback() {
            let host = self.endpoint.host();
            return Err(format!("`local` keeps models on this machine: host=`{host}`"));
        }
        let auth = Auth::GoogleAccessToken { hosts: vec![self.endpoint.place()] };
        Ok(Box::new(Local { endpoint: self.endpoint.clone(), auth }))
    }

    fn takes(&self, service: &str, model: &str) -> Result<(), String> {
        if service != "local" {
            return Err(format!("`local` keeps what `local` services make: service=`{service}`"));
        }
        match model.len() <= MODEL_CHARS_MAX && !model.contains(|c: char| c.is_ascii_uppercase()) {
            true => Ok(()),
            false => Err(format!(
                "`local` takes names of models without capitals and of at most {MODEL_CHARS_MAX} characters"
            )),
        }
    }
}

#[derive(Clone, Debug)]
struct Local {
    endpoint: Endpoint,
    auth: Auth,
}

impl Local {
    fn request(&self, method: Method, model: &str, rest: &[&str]) -> Request {
        let segments: Vec<&str> =
            ["registry", "models", model].into_iter().chain(rest.iter().copied()).collect();
        Request::new(method, self.endpoint.at(&segments)).auth(self.auth.clone())
    }

    /// Everything it says of a model.
    fn model(&self, model: &str) -> Step<Told<Value>> {
        let request = self.request(Method::GET, model, &[]);
        Step::Send(Call::once(request, |reply| answer::read(reply, words).map_err(unread)))
    }
}

impl ModelRegistry for Local {
    fn find(&self, wanted: &Registration) -> Step<Told<Option<Version>>> {
        let key = wanted.key.to_string();
        self.model(&wanted.model).and_then(move |model| {
            let is_ours = |it: &&Value| it.get("key").and_then(Value::as_str) == Some(&key);
            let found = versions(&model).filter(is_ours).filter_map(version).collect();
            Step::Done(Ok(lowest(found)))
        })
    }

    fn create(&self, wanted: &Registration) -> Step<Told<Version>> {
        let body = json!({ "key": wanted.key, "run": wanted.external });
        let request = self.request(Method::POST, &wanted.model, &["versions"]).json(&body);
        Step::Send(Call::once(request, |reply| {
            let unclear = || RegistryOutcome::Unclear("it was answered without a version".into());
            written(reply, words).and_then(|answer| version(&answer).ok_or_else(unclear))
        }))
    }

    fn stages(&self, model: &str) -> Step<Told<Stages>> {
        self.model(model).and_then(|model| Step::Done(Ok(held(&model))))
    }

    fn set(&self, model: &str, version: &str, stage: Stage) -> Step<Told<()>> {
        let request = self.request(Method::PUT, model, &["stages", stage.name()]);
        let request = request.json(&json!({ "version": version }));
        Step::Send(Call::once(request, |reply| written(reply, words).map(|_| ())))
    }
}

fn versions(model: &Value) -> impl Iterator<Item = &Value> {
    model.get("versions").and_then(Value::as_array).into_iter().flatten()
}

fn version(answer: &Value) -> Option<Version> {
    let measured = answer.get("metrics").and_then(Value::as_object).into_iter().flatten();
    Some(Version {
        name: answer::text_at(answer, "/version")?.to_owned(),
        uri: answer::text_at(answer, "/uri").map(str::to_owned),
        metrics: numbers(measured.map(|(name, value)| (name.as_str(), value))),
        twins: Vec::new(),
    })
}

fn held(model: &Value) -> Stages {
    let of = |stage: &Stage| {
        let name = answer::text_at(model, &format!("/stages/{stage}"))?;
        let is_named = |it: &Version| it.name == name;
        let bare = || Version { name: name.to_owned(), ..Version::default() };
        let known = versions(model).filter_map(version).find(is_named);
        Some((*stage, known.unwrap_or_else(bare)))
    };
    Stage::ALL.iter().filter_map(of).collect()
}

/// Whatever answers on this machine is the registry.
fn words(body: &Value) -> Option<&str> {
    let said = ["message", "error"].iter().find_map(|field| body.get(field)?.as_str());
    body.is_object().then_some(said.unwrap_or_default())
}
