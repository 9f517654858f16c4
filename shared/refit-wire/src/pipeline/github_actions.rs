//! GitHub Actions, by `workflow_dispatch` or `repository_dispatch`.
//!
//! Neither takes a key, and a run does not show its inputs. So the workflow must put the key into the name of its
//! runs, by which they are found:
//! `run-name: retrain ${{ inputs.refit_key || github.event.client_payload.refit.key }}`.
//!
//! `workflow_dispatch` answers with the run; older servers, and `repository_dispatch`, answer with nothing, and the
//! run is looked for.

use ::http::{HeaderValue, Method, header};
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::template;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Fault, clip};
use super::auth::{Auth, SecretRef, check_sent};
use super::endpoint::Endpoint;
use super::google::waiting;
use super::pages::{self, Listing, Page};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{self, Reply, Request, Response};

/// The version of the interface that is spoken.
const VERSION: &str = "2022-11-28";
/// Inputs a workflow takes.
const INPUTS_MAX: usize = 25;
/// Characters of all inputs together.
const INPUT_CHARS_MAX: usize = 65_535;
/// The input that holds the run key.
const KEY: &str = "refit_key";
/// Runs on a page of a listing.
const PAGE: usize = 100;

/// GitHub Actions of one repository.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GithubActions")]
pub struct Config {
    /// The repository, such as `acme/training`.
    pub repository: String,
    /// The credential, unless it is an `app`: `bearer` with a fine-grained token that may write Actions, and for
    /// `event_type` Contents.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// A GitHub App that may write the same, installed where the repository is. Its tokens are of this repository alone, and
    /// hold for an hour.
    #[serde(default)]
    pub app: Option<App>,
    /// Where it answers; a server of one's own does at `https://HOST/api/v3`. Default: `https://api.github.com`.
    #[serde(default = "default_endpoint")]
    pub endpoint: Endpoint,
}

fn default_endpoint() -> Endpoint {
    Endpoint::new("https://api.github.com").expect("it is a URL")
}

/// A GitHub App and its installation.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GithubApp")]
pub struct App {
    /// Its client id, such as `Iv23liAbCdEf`, or its id.
    #[schemars(length(min = 1))]
    pub client_id: String,
    /// The number of the installation, with which the address of its settings ends.
    pub installation: u64,
    /// Its private key as GitHub gives it, in PEM.
    pub private_key: SecretRef,
}

impl App {
    fn credential(&self, endpoint: &Endpoint, repository: &str) -> Result<http::Auth, String> {
        if self.client_id.is_empty() {
            return Err("`client_id` is empty".to_owned());
        }
        let installation = self.installation.to_string();
        let app = http::GithubApp {
            tokens: endpoint.at(&["app", "installations", &installation, "access_tokens"]),
            client_id: self.client_id.clone(),
            private_key: self.private_key.resolve()?,
            repository: repository.to_owned(),
        };
        let auth = http::Auth::GithubApp(Box::new(app));
        check_sent(&auth, endpoint)?;
        Ok(auth)
    }
}

/// What a run is of: a workflow, and either `ref` or `event_type`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "GithubActionsRun")]
pub struct Target {
    /// The workflow, by its file or id, such as `retrain.yml`. The name of its runs must hold the input `refit_key`,
    /// or with `event_type` the payload's `refit.key`.
    #[schemars(length(min = 1))]
    pub workflow: String,
    /// The branch or tag the workflow is started on, by `workflow_dispatch`.
    #[serde(default, rename = "ref")]
    pub reference: Option<String>,
    /// The type of the event the workflow is started by, a `repository_dispatch`. It runs on the default branch.
    #[serde(default)]
    pub event_type: Option<String>,
}

/// What a run is of, as it is started.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    workflow: String,
    by: Dispatch,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Dispatch {
    /// `workflow_dispatch` on a branch or tag.
    Workflow(String),
    /// `repository_dispatch` of a type.
    Repository(String),
}

impl Target {
    fn dispatch(&self) -> Result<Dispatch, String> {
        match (self.reference.as_deref(), self.event_type.as_deref()) {
            (Some(""), _) => Err("`ref` is empty".to_owned()),
            (_, Some("")) => Err("`event_type` is empty".to_owned()),
            (Some(reference), None) => Ok(Dispatch::Workflow(reference.to_owned())),
            (None, Some(event)) if event.chars().count() <= 100 => {
                Ok(Dispatch::Repository(event.to_owned()))
            }
            (None, Some(_)) => Err("`event_type` is longer than 100 characters".to_owned()),
            (Some(_), Some(_)) => Err("only one of `ref` and `event_type` can be".to_owned()),
            (None, None) => {
                Err("say with `ref` which branch the workflow is started on".to_owned())
            }
        }
    }
}

