//! Cloud Build: builds that are started by running a trigger.
//!
//! It takes no key. The run key is a substitution of the build, `_REFIT_KEY`, and a build is found by it. Builds of
//! triggers accept substitutions their file does not mention.
//! A retry is another build with the same substitutions, which is followed in place of the one that ended.

use ::http::Method;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use refit_core::template;
use refit_core::time::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::answer::{self, Fault, clip};
use super::endpoint::Endpoint;
use super::google::{self, Site, waiting, words};
use super::pages::{self, Listing, Page};
use super::{About, Launch, PipelineService, Settings};
use crate::call::{Call, Step};
use crate::http::Request;

const HOST: &str = "cloudbuild.googleapis.com";
/// The substitution that holds the run key.
const KEY: &str = "_REFIT_KEY";
/// The substitution that holds the batch.
const BATCH: &str = "_REFIT_BATCH";
/// Substitutions a build takes.
const SUBSTITUTIONS_MAX: usize = 200;

/// What is read of a build, and of a page of them, which may be larger than an answer is let in.
const FIELDS: [(&str, &str); 1] = [(
    "fields",
    "id,status,statusDetail,createTime,failureInfo(type,detail),approval/state,buildTriggerId,substitutions",
)];
const LISTED: (&str, &str) = ("fields", "builds(id,logUrl,createTime,substitutions),nextPageToken");

