//! Compiled pipelines: what the SDK of Kubeflow Pipelines makes from 2.0 on, and both Kubeflow and Vertex AI run.

use std::collections::BTreeMap;

use refit_core::plan::{Parameter, ParameterKind};
use serde_json::{Map, Value, json};

/// The parameters a compiled pipeline declares; none where it is no compiled pipeline.
pub(super) fn declared(pipeline: &Value) -> Option<BTreeMap<String, Parameter>> {
    let parameters = pipeline.get("root")?.pointer("/inputDefinitions/parameters");
    let declared = parameters.and_then(Value::as_object).into_iter().flatten();
    Some(declared.map(|(name, spec)| (name.clone(), parameter(spec))).collect())
}

/// Turns caching off in every step, nested ones included.
pub(super) fn uncache(pipeline: &mut Value) {
    fields(pipeline.get_mut("components")).for_each(uncache_tasks);
    pipeline.get_mut("root").into_iter().for_each(uncache_tasks);
}

fn uncache_tasks(component: &mut Value) {
    for task in fields(component.pointer_mut("/dag/tasks")).filter_map(Value::as_object_mut) {
        task.insert("cachingOptions".to_owned(), json!({ "enableCache": false }));
    }
}

fn fields(object: Option<&mut Value>) -> impl Iterator<Item = &mut Value> {
    object.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut)
}

fn parameter(spec: &Value) -> Parameter {
    let text = |field: &str| spec.get(field).and_then(Value::as_str);
    let kind = match text("parameterType").or_else(|| text("type")).unwrap_or_default() {
        "NUMBER_INTEGER" | "INT" => ParameterKind::Integer,
        "NUMBER_DOUBLE" | "DOUBLE" => ParameterKind::Double,
        "STRING" => ParameterKind::String,
        "BOOLEAN" => ParameterKind::Boolean,
        "LIST" => ParameterKind::List,
        "STRUCT" => ParameterKind::Struct,
        _ => ParameterKind::Any,
    };
    let optional = spec.get("isOptional").and_then(Value::as_bool).unwrap_or_default();
    Parameter { kind, optional: optional || spec.get("defaultValue").is_some() }
}
