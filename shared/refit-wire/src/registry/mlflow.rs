//! The model registry of MLflow.
//!
//! A stage is an alias: the stages of old are deprecated there, and may be held by two versions at a time. Nothing but
//! an alias, a version and, where it is missing, the model is written, unless `stages` asks for those of old as well.
//!
//! What MLflow 3 logs as a model lies beside the run, and what MLflow 2 logs, or a run uploads itself, among its
//! artifacts. A version is made of any place that is named, also of one where nothing is, so the place is looked up.

use std::collections::BTreeMap;

use ::http::Method;
use refit_core::plan::RegistryOutcome;
use refit_core::promotion::{Stage, Stages, Version};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{About, ModelRegistry, Registration, Settings, Told, lowest, numbers, unread, written};
use crate::call::{Call, Step};
use crate::http::{self, Reply, Request};
use crate::pipeline::answer::{self, Fault};
use crate::pipeline::auth::Auth;
use crate::pipeline::endpoint::Endpoint;

const ROOT: [&str; 3] = ["api", "2.0", "mlflow"];
/// The tag that holds the run key, of runs and of versions.
const KEY: &str = "refit_key";

/// A server of MLflow.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Mlflow")]
pub struct Config {
    /// Where it answers, such as `https://mlflow.acme.example`.
    pub endpoint: Endpoint,
    /// The credential it is asked with. Default: none for plain http.
    #[serde(default)]
    pub auth: Option<Auth>,
    /// The experiment the pipeline logs its runs to, each with the tag `refit_key`.
    #[schemars(length(min = 1))]
    pub experiment: String,
    /// The name a run logs the model under, or its folder among the artifacts of the run. Default: `model`.
    #[serde(default = "default_artifact")]
    pub artifact: String,
    /// Whether a version is also given MLflow's own stage, `Staging` or `Production`, which archives the version that
    /// was there: for those who load `models:/NAME/Production`. Default: `false`, as MLflow has deprecated its stages.
    #[serde(default)]
    pub stages: bool,
}

fn default_artifact() -> String {
    "model".to_owned()
}

impl Settings for Config {
    const ABOUT: About = About {
        create: "`POST model-versions/create` with tag `refit_key`, from the run of the experiment that has it, with the model the run logged or the folder among its artifacts",
        find: "`GET model-versions/search` by tag `refit_key`; of several, the lowest",
        metrics: "those of the run in the experiment",
        stage: "`POST registered-models/alias`: alias `staging` or `production`; with `stages: true`, `POST model-versions/transition-stage` before it",
        spec: Some("mlflow-3.17.2-registry.derived.json"),
        walked: Some("MLflow 3.17.2"),
    };

    /// A rollback goes by the rules in force, also where they speak of stages since.
    fn lasting(&self) -> Self {
        Self { auth: None, stages: false, ..self.clone() }
    }

    fn open(&self) -> Result<Box<dyn ModelRegistry>, String> {
        let auth = Auth::resolve(self.auth.as_ref(), &self.endpoint)?;
        if self.experiment.is_empty() {
            return Err("`experiment` is empty".to_owned());
        }
        Ok(Box::new(Mlflow { config: self.clone(), auth }))
    }
}

#[derive(Clone, Debug)]
struct Mlflow {
    config: Config,
    auth: http::Auth,
}

/// A run of the experiment.
struct Logged {
    id: String,
    experiment: String,
    artifacts: String,
    metrics: Value,
    /// The models of MLflow 3 that it logged, by their ids, each with its step.
    models: BTreeMap<String, i64>,
}

/// Where the model of a run is.
struct Source {
    uri: String,
    /// The model of MLflow 3 that it is.
    model: Option<String>,
}

