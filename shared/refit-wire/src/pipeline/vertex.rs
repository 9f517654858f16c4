//! Vertex AI Pipelines.
//!
//! A run is created under the run key as its id. A second start under one id is answered with 409, and the run that
//! is there is taken for ours if its label says so.
//!
//! Caching can be turned off per step only, so every run is started with its whole definition, and with `cache: off`
//! caching is turned off in every step of it.

mod template;

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::{Outcome, Prepared};
use refit_core::rules::{Idempotency, ServiceProfile};
use refit_core::run::{ExternalRun, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use self::template::{Definition, Template};
use super::answer::{self, Fault, clip};
use super::endpoint::Endpoint;
use super::google::{self, Site, waiting, words};
use super::{About, Launch, PipelineService, Settings, compiled};
use crate::call::{Call, Step};
use crate::http::{Reply, Request};

/// What is read of a run. Its definition and the details of its steps may be larger than an answer is let in.
const FIELDS: [(&str, &str); 1] = [("fields", "name,labels,state,createTime,error(code,message)")];

/// Vertex AI Pipelines. The function's account needs `roles/aiplatform.user`, and `iam.serviceAccounts.actAs` on the
/// account of the runs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Vertex")]
pub struct Config {
    /// The project, by its id.
    pub project: String,
    /// The region, such as `europe-west4`.
    pub location: String,
    /// The service account the steps run as. Default: the project's own for Compute Engine.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Where the steps leave their output, such as `gs://acme-pipelines`. Default: what the pipeline says.
    #[serde(default)]
    pub pipeline_root: Option<String>,
    /// The network the steps are in, such as `projects/123/global/networks/acme`.
    #[serde(default)]
    pub network: Option<String>,
    /// Labels of every run.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Where it answers. Default: `https://<location>-aiplatform.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

/// What a run is of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VertexRun")]
pub struct Target {
    /// The compiled pipeline: `https://<region>-kfp.pkg.dev/<project>/<repository>/<pipeline>/<tag>`, with a digest
    /// in place of the tag as well, or a file such as `gs://acme-pipelines/churn.yaml`. What it holds when the batch
    /// closes is what runs.
    #[schemars(length(min = 1))]
    pub template: String,
    /// The service account the steps run as, in place of the service's.
    #[serde(default)]
    pub service_account: Option<String>,
    /// Where the steps leave their output, in place of the service's.
    #[serde(default)]
    pub pipeline_root: Option<String>,
    /// Labels of the run, beside those of the service.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// What a run is of, with everything looked up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pinned {
    template: Template,
    root: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    service_account: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
}

impl Config {
    fn host(&self) -> String {
        format!("{}-aiplatform.googleapis.com", self.location)
    }

    fn site(&self) -> Result<Site, String> {
        Site::open(self.endpoint.as_ref(), &self.host(), ("v1", &self.project, &self.location))
    }
}

impl Settings for Config {
    type Target = Target;

    const ABOUT: About = About {
        class: "A",
        start: "`pipelineJobs.create` under the run key; 409 is read and adopted",
        find: "`pipelineJobs.get` by the run key",
        status: "`pipelineJobs.get`",
        cancel: "`pipelineJobs.cancel`",
        again: "not possible: another job is another run, which is not followed",
        push: "log `pipeline_job_events` through a sink to Pub/Sub: a message that wakes `tick`, which asks",
        specs: &["google-aiplatform-v1.trimmed.json"],
        proof: "fault matrix in `shared/refit-testkit/tests/services`",
    };

    const CACHES: bool = true;

    fn open(&self) -> Result<Box<dyn PipelineService>, String> {
        let site = self.site()?;
        check_labels(&self.labels)?;
        Ok(Box::new(Vertex { config: self.clone(), site }))
    }

    fn check(&self, target: &Target) -> Result<(), String> {
        Template::read(&target.template)?;
        check_labels(&target.labels)?;
        let roots = [&self.pipeline_root, &target.pipeline_root];
        match roots.into_iter().flatten().find(|root| !root.starts_with("gs://")) {
            Some(root) => Err(format!("`pipeline_root` begins with gs://: value=`{root}`")),
            None => Ok(()),
        }
    }

    fn hosts(&self) -> Vec<String> {
        let own = google::host(self.endpoint.as_ref(), &self.host());
        let templates = format!("{}-kfp.pkg.dev", self.location);
        vec![own, templates, template::TAGS.to_owned(), template::FILES.to_owned()]
    }

    fn outputs(&self, target: &Target) -> Vec<String> {
        target.pipeline_root.iter().chain(&self.pipeline_root).take(1).cloned().collect()
    }
}

/// Labels are short and plain, and ours are not to be set.
fn check_labels(labels: &BTreeMap<String, String>) -> Result<(), String> {
    let plain = |c: char| c.is_lowercase() || c.is_numeric() || "-_".contains(c);
    let legal = |text: &str| text.chars().count() <= 63 && text.chars().all(plain);
    let wrong = labels.iter().find(|(name, value)| {
        !legal(name) || !legal(value) || name.is_empty() || name.starts_with("refit-")
    });
    wrong.map_or(Ok(()), |(name, value)| {
        Err(format!("this cannot be a label: name=`{name}`, value=`{value}`"))
    })
}

#[derive(Clone, Debug)]
struct Vertex {
    config: Config,
    site: Site,
}

impl PipelineService for Vertex {
    fn profile(&self) -> ServiceProfile {
        ServiceProfile { class: Idempotency::A, finds: true, cancels: true }
    }

    fn prepare(&self, target: &Value) -> Step<Result<Prepared, String>> {
        let read = Target::deserialize(target).map_err(|error| error.to_string());
        let read = read.and_then(|target| Ok((Template::read(&target.template)?, target)));
        let (template, target) = match read {
            Ok(read) => read,
            Err(message) => return Step::Done(Err(message)),
        };
        let (config, what) = (self.config.clone(), target.template.clone());
        let definition = template.pin().and_then(|template| {
            let definition = template.definition();
            definition.and_then(|definition| Step::Done(Ok((template, definition))))
        });
        definition.then(move |found| {
            Step::Done(match found {
                Ok((template, definition)) => prepared(&config, target, template, &definition),
                Err(Fault::Missing) => Err(format!("there is no such template: template=`{what}`")),
                Err(fault) => Err(format!("{fault}, template=`{what}`")),
            })
        })
    }

    fn start(&self, launch: &Launch<'_>) -> Step<Outcome> {
        let read = Pinned::deserialize(launch.target).map_err(|error| error.to_string());
        let pinned = match read.and_then(|pinned| exact(launch.parameters).map(|()| pinned)) {
            Ok(pinned) => pinned,
            Err(message) => return Step::Done(Outcome::Rejected(message)),
        };
        let (vertex, key, cache) = (self.clone(), launch.key, launch.cache);
        let (trigger, parameters) = (launch.trigger.to_owned(), launch.parameters.clone());
        let started = pinned.template.definition().and_then(move |mut definition| {
            if !cache {
                compiled::uncache(&mut definition.pipeline);
            }
            let body = vertex.body((key, &trigger), &pinned, &definition, &parameters);
            Step::Send(vertex.create(key, &body)).then(|outcome| Step::Done(Ok(outcome)))
        });
        started.then(|outcome| Step::Done(outcome.unwrap_or_else(Fault::before_start)))
    }

    fn find(&self, launch: &Launch<'_>) -> Option<Call<Option<Outcome>>> {
        let (vertex, key) = (self.clone(), launch.key);
        Some(Call::once(self.job(&key.to_string()), move |reply| {
            match answer::read(reply, words) {
                Ok(job) if is_ours(&job, key) => Some(Outcome::Found(vertex.external(&key))),
                // A start will be refused and say why.
                Ok(job) if job.get("name").is_some() => Some(Outcome::Absent),
                Err(Fault::Missing) => Some(Outcome::Absent),
                Ok(_) | Err(_) => None,
            }
        }))
    }

    fn status(&self, run: &ExternalRun) -> Call<Option<Outcome>> {
        Call::once(self.job(&run.id), |reply| {
            let standing = |job: &Value| job.get("name").map(|_| standing(job));
            answer::status(reply, words, standing)
        })
    }

    fn cancel(&self, run: &ExternalRun) -> Option<Call<Result<(), String>>> {
        let cancel = format!("{}:cancel", run.id);
        let request = self.site.request(Method::POST, &["pipelineJobs", &cancel], &[]);
        let request = request.json(&json!({}));
        // A run that has ended already is refused with 400.
        Some(Call::once(request, |reply| answer::cancelled(reply, words, 400)))
    }
}

impl Vertex {
    fn job(&self, id: &str) -> Request {
        self.site.request(Method::GET, &["pipelineJobs", id], &FIELDS)
    }

    fn body(
        &self,
        (key, trigger): (RunKey, &str),
        pinned: &Pinned,
        definition: &Definition,
        parameters: &Value,
    ) -> Value {
        let mut labels = self.config.labels.clone();
        labels.extend(pinned.labels.clone());
        labels.insert("refit-key".to_owned(), key.to_string());
        labels.insert("refit-trigger".to_owned(), trigger.to_owned());
        let mut runtime = definition.runtime(parameters);
        runtime["gcsOutputDirectory"] = json!(pinned.root);
        let mut body = json!({
            "displayName": format!("{trigger} {key}"),
            "labels": labels,
            "pipelineSpec": definition.pipeline,
            "runtimeConfig": runtime,
        });
        let uri = pinned.template.uri();
        let stated = [
            ("templateUri", uri),
            ("serviceAccount", pinned.service_account.as_deref()),
            ("network", self.config.network.as_deref()),
        ];
        for (name, value) in stated.into_iter().filter_map(|(name, value)| Some((name, value?))) {
            body[name] = json!(value);
        }
        body
    }

    /// The start. An id that is taken is most likely our own: an answer was lost.
    fn create(&self, key: RunKey, body: &Value) -> Call<Outcome> {
        let id = key.to_string();
        let query = [("pipelineJobId", id.as_str()), ("fields", "name")];
        let request = self.site.request(Method::POST, &["pipelineJobs"], &query).json(body);
        let vertex = self.clone();
        Call::new(request, move |reply| match &reply {
            Ok(response) if response.status == 409 => Step::Send(vertex.adopt(key)),
            _ => Step::Done(answer::started(reply, words, |job| {
                answer::text_at(job, "/name").map(|_| vertex.external(&key))
            })),
        })
    }

    fn adopt(&self, key: RunKey) -> Call<Outcome> {
        let run = self.external(&key);
        Call::once(self.job(&key.to_string()), move |reply: Reply| {
            match answer::read(reply, words) {
                Ok(job) if is_ours(&job, key) => Outcome::Found(run),
                Ok(job) if job.get("name").is_some() => Outcome::Rejected(format!(
                    "the id belongs to a run of someone else: id=`{key}`"
                )),
                Ok(_) | Err(_) => {
                    Outcome::Unclear("the id is taken, by whom cannot be read".to_owned())
                }
            }
        })
    }

    fn external(&self, key: &RunKey) -> ExternalRun {
        let Config { project, location, .. } = &self.config;
        let url = format!(
            "https://console.cloud.google.com/vertex-ai/locations/{location}/pipelines/runs/{key}?project={project}"
        );
        ExternalRun { id: key.to_string(), url: Some(url) }
    }
}

fn prepared(
    config: &Config,
    target: Target,
    template: Template,
    definition: &Definition,
) -> Result<Prepared, String> {
    let parameters = compiled::declared(&definition.pipeline)
        .ok_or_else(|| "the template is no compiled pipeline".to_owned())?;
    let stated = target.pipeline_root.or_else(|| config.pipeline_root.clone());
    let root = stated.or_else(|| definition.root()).ok_or_else(|| {
        "neither the service nor the pipeline says where output goes: set `pipeline_root`"
            .to_owned()
    })?;
    let service_account = target.service_account.or_else(|| config.service_account.clone());
    let pinned = Pinned { template, root, service_account, labels: target.labels };
    Ok(Prepared { target: json!(pinned), parameters: Some(parameters) })
}

fn is_ours(job: &Value, key: RunKey) -> bool {
    answer::text_at(job, "/labels/refit-key") == Some(&key.to_string())
}

/// Numbers become doubles on their way, which larger whole numbers do not survive.
fn exact(value: &Value) -> Result<(), String> {
    const LARGEST: u64 = 1 << 53;
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            match size.is_some_and(|size| size > LARGEST) {
                true => Err(format!("the service would round a number: value=`{number}`")),
                false => Ok(()),
            }
        }
        Value::Array(items) => items.iter().try_for_each(exact),
        Value::Object(fields) => fields.values().try_for_each(exact),
        Value::Null | Value::Bool(_) | Value::String(_) => Ok(()),
    }
}

