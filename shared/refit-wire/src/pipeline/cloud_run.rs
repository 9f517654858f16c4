//! Cloud Run jobs.
//!
//! A job is run with the run key in its environment, as `REFIT_KEY`, and an execution is found by it. The service
//! keeps the executions of the last seven days at least, longer than any look-up goes back.

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Fault, clip};
use super::container::{check_name, check_target, chosen, variables};
use super::endpoint::Endpoint;
use super::google::{self, Site, waiting, words};
use super::pages::{self, Listing, Page, is_older};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::Request;

const HOST: &str = "run.googleapis.com";
/// The variable that holds the run key.
const KEY: &str = "REFIT_KEY";
/// The variable that holds the batch.
const BATCH: &str = "REFIT_BATCH";

/// What is read of an execution, and of a page of them, which may be larger than an answer is let in.
const FIELDS: [(&str, &str); 1] = [("fields", "name,createTime,startTime,runningCount,conditions")];
const LISTED: (&str, &str) =
    ("fields", "executions(name,createTime,template/containers/env(name,value)),nextPageToken");

/// Cloud Run jobs. The function's account needs `roles/run.jobsExecutorWithOverrides` and `roles/run.viewer` on each job.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudRun")]
pub struct Config {
    /// The project, by its id.
    pub project: String,
    /// The region of the jobs.
    pub location: String,
    /// Where it answers. Default: `https://run.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudRunRun")]
pub struct Target {
    /// The job, by name.
    #[schemars(length(min = 1))]
    pub job: String,
    /// The container that is given the parameters. Default: the job's only one.
    #[serde(default)]
    pub container: Option<String>,
    /// Arguments of the container, in place of the job's. Default: the job's.
    #[serde(default)]
    pub args: Option<Vec<String>>,
}

/// What a run is of, with its container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    job: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    args: Option<Vec<String>>,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "C",
        start: "`jobs.run` with the run key as variable `REFIT_KEY`",
        find: "`executions.list` of the job since the intent, by `REFIT_KEY`",
        status: "`executions.get`",
        cancel: "`executions.cancel`",
        again: "not possible: another execution is another run, which is not followed",
        push: "audit log through a sink to Pub/Sub: a message that wakes `tick`, which asks",
        specs: &["google-run-v2.trimmed.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let site = Site::open(self.endpoint.as_ref(), HOST, ("v2", &self.project, &self.location))?;
        Ok(Box::new(CloudRun { config: self.clone(), site }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        check_target("job", &target.job, target.container.as_deref())
    }

    fn check_parameters(&self, _: &Target, names: &[&str]) -> Result<(), String> {
        names.iter().try_for_each(|name| check_name(name))
    }

    fn hosts(&self) -> Vec<String> {
        vec![google::host(self.endpoint.as_ref(), HOST)]
    }
}

#[derive(Clone, Debug)]
struct CloudRun {
    config: Config,
    site: Site,
}

impl CloudRun {
    /// The execution of that name, which holds where it is.
    fn external(&self, name: &str) -> Option<ExternalRun> {
        let (job, execution) = name.split_once("/jobs/")?.1.split_once("/executions/")?;
        let Config { project, location, .. } = &self.config;
        let url = format!(
            "https://console.cloud.google.com/run/jobs/executions/details/{location}/{execution}/tasks?project={project}"
        );
        Some(ExternalRun { id: format!("{job}/{execution}"), url: Some(url) })
    }

    /// The request for an execution, or for something to be done to it.
    fn execution(&self, method: Method, id: &str, verb: &str) -> Request {
        let (job, execution) = id.split_once('/').unwrap_or((id, ""));
        let query = if method == Method::GET { &FIELDS[..] } else { &[] };
        self.site.request(
            method,
            &["jobs", job, "executions", &format!("{execution}{verb}")],
            query,
        )
    }
}

impl PipelineService for CloudRun {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::C, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let request = self.site.request(Method::GET, &["jobs", &target.job], &[]);
        Step::Send(Call::once(request, move |reply| match answer::read(reply, words) {
            Ok(job) => prepared(target, &job),
            Err(Fault::Missing) => Err(format!("there is no such job: job=`{}`", target.job)),
            Err(fault) => Err(fault.to_string()),
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Pinned::deserialize(launch.target).map_err(|error| error.to_string());
        let body = read.and_then(|pinned| Ok((body(&pinned, launch)?, pinned)));
        let (body, pinned) = match body {
            Ok(body) => body,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let request =
            self.site.request(Method::POST, &["jobs", &format!("{}:run", pinned.job)], &[]);
        let service = self.clone();
        Step::Send(Call::once(request.json(&body), move |reply| {
            // The job was being changed: nothing was started.
            if let Ok(response) = &reply
                && response.status == 409
            {
                let message = "the job is being changed: status=`409`".to_owned();
                return Outcome::NotStarted { after: None, message };
            }
            answer::started(reply, words, |operation| {
                service.external(answer::text_at(operation, "/metadata/name")?)
            })
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Pinned { job, .. } = Pinned::deserialize(launch.target).ok()?;
        let (key, since) = (launch.key, launch.since);
        let listing = Executions { service: self.clone(), job, key, since };
        Some(pages::search(listing, words))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        Call::once(self.execution(Method::GET, &run.id, ""), |reply| {
            let standing = |execution: &Value| execution.get("name").map(|_| standing(execution));
            answer::status(reply, words, standing)
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let request = self.execution(Method::POST, &run.id, ":cancel").json(&json!({}));
        // An execution that has ended already is refused with 400.
        Some(Call::once(request, |reply| answer::cancelled(reply, words, 400)))
    }
}

fn prepared(target: Target, job: &Value) -> Result<Prepared, String> {
    let Target { job: name, container, args } = target;
    let containers = job.pointer("/template/template/containers");
    match chosen(containers, container.as_deref()) {
        Ok(_) => {
            let pinned = Pinned { job: name, container, args };
            Ok(Prepared { target: json!(pinned), parameters: None })
        }
        Err(fault) => Err(format!("{fault}: job=`{name}`")),
    }
}

fn body(pinned: &Pinned, launch: &Launch<'_>) -> Result<Value, String> {
    let mut env = vec![
        json!({ "name": KEY, "value": launch.key }),
        json!({ "name": BATCH, "value": launch.batch }),
    ];
    env.extend(variables(launch.parameters)?);
    let mut overrides = json!({ "env": env });
    if let Some(container) = &pinned.container {
        overrides["name"] = json!(container);
    }
    if let Some(args) = &pinned.args {
        overrides["args"] = json!(args);
        overrides["clearArgs"] = json!(args.is_empty());
    }
    Ok(json!({ "overrides": { "containerOverrides": [overrides] } }))
}

/// The executions of a job, of which one is looked for.
struct Executions {
    service: CloudRun,
    job: String,
    key: RunKey,
    since: Timestamp,
}

impl Listing for Executions {
    fn request(&self, token: Option<&str>) -> Request {
        self.service.site.page(&["jobs", &self.job, "executions"], &[LISTED], token)
    }

    fn read(&self, page: &Value, _: Option<&str>) -> Page {
        let all = page.get("executions").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let mut ours = all.iter().filter(|execution| holds(execution, self.key));
        let run = ours.find_map(|it| self.service.external(answer::text_at(it, "/name")?));
        let goes_on = !all.iter().any(|it| is_older(it, "createTime", self.since));
        Page::of(run, answer::text_at(page, "/nextPageToken").filter(|_| goes_on))
    }
}

/// Whether the key is in the environment of a container.
fn holds(execution: &Value, key: RunKey) -> bool {
    let list = |value: &Value, place: &str| {
        value.pointer(place).and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let wanted = json!({ "name": KEY, "value": key });
    let containers = list(execution, "/template/containers");
    containers.iter().any(|container| list(container, "/env").contains(&wanted))
}

fn standing(execution: &Value) -> (Phase, Option<String>) {
    let conditions = execution.get("conditions").and_then(Value::as_array).into_iter().flatten();
    let is_completed = |it: &&Value| it.get("type").is_some_and(|kind| kind == "Completed");
    let completed = conditions.into_iter().find(is_completed).unwrap_or(&Value::Null);
    let state = completed.get("state").and_then(Value::as_str).unwrap_or_default();
    let reason = ["/executionReason", "/reason"];
    let reason = reason.into_iter().find_map(|place| answer::text_at(completed, place));
    let said = answer::text_at(completed, "/message").or(reason).map(clip);
    let has_begun = execution.get("startTime").is_some()
        || execution.get("runningCount").and_then(Value::as_i64).is_some_and(|count| count > 0);
    match (state, reason) {
        ("CONDITION_SUCCEEDED", _) => (Phase::Succeeded, None),
        ("CONDITION_FAILED", Some("CANCELLED")) => (Phase::Cancelled, None),
        ("CONDITION_FAILED", _) => (Phase::Failed, said),
        ("CONDITION_RECONCILING", Some("CANCELLING")) => {
            (Phase::Running, Some("CANCELLING".to_owned()))
        }
        ("CONDITION_RECONCILING", _) => (Phase::Running, None),
        ("CONDITION_PENDING" | "STATE_UNSPECIFIED" | "", _) if has_begun => (Phase::Running, None),
        ("CONDITION_PENDING" | "STATE_UNSPECIFIED" | "", _) => {
            let why = said.unwrap_or_else(|| "it has not begun".to_owned());
            (Phase::Pending, Some(waiting(&why, execution, "createTime")))
        }
        _ => answer::unknown_state(state),
    }
}
