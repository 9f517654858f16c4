//! Checks what is said against descriptions: that of MLflow's registry is derived from its protobuf descriptors, those of
//! Vertex AI and of Cloud Storage are Google's own.

use refit_testkit::shared::shared_data;
use refit_testkit::spec::{Asked, Swagger};
use refit_wire::http::{Reply, Request, Response};
use refit_wire::registry::RegistryConfig;
use serde_json::{Map, Value};

use crate::said::Played;

/// Checks every request, and every answer that is a success, against the description. What has none is counted.
#[expect(clippy::print_stdout, reason = "how much was checked is part of the result")]
pub(crate) fn check(test: &str, played: &[Played]) {
    let Some(specs) = shared_data(test, "specs") else { return };
    let about = RegistryConfig::about().into_iter().find(|(kind, _)| *kind == "mlflow");
    let file = about.and_then(|(_, about)| about.spec).expect("it has a description");
    let text = std::fs::read_to_string(specs.join(file)).expect("the description is there");
    let spec = Spec(serde_json::from_str(&text).expect("the description is JSON"));
    let (mut checked, mut undescribed) = (0, 0);
    for (case, (request, reply)) in
        played.iter().flat_map(|case| case.said.iter().map(move |said| (case, said)))
    {
        let Some(method) = spec.method(request) else {
            undescribed += 1;
            continue;
        };
        let mut faults = spec.faults(&method["request"], &asked(request), "request");
        if let Ok(Response { status: 200, body, .. }) = reply
            && let Ok(Value::Object(answer)) = serde_json::from_slice(body)
        {
            faults.extend(spec.faults(&method["response"], &answer, "answer"));
        }
        assert!(faults.is_empty(), "{}: {} {faults:#?}", case.title, request.url);
        checked += 1;
    }
    assert!(checked > 20, "only {checked} requests were checked");
    println!("{test}: {checked} requests as described, {undescribed} without a description");
}

/// The fields of a request, of its query or its body.
fn asked(request: &Request) -> Map<String, Value> {
    match serde_json::from_slice(&request.body) {
        Ok(Value::Object(fields)) => fields,
        _ => {
            let pairs = request.url.query_pairs().into_owned();
            pairs.map(|(name, value)| (name, Value::String(value))).collect()
        }
    }
}

struct Spec(Value);

impl Spec {
    fn method(&self, request: &Request) -> Option<&Value> {
        let is_it = |method: &&Value| {
            let endpoints = method["endpoints"].as_array().into_iter().flatten();
            endpoints.into_iter().any(|endpoint| {
                endpoint["method"] == request.method.as_str()
                    && endpoint["path"] == request.url.path()
            })
        };
        self.0["methods"].as_object()?.values().find(is_it)
    }

    /// Fields that are unknown, of another type, or missing.
    fn faults(&self, known: &Value, fields: &Map<String, Value>, at: &str) -> Vec<String> {
        let mut faults = Vec::new();
        for (name, value) in fields {
            match known.get(name) {
                Some(field) => faults.extend(self.fault(field, value, &format!("{at}.{name}"))),
                None => faults.push(format!("{at}.{name}: unknown field")),
            }
        }
        for (name, field) in known.as_object().into_iter().flatten() {
            if field["required"] == true && !fields.contains_key(name) {
                faults.push(format!("{at}.{name}: missing"));
            }
        }
        faults
    }

    fn fault(&self, field: &Value, value: &Value, at: &str) -> Vec<String> {
        let items = match (field["repeated"] == true, value) {
            (true, Value::Array(items)) => items.iter().collect(),
            (true, _) => return vec![format!("{at}: not a list")],
            (false, value) => vec![value],
        };
        items.into_iter().flat_map(|item| self.item_fault(field, item, at)).collect()
    }

    fn item_fault(&self, field: &Value, value: &Value, at: &str) -> Vec<String> {
        if let Some(message) = field["$message"].as_str() {
            let message = &self.0["messages"][message];
            assert!(message.is_object(), "{at}: the description lacks a message");
            return match value.as_object() {
                Some(fields) => self.faults(message, fields, at),
                None => vec![format!("{at}: not an object")],
            };
        }
        if let Some(name) = field["$enum"].as_str() {
            let allowed = self.0["enums"][name].to_string();
            let is_one =
                value.as_str().is_some_and(|word| allowed.contains(&format!("\"{word}\"")));
            return (!is_one).then(|| format!("{at}: not one of {allowed}")).into_iter().collect();
        }
        let fits = match field["type"].as_str() {
            Some("bool") => value.is_boolean(),
            Some("int32" | "int64") => {
                value.is_i64() || value.as_str().is_some_and(|text| text.parse::<i64>().is_ok())
            }
            Some("string") => value.is_string(),
            _ => true,
        };
        (!fits).then(|| format!("{at}: of another type: {value}")).into_iter().collect()
    }
}

/// The descriptions of Google, by the host they are of.
const GOOGLE: [(&str, &str); 2] = [
    ("europe-west4-aiplatform.googleapis.com", "google-aiplatform-v1.trimmed.json"),
    ("storage.googleapis.com", "google-storage-v1.trimmed.json"),
];

/// Checks every request to Vertex AI and to Cloud Storage, and every answer that is a success. The description has no
/// `models.upload`: of what is uploaded, the model is checked.
#[expect(clippy::print_stdout, reason = "how much was checked is part of the result")]
pub(crate) fn check_vertex(test: &str, played: &[Played]) {
    let Some(specs) = shared_data(test, "specs") else { return };
    let apis = GOOGLE.map(|(host, file)| (host, Swagger::read(&specs.join(file))));
    let (mut checked, mut uploads) = (0, 0);
    for case in played {
        for (request, reply) in &case.said {
            let host = request.url.host_str();
            let api = apis.iter().find(|(of, _)| host == Some(of));
            let (_, api) = api.unwrap_or_else(|| panic!("{}: {host:?}", case.title));
            let faults = match request.url.path().ends_with("models:upload") {
                true => {
                    uploads += 1;
                    let body: Value = serde_json::from_slice(&request.body).expect("it is JSON");
                    api.check_value("GoogleCloudAiplatformV1Model", &body["model"])
                }
                false => google_faults(api, request, reply),
            };
            assert!(faults.is_empty(), "{}: {}\n{faults}", case.title, request.url);
            checked += 1;
        }
    }
    assert!(checked > 60 && uploads > 5, "only {checked} requests were checked");
    println!("{test}: {checked} requests as described, of {uploads} the model");
}

fn google_faults(api: &Swagger, request: &Request, reply: &Reply) -> String {
    let path = request.url.path();
    let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
    let body: Option<Value> = serde_json::from_slice(&request.body).ok();
    let method = request.method.as_str();
    let asked = Asked { method, path, query: &query, body: body.as_ref() };
    let mut faults = api.check_request(asked);
    let is_file = query.iter().any(|(name, value)| name == "alt" && value == "media");
    if let Ok(Response { status: 200, body, .. }) = reply
        && !is_file
    {
        let body = serde_json::from_slice(body).expect("the answer is JSON");
        faults.push_str(&api.check_answer(asked, 200, &body));
    }
    faults
}
