//! The API of servers from 2.0 on.

use refit_core::rules::Idempotency;
use refit_core::run::{ExternalRun, Phase};
use serde_json::{Value, json};

use super::{
    Declared, Dialect, Draft, Fault, Site, answer, ask, ask_first, clip, equals, required, words,
};
use crate::call::{Call, Step};
use crate::http::Request;
use crate::pipeline::compiled;

const ROOT: [&str; 2] = ["apis", "v2beta1"];

#[derive(Clone, Debug)]
pub(super) struct V2beta1(pub(super) Site);

impl Dialect for V2beta1 {
    const CLASS: Idempotency = Idempotency::B;

    fn site(&self) -> &Site {
        &self.0
    }

    /// A pipeline of the namespace, or else one that all share.
    fn pipeline(&self, name: &str) -> Call<Result<Option<String>, Fault>> {
        let by_name = |site: &Site, name: &str| {
            let query = site.namespace.as_deref().map(|namespace| ("namespace", namespace));
            let request = site.get(&path(&["pipelines", "names", name]), query.as_slice());
            Call::once(request, |reply| {
                required(&answer::read(reply, words)?, "pipeline_id").map(Some)
            })
        };
        let shared = Site { namespace: None, ..self.0.clone() };
        let (name, namespaced) = (name.to_owned(), self.0.namespace.is_some());
        by_name(&self.0, &name).then(move |found| match found {
            Err(Fault::Missing) if namespaced => Step::Send(by_name(&shared, &name)),
            found => Step::Done(found),
        })
    }

    fn version(&self, pipeline: &str, name: Option<&str>) -> Call<Result<Option<String>, Fault>> {
        let filter = name.map(|name| ("filter", equals("operation", "display_name", name)));
        let mut query = vec![("page_size", "1"), ("sort_by", "created_at desc")];
        query.extend(filter.as_ref().map(|(key, filter)| (*key, filter.as_str())));
        let request = self.0.get(&path(&["pipelines", pipeline, "versions"]), &query);
        ask_first(request, "pipeline_versions", "pipeline_version_id")
    }

    fn experiment(&self, name: &str) -> Call<Result<Option<String>, Fault>> {
        let filter = equals("operation", "display_name", name);
        let mut query = vec![("filter", filter.as_str())];
        query.extend(self.0.namespace.as_deref().map(|namespace| ("namespace", namespace)));
        ask_first(self.0.get(&path(&["experiments"]), &query), "experiments", "experiment_id")
    }

    fn create_experiment(&self, name: &str) -> Call<Result<String, Fault>> {
        let mut body = json!({ "display_name": name });
        if let Some(namespace) = &self.0.namespace {
            body["namespace"] = json!(namespace);
        }
        let request = self.0.post(&path(&["experiments"])).json(&body);
        Call::once(request, |reply| required(&answer::read(reply, words)?, "experiment_id"))
    }

    fn definition(&self, pipeline: &str, version: &str) -> Call<Result<Value, Fault>> {
        let segments = path(&["pipelines", pipeline, "versions", version]);
        Call::once(self.0.get(&segments, &[]), |reply| {
            let mut answer = answer::read(reply, words)?;
            let definition = answer.get_mut("pipeline_spec").map(Value::take);
            definition.filter(Value::is_object).ok_or_else(|| {
                Fault::Unavailable("the version comes without its definition".to_owned())
            })
        })
    }

    fn declared(definition: &Value) -> Result<Declared, String> {
        if definition.get("apiVersion").is_some() {
            return Err("the pipeline is an Argo workflow: set `api: v1beta1`".to_owned());
        }
        let unread = || "the pipeline's definition cannot be read".to_owned();
        compiled::declared(without_platform(definition)).map(Some).ok_or_else(unread)
    }

    fn uncached(mut definition: Value) -> Value {
        compiled::uncache(match definition.get("pipeline_spec") {
            Some(_) => &mut definition["pipeline_spec"],
            None => &mut definition,
        });
        definition
    }

