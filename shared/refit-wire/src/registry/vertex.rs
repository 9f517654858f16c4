//! The model registry of Vertex AI.
//!
//! A version is made of what a run leaves in Cloud Storage, in a folder that is named after its run key; what was
//! measured of it stands in `metrics.json` there. A stage is an alias of a version, which one version of a model has at
//! a time. The alias `default` is left alone.
//!
//! An upload goes on after it was answered, and nothing waits for it: the version is looked up by its label.

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::key::RunKey;
use refit_core::plan::RegistryOutcome;
use refit_core::promotion::{Stage, Stages, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Number, Value, json};

use super::{About, ModelRegistry, Registration, Settings, Told, lowest, numbers, unread, written};
use crate::call::{Call, Step};
use crate::claim;
use crate::http::{Reply, Request};
use crate::listing::{self, Buckets};
use crate::pipeline::answer::{self, Fault, clip};
use crate::pipeline::endpoint::Endpoint;
use crate::pipeline::google::{Site, words};

/// The label that holds the run key.
const KEY: &str = "refit_key";
/// What was measured, below what a run leaves.
const METRICS: &str = "metrics.json";
/// Characters of the id of a model.
const MODEL_CHARS_MAX: usize = 63;

/// The model registry of Vertex AI. The function's account needs `roles/aiplatform.user`, and
/// `roles/storage.objectViewer` on the bucket of `artifacts`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VertexRegistry")]
pub struct Config {
    /// The project, by its id.
    pub project: String,
    /// The region, such as `europe-west4`.
    pub location: String,
    /// Where a run leaves its model, in a folder that is named after its run key, such as `gs://acme-models/churn`. The
    /// pipeline is told the key by a parameter that is `${ run.key }`. What `metrics.json` in that folder holds is what
    /// was measured.
    pub artifacts: String,
    /// The image that serves the model, such as
    /// `europe-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest`.
    #[schemars(length(min = 1))]
    pub image: String,
    /// Where it answers. Default: `https://<location>-aiplatform.googleapis.com`.
    #[serde(default)]
    pub endpoint: Option<Endpoint>,
}

impl Settings for Config {
    const ABOUT: About = About {
        create: "`models.upload` with label `refit_key`, as a version of the model where there is one, from the folder of `artifacts` named after the run key",
        find: "`models.listVersions` by label `refit_key`; of several, the lowest",
        metrics: "`metrics.json` beside the model",
        stage: "`models.mergeVersionAliases`: alias `staging` or `production`",
        spec: Some("google-aiplatform-v1.trimmed.json"),
        walked: None,
    };

    fn open(&self) -> Result<Box<dyn ModelRegistry>, String> {
        if gs(&self.artifacts).is_none() {
            let uri = &self.artifacts;
            return Err(format!(
                "`artifacts` is a folder of a bucket, such as `gs://acme-models/churn`: value=`{uri}`"
            ));
        }
        if self.image.is_empty() {
            return Err("`image` is empty".to_owned());
        }
        let host = format!("{}-aiplatform.googleapis.com", self.location);
        let site =
            Site::open(self.endpoint.as_ref(), &host, ("v1", &self.project, &self.location))?;
        Ok(Box::new(Vertex { config: self.clone(), site }))
    }

    fn takes(&self, _service: &str, model: &str) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins = model.starts_with(|c: char| c.is_ascii_lowercase());
        match begins && model.len() <= MODEL_CHARS_MAX && model.chars().all(plain) {
            true => Ok(()),
            false => Err(format!(
                "`vertex` takes names of models of a-z, 0-9, `_` and `-` that begin with a letter and have at most \
                 {MODEL_CHARS_MAX} characters"
            )),
        }
    }
}

#[derive(Clone, Debug)]
struct Vertex {
    config: Config,
    site: Site,
}

/// What was measured of a version.
type Measured = BTreeMap<String, Number>;

impl Vertex {
    /// A request for something of the models; `rest` is a model, a version of one, or a verb.
    fn request(&self, method: Method, rest: &str, query: &[(&str, &str)]) -> Request {
        let models = format!("models{rest}");
        match rest.starts_with(':') {
            true => self.site.request(method, &[&models], query),
            false => self.site.request(method, &["models", rest], query),
        }
    }

