//! The API of servers before 2.0, for pipelines that are Argo workflows.
//!
//! No key is sent: older servers make up an id of their own. A run is found by its name, which holds the key.

use refit_core::plan::{Parameter, ParameterKind};
use refit_core::rules::Idempotency;
use refit_core::run::{ExternalRun, Phase};
use serde_json::{Map, Value, json};

use super::{
    Declared, Dialect, Draft, Fault, Site, answer, ask_first, clip, equals, required, words,
};
use crate::call::{Call, Step};
use crate::http::Request;

const ROOT: [&str; 2] = ["apis", "v1beta1"];
/// What a step says of how old a cached result may be.
const STALENESS: &str = "pipelines.kubeflow.org/max_cache_staleness";

#[derive(Clone, Debug)]
pub(super) struct V1beta1(pub(super) Site);

impl V1beta1 {
    /// Lists what belongs to something, by name.
    fn list(&self, what: &str, owner: Option<(&str, &str)>, name: &str) -> Request {
        let filter = equals("op", "name", name);
        let mut query = vec![("filter", filter.as_str())];
        if let Some((kind, id)) = owner {
            query.push(("resource_reference_key.type", kind));
            query.push(("resource_reference_key.id", id));
        }
        self.0.get(&path(&[what]), &query)
    }

    fn namespace(&self) -> Option<(&str, &str)> {
        self.0.namespace.as_deref().map(|namespace| ("NAMESPACE", namespace))
    }
}

impl Dialect for V1beta1 {
    const CLASS: Idempotency = Idempotency::C;

    fn site(&self) -> &Site {
        &self.0
    }

    /// A pipeline of the namespace, or else one that all share.
    fn pipeline(&self, name: &str) -> Call<Result<Option<String>, Fault>> {
        let by_name = |request| ask_first(request, "pipelines", "id");
        let owned = by_name(self.list("pipelines", self.namespace(), name));
        let shared =
            self.0.namespace.is_some().then(|| by_name(self.list("pipelines", None, name)));
        owned.then(move |found| match (found, shared) {
            (Ok(None), Some(shared)) => Step::Send(shared),
            (found, _) => Step::Done(found),
        })
    }

    fn version(&self, pipeline: &str, name: Option<&str>) -> Call<Result<Option<String>, Fault>> {
        let filter = name.map(|name| ("filter", equals("op", "name", name)));
        let mut query = vec![
            ("resource_key.type", "PIPELINE"),
            ("resource_key.id", pipeline),
            ("page_size", "1"),
            ("sort_by", "created_at desc"),
        ];
        query.extend(filter.as_ref().map(|(key, filter)| (*key, filter.as_str())));
        ask_first(self.0.get(&path(&["pipeline_versions"]), &query), "versions", "id")
    }

    fn experiment(&self, name: &str) -> Call<Result<Option<String>, Fault>> {
        ask_first(self.list("experiments", self.namespace(), name), "experiments", "id")
    }

    fn create_experiment(&self, name: &str) -> Call<Result<String, Fault>> {
        let owner = self.namespace().map(|(kind, id)| reference(kind, id, "OWNER"));
        let mut body = json!({ "name": name });
        if let Some(owner) = owner {
            body["resource_references"] = json!([owner]);
        }
        let request = self.0.post(&path(&["experiments"])).json(&body);
        Call::once(request, |reply| required(&answer::read(reply, words)?, "id"))
    }

    fn definition(&self, _: &str, version: &str) -> Call<Result<Value, Fault>> {
        let request = self.0.get(&path(&["pipeline_versions", version, "templates"]), &[]);
        Call::once(request, |reply| {
            let template = required(&answer::read(reply, words)?, "template")?;
            serde_saphyr::from_str(&template)
                .map_err(|_| Fault::Unavailable("the pipeline's definition is not YAML".to_owned()))
        })
    }

    fn declared(definition: &Value) -> Result<Declared, String> {
        if definition.get("kind").is_none_or(|kind| kind != "Workflow") {
            return Err("the pipeline is not an Argo workflow: set `api: v2beta1`".to_owned());
        }
        let declared = definition.pointer("/spec/arguments/parameters").and_then(Value::as_array);
        let parameter = |spec: &Value| {
            let name = spec.get("name")?.as_str()?.to_owned();
            let optional = spec.get("value").is_some();
            Some((name, Parameter { kind: ParameterKind::Any, optional }))
        };
        Ok(Some(declared.into_iter().flatten().filter_map(parameter).collect()))
    }