impl Mlflow {
    fn request(&self, method: Method, rest: &[&str], query: &[(&str, &str)]) -> Request {
        let segments: Vec<&str> = ROOT.iter().chain(rest).copied().collect();
        let mut url = self.config.endpoint.at(&segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(method, url).auth(self.auth.clone())
    }

    fn get<T: 'static>(
        &self,
        (rest, query): (&[&str], &[(&str, &str)]),
        read: impl FnOnce(Result<Value, Fault>) -> Told<T> + Send + 'static,
    ) -> Step<Told<T>> {
        let request = self.request(Method::GET, rest, query);
        Step::Send(Call::once(request, |reply| read(answer::read(reply, words))))
    }

    /// The run of the experiment that has a key; a pipeline logs it.
    fn logged(&self, key: String) -> Step<Told<Logged>> {
        let name = self.config.experiment.clone();
        let missing = move |fault| match fault {
            Fault::Missing => not_done(format!("there is no such experiment: name=`{name}`")),
            fault => unread(fault),
        };
        let query = [("experiment_name", self.config.experiment.as_str())];
        let experiment = self.get((&["experiments", "get-by-name"], &query), |answer| {
            let answer = answer.map_err(missing)?;
            let id = answer::text_at(&answer, "/experiment/experiment_id").map(str::to_owned);
            id.ok_or_else(|| not_done("an experiment was answered without an id".to_owned()))
        });
        let service = self.clone();
        experiment.and_then(move |experiment| service.run_in(experiment, &key))
    }

    fn run_in(&self, experiment: String, key: &str) -> Step<Told<Logged>> {
        let filter = format!("tags.{KEY} = '{key}'");
        let body = json!({ "experiment_ids": [experiment], "filter": filter, "max_results": 1 });
        let request = self.request(Method::POST, &["runs", "search"], &[]).json(&body);
        let missing = format!("no run of the experiment has the tag: {KEY}=`{key}`");
        Step::Send(Call::once(request, |reply| {
            let answer = answer::read(reply, words).map_err(unread)?;
            let run = answer.pointer("/runs/0").and_then(|run| logged_of(run, experiment));
            run.ok_or_else(|| not_done(missing))
        }))
    }

    /// What a run measured.
    fn measured(&self, version: Version, run: Option<String>) -> Step<Told<Version>> {
        let Some(run) = run else { return Step::Done(Ok(version)) };
        self.get((&["runs", "get"], &[("run_id", &run)]), |answer| match answer {
            Ok(answer) => {
                let metrics = answer.pointer("/run/data/metrics").cloned().unwrap_or_default();
                Ok(Version { metrics: metrics_of(&metrics), ..version })
            }
            // The run was deleted: nothing is known of what it measured.
            Err(Fault::Missing) => Ok(version),
            Err(fault) => Err(unread(fault)),
        })
    }

    /// The model has to be there before a version of it.
    fn create_model(&self, model: &str) -> Step<Told<()>> {
        let request = self.request(Method::POST, &["registered-models", "create"], &[]);
        let request = request.json(&json!({ "name": model }));
        Step::Send(Call::once(request, |reply| match is_there(&reply) {
            true => Ok(()),
            false => written(reply, words).map(|_| ()).map_err(|outcome| match outcome {
                // A version was not created for certain.
                RegistryOutcome::Unclear(message) => not_done(message),
                outcome => outcome,
            }),
        }))
    }

    /// Where the model of a run is: the last of its name that it logged, or its folder among the artifacts.
    fn source(&self, run: Logged) -> Step<Told<(Logged, Source)>> {
        let name = &self.config.artifact;
        let folder = format!("{}/{name}", run.artifacts.trim_end_matches('/'));
        let folder = Source { uri: folder, model: None };
        if run.models.is_empty() {
            return Step::Done(Ok((run, folder)));
        }
        // No name of a model there holds a quote, and one would end the filter.
        if name.contains('\'') {
            return self.among_artifacts(run, folder);
        }
        let filter = format!("source_run_id = '{}' AND name = '{name}'", run.id);
        let body = json!({ "experiment_ids": [run.experiment], "filter": filter });
        let request = self.request(Method::POST, &["logged-models", "search"], &[]).json(&body);
        let found = Step::Send(Call::once(request, |reply| {
            let answer = answer::read(reply, words).map_err(unread)?;
            match newest(&answer, &run.models) {
                None if is_pending(&answer) => {
                    Err(not_done("its model is being logged".to_owned()))
                }
                source => Ok((run, source)),
            }
        }));
        let service = self.clone();
        found.and_then(move |(run, source)| match source {
            Some(source) => Step::Done(Ok((run, source))),
            None => service.among_artifacts(run, folder),
        })
    }

