//! Descriptions of Google's interfaces (discovery documents), brought into the form of Swagger 2.0.

use serde_json::{Map, Value, json};

/// The same description as Swagger 2.0.
pub(super) fn swagger(document: &Value) -> Value {
    let mut paths = Map::new();
    add_methods(document, document, &mut paths);
    let mut definitions = document["schemas"].clone();
    refer(&mut definitions);
    json!({ "paths": paths, "definitions": definitions })
}

fn add_methods(document: &Value, resource: &Value, paths: &mut Map<String, Value>) {
    for method in resource["methods"].as_object().into_iter().flat_map(Map::values) {
        let path = method["flatPath"].as_str().or(method["path"].as_str()).unwrap_or_default();
        let path = format!("/{}{path}", document["servicePath"].as_str().unwrap_or_default());
        let verb = method["httpMethod"].as_str().unwrap_or_default().to_lowercase();
        let operations = paths.entry(path).or_insert_with(|| json!({}));
        operations[verb] = operation(document, method);
    }
    for inner in resource["resources"].as_object().into_iter().flat_map(Map::values) {
        add_methods(document, inner, paths);
    }
}

fn operation(document: &Value, method: &Value) -> Value {
    let own = method["parameters"].as_object().into_iter().flatten();
    let common = document["parameters"].as_object().into_iter().flatten();
    let parameter = |(name, known): (&String, &Value)| {
        let mut known = known.clone();
        known["name"] = json!(name);
        known["in"] = known["location"].clone();
        known
    };
    let mut parameters: Vec<Value> = own.chain(common).map(parameter).collect();
    if let Some(request) = method.get("request") {
        let mut schema = request.clone();
        refer(&mut schema);
        parameters.push(json!({ "name": "body", "in": "body", "schema": schema }));
    }
    let mut answer = method.get("response").cloned().unwrap_or_else(|| json!({}));
    refer(&mut answer);
    json!({ "parameters": parameters, "responses": { "default": { "schema": answer } } })
}

/// Writes references the other way, and takes out the type that stands for any.
fn refer(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(refer),
        Value::Object(fields) => {
            if let Some(Value::String(name)) = fields.get_mut("$ref") {
                *name = format!("#/definitions/{name}");
            }
            fields.retain(|name, value| name != "type" || value != "any");
            fields.values_mut().for_each(refer);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