    fn uncached(mut definition: Value) -> Value {
        let templates = definition.pointer_mut("/spec/templates").and_then(Value::as_array_mut);
        for template in templates.into_iter().flatten() {
            let annotations = field(template, "metadata").and_then(|it| field(it, "annotations"));
            if let Some(staleness) = annotations.and_then(|it| field(it, STALENESS)) {
                *staleness = json!("P0D");
            }
        }
        definition
    }

    fn look_up(&self, draft: &Draft) -> Call<Result<Option<ExternalRun>, Fault>> {
        let experiment = Some(("EXPERIMENT", draft.pinned.experiment_id.as_str()));
        let site = self.0.clone();
        let found = ask_first(self.list("runs", experiment, &draft.name), "runs", "id");
        found.then(move |found| Step::Done(found.map(|id| id.map(|id| site.external(&id)))))
    }

    fn start(&self, draft: &Draft, definition: Option<Value>) -> Request {
        let pinned = &draft.pinned;
        let mut references = vec![reference("EXPERIMENT", &pinned.experiment_id, "OWNER")];
        let mut spec = json!({ "parameters": parameters(&draft.parameters) });
        match definition {
            Some(definition) => spec["workflow_manifest"] = json!(definition.to_string()),
            None => references.push(reference("PIPELINE_VERSION", &pinned.version_id, "CREATOR")),
        }
        let mut body = json!({
            "name": draft.name,
            "description": draft.description,
            "pipeline_spec": spec,
            "resource_references": references,
        });
        if let Some(account) = &pinned.service_account {
            body["service_account"] = json!(account);
        }
        self.0.post(&path(&["runs"])).json(&body)
    }

    fn run(&self, id: &str) -> Request {
        self.0.get(&path(&["runs", id]), &[])
    }

    fn terminate(&self, id: &str) -> Request {
        self.0.post(&path(&["runs", id, "terminate"]))
    }

    fn run_id(answer: &Value) -> Option<&str> {
        answer.pointer("/run/id")?.as_str().filter(|id| !id.is_empty())
    }

    fn standing(answer: &Value) -> (Phase, Option<String>) {
        let status = answer.pointer("/run/status").and_then(Value::as_str).unwrap_or_default();
        let word = Some(status.to_owned()).filter(|status| !status.is_empty());
        match status {
            "Pending" => (Phase::Pending, None),
            "" | "Unknown" => (Phase::Pending, word),
            "Running" => (Phase::Running, None),
            "Terminating" => (Phase::Running, word),
            "Succeeded" => (Phase::Succeeded, None),
            "Skipped" => (Phase::Succeeded, word),
            // A run that is ended before its time is reported as failed.
            "Failed" | "Error" if was_terminated(answer) => (Phase::Cancelled, None),
            "Failed" => (Phase::Failed, None),
            "Error" => (Phase::Failed, word),
            _ => (Phase::Running, Some(format!("unknown state: state=`{}`", clip(status)))),
        }
    }
}

/// Whether somebody ended it: its workflow is left no time then.
fn was_terminated(answer: &Value) -> bool {
    let workflow = answer.pointer("/pipeline_runtime/workflow_manifest").and_then(Value::as_str);
    let workflow = workflow.and_then(|text| serde_json::from_str::<Value>(text).ok());
    workflow.is_some_and(|it| it.pointer("/spec/activeDeadlineSeconds") == Some(&json!(0)))
}

fn path<'a>(rest: &[&'a str]) -> Vec<&'a str> {
    ROOT.iter().chain(rest).copied().collect()
}

/// A field of an object, made an object itself where there is none; none where there is no object to begin with.
fn field<'a>(object: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    let field = object.as_object_mut()?.entry(name).or_insert_with(|| json!({}));
    if field.is_null() {
        *field = json!({});
    }
    Some(field)
}

fn reference(kind: &str, id: &str, relationship: &str) -> Value {
    json!({ "key": { "type": kind, "id": id }, "relationship": relationship })
}

/// Every parameter as a string, written the way pipelines of this API expect it.
fn parameters(values: &Value) -> Vec<Value> {
    let named = |(name, value): (&String, &Value)| json!({ "name": name, "value": text(value) });
    values.as_object().into_iter().flat_map(Map::iter).map(named).collect()
}

/// As Python writes it: what the SDK sends, and what components compiled by it read.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}