/// Cloud Build. The function's account needs `roles/cloudbuild.builds.editor`, and `iam.serviceAccounts.actAs` on the
/// account of the trigger.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudBuild")]
pub struct Config {
    /// The project, by its id.
    pub project: String,
    /// The region of the triggers. Default: `global`.
    #[serde(default = "default_location")]
    pub location: String,
    /// Where it answers. Default: `https://cloudbuild.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

fn default_location() -> String {
    "global".to_owned()
}

/// What a run is of: at most one of `branch`, `tag` and `commit`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "CloudBuildRun")]
pub struct Target {
    /// The trigger, by name or id.
    #[schemars(length(min = 1))]
    pub trigger: String,
    /// The branch to build. Default: what the trigger says.
    #[serde(default)]
    pub branch: Option<String>,
    /// The tag to build.
    #[serde(default)]
    pub tag: Option<String>,
    /// The commit to build.
    #[serde(default)]
    pub commit: Option<String>,
}

/// What a run is of, with the trigger's id.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    trigger: String,
    /// What of the repository is built: a field of the request and its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    source: Option<(String, String)>,
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "C",
        start: "`triggers.run` with the run key as substitution `_REFIT_KEY`",
        find: "`builds.list` of the trigger since the intent, by `_REFIT_KEY`",
        status: "`builds.get`",
        cancel: "`builds.cancel`",
        again: "a retry is another build: the newest is followed, for a day also where the run was over",
        push: "Pub/Sub topic `cloud-builds`: a message that wakes `tick`, which asks",
        specs: &["google-cloudbuild-v1.trimmed.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let site = Site::open(self.endpoint.as_ref(), HOST, ("v1", &self.project, &self.location))?;
        Ok(Box::new(CloudBuild { config: self.clone(), site }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        let Target { trigger, branch, tag, commit } = target;
        let stated = [("branch", branch), ("tag", tag), ("commit", commit)];
        let stated: Vec<_> = stated.into_iter().filter(|(_, value)| value.is_some()).collect();
        let empty = |value: &Option<String>| value.as_deref() == Some("");
        match stated.as_slice() {
            _ if trigger.is_empty() => Err("`trigger` is empty".to_owned()),
            [(name, value)] if empty(value) => Err(format!("`{name}` is empty")),
            [] | [_] => Ok(()),
            [(first, _), (second, _), ..] => {
                Err(format!("only one of `{first}` and `{second}` can be built"))
            }
        }
    }

    fn check_parameters(&self, _: &Target, names: &[&str]) -> Result<(), String> {
        names.iter().try_for_each(|name| check_name(name))?;
        match names.len() + 2 <= SUBSTITUTIONS_MAX {
            true => Ok(()),
            false => Err(format!("a build takes {} parameters", SUBSTITUTIONS_MAX - 2)),
        }
    }

    fn hosts(&self) -> Vec<String> {
        vec![google::host(self.endpoint.as_ref(), HOST)]
    }
}

/// Parameters are substitutions of the build.
fn check_name(name: &str) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_legal = name.len() > 1 && name.starts_with('_') && name.chars().all(legal);
    match is_legal && !name.starts_with("_REFIT_") {
        true => Ok(()),
        false => Err(format!(
            "a parameter of a build is a substitution such as `_DATA`, and those of `_REFIT_` are \
             refit's: name=`{name}`"
        )),
    }
}

#[derive(Clone, Debug)]
struct CloudBuild {
    config: Config,
    site: Site,
}

impl CloudBuild {
    /// What a build stands for: the newest retry of one that ended badly, else itself.
    fn told(&self, build: &Value) -> Step<Option<Outcome>> {
        if build.get("id").is_none() {
            return Step::Done(None);
        }
        let (phase, message) = standing(build);
        let ended = matches!(phase, Phase::Failed | Phase::Cancelled);
        let retries = ended.then(|| Builds::of_retries(self, build)).flatten();
        pages::or_retry(Outcome::Status { phase, message }, retries, words)
    }
}

impl PipelineService for CloudBuild {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::C, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let target = match Target::deserialize(target) {
            Ok(target) => target,
            Err(error) => return Step::Done(Err(error.to_string())),
        };
        let request = self.site.request(Method::GET, &["triggers", &target.trigger], &[]);
        Step::Send(Call::once(request, move |reply| match answer::read(reply, words) {
            Ok(trigger) => prepared(target, &trigger),
            Err(Fault::Missing) => {
                Err(format!("there is no such trigger: trigger=`{}`", target.trigger))
            }
            Err(fault) => Err(fault.to_string()),
        }))
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Pinned::deserialize(launch.target).map_err(|error| error.to_string());
        let body = read.and_then(|pinned| Ok((body(&self.config, &pinned, launch)?, pinned)));
        let (body, pinned) = match body {
            Ok(body) => body,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let run = format!("{}:run", pinned.trigger);
        let request = self.site.request(Method::POST, &["triggers", &run], &[]).json(&body);
        Step::Send(Call::once(request, |reply| {
            answer::started(reply, words, |operation| {
                external(operation.pointer("/metadata/build")?)
            })
        }))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let Pinned { trigger, .. } = Pinned::deserialize(launch.target).ok()?;
        let (key, since) = (launch.key.to_string(), pages::since(launch.since));
        let listing = Builds { service: self.clone(), trigger, key, since, after: None };
        Some(pages::search(listing, words))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        let request = self.site.request(Method::GET, &["builds", &run.id], &FIELDS);
        let service = self.clone();
        Call::new(request, move |reply| match answer::read(reply, words) {
            Ok(build) => service.told(&build),
            Err(fault) => Step::Done(fault.of_run()),
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let cancel = format!("{}:cancel", run.id);
        let request = self.site.request(Method::POST, &["builds", &cancel], &[]).json(&json!({}));
        // A build that has ended already is refused with 400.
        Some(Call::once(request, |reply| answer::cancelled(reply, words, 400)))
    }
}

fn prepared(target: Target, trigger: &Value) -> Result<Prepared, String> {
    let Some(id) = answer::text_at(trigger, "/id") else {
        return Err("the answer lacks what was asked for: field=`id`".to_owned());
    };
    if trigger.get("disabled") == Some(&json!(true)) {
        return Err(format!("the trigger is disabled: trigger=`{}`", target.trigger));
    }
    let stated =
        [("branchName", target.branch), ("tagName", target.tag), ("commitSha", target.commit)];
    let mut stated = stated.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    let pinned = Pinned { trigger: id.to_owned(), source: stated.next() };
    Ok(Prepared { target: json!(pinned), parameters: None })
}

fn body(config: &Config, pinned: &Pinned, launch: &Launch<'_>) -> Result<Value, String> {
    let mut substitutions = Map::new();
    for (name, value) in launch.parameters.as_object().into_iter().flatten() {
        check_name(name)?;
        substitutions.insert(name.clone(), json!(template::text(value)));
    }
    substitutions.insert(KEY.to_owned(), json!(launch.key));
    substitutions.insert(BATCH.to_owned(), json!(launch.batch));
    let mut source = json!({ "substitutions": substitutions });
    if let Some((field, value)) = &pinned.source {
        source[field] = json!(value);
    }
    let Config { project, .. } = config;
    Ok(json!({ "projectId": project, "triggerId": pinned.trigger, "source": source }))
}

fn external(build: &Value) -> Option<ExternalRun> {
    let id = answer::text_at(build, "/id")?.to_owned();
    Some(ExternalRun { id, url: answer::text_at(build, "/logUrl").map(str::to_owned) })
}

/// The builds of a trigger, of which one is looked for.
struct Builds {
    service: CloudBuild,
    trigger: String,
    key: String,
    since: String,
    /// When the build was made of which a retry is looked for, where one is.
    after: Option<Timestamp>,
}

impl Builds {
    /// Those a retry of a build is among; none where it is no build of ours, or too little is known of it.
    fn of_retries(service: &CloudBuild, build: &Value) -> Option<Self> {
        let trigger = answer::text_at(build, "/buildTriggerId")?.to_owned();
        let (key, after) = (key_of(build)?.to_owned(), created(build)?);
        let since = pages::since(after);
        Some(Self { service: service.clone(), trigger, key, since, after: Some(after) })
    }

    fn is_wanted(&self, build: &Value) -> bool {
        key_of(build) == Some(&self.key)
            && self.after.is_none_or(|after| created(build) > Some(after))
    }
}

impl Listing for Builds {
    fn request(&self, token: Option<&str>) -> Request {
        let Self { trigger, since, .. } = self;
        let filter = format!("build_trigger_id=\"{trigger}\" AND create_time>=\"{since}\"");
        self.service.site.page(&["builds"], &[("filter", &filter), LISTED], token)
    }

    fn read(&self, page: &Value, _: Option<&str>) -> Page {
        let builds = page.get("builds").and_then(Value::as_array).into_iter().flatten();
        // The newest come first.
        let run = builds.filter(|build| self.is_wanted(build)).find_map(external);
        Page::of(run, answer::text_at(page, "/nextPageToken"))
    }
}

fn key_of(build: &Value) -> Option<&str> {
    build.get("substitutions")?.get(KEY)?.as_str()
}

fn created(build: &Value) -> Option<Timestamp> {
    answer::text_at(build, "/createTime")?.parse().ok()
}

fn standing(build: &Value) -> (Phase, Option<String>) {
    let status = build.get("status").and_then(Value::as_str).unwrap_or_default();
    let wait = |why: &str| Some(waiting(why, build, "createTime"));
    let why = ["/failureInfo/detail", "/statusDetail"];
    let why = why.into_iter().find_map(|place| answer::text_at(build, place));
    let kind = answer::text_at(build, "/failureInfo/type");
    let failed = match (kind, why) {
        (Some(kind), Some(why)) => format!("{status}, {}: {}", clip(kind), clip(why)),
        (Some(text), None) | (None, Some(text)) => format!("{status}: {}", clip(text)),
        (None, None) => status.to_owned(),
    };
    match status {
        "PENDING" if answer::text_at(build, "/approval/state") == Some("PENDING") => {
            (Phase::Pending, wait("it waits for a person to approve it"))
        }
        "PENDING" | "STATUS_UNKNOWN" | "" => (Phase::Pending, wait("it has not begun")),
        "QUEUED" => (Phase::Pending, wait("it waits in the queue")),
        "WORKING" => (Phase::Running, None),
        "SUCCESS" => (Phase::Succeeded, None),
        "FAILURE" | "INTERNAL_ERROR" | "TIMEOUT" | "EXPIRED" => (Phase::Failed, Some(failed)),
        "CANCELLED" => (Phase::Cancelled, None),
        _ => answer::unknown_state(status),
    }
}
