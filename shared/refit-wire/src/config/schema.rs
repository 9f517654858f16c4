//! The schema of rule files, from the types they are read as.

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::v1;
use crate::notify::NotifierConfig;
use crate::pipeline::ServiceConfig;

/// Where the schema has the run of a trigger.
const RUN: &str = "/$defs/Trigger/properties/run";

/// Where it has whoever is told.
const RECEIVER: &str = "/$defs/Receiver";

/// The JSON Schema (2020-12) of a rule file, which editors complete and check by.
#[must_use]
pub fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let targets = ServiceConfig::target_schemas(&mut generator);
    let notifiers = NotifierConfig::schemas(&mut generator);
    let mut schema = generator.into_root_schema_for::<v1::File>().to_value();
    forbid_null(&mut schema);
    let receiver = schema.pointer_mut(RECEIVER).expect("somebody can be told");
    receiver["additionalProperties"] = json!(false);
    for (kind, settings) in notifiers {
        receiver["properties"][kind] = settings.to_value();
    }
    let run = schema.pointer_mut(RUN).expect("a trigger has a run").take();
    let mut choices = Vec::new();
    for (_, target) in targets {
        let target = target.to_value();
        let place = target["$ref"].as_str().unwrap_or_default().trim_start_matches('#');
        let known = schema.pointer_mut(place).expect("a target is one of the definitions");
        add_settings(known, &run);
        choices.push(target);
    }
    schema.pointer_mut(RUN).expect("a trigger has a run").clone_from(&json!({
        "description": run["description"],
        "anyOf": choices,
    }));
    schema
}

/// Takes `null` out of what may be left out: a setting without a value is refused.
fn forbid_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(forbid_null),
        Value::Object(fields) => {
            fields.retain(|name, value| name != "default" || !value.is_null());
            forbid_null_type(fields);
            forbid_null_choice(fields);
            fields.values_mut().for_each(forbid_null);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn forbid_null_type(fields: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|kind| kind != "null");
        if let [one] = types.as_slice() {
            let one = one.clone();
            fields.insert("type".to_owned(), one);
        }
    }
}

/// A choice between something and `null` is that something.
fn forbid_null_choice(fields: &mut Map<String, Value>) {
    let Some([one, null]) = fields.get("anyOf").and_then(Value::as_array).map(Vec::as_slice) else {
        return;
    };
    if *null == json!({ "type": "null" }) {
        let one = one.as_object().cloned().unwrap_or_default();
        fields.remove("anyOf");
        fields.extend(one);
    }
}

/// Adds the settings of every run to those of the runs of one kind of service.
fn add_settings(target: &mut Value, run: &Value) {
    for (name, setting) in run["properties"].as_object().into_iter().flatten() {
        target["properties"][name] = setting.clone();
    }
    let required = |schema: &Value| schema["required"].as_array().cloned().unwrap_or_default();
    target["required"] = required(run).into_iter().chain(required(target)).collect();
}