    /// The folder among the artifacts of a run that logs models elsewhere, if anything lies there.
    fn among_artifacts(&self, run: Logged, folder: Source) -> Step<Told<(Logged, Source)>> {
        let (id, name) = (run.id.clone(), self.config.artifact.clone());
        let query = [("run_id", id.as_str()), ("path", self.config.artifact.as_str())];
        self.get((&["artifacts", "list"], &query), move |answer| {
            let answer = answer.map_err(unread)?;
            let files = answer.get("files").and_then(Value::as_array);
            let found = files.is_some_and(|files| !files.is_empty()).then_some((run, folder));
            let missing = "the run logged no model of that name, and none is among its artifacts";
            found.ok_or_else(|| not_done(format!("{missing}: name=`{name}`")))
        })
    }

    fn create_version(
        &self,
        wanted: &Registration,
        (run, source): (Logged, Source),
    ) -> Step<Told<Version>> {
        let tags = [
            (KEY, wanted.key.to_string()),
            ("refit_trigger", wanted.trigger.clone()),
            ("refit_batch", wanted.batch.clone()),
        ];
        let tags: Vec<Value> =
            tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect();
        let mut body = json!({
            "name": wanted.model, "source": source.uri, "run_id": run.id, "tags": tags,
        });
        if let Some(model) = source.model {
            body["model_id"] = model.into();
        }
        let request = self.request(Method::POST, &["model-versions", "create"], &[]).json(&body);
        Step::Send(Call::once(request, move |reply| {
            let answer = written(reply, words)?;
            let answer = answer.get("model_version");
            let found = answer.ok_or("it was answered without a version".to_owned());
            let found = found.and_then(version).map_err(RegistryOutcome::Unclear)?;
            found
                .map(|(version, _)| Version { metrics: metrics_of(&run.metrics), ..version })
                .ok_or_else(|| RegistryOutcome::Unclear("it is being registered".to_owned()))
        }))
    }

    /// A version with what its run measured.
    fn version_named(&self, model: &str, name: &str) -> Step<Told<Version>> {
        let bare = Version { name: name.to_owned(), ..Version::default() };
        let query = [("name", model), ("version", name)];
        let service = self.clone();
        let read = self.get((&["model-versions", "get"], &query), move |answer| match answer {
            Ok(answer) => {
                let found = answer.get("model_version").map(version);
                let found = found.and_then(Result::ok).flatten();
                Ok(found.unwrap_or((bare, None)))
            }
            Err(Fault::Missing) => Ok((bare, None)),
            Err(fault) => Err(unread(fault)),
        });
        read.and_then(move |(version, run)| service.measured(version, run))
    }

    /// Gives a version the stage of old, and archives the one that has it.
    fn transition(&self, model: &str, version: &str, stage: Stage) -> Step<Told<()>> {
        let body = json!({
            "name": model, "version": version, "stage": of_old(stage),
            "archive_existing_versions": true,
        });
        let request = self.request(Method::POST, &["model-versions", "transition-stage"], &[]);
        Step::Send(Call::once(request.json(&body), |reply| written(reply, words).map(|_| ())))
    }