fn standing(job: &Value) -> (Phase, Option<String>) {
    let state = job.get("state").and_then(Value::as_str).unwrap_or_default();
    let word = state.strip_prefix("PIPELINE_STATE_").unwrap_or(state);
    let wait = |why: &str| Some(waiting(why, job, "createTime"));
    let error = answer::text_at(job, "/error/message").map(clip);
    match word {
        "QUEUED" => (Phase::Pending, wait("it waits in the queue")),
        "PENDING" | "UNSPECIFIED" | "" => (Phase::Pending, wait("it has not begun")),
        "PAUSED" => (Phase::Pending, wait("it is paused, and goes on when a person resumes it")),
        "RUNNING" => (Phase::Running, None),
        "CANCELLING" => (Phase::Running, Some("CANCELLING".to_owned())),
        "SUCCEEDED" => (Phase::Succeeded, None),
        // 1 is the code of what was cancelled.
        "FAILED" if job.pointer("/error/code") == Some(&json!(1)) => (Phase::Cancelled, error),
        "FAILED" => (Phase::Failed, error),
        "CANCELLED" => (Phase::Cancelled, None),
        _ => answer::unknown_state(state),
    }
}

/// The fields of a parameter map.
fn named(parameters: &Value) -> impl Iterator<Item = (&String, &Value)> {
    parameters.as_object().into_iter().flat_map(Map::iter)
}
