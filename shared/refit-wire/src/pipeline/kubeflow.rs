//! Kubeflow Pipelines.
//!
//! Servers from 2.0 on take an id with a start, although their documentation calls it an output: it is the run key
//! as a UUID. A second start with one id does harm there, so every start looks the run up first, by id and then by
//! name, because older servers ignore the id.
//!
//! Caching can be turned off per step only, not per run. So with `cache: off` the stored definition is read, caching
//! is turned off in every step of it, nested ones included, and the run is started with that instead of a reference
//! to the version. The two exclude each other in the API; the version is named in the run's description.

mod v1beta1;
mod v2beta1;

use std::collections::BTreeMap;
use std::fmt;

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Parameter, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use self::v1beta1::V1beta1;
use self::v2beta1::V2beta1;
use super::answer::{self, Fault, clip};
use super::auth::Auth;
use super::endpoint::Endpoint;
use super::reference::Reference;
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{self, Request, Response};

/// A server of Kubeflow Pipelines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Kubeflow")]
pub struct Config {
    /// Where it answers, such as `https://<hash>-dot-<region>.pipelines.googleusercontent.com`,
    /// `https://kubeflow.acme.example/pipeline` or `http://ml-pipeline.kubeflow.svc:8888`.
    pub endpoint: Endpoint,
    /// The API to use: `v2beta1` (default), or `v1beta1` for servers before 2.0 and pipelines compiled to Argo
    /// workflows.
    #[serde(default)]
    pub api: Api,
    /// The namespace runs belong to, where the server has several users.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The credential to ask with. Default: `google` for hosts of Google, `none` for plain http.
    #[serde(default)]
    pub auth: Option<Auth>,
}

/// The APIs of Kubeflow Pipelines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KubeflowApi")]
pub enum Api {
    /// Servers from 2.0 on, and pipelines compiled by the SDK from 2.0 on.
    #[default]
    V2beta1,
    /// Older servers, and pipelines that are Argo workflows. All their parameters are strings.
    V1beta1,
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "KubeflowRun")]
pub struct Target {
    /// The pipeline, by name, or as `{ id: … }`.
    pub pipeline: Reference,
    /// Its version, by name, or as `{ id: … }`. Default: the newest when the batch closes.
    #[serde(default)]
    pub version: Option<Reference>,
    /// The experiment, by name; made where there is none. Default: `Default`.
    #[serde(default = "default_experiment")]
    pub experiment: String,
    /// The Kubernetes service account the steps run as. Default: the server's own choice.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Where the steps leave their output, such as `gs://acme-pipelines/runs`; `v2beta1` only. Default: the
    /// pipeline's or the server's own choice.
    #[serde(default)]
    pub pipeline_root: Option<String>,
}

fn default_experiment() -> String {
    "Default".to_owned()
}