    /// The versions of these names, one after another.
    fn held(
        &self,
        model: String,
        mut left: Vec<(Stage, String)>,
        found: Stages,
    ) -> Step<Told<Stages>> {
        let Some((stage, name)) = left.pop() else { return Step::Done(Ok(found)) };
        let service = self.clone();
        self.version_named(&model, &name).and_then(move |version| {
            let mut found = found;
            found.insert(stage, version);
            service.held(model, left, found)
        })
    }
}

impl ModelRegistry for Mlflow {
    fn find(&self, wanted: &Registration) -> Step<Told<Option<Version>>> {
        let filter = format!("name='{}' AND tag.{KEY}='{}'", wanted.model, wanted.key);
        let query = [("filter", filter.as_str()), ("max_results", "100")];
        let found = self.get((&["model-versions", "search"], &query), |answer| {
            let answer = answer.map_err(unread)?;
            let listed = answer.get("model_versions").and_then(Value::as_array);
            let read = listed.into_iter().flatten().map(version);
            let read =
                read.collect::<Result<Vec<_>, String>>().map_err(RegistryOutcome::Refused)?;
            let ready: Option<Vec<_>> = read.into_iter().collect();
            ready.ok_or_else(|| not_done("it is being registered".to_owned()))
        });
        let service = self.clone();
        found.and_then(move |found| {
            let runs: Vec<(String, Option<String>)> =
                found.iter().map(|(version, run)| (version.name.clone(), run.clone())).collect();
            let lowest = lowest(found.into_iter().map(|(version, _)| version).collect());
            let Some(version) = lowest else { return Step::Done(Ok(None)) };
            let run = runs.into_iter().find(|(name, _)| *name == version.name);
            service
                .measured(version, run.and_then(|(_, run)| run))
                .and_then(|version| Step::Done(Ok(Some(version))))
        })
    }

    fn create(&self, wanted: &Registration) -> Step<Told<Version>> {
        let (service, wanted) = (self.clone(), wanted.clone());
        let finder = self.clone();
        let found = self.logged(wanted.key.to_string()).and_then(move |run| finder.source(run));
        found.and_then(move |found| {
            let model = service.create_model(&wanted.model);
            model.and_then(move |()| service.create_version(&wanted, found))
        })
    }

    fn stages(&self, model: &str) -> Step<Told<Stages>> {
        let query = [("name", model)];
        let aliases = self.get((&["registered-models", "get"], &query), |answer| match answer {
            Ok(answer) => Ok(aliases(&answer)),
            Err(Fault::Missing) => Ok(Vec::new()),
            Err(fault) => Err(unread(fault)),
        });
        let (service, model) = (self.clone(), model.to_owned());
        aliases.and_then(move |held| service.held(model, held, Stages::new()))
    }

    fn set(&self, model: &str, version: &str, stage: Stage) -> Step<Told<()>> {
        let body = json!({ "name": model, "alias": stage.name(), "version": version });
        let request = self.request(Method::POST, &["registered-models", "alias"], &[]).json(&body);
        let alias = Call::once(request, |reply| written(reply, words).map(|_| ()));
        match self.config.stages {
            // What a newer server may refuse comes first: then nothing was done.
            true => self.transition(model, version, stage).and_then(|()| Step::Send(alias)),
            false => Step::Send(alias),
        }
    }

    fn confirms(&self, model: &str, version: &str, stage: Stage) -> Step<Told<bool>> {
        if !self.config.stages {
            return Step::Done(Ok(true));
        }
        let query = [("name", model), ("version", version)];
        self.get((&["model-versions", "get"], &query), move |answer| {
            let answer = answer.map_err(unread)?;
            let found = answer::text_at(&answer, "/model_version/current_stage");
            Ok(found == Some(of_old(stage)))
        })
    }
}

/// What MLflow calls a stage.
fn of_old(stage: Stage) -> &'static str {
    match stage {
        Stage::Staging => "Staging",
        Stage::Production => "Production",
    }
}

fn not_done(message: String) -> RegistryOutcome {
    RegistryOutcome::NotDone { after: None, message }
}