    fn get<T: 'static>(
        &self,
        (rest, query): (&str, &[(&str, &str)]),
        read: impl FnOnce(Result<Value, Fault>) -> Told<T> + Send + 'static,
    ) -> Step<Told<T>> {
        let request = self.request(Method::GET, rest, query);
        Step::Send(Call::once(request, |reply| read(answer::read(reply, words))))
    }

    /// Where the run of a key leaves its model.
    fn left(&self, key: RunKey) -> String {
        format!("{}/{key}", self.config.artifacts)
    }

    /// A version is made of any folder that is named, also of one where nothing lies, so it is looked up.
    fn check_left(uri: String) -> Step<Told<()>> {
        let Some((bucket, folder)) = gs(&uri) else {
            return Step::Done(Err(RegistryOutcome::Refused(format!("no folder: uri=`{uri}`"))));
        };
        let request = Buckets::default().list(bucket, &format!("{folder}/"), None);
        let bucket = bucket.to_owned();
        Step::Send(Call::once(request, move |reply| {
            let response = reply.map_err(|failure| not_done(failure.to_string()))?;
            let listed = listing::read(&bucket, &response).map_err(not_done)?;
            let is_empty = listed.events.is_empty() && listed.unreadable == 0;
            match is_empty {
                true => Err(not_done(format!("the run left no model there: uri=`{uri}/`"))),
                false => Ok(()),
            }
        }))
    }

    /// A version with what was measured of it.
    fn measured(version: Version) -> Step<Told<Version>> {
        let Some((bucket, folder)) = version.uri.as_deref().and_then(gs) else {
            return Step::Done(Ok(version));
        };
        let name = format!("{folder}/{METRICS}");
        let request = Buckets::default().request(&[bucket, "o", &name], &[("alt", "media")]);
        Step::Send(Call::once(request, |reply| {
            read_metrics(reply).map(|metrics| Version { metrics, ..version })
        }))
    }

    fn measured_if_any(version: Option<Version>) -> Step<Told<Option<Version>>> {
        match version {
            Some(version) => {
                Self::measured(version).and_then(|version| Step::Done(Ok(Some(version))))
            }
            None => Step::Done(Ok(None)),
        }
    }

    /// Whether the model is there, so that what is uploaded is a version of it.
    fn has_model(&self, model: &str) -> Step<Told<bool>> {
        self.get((model, &[]), |answer| match answer {
            Ok(_) => Ok(true),
            Err(Fault::Missing) => Ok(false),
            Err(fault) => Err(unread(fault)),
        })
    }

    fn upload(&self, wanted: &Registration, made: Version, is_known: bool) -> Step<Told<Version>> {
        let Config { project, location, image, .. } = &self.config;
        let model = &wanted.model;
        let parent = format!("projects/{project}/locations/{location}/models/{model}");
        let mut body = json!({ "model": {
            "displayName": model,
            "artifactUri": made.uri,
            "containerSpec": { "imageUri": image },
            "labels": {
                KEY: wanted.key, "refit_trigger": wanted.trigger, "refit_batch": wanted.batch,
            },
        } });
        match is_known {
            true => body["parentModel"] = parent.into(),
            false => body["modelId"] = model.as_str().into(),
        }
        let request = self.request(Method::POST, ":upload", &[]).json(&body);
        Step::Send(Call::once(request, |reply| uploaded(&written(reply, words)?, made)))
    }

    /// The version that has a stage, if one has.
    fn held(&self, model: &str, stage: Stage) -> Step<Told<Option<Version>>> {
        let named = format!("{model}@{}", stage.name());
        let found = self.get((&named, &[]), |answer| match answer {
            Ok(answer) => version(&answer).map(Some).map_err(RegistryOutcome::Refused),
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(unread(fault)),
        });
        found.and_then(Self::measured_if_any)
    }

    /// The versions that have these stages, one after another.
    fn all_held(&self, model: String, mut left: Vec<Stage>, found: Stages) -> Step<Told<Stages>> {
        let Some(stage) = left.pop() else { return Step::Done(Ok(found)) };
        let service = self.clone();
        self.held(&model, stage).and_then(move |version| {
            let mut found = found;
            found.extend(version.map(|version| (stage, version)));
            service.all_held(model, left, found)
        })
    }
}