/// What a run is of, with everything looked up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    pipeline_id: String,
    version_id: String,
    experiment_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_account: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pipeline_root: Option<String>,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "B; `api: v1beta1`: C",
        start: "`CreateRun` with the run key as `run_id`, after a look-up; `v1beta1`: with the run key in its name",
        find: "`GetRun` by id, then `ListRuns` by name; `v1beta1`: by name",
        status: "`GetRun`",
        cancel: "`TerminateRun`",
        again: "`retry` keeps the id, and is followed, for a day also where the run was over",
        push: "none",
        specs: &["kfp-v2beta1.swagger.json", "kfp-v1beta1.swagger.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`, for `v2beta1` on a server that listens in `tests/it/services.rs`; what it creates is read back by the SDK of KFP in `tests/it/kfp.rs`",
    };

    const CACHES: bool = true;

    fn without_auth(&self) -> Self {
        Self { auth: None, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let auth = Auth::resolve(self.auth.as_ref(), &self.endpoint)?;
        if self.namespace.as_deref() == Some("") {
            return Err("`namespace` is empty".to_owned());
        }
        let site =
            Site { endpoint: self.endpoint.clone(), auth, namespace: self.namespace.clone() };
        Ok(match self.api {
            Api::V2beta1 => Box::new(Kubeflow(V2beta1(site))),
            Api::V1beta1 => Box::new(Kubeflow(V1beta1(site))),
        })
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        let Target { experiment, service_account, pipeline_root, .. } = target;
        let stated = [
            ("experiment", Some(experiment)),
            ("service_account", service_account.as_ref()),
            ("pipeline_root", pipeline_root.as_ref()),
        ];
        if let Some((name, _)) =
            stated.iter().find(|(_, value)| value.is_some_and(String::is_empty))
        {
            return Err(format!("`{name}` is empty"));
        }
        match (self.api, pipeline_root) {
            (Api::V1beta1, Some(_)) => {
                Err("`pipeline_root` has no effect with `api: v1beta1`".to_owned())
            }
            (Api::V1beta1 | Api::V2beta1, _) => Ok(()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }

    fn outputs(&self, target: &Target) -> Vec<String> {
        target.pipeline_root.iter().cloned().collect()
    }
}

type Declared = Option<BTreeMap<String, Parameter>>;

/// In what the two APIs differ.
trait Dialect: Clone + fmt::Debug + Send + Sync + 'static {
    const CLASS: Idempotency;

    fn site(&self) -> &Site;

    /// The id of the pipeline of that name.
    fn pipeline(&self, name: &str) -> Call<Result<Option<String>, Fault>>;

    /// The id of the version of that name, or of the newest.
    fn version(&self, pipeline: &str, name: Option<&str>) -> Call<Result<Option<String>, Fault>>;

    /// The id of the experiment of that name, or none.
    fn experiment(&self, name: &str) -> Call<Result<Option<String>, Fault>>;

    /// Makes an experiment.
    fn create_experiment(&self, name: &str) -> Call<Result<String, Fault>>;

    /// The stored definition of a version.
    fn definition(&self, pipeline: &str, version: &str) -> Call<Result<Value, Fault>>;

    /// The parameters a definition declares.
    fn declared(definition: &Value) -> Result<Declared, String>;

    /// The definition with caching turned off in every step.
    fn uncached(definition: Value) -> Value;

    /// Looks a run up.
    fn look_up(&self, draft: &Draft) -> Call<Result<Option<ExternalRun>, Fault>>;

    /// The request that starts a run: of the pinned version, or of the definition where one is given.
    fn start(&self, draft: &Draft, definition: Option<Value>) -> Request;

    /// The request for a run.
    fn run(&self, id: &str) -> Request;

    /// The request that ends a run.
    fn terminate(&self, id: &str) -> Request;

    /// The id in an answer that holds a run.
    fn run_id(answer: &Value) -> Option<&str>;

    /// How the run in an answer stands.
    fn standing(answer: &Value) -> (Phase, Option<String>);
}

/// A server with one of its APIs.
#[derive(Debug)]
struct Kubeflow<D>(D);

impl<D: Dialect> PipelineService for Kubeflow<D> {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: D::CLASS, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let dialect = self.0.clone();
        ids(&dialect, &target).and_then(move |(pipeline_id, version_id)| {
            declared(&dialect, &pipeline_id, &version_id).and_then(move |parameters| {
                experiment_id(&dialect, &target.experiment).and_then(move |experiment_id| {
                    let Target { service_account, pipeline_root, .. } = target;
                    let pinned = Pinned {
                        pipeline_id,
                        version_id,
                        experiment_id,
                        service_account,
                        pipeline_root,
                    };
                    Step::Done(Ok(Prepared { target: json!(pinned), parameters }))
                })
            })
        })
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let draft = match unchanged(launch.parameters).and_then(|()| Draft::new(launch)) {
            Ok(draft) => draft,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let dialect = self.0.clone();
        let Pinned { pipeline_id, version_id, .. } = &draft.pinned;
        let definition = match launch.cache {
            true => Step::Done(Ok(None)),
            false => Step::Send(dialect.definition(pipeline_id, version_id))
                .and_then(|definition| Step::Done(Ok(Some(D::uncached(definition))))),
        };
        let started = definition.and_then(move |definition| {
            Step::Send(dialect.look_up(&draft)).and_then(move |found| match found {
                Some(run) => Step::Done(Ok(Outcome::Found(run))),
                None => Step::Send(start(dialect, &draft, definition)),
            })
        });
        started.then(|outcome| Step::Done(outcome.unwrap_or_else(Fault::before_start)))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let draft = Draft::new(launch).ok()?;
        let outcome = |found: Result<Option<ExternalRun>, Fault>| {
            found.ok().map(|run| run.map_or(Outcome::Absent, Outcome::Found))
        };
        Some(self.0.look_up(&draft).then(move |found| Step::Done(outcome(found))))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        Call::once(self.0.run(&run.id), |reply| match answer::read(reply, words) {
            Ok(answer) => D::run_id(&answer).map(|_| {
                let (phase, message) = D::standing(&answer);
                Outcome::Status { phase, message }
            }),
            Err(fault) => fault.of_run(),
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let call = Call::once(self.0.terminate(&run.id), |reply| {
            match answer::read(reply, words) {
                // A run that has ended already is refused with 400.
                Ok(_) | Err(Fault::Missing | Fault::Refused { status: 400, .. }) => Ok(()),
                Err(fault) => Err(fault.to_string()),
            }
        });
        Some(call)
    }
}

/// The last request of a start, the only one that must not be repeated.
fn start<D: Dialect>(
    dialect: D,
    draft: &Draft,
    definition: Option<Value>,
) -> Call<Result<Outcome, Fault>> {
    let request = dialect.start(draft, definition);
    Call::once(request, move |reply| {
        if let Ok(response) = &reply
            && let Some(message) = refused_for_good(response)
        {
            return Ok(Outcome::Rejected(message));
        }
        let run = |answer: &Value| Some(dialect.site().external(D::run_id(answer)?));
        Ok(answer::started(reply, words, run))
    })
}

/// The ids of the pipeline and its version.
fn ids<D: Dialect>(dialect: &D, target: &Target) -> Step<Result<(String, String), String>> {
    let (again, version) = (dialect.clone(), target.version.clone());
    pipeline_id(dialect, &target.pipeline).and_then(move |pipeline| {
        let version = version_id(&again, &pipeline, version.as_ref());
        version.and_then(move |version| Step::Done(Ok((pipeline, version))))
    })
}

fn pipeline_id<D: Dialect>(dialect: &D, pipeline: &Reference) -> Step<Result<String, String>> {
    match pipeline {
        Reference::Id(id) => Step::Done(Ok(id.clone())),
        Reference::Name(name) => {
            known(Step::Send(dialect.pipeline(name)), format!("pipeline=`{name}`"))
        }
    }
}

fn version_id<D: Dialect>(
    dialect: &D,
    pipeline: &str,
    version: Option<&Reference>,
) -> Step<Result<String, String>> {
    match version {
        Some(Reference::Id(id)) => Step::Done(Ok(id.clone())),
        Some(Reference::Name(name)) => {
            known(Step::Send(dialect.version(pipeline, Some(name))), format!("version=`{name}`"))
        }
        None => known(
            Step::Send(dialect.version(pipeline, None)),
            format!("a version of pipeline=`{pipeline}`"),
        ),
    }
}

/// The parameters a version declares.
fn declared<D: Dialect>(
    dialect: &D,
    pipeline: &str,
    version: &str,
) -> Step<Result<Declared, String>> {
    let definition = dialect.definition(pipeline, version);
    let definition = definition.then(|definition| Step::Done(definition.map(Some)));
    known(Step::Send(definition), format!("version=`{version}`"))
        .and_then(|definition| Step::Done(D::declared(&definition)))
}

/// The experiment of that name, made where there is none. Whoever makes it at the same time wins.
fn experiment_id<D: Dialect>(dialect: &D, name: &str) -> Step<Result<String, String>> {
    let (again, what) = (dialect.clone(), format!("experiment=`{name}`"));
    let name = name.to_owned();
    let found = Step::Send(dialect.experiment(&name)).and_then(move |found| match found {
        Some(id) => Step::Done(Ok(Some(id))),
        None => Step::Send(again.create_experiment(&name).then(move |created| match created {
            Err(Fault::Refused { status: 409, .. }) => Step::Send(again.experiment(&name)),
            created => Step::Done(created.map(Some)),
        })),
    });
    known(found, what)
}

/// What was looked up, or a sentence that says it is not there.
fn known<T: Send + 'static>(
    found: Step<Result<Option<T>, Fault>>,
    what: String,
) -> Step<Result<T, String>> {
    found.then(move |found| {
        Step::Done(match found {
            Ok(Some(value)) => Ok(value),
            Ok(None) | Err(Fault::Missing) => Err(format!("the service does not know {what}")),
            Err(fault) => Err(format!("{fault}, {what}")),
        })
    })
}

/// One start, with everything it says of itself.
#[derive(Clone, Debug)]
struct Draft {
    key: RunKey,
    name: String,
    description: String,
    pinned: Pinned,
    parameters: Value,
}

impl Draft {
    fn new(launch: &Launch<'_>) -> Result<Self, String> {
        let pinned = Pinned::deserialize(launch.target).map_err(|error| error.to_string())?;
        let Launch { key, trigger, batch, .. } = launch;
        let Pinned { pipeline_id, version_id, .. } = &pinned;
        Ok(Self {
            key: *key,
            name: format!("{trigger} {key}"),
            description: format!(
                "refit key={key} batch={batch} pipeline={pipeline_id} version={version_id}"
            ),
            pinned,
            parameters: launch.parameters.clone(),
        })
    }
}

/// Marks the server, or Argo below it, replaces in parameters wherever they stand, so that data that holds one would
/// not arrive as it is.
const MARKS: [&str; 5] = ["{{", "[[CurrentTime", "[[RunUUID", "[[ScheduledTime", "[[Index"];

/// Refuses parameters that would not arrive as they are.
fn unchanged(parameters: &Value) -> Result<(), String> {
    let message = |text| {
        let text = clip(text);
        Err(format!("the service would replace part of a parameter: value=`{text}`"))
    };
    replaced_text(parameters).map_or(Ok(()), message)
}

fn replaced_text(value: &Value) -> Option<&str> {
    let is_replaced = |text: &str| MARKS.iter().any(|mark| text.contains(mark));
    match value {
        Value::String(text) => Some(text.as_str()).filter(|text| is_replaced(text)),
        Value::Array(items) => items.iter().find_map(replaced_text),
        Value::Object(fields) => {
            let name = fields.keys().map(String::as_str).find(|name| is_replaced(name));
            name.or_else(|| fields.values().find_map(replaced_text))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// The server's own words: its errors hold a number for the kind.
fn words(body: &Value) -> Option<&str> {
    body.get("code").filter(|code| code.is_number())?;
    Some(body.get("message").and_then(Value::as_str).unwrap_or_default())
}

/// The server answers 500 to much that is wrong for good.
fn refused_for_good(response: &Response) -> Option<String> {
    let body = response.json().filter(|_| response.status == 500)?;
    let said = words(&body)?;
    let for_good = ["Invalid input error", "not found", "ResourceNotFoundError"];
    let refused = for_good.iter().any(|text| said.contains(text));
    refused.then(|| format!("the service refused: status=`500`, message=`{}`", clip(said)))
}

/// Where a server is and how it is asked.
#[derive(Clone, Debug)]
struct Site {
    endpoint: Endpoint,
    auth: http::Auth,
    namespace: Option<String>,
}

impl Site {
    fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Request {
        let mut url = self.endpoint.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(Method::GET, url).auth(self.auth.clone())
    }

    fn post(&self, path: &[&str]) -> Request {
        Request::new(Method::POST, self.endpoint.at(path)).auth(self.auth.clone())
    }

    /// The run of that id. Port 8888 is the server without its pages, so there is nothing to look at.
    fn external(&self, id: &str) -> ExternalRun {
        let mut page = self.endpoint.at(&[""]);
        page.set_fragment(Some(&format!("/runs/details/{id}")));
        let url = (self.endpoint.port() != Some(8888)).then(|| page.to_string());
        ExternalRun { id: id.to_owned(), url }
    }
}

/// Asks for a JSON object.
fn ask(request: Request) -> Call<Result<Value, Fault>> {
    Call::once(request, |reply| answer::read(reply, words))
}

/// Asks for a list, and for one field of the first thing in it.
fn ask_first(
    request: Request,
    list: &'static str,
    field: &'static str,
) -> Call<Result<Option<String>, Fault>> {
    Call::once(request, move |reply| {
        let answer = answer::read(reply, words)?;
        let first = answer.get(list).and_then(|items| items.get(0)?.get(field)?.as_str());
        Ok(first.map(str::to_owned))
    })
}

/// A field of an answer that must be there.
fn required(answer: &Value, field: &str) -> Result<String, Fault> {
    let value = answer.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
    value.map(str::to_owned).ok_or_else(|| {
        Fault::Unavailable(format!("the answer lacks what was asked for: field=`{field}`"))
    })
}

/// A filter for things whose `key` is `value`. `operator` is what the API calls the operator.
///
/// Filters are decoded twice on their way, so the characters decoding looks for are written as JSON escapes.
fn equals(operator: &str, key: &str, value: &str) -> String {
    let predicate = json!({ operator: "EQUALS", "key": key, "string_value": value });
    let filter = json!({ "predicates": [predicate] }).to_string();
    filter.replace('%', "\\u0025").replace('+', "\\u002b")
}