/// Whether an answer says that what was to be created is there.
fn is_there(reply: &Reply) -> bool {
    let body = reply.as_ref().ok().and_then(|response| response.json());
    let code = body.as_ref().and_then(|body| answer::text_at(body, "/error_code"));
    code == Some("RESOURCE_ALREADY_EXISTS")
}

/// A version and the run it is from; nothing while it is being registered, and an error where that failed.
fn version(answer: &Value) -> Result<Option<(Version, Option<String>)>, String> {
    let name = match answer.get("version") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err("a version was answered without its number".to_owned()),
    };
    match answer::text_at(answer, "/status") {
        Some("PENDING_REGISTRATION") => return Ok(None),
        Some("FAILED_REGISTRATION") => {
            let why = answer::text_at(answer, "/status_message").unwrap_or("no reason is given");
            let why = answer::clip(why);
            return Err(format!("its registration failed: {why}, version=`{name}`"));
        }
        _ => {}
    }
    let uri = answer::text_at(answer, "/source").map(str::to_owned);
    let run = answer::text_at(answer, "/run_id").map(str::to_owned);
    Ok(Some((Version { name, uri, ..Version::default() }, run)))
}

fn logged_of(run: &Value, experiment: String) -> Option<Logged> {
    let models = run.pointer("/outputs/model_outputs").and_then(Value::as_array);
    let step = |model: &Value| {
        let step = model.get("step").and_then(Value::as_i64).unwrap_or_default();
        Some((answer::text_at(model, "/model_id")?.to_owned(), step))
    };
    Some(Logged {
        id: answer::text_at(run, "/info/run_id")?.to_owned(),
        experiment,
        artifacts: answer::text_at(run, "/info/artifact_uri")?.to_owned(),
        metrics: run.pointer("/data/metrics").cloned().unwrap_or_default(),
        models: models.into_iter().flatten().filter_map(step).collect(),
    })
}

/// Whether a model that is listed is not whole yet.
fn is_pending(listed: &Value) -> bool {
    let mut listed = listed.get("models").and_then(Value::as_array).into_iter().flatten();
    listed.any(|model| answer::text_at(model, "/info/status") == Some("LOGGED_MODEL_PENDING"))
}

/// Of the models that are listed, newest first, the one of the latest step that is whole.
fn newest(listed: &Value, steps: &BTreeMap<String, i64>) -> Option<Source> {
    let listed = listed.get("models").and_then(Value::as_array);
    let of = |model: &Value| {
        let text = |at| answer::text_at(model, at);
        let id = text("/info/model_id")
            .filter(|_| text("/info/status") == Some("LOGGED_MODEL_READY"))?;
        let source =
            Source { uri: text("/info/artifact_uri")?.to_owned(), model: Some(id.to_owned()) };
        Some((*steps.get(id)?, source))
    };
    let found = listed.into_iter().flatten().filter_map(of);
    // The first of several of one step.
    found.reduce(|best, next| if next.0 > best.0 { next } else { best }).map(|(_, source)| source)
}

fn metrics_of(listed: &Value) -> BTreeMap<String, serde_json::Number> {
    fn pair(metric: &Value) -> Option<(&str, &Value)> {
        Some((metric.get("key")?.as_str()?, metric.get("value")?))
    }
    numbers(listed.as_array().into_iter().flatten().filter_map(pair))
}

fn aliases(answer: &Value) -> Vec<(Stage, String)> {
    let listed = answer.pointer("/registered_model/aliases").and_then(Value::as_array);
    let of = |alias: &Value| {
        let stage = answer::text_at(alias, "/alias")?.parse().ok()?;
        Some((stage, answer::text_at(alias, "/version")?.to_owned()))
    };
    listed.into_iter().flatten().filter_map(of).collect()
}

fn words(body: &Value) -> Option<&str> {
    body.get("error_code")?;
    Some(body.get("message").and_then(Value::as_str).unwrap_or_default())
}