    fn look_up(&self, draft: &Draft) -> Call<Result<Option<ExternalRun>, Fault>> {
        let site = self.0.clone();
        let by_name = {
            let filter = equals("operation", "display_name", &draft.name);
            let experiment = draft.pinned.experiment_id.as_str();
            let query = [("experiment_id", experiment), ("filter", filter.as_str())];
            ask_first(site.get(&path(&["runs"]), &query), "runs", "run_id")
        };
        let by_id = ask(self.run(&draft.key.uuid()));
        by_id.then(move |found| match found {
            Ok(run) => Step::Done(required(&run, "run_id").map(|id| Some(site.external(&id)))),
            Err(Fault::Missing) => Step::Send(
                by_name
                    .then(move |found| Step::Done(found.map(|id| id.map(|id| site.external(&id))))),
            ),
            Err(fault) => Step::Done(Err(fault)),
        })
    }

    fn start(&self, draft: &Draft, definition: Option<Value>) -> Request {
        let pinned = &draft.pinned;
        let mut body = json!({
            "run_id": draft.key.uuid(),
            "experiment_id": pinned.experiment_id,
            "display_name": draft.name,
            "description": draft.description,
            "runtime_config": { "parameters": draft.parameters },
        });
        if let Some(root) = &pinned.pipeline_root {
            body["runtime_config"]["pipeline_root"] = json!(root);
        }
        if let Some(account) = &pinned.service_account {
            body["service_account"] = json!(account);
        }
        match definition {
            Some(definition) => body["pipeline_spec"] = definition,
            None => {
                body["pipeline_version_reference"] = json!({
                    "pipeline_id": pinned.pipeline_id,
                    "pipeline_version_id": pinned.version_id,
                });
            }
        }
        self.0.post(&path(&["runs"])).json(&body)
    }

    fn run(&self, id: &str) -> Request {
        self.0.get(&path(&["runs", id]), &[])
    }

    fn terminate(&self, id: &str) -> Request {
        self.0.post(&path(&["runs", &format!("{id}:terminate")]))
    }

    fn run_id(answer: &Value) -> Option<&str> {
        answer.get("run_id")?.as_str().filter(|id| !id.is_empty())
    }

    fn standing(run: &Value) -> (Phase, Option<String>) {
        let state = run.get("state").and_then(Value::as_str).unwrap_or_default();
        let word = Some(state.to_owned()).filter(|state| !state.is_empty());
        match state {
            "PENDING" => (Phase::Pending, None),
            "" | "RUNTIME_STATE_UNSPECIFIED" | "PAUSED" => (Phase::Pending, word),
            "RUNNING" => (Phase::Running, None),
            "CANCELING" => (Phase::Running, word),
            "SUCCEEDED" => (Phase::Succeeded, None),
            "SKIPPED" => (Phase::Succeeded, word),
            // A run that is ended before its time is reported as failed.
            "FAILED" if was_canceled(run) => (Phase::Cancelled, None),
            "FAILED" => (Phase::Failed, failure(run)),
            "CANCELED" => (Phase::Cancelled, None),
            _ => (Phase::Running, Some(format!("unknown state: state=`{}`", clip(state)))),
        }
    }
}

fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    ROOT.iter().chain(rest).copied().collect()
}

/// The compiled pipeline in a definition, which may hold a part for the platform beside it.
fn without_platform(definition: &Value) -> &Value {
    definition.get("pipeline_spec").unwrap_or(definition)
}

fn history(run: &Value) -> impl DoubleEndedIterator<Item = &Value> {
    run.get("state_history").and_then(Value::as_array).into_iter().flatten()
}

/// Whether it was told to end before it ended. A retry keeps the history, so the last state before the end counts.
fn was_canceled(run: &Value) -> bool {
    let is_over = |state: &&str| ["SUCCEEDED", "SKIPPED", "FAILED", "CANCELED"].contains(state);
    let states = history(run).filter_map(|entry| entry.get("state")?.as_str());
    states.rev().find(|state| !is_over(state)) == Some("CANCELING")
}

/// What the server says went wrong.
fn failure(run: &Value) -> Option<String> {
    let said = |value: &Value| value.pointer("/error/message")?.as_str().map(clip);
    said(run).or_else(|| history(run).rev().find_map(said))
}
