//! Mage, by API triggers.
//!
//! It takes no key: the run key is a variable of the run, `refit_key`, and a run is found by it. Errors come with
//! status 200 and are read from the body. What a person has Mage try again is a new run of the same execution date,
//! which is followed in place of the one that ended.

use ::http::{HeaderValue, Method};
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, clip};
use super::auth::{Auth, SecretRef};
use super::endpoint::Endpoint;
use super::google::waiting;
use super::pages::{self, Listing, Page};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::{self, Reply, Request};

/// How programs that speak to Mage introduce themselves: the same for all, and no secret.
const CLIENT: &str = "zkWlN0PkIKSN0C11CfUHUj84OT5XOJ6tDZ6bDRO2";
/// The variable that holds the run key.
const KEY: &str = "refit_key";
/// The variable that holds the batch.
const BATCH: &str = "refit_batch";
/// Runs on a page of a listing.
const PAGE: usize = 100;
/// How far a wall clock may be ahead of UTC.
const AHEAD_OF_UTC_MAX: Span = Span::hours(14);

/// A server of Mage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mage")]
pub struct Config {
    /// Where it answers, such as `https://mage.acme.example`.
    pub endpoint: Endpoint,
    /// The credential runs are looked at with: `bearer` with a session token of a user who may edit, where the server
    /// has users. Default: none for plain http and hosts of this machine.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// Whether runs are followed. If not, a run counts as succeeded as soon as Mage has taken it. Default: true.
    #[serde(default = "yes")]
    pub check_status: bool,
    /// Whether a failed run counts as failed. If not, it counts as succeeded, with a word on it. Default: true.
    #[serde(default = "yes")]
    pub error_on_failure: bool,
}

fn yes() -> bool {
    true
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MageRun")]
pub struct Target {
    /// The API trigger, by the number in its page's address.
    pub schedule: u64,
    /// Where the trigger's token is kept.
    pub token: SecretRef,
}

/// What a run is of, as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    schedule: u64,
    token: Kept,
}

