//! Descriptions in OpenAPI 3, brought into the form of Swagger 2.0.

use serde_json::{Map, Value, json};

const VERBS: [&str; 5] = ["get", "put", "post", "patch", "delete"];

/// The same description as Swagger 2.0.
pub(super) fn swagger(document: &Value) -> Value {
    let mut paths = Map::new();
    for (path, operations) in document["paths"].as_object().into_iter().flatten() {
        for verb in VERBS.into_iter().filter(|verb| operations.get(verb).is_some()) {
            let known = paths.entry(path.clone()).or_insert_with(|| json!({}));
            known[verb] = operation(document, &operations[verb]);
        }
    }
    let mut definitions = document["components"]["schemas"].clone();
    refer(&mut definitions);
    json!({ "paths": paths, "definitions": definitions })
}

fn operation(document: &Value, operation: &Value) -> Value {
    let mut parameters = Vec::new();
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let mut parameter = resolve(document, parameter).clone();
        for field in ["type", "enum"] {
            parameter[field] = parameter["schema"][field].clone();
        }
        parameters.push(parameter);
    }
    if let Some(body) = operation.get("requestBody") {
        let body = resolve(document, body);
        let schema = schema_of(body);
        parameters.push(json!({ "name": "body", "in": "body", "schema": schema }));
    }
    let mut responses = Map::new();
    for (status, response) in operation["responses"].as_object().into_iter().flatten() {
        let schema = schema_of(resolve(document, response));
        responses.insert(status.clone(), json!({ "schema": schema }));
    }
    json!({ "parameters": parameters, "responses": responses })
}

fn schema_of(body: &Value) -> Value {
    let mut schema = body["content"]["application/json"]["schema"].clone();
    refer(&mut schema);
    schema
}

fn resolve<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let place = value["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    place.and_then(|place| document.pointer(place)).unwrap_or(value)
}

fn refer(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(refer),
        Value::Object(fields) => {
            if let Some(Value::String(place)) = fields.get_mut("$ref") {
                *place = place.replace("#/components/schemas/", "#/definitions/");
            }
            fields.values_mut().for_each(refer);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