impl ModelRegistry for Vertex {
    fn find(&self, wanted: &Registration) -> Step<Told<Option<Version>>> {
        let key = wanted.key.to_string();
        let (rest, filter) = (format!("{}:listVersions", wanted.model), filter(&key));
        let query = [("filter", filter.as_str()), ("pageSize", "100")];
        let found = self.get((&rest, &query), move |answer| match answer {
            Ok(answer) => {
                let listed = answer.get("models").and_then(Value::as_array);
                let is_ours = |it: &&Value| answer::text_at(it, "/labels/refit_key") == Some(&key);
                let ours = listed.into_iter().flatten().filter(is_ours).map(version);
                let ours = ours.collect::<Result<Vec<_>, String>>();
                ours.map(lowest).map_err(RegistryOutcome::Refused)
            }
            Err(Fault::Missing) => Ok(None),
            Err(fault) => Err(unread(fault)),
        });
        found.and_then(Self::measured_if_any)
    }

    fn create(&self, wanted: &Registration) -> Step<Told<Version>> {
        let uri = self.left(wanted.key);
        let bare = Version { uri: Some(uri.clone()), ..Version::default() };
        let (service, wanted) = (self.clone(), wanted.clone());
        let made = Self::check_left(uri).and_then(|()| Self::measured(bare));
        made.and_then(move |made| {
            let known = service.has_model(&wanted.model);
            known.and_then(move |is_known| service.upload(&wanted, made, is_known))
        })
    }

    fn stages(&self, model: &str) -> Step<Told<Stages>> {
        self.all_held(model.to_owned(), Stage::ALL.to_vec(), Stages::new())
    }

    fn set(&self, model: &str, version: &str, stage: Stage) -> Step<Told<()>> {
        let rest = format!("{model}@{version}:mergeVersionAliases");
        let body = json!({ "versionAliases": [stage.name()] });
        let request = self.request(Method::POST, &rest, &[]).json(&body);
        Step::Send(Call::once(request, |reply| written(reply, words).map(|_| ())))
    }
}

/// The bucket and the folder in it.
fn gs(uri: &str) -> Option<(&str, &str)> {
    claim::place(uri, claim::CLOUD_STORAGE)
}

fn filter(key: &str) -> String {
    format!("labels.{KEY}=\"{key}\"")
}

fn not_done(message: String) -> RegistryOutcome {
    RegistryOutcome::NotDone { after: None, message }
}

/// A version as it is answered.
fn version(answer: &Value) -> Result<Version, String> {
    let name = answer::text_at(answer, "/versionId");
    let name = name.ok_or("a version was answered without its number")?.to_owned();
    let uri = answer::text_at(answer, "/artifactUri").map(|uri| uri.trim_end_matches('/').into());
    Ok(Version { name, uri, ..Version::default() })
}

/// What was made of an upload: it goes on, as a rule.
fn uploaded(operation: &Value, made: Version) -> Told<Version> {
    if let Some(why) = answer::text_at(operation, "/error/message") {
        return Err(RegistryOutcome::Refused(format!("its upload failed: {}", clip(why))));
    }
    match answer::text_at(operation, "/response/modelVersionId") {
        Some(name) => Ok(Version { name: name.to_owned(), ..made }),
        None => Err(RegistryOutcome::Unclear("it is being uploaded".to_owned())),
    }
}

/// Reads the answer to a question for what was measured: nothing where a run left nothing of the kind.
fn read_metrics(reply: Reply) -> Told<Measured> {
    let response = reply.map_err(|failure| not_done(failure.to_string()))?;
    match response.status {
        200 => {}
        404 => return Ok(Measured::new()),
        status => {
            let why = "what was measured cannot be read, which takes storage.objects.get";
            return Err(not_done(format!("{why}: status=`{status}`")));
        }
    }
    let read = response.json();
    let fields = read.as_ref().and_then(Value::as_object).into_iter().flatten();
    Ok(numbers(fields.map(|(name, value)| (name.as_str(), value))))
}
