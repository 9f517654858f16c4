//! Pipelines, their versions, and experiments.

use refit_core::time::Timestamp;
use serde_json::{Map, Value, json};

use super::runs::Wrong;

/// 2026-01-01T00:00:00Z: when everything began.
const BEGIN: i64 = 1_767_225_600_000;

/// What runs can be of, and what they belong to.
#[derive(Default)]
pub(super) struct Catalog {
    pub(super) pipelines: Vec<Pipeline>,
    pub(super) experiments: Vec<Experiment>,
}

/// A pipeline, with its only version.
pub(super) struct Pipeline {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) created: String,
    /// The parameters it wants, and their types.
    parameters: Vec<(String, String)>,
}

pub(super) struct Experiment {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) created: String,
}

/// The time of the n-th moment.
pub(super) fn time(moment: u32) -> String {
    let at = Timestamp::from_millis(BEGIN + i64::from(moment) * 1000);
    at.to_string().replace(".000Z", "Z")
}

impl Catalog {
    pub(super) fn add_pipeline(&mut self, name: &str, parameters: &[(&str, &str)]) -> String {
        let number = self.pipelines.len() + 1;
        let owned = |(name, kind): &(&str, &str)| ((*name).to_owned(), (*kind).to_owned());
        self.pipelines.push(Pipeline {
            id: format!("p-{number}"),
            name: name.to_owned(),
            version: format!("v-{number}"),
            created: time(0),
            parameters: parameters.iter().map(owned).collect(),
        });
        format!("p-{number}")
    }

    pub(super) fn pipeline(&self, id: &str) -> Result<&Pipeline, Wrong> {
        let found = self.pipelines.iter().find(|pipeline| pipeline.id == id);
        found.ok_or_else(|| Wrong::missing(format!("Pipeline {id} not found")))
    }

    pub(super) fn of_version(&self, version: &str) -> Result<&Pipeline, Wrong> {
        let found = self.pipelines.iter().find(|pipeline| pipeline.version == version);
        found.ok_or_else(|| Wrong::missing(format!("PipelineVersion {version} not found")))
    }

    pub(super) fn add_experiment(&mut self, name: &str) -> Result<&Experiment, Wrong> {
        if name.is_empty() {
            return Err(Wrong::input("experiment name is empty"));
        }
        if self.experiments.iter().any(|known| known.name == name) {
            let message = format!("Already exist error: an experiment named {name}");
            return Err(Wrong::new(409, 6, message));
        }
        let id = format!("e-{}", self.experiments.len() + 1);
        self.experiments.push(Experiment { id, name: name.to_owned(), created: time(0) });
        self.experiments.last().ok_or_else(|| Wrong::new(500, 13, "Internal error"))
    }

    pub(super) fn check_experiment(&self, id: &str) -> Result<(), Wrong> {
        let known = self.experiments.iter().any(|experiment| experiment.id == id);
        known.then_some(()).ok_or_else(|| Wrong::missing(format!("Experiment {id} not found")))
    }
}

impl Pipeline {
    /// Its definition as the newer SDK compiles it.
    pub(super) fn compiled(&self) -> Value {
        let declared =
            |(name, kind): &(String, String)| (name.clone(), json!({ "parameterType": kind }));
        let parameters: Map<String, Value> = self.parameters.iter().map(declared).collect();
        json!({
            "pipelineInfo": { "name": self.name },
            "schemaVersion": "2.1.0",
            "sdkVersion": "kfp-2.13.0",
            "root": {
                "inputDefinitions": { "parameters": parameters },
                "dag": { "tasks": { "train": {
                    "cachingOptions": { "enableCache": true },
                    "componentRef": { "name": "comp-train" },
                    "taskInfo": { "name": "train" },
                } } },
            },
            "components": { "comp-train": { "executorLabel": "exec-train" } },
            "deploymentSpec": {
                "executors": { "exec-train": { "container": { "image": "train:1" } } },
            },
        })
    }

    /// Its definition as the older SDK compiles it: an Argo workflow.
    pub(super) fn workflow(&self) -> Value {
        let parameters: Vec<Value> =
            self.parameters.iter().map(|(name, _)| json!({ "name": name })).collect();
        json!({
            "apiVersion": "argoproj.io/v1alpha1",
            "kind": "Workflow",
            "metadata": { "generateName": format!("{}-", self.name) },
            "spec": {
                "entrypoint": "train",
                "arguments": { "parameters": parameters },
                "templates": [{ "name": "train", "container": { "image": "train:1" } }],
            },
        })
    }
}

/// Refuses parameters that are not those a definition of the newer SDK declares.
pub(super) fn check_typed(definition: &Value, parameters: &Value) -> Result<(), Wrong> {
    let compiled = definition.get("pipeline_spec").unwrap_or(definition);
    let declared = compiled.pointer("/root/inputDefinitions/parameters").and_then(Value::as_object);
    let empty = Map::new();
    let declared = declared.unwrap_or(&empty);
    let given = parameters.as_object().unwrap_or(&empty);
    for (name, value) in given {
        let kind = declared.get(name).and_then(|spec| spec["parameterType"].as_str());
        let fits = match kind {
            Some("NUMBER_INTEGER" | "NUMBER_DOUBLE") => value.is_number(),
            Some("STRING") => value.is_string(),
            Some("BOOLEAN") => value.is_boolean(),
            Some("LIST") => value.is_array(),
            Some("STRUCT") => value.is_object(),
            Some(_) | None => false,
        };
        if !fits {
            return Err(Wrong::input(format!("parameter {name} is unknown or of another type")));
        }
    }
    check_names(declared.keys(), given)
}

/// Refuses parameters that are not those a workflow declares.
pub(super) fn check_untyped(workflow: &Value, given: &Map<String, Value>) -> Result<(), Wrong> {
    let declared = workflow.pointer("/spec/arguments/parameters").and_then(Value::as_array);
    let declared: Vec<String> = declared
        .into_iter()
        .flatten()
        .filter_map(|parameter| parameter["name"].as_str().map(str::to_owned))
        .collect();
    match given.keys().find(|name| !declared.contains(name)) {
        Some(name) => Err(Wrong::input(format!("Unrecognized input parameter: {name}"))),
        None => check_names(declared.iter(), given),
    }
}

fn check_names<'a>(
    mut declared: impl Iterator<Item = &'a String>,
    given: &Map<String, Value>,
) -> Result<(), Wrong> {
    let missing = declared.find(|name| !given.contains_key(*name));
    missing.map_or(Ok(()), |name| Err(Wrong::input(format!("parameter {name} is missing"))))
}