impl Config {
    fn credential(&self, repository: &str) -> Result<http::Auth, String> {
        match (&self.auth, &self.app) {
            (Some(auth), None) => Auth::resolve(Some(auth), &self.endpoint),
            (None, Some(app)) => app.credential(&self.endpoint, repository),
            (Some(_), Some(_)) => Err("only one of `auth` and `app` can be".to_owned()),
            (None, None) => Err("say with `auth` or `app` what GitHub is asked with: \
                 `auth: { bearer: { secret: … } }`, `app: { client_id: …, installation: …, private_key: { secret: … } }`"
                .to_owned()),
        }
    }
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "C",
        start: "`workflow_dispatch` with input `refit_key` and run details, or `repository_dispatch` with payload `refit.key`",
        find: "runs of the workflow since the intent, by the key in their title",
        status: "`GET …/actions/runs/ID`",
        cancel: "`POST …/actions/runs/ID/cancel`, then `force-cancel`",
        again: "a re-run keeps the id, and is followed, for a day also where the run was over; the run says which attempt it is",
        push: "webhook `workflow_run`: a message that wakes `tick`, which asks",
        specs: &["github-api-2022-11-28.trimmed.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn without_auth(&self) -> Self {
        Self { auth: None, app: None, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let legal = |text: &str| {
            text.contains(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(plain)
        };
        let parts: Vec<&str> = self.repository.split('/').collect();
        let [owner, name] = parts.as_slice() else {
            return Err(format!("a repository is OWNER/NAME: repository=`{}`", self.repository));
        };
        if !legal(owner) || !legal(name) {
            return Err(format!("a repository is OWNER/NAME: repository=`{}`", self.repository));
        }
        let auth = self.credential(name)?;
        let (endpoint, owner, name) = (self.endpoint.clone(), *owner, *name);
        Ok(Box::new(Github { endpoint, auth, owner: owner.to_owned(), name: name.to_owned() }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        match target.workflow.is_empty() {
            true => Err("`workflow` is empty".to_owned()),
            false => target.dispatch().map(|_| ()),
        }
    }

    fn check_parameters(&self, target: &Target, names: &[&str]) -> Result<(), String> {
        let is_workflow = target.event_type.is_none();
        match names {
            _ if names.contains(&KEY) => Err(format!("`{KEY}` is refit's own input")),
            _ if is_workflow && names.len() >= INPUTS_MAX => {
                Err(format!("a workflow takes {} parameters", INPUTS_MAX - 1))
            }
            _ => Ok(()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }
}

#[derive(Clone, Debug)]
struct Github {
    endpoint: Endpoint,
    auth: http::Auth,
    owner: String,
    name: String,
}

impl Github {
    fn request(&self, method: Method, rest: &[&str]) -> Request {
        let root = ["repos", &self.owner, &self.name];
        let path: Vec<&str> = root.into_iter().chain(rest.iter().copied()).collect();
        let mut request = Request::new(method, self.endpoint.at(&path)).auth(self.auth.clone());
        let media = HeaderValue::from_static("application/vnd.github+json");
        request.headers.insert(header::ACCEPT, media);
        request.headers.insert("x-github-api-version", HeaderValue::from_static(VERSION));
        request
    }

    fn run(&self, method: Method, id: &str, verb: &[&str]) -> Request {
        let path: Vec<&str> =
            ["actions", "runs", id].into_iter().chain(verb.iter().copied()).collect();
        self.request(method, &path)
    }

    /// Starts a workflow. Servers that do not know of run details refuse them, and nothing is started.
    fn dispatch(&self, workflow: &str, body: &Value) -> Call<Outcome> {
        let request = self.request(Method::POST, &["actions", "workflows", workflow, "dispatches"]);
        let (again, without) = (request.clone(), body.clone());
        Call::new(request.json(body), move |reply| match is_older(&reply) {
            true => Step::Send(Call::once(again.json(&plain(without)), |reply| {
                answer::started(reply, words, started)
            })),
            false => Step::Done(answer::started(reply, words, started)),
        })
    }
}

impl PipelineService for Github {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::C, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let read = Target::deserialize(target).map_err(|error| error.to_string());
        let read = read.and_then(|target| Ok((target.dispatch()?, target)));
        let (by, target) = match read {
            Ok(read) => read,
            Err(message) => return Step::Done(Err(message)),
        };
        let workflow = target.workflow;
        let request = self.request(Method::GET, &["actions", "workflows", &workflow]);
        Step::Send(Call::once(request, move |reply| match answer::read(reply, words) {
            Ok(answer) => match answer::text_at(&answer, "/state") {
                Some("active") => {
                    let target = json!(Pinned { workflow, by });
                    Ok(Prepared { target, parameters: None })
                }
                Some(state) => Err(format!(
                    "the workflow is not active: workflow=`{workflow}`, state=`{}`",
                    clip(state)
                )),
                None => Err("the answer lacks what was asked for: field=`state`".to_owned()),
            },
            Err(Fault::Missing) => Err(format!(
                "there is no such workflow on the default branch, or the token may not see it: workflow=`{workflow}`"
            )),
            Err(fault) => Err(fault.to_string()),
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let Pinned { workflow, by } = match Pinned::deserialize(launch.target) {
            Ok(pinned) => pinned,
            Err(error) => return Step::Done(Outcome::Rejected(error.to_string())),
        };
        let reference = match by {
            Dispatch::Workflow(reference) => reference,
            Dispatch::Repository(event) => {
                let body = json!({ "event_type": event, "client_payload": payload(launch) });
                let request = self.request(Method::POST, &["dispatches"]).json(&body);
                return Step::Send(Call::once(request, |reply| {
                    answer::started(reply, words, |_| None)
                }));
            }
        };
        match inputs(launch) {
            Ok(inputs) => {
                let body =
                    json!({ "ref": reference, "inputs": inputs, "return_run_details": true });
                Step::Send(self.dispatch(&workflow, &body))
            }
            Err(message) => Step::Done(Outcome::Rejected(message)),
        }
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Pinned { workflow, by } = Pinned::deserialize(launch.target).ok()?;
        let (key, since) = (launch.key, pages::since(launch.since));
        Some(pages::search(Runs { service: self.clone(), workflow, by, key, since }, words))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let mut repository = self.request(Method::GET, &["actions", "runs"]);
        repository.url.query_pairs_mut().append_pair("per_page", "1");
        let read = |reply| answer::status(reply, words, |it| it.get("id").map(|_| standing(it)));
        // Of a private repository that the token does not see any more, GitHub says that there is none.
        let unseen = || Outcome::Unseen("the token does not see the repository".to_owned());
        let seen = move |reply| match answer::read(reply, words) {
            Ok(_) => Some(Outcome::Vanished),
            Err(Fault::Missing) => Some(unseen()),
            Err(fault) => fault.of_run(),
        };
        Call::new(self.run(Method::GET, &run.id, &[]), move |reply| match read(reply) {
            Some(Outcome::Vanished) => Step::Send(Call::once(repository, seen)),
            told => Step::Done(told),
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let force = self.run(Method::POST, &run.id, &["force-cancel"]);
        let request = self.run(Method::POST, &run.id, &["cancel"]);
        // 409 is said of runs that have ended, and of some that cannot be ended gently.
        Some(Call::new(request, move |reply| match status_of(&reply) {
            Some(409) => {
                Step::Send(Call::once(force, |reply| answer::cancelled(reply, words, 409)))
            }
            _ => Step::Done(answer::cancelled(reply, words, 409)),
        }))
    }
}

fn status_of(reply: &Reply) -> Option<u16> {
    reply.as_ref().ok().map(|response| response.status)
}

/// Whether a server refuses to name the run, which those before 3.21 do.
fn is_older(reply: &Reply) -> bool {
    let refused = |response: &Response| {
        let body = response.json().filter(|_| [400, 422].contains(&response.status));
        body.is_some_and(|body| words(&body).is_some_and(|it| it.contains("return_run_details")))
    };
    reply.as_ref().is_ok_and(refused)
}

fn plain(mut body: Value) -> Value {
    if let Some(fields) = body.as_object_mut() {
        fields.remove("return_run_details");
    }
    body
}

fn payload(launch: &Launch<'_>) -> Value {
    let Launch { key, trigger, batch, parameters, .. } = launch;
    json!({ "refit": { "key": key, "trigger": trigger, "batch": batch, "parameters": parameters } })
}

/// Inputs are texts: a text as it is, anything else as JSON.
fn inputs(launch: &Launch<'_>) -> Result<Value, String> {
    let fields = launch.parameters.as_object().into_iter().flatten();
    let mut inputs: Map<String, Value> =
        fields.map(|(name, value)| (name.clone(), json!(template::text(value)))).collect();
    inputs.insert(KEY.to_owned(), json!(launch.key));
    if inputs.len() > INPUTS_MAX {
        return Err(format!("a workflow takes {} parameters", INPUTS_MAX - 1));
    }
    let inputs = Value::Object(inputs);
    match inputs.to_string().chars().count() <= INPUT_CHARS_MAX {
        true => Ok(inputs),
        false => Err(format!("the parameters are longer than {INPUT_CHARS_MAX} characters")),
    }
}

/// The run in the answer to a start.
fn started(answer: &Value) -> Option<ExternalRun> {
    let id = answer.get("workflow_run_id")?.as_u64()?;
    let url = answer::text_at(answer, "/html_url").map(str::to_owned);
    Some(ExternalRun { id: id.to_string(), url })
}

/// The server's own words.
fn words(body: &Value) -> Option<&str> {
    body.get("message")?.as_str()
}

/// The runs of a workflow, of which one is looked for.
struct Runs {
    service: Github,
    workflow: String,
    by: Dispatch,
    key: RunKey,
    since: String,
}

impl Listing for Runs {
    fn request(&self, token: Option<&str>) -> Request {
        let path = ["actions", "workflows", &self.workflow, "runs"];
        let mut request = self.service.request(Method::GET, &path);
        let event = match self.by {
            Dispatch::Workflow(_) => "workflow_dispatch",
            Dispatch::Repository(_) => "repository_dispatch",
        };
        let created = format!(">={}", self.since);
        let size = PAGE.to_string();
        let query = [("event", event), ("created", &created), ("per_page", &size)];
        request.url.query_pairs_mut().extend_pairs(query);
        if let Some(page) = token {
            request.url.query_pairs_mut().append_pair("page", page);
        }
        request
    }

    fn read(&self, page: &Value, token: Option<&str>) -> Page {
        let runs = page.get("workflow_runs").and_then(Value::as_array);
        let runs: Vec<&Value> = runs.into_iter().flatten().collect();
        let key = self.key.to_string();
        let is_ours = |run: &&&Value| {
            answer::text_at(run, "/display_title").is_some_and(|title| title.contains(&key))
        };
        // Of several the oldest counts: the others end by themselves where the workflow follows the template.
        let ours = runs.iter().filter(is_ours);
        let oldest = ours.min_by_key(|run| run.get("id").and_then(Value::as_u64));
        let number: usize = token.and_then(|token| token.parse().ok()).unwrap_or(1);
        match oldest.and_then(|run| external(run)) {
            Some(run) => Page::Holds(run),
            None if runs.len() >= PAGE => Page::Next((number + 1).to_string()),
            None => Page::Last,
        }
    }
}

fn external(run: &Value) -> Option<ExternalRun> {
    let id = run.get("id")?.as_u64()?;
    let url = answer::text_at(run, "/html_url").map(str::to_owned);
    Some(ExternalRun { id: id.to_string(), url })
}

fn standing(run: &Value) -> (Phase, Option<String>) {
    let status = run.get("status").and_then(Value::as_str).unwrap_or_default();
    let wait = |why: &str| Some(waiting(why, run, "created_at"));
    let again = run.get("run_attempt").and_then(Value::as_u64).filter(|attempt| *attempt > 1);
    let again = again.map(|attempt| format!("it was started again there: attempt=`{attempt}`"));
    match status {
        "waiting" => (Phase::Pending, wait("it waits for a person to approve it, or for a time")),
        "queued" | "requested" => (Phase::Pending, wait("it waits for a runner")),
        "pending" => (Phase::Pending, wait("it waits for others of its group")),
        "in_progress" => (Phase::Running, again),
        "completed" => concluded(run, again),
        _ => answer::unknown_state(status),
    }
}

fn concluded(run: &Value, again: Option<String>) -> (Phase, Option<String>) {
    let conclusion = run.get("conclusion").and_then(Value::as_str).unwrap_or_default();
    let word = Some(conclusion.to_owned());
    match conclusion {
        "success" => (Phase::Succeeded, again),
        "neutral" => (Phase::Succeeded, word),
        "cancelled" => (Phase::Cancelled, None),
        "skipped" => (Phase::Cancelled, word),
        "failure" => (Phase::Failed, again),
        "timed_out" | "startup_failure" | "stale" | "action_required" => (Phase::Failed, word),
        _ => answer::unknown_state(conclusion),
    }
}