/// Where a token is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kept {
    Env(String),
    Secret(String),
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "C",
        start: "`POST /api/pipeline_schedules/ID/api_trigger` with variable `refit_key`",
        find: "runs of the trigger since the intent, by `refit_key`",
        status: "`GET /api/pipeline_runs/ID`",
        cancel: "`PUT /api/pipeline_runs/ID` with status `cancelled`",
        again: "a retry is another run: the newest is followed, for a day also where the run was over",
        push: "none of a run: its callback blocks end before it does",
        specs: &[],
        proof: "fault matrix in `shared/refit-testkit/tests/services`; a server of Mage in `tests/it/mage.rs`",
    };

    fn without_auth(&self) -> Self {
        Self { auth: None, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let auth = Auth::resolve(self.auth.as_ref(), &self.endpoint)?;
        if self.error_on_failure || self.check_status {
            return Ok(Box::new(Mage { config: self.clone(), auth }));
        }
        Err("`error_on_failure: false` has no effect with `check_status: false`".to_owned())
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        let auth = Auth::Bearer(target.token.clone());
        Auth::resolve(Some(&auth), &self.endpoint).map(|_| ())
    }

    fn check_parameters(&self, _: &Target, names: &[&str]) -> Result<(), String> {
        match names.iter().find(|name| [KEY, BATCH].contains(name)) {
            Some(name) => Err(format!("`{name}` is refit's own variable")),
            None => Ok(()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![self.endpoint.host().to_owned()]
    }
}

#[derive(Clone, Debug)]
struct Mage {
    config: Config,
    auth: http::Auth,
}

impl Mage {
    fn request(&self, method: Method, rest: &[&str], query: &[(&str, &str)]) -> Request {
        let path: Vec<&str> = ["api"].into_iter().chain(rest.iter().copied()).collect();
        let mut url = self.config.endpoint.at(&path);
        // Real statuses, where the server is new enough to give them.
        url.query_pairs_mut().extend_pairs(query).append_pair("_http_error_codes", "1");
        let mut request = Request::new(method, url).auth(self.auth.clone());
        request.headers.insert("x-api-key", HeaderValue::from_static(CLIENT));
        request
    }

    fn run(&self, id: &str) -> Request {
        self.request(Method::GET, &["pipeline_runs", id], &[])
    }

    fn external(&self, run: &Value) -> Option<ExternalRun> {
        let id = number(run)?.to_string();
        let pipeline = answer::text_at(run, "/pipeline_uuid");
        let page =
            pipeline.map(|it| self.config.endpoint.at(&["pipelines", it, "runs", &id]).to_string());
        Some(ExternalRun { id, url: page })
    }

    /// What a run stands for: the newest retry of one that ended badly, else itself.
    fn told(&self, run: &Value) -> Step<Option<Outcome>> {
        if run.get("id").is_none() {
            return Step::Done(None);
        }
        let ended = matches!(standing(run).0, Phase::Failed | Phase::Cancelled);
        let retries = (ended && self.config.check_status).then(|| Runs::of_retries(self, run));
        let (phase, message) = self.standing(run);
        pages::or_retry(Outcome::Status { phase, message }, retries.flatten(), words)
    }

    fn standing(&self, run: &Value) -> (Phase, Option<String>) {
        let (phase, message) = standing(run);
        match phase {
            _ if !self.config.check_status => {
                (Phase::Succeeded, Some("it is not followed".to_owned()))
            }
            Phase::Failed if !self.config.error_on_failure => (
                Phase::Succeeded,
                Some("it failed, which `error_on_failure: false` lets pass".to_owned()),
            ),
            _ => (phase, message),
        }
    }
}

impl PipelineService for Mage {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::C, finds: true, cancels: true }
    }

    /// Nothing is asked: what is wrong with a trigger is said by its start.
    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = Target::deserialize(target).map(|Target { schedule, token }| {
            let token = match token {
                SecretRef::Env(name) => Kept::Env(name),
                SecretRef::Secret(name) => Kept::Secret(name),
            };
            Prepared { target: json!(Pinned { schedule, token }), parameters: None }
        });
        Step::Done(target.map_err(|error| error.to_string()))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Pinned::deserialize(launch.target).map_err(|error| error.to_string());
        let read = read.and_then(|pinned| Ok((pinned.auth(&self.config.endpoint)?, pinned)));
        let (auth, pinned) = match read {
            Ok(read) => read,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let mut variables = launch.parameters.as_object().cloned().unwrap_or_default();
        variables.insert(KEY.to_owned(), json!(launch.key));
        variables.insert(BATCH.to_owned(), json!(launch.batch));
        let schedule = pinned.schedule.to_string();
        let url = self.config.endpoint.at(&["api", "pipeline_schedules", &schedule, "api_trigger"]);
        let body = json!({ "pipeline_run": { "variables": variables } });
        let request = Request::new(Method::POST, url).auth(auth).json(&body);
        let service = self.clone();
        Step::Send(Call::once(request, move |reply| {
            answer::started(understood(reply), words, |answer| {
                service.external(answer.get("pipeline_run")?)
            })
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Pinned { schedule, .. } = Pinned::deserialize(launch.target).ok()?;
        let key = launch.key.to_string();
        let since = since(launch.since);
        let runs = Runs { service: self.clone(), schedule, key, since, ended: None };
        Some(pages::search(runs, words))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let service = self.clone();
        Call::new(self.run(&run.id), move |reply| match answer::read(understood(reply), words) {
            Ok(answer) => {
                answer.get("pipeline_run").map_or(Step::Done(None), |run| service.told(run))
            }
            Err(fault) => Step::Done(fault.of_run()),
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let body = json!({ "pipeline_run": { "status": "cancelled" } });
        let request = self.request(Method::PUT, &["pipeline_runs", &run.id], &[]).json(&body);
        Some(Call::once(request, |reply| answer::cancelled(understood(reply), words, 400)))
    }
}

impl Pinned {
    fn auth(&self, endpoint: &Endpoint) -> Result<http::Auth, String> {
        let secret = match &self.token {
            Kept::Env(name) => SecretRef::Env(name.clone()),
            Kept::Secret(name) => SecretRef::Secret(name.clone()),
        };
        Auth::resolve(Some(&Auth::Bearer(secret)), endpoint)
    }
}

/// The same answer with the status it should have: errors come with 200 and say in the body what they are.
fn understood(reply: Reply) -> Reply {
    let mut response = reply?;
    let body = response.json().filter(|_| response.is_success());
    let Some(error) = body.as_ref().and_then(|body| body.get("error")) else { return Ok(response) };
    let text = |field: &str| error.get(field).and_then(Value::as_str).unwrap_or_default();
    let said = format!("{} {}", text("exception"), text("message"));
    let code = error.get("code").and_then(Value::as_u64).and_then(|code| u16::try_from(code).ok());
    response.status = match code {
        // The token was replaced: someone has to say the new one.
        _ if said.contains("Invalid token") => 401,
        _ if said.contains("only supported for API trigger") => 400,
        _ if said.contains("record_not_found") || said.contains("does not exist") => 404,
        Some(code @ 400..=599) => code,
        _ => 500,
    };
    Ok(response)
}

/// The server's own words, of which the message may be a whole traceback.
fn words(body: &Value) -> Option<&str> {
    let error = body.get("error")?;
    let text = |field: &str| error.get(field).and_then(Value::as_str);
    Some(text("exception").or_else(|| text("message")).unwrap_or_default())
}

/// Since when runs of an intent are looked for, as Mage reads it: a number of seconds, which it turns into the time on its
/// own wall and compares with times of UTC.
fn since(intended: Timestamp) -> String {
    (intended - AHEAD_OF_UTC_MAX).as_millis().div_euclid(1000).to_string()
}

/// The runs of a trigger, of which one is looked for.
struct Runs {
    service: Mage,
    schedule: u64,
    key: String,
    since: String,
    /// The run of which a retry is looked for, where one is.
    ended: Option<Ended>,
}

/// A run that ended: its retries are of the same date, and have greater numbers.
struct Ended {
    date: Value,
    number: u64,
}

impl Runs {
    /// Those a retry of a run is among; none where it is no run of ours, or too little is known of it.
    fn of_retries(service: &Mage, run: &Value) -> Option<Self> {
        let schedule = run.get("pipeline_schedule_id")?.as_u64()?;
        let created = answer::text_at(run, "/created_at")?.replace(' ', "T");
        let created = if created.contains(['+', 'Z']) { created } else { format!("{created}Z") };
        let since = since(created.parse::<Timestamp>().ok()?);
        let key = key_of(run)?.to_owned();
        let ended = Ended { date: run.get("execution_date")?.clone(), number: number(run)? };
        Some(Self { service: service.clone(), schedule, key, since, ended: Some(ended) })
    }

    fn is_wanted(&self, run: &Value) -> bool {
        key_of(run) == Some(&self.key) && self.ended.as_ref().is_none_or(|it| it.is_before(run))
    }

    /// Whether a page holds the run that ended: the newest of a date come first, so what follows is no retry of it.
    fn is_past(&self, runs: &[&Value]) -> bool {
        let is_it = |ended: &Ended| runs.iter().any(|run| number(run) == Some(ended.number));
        self.ended.as_ref().is_some_and(is_it)
    }
}

impl Ended {
    fn is_before(&self, run: &Value) -> bool {
        run.get("execution_date") == Some(&self.date) && number(run) > Some(self.number)
    }
}

impl Listing for Runs {
    fn request(&self, token: Option<&str>) -> Request {
        let schedule = self.schedule.to_string();
        let size = PAGE.to_string();
        let query = [
            ("_limit", size.as_str()),
            ("_offset", token.unwrap_or("0")),
            ("disable_retries_grouping", "true"),
            ("start_timestamp", &self.since),
        ];
        self.service.request(
            Method::GET,
            &["pipeline_schedules", &schedule, "pipeline_runs"],
            &query,
        )
    }

    fn understood(&self, reply: Reply) -> Reply {
        understood(reply)
    }

    fn read(&self, page: &Value, token: Option<&str>) -> Page {
        let runs = runs_of(page);
        let wanted = runs.iter().filter(|run| self.is_wanted(run));
        let newest = wanted.max_by_key(|run| number(run));
        let offset: usize = token.and_then(|token| token.parse().ok()).unwrap_or(0);
        match newest.and_then(|run| self.service.external(run)) {
            Some(run) => Page::Holds(run),
            None if runs.len() >= PAGE && !self.is_past(&runs) => {
                Page::Next((offset + PAGE).to_string())
            }
            None => Page::Last,
        }
    }
}

fn runs_of(page: &Value) -> Vec<&Value> {
    page.get("pipeline_runs").and_then(Value::as_array).into_iter().flatten().collect()
}

fn key_of(run: &Value) -> Option<&str> {
    run.pointer("/variables/refit_key")?.as_str()
}

fn number(run: &Value) -> Option<u64> {
    run.get("id")?.as_u64()
}

fn standing(run: &Value) -> (Phase, Option<String>) {
    let status = run.get("status").and_then(Value::as_str).unwrap_or_default();
    match status {
        "initial" => {
            let message = waiting("it waits for Mage's scheduler", run, "created_at");
            (Phase::Pending, Some(message))
        }
        "running" => (Phase::Running, None),
        "completed" => (Phase::Succeeded, None),
        "failed" => (Phase::Failed, None),
        "cancelled" => (Phase::Cancelled, None),
        _ => (Phase::Running, Some(format!("unknown state: state=`{}`", clip(status)))),
    }
}
