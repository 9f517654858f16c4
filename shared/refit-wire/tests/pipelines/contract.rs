//! Checks what is said against the published descriptions of the services.

use std::collections::BTreeMap;
use std::path::Path;

use percent_encoding::percent_decode_str;
use refit_core::plan::Outcome;
use refit_core::run::{ExternalRun, Phase};
use refit_testkit::counterpart::discovery;
use refit_testkit::fields;
use refit_testkit::shared::shared_data;
use refit_testkit::spec::{Asked, Swagger};
use refit_wire::call::Step;
use refit_wire::http::{Reply, Request, Response};
use refit_wire::pipeline::ServiceConfig;
use serde_json::{Value, json};

use crate::said::Played;

/// Which requests a description is of: those whose host and path are like this.
struct Place {
    host: &'static str,
    path: &'static str,
    file: &'static str,
    /// The description of filters, and the name of theirs, where there is one.
    filter: Option<(&'static str, &'static str)>,
}

const fn place(host: &'static str, path: &'static str, file: &'static str) -> Place {
    Place { host, path, file, filter: None }
}

/// Where recordings have the endpoints of Vertex AI.
const ENDPOINTS: &str = "/v1/projects/acme/locations/europe-west4/endpoints/";
/// The whole description of Vertex AI: that among the specs is cut down to pipelines and models.
const WHOLE: &str = "aiplatform.v1.json";

const PLACES: [Place; 9] = [
    Place {
        filter: Some(("kfp-v2beta1-filter.swagger.json", "v2beta1Filter")),
        ..place("", "/apis/v2beta1/", "kfp-v2beta1.swagger.json")
    },
    Place {
        filter: Some(("kfp-v1beta1-filter.swagger.json", "apiFilter")),
        ..place("", "/apis/v1beta1/", "kfp-v1beta1.swagger.json")
    },
    place("-aiplatform.googleapis.com", ENDPOINTS, WHOLE),
    place("-aiplatform.googleapis.com", "/v1/", "google-aiplatform-v1.trimmed.json"),
    place("storage.googleapis.com", "/storage/v1/", "google-storage-v1.trimmed.json"),
    place("cloudbuild.googleapis.com", "/v1/", "google-cloudbuild-v1.trimmed.json"),
    place("run.googleapis.com", "/v2/", "google-run-v2.trimmed.json"),
    place("api.github.com", "/repos/", "github-api-2022-11-28.trimmed.json"),
    place("ghe.acme.example", "/repos/", "github-api-2022-11-28.trimmed.json"),
];

/// Checks every request, and every answer that is the service's, against its description. What has none is counted.
#[expect(clippy::print_stdout, reason = "how much was checked is part of the result")]
pub(crate) fn check(test: &str, played: &[Played]) {
    let Some(specs) = shared_data(test, "specs") else { return };
    let mut apis = BTreeMap::new();
    let (mut checked, mut undescribed) = (0, 0);
    for case in played {
        for (request, reply) in &case.said {
            let is_of = |place: &&Place| {
                request.url.host_str().is_some_and(|host| host.ends_with(place.host))
                    && request.url.path().contains(place.path)
            };
            let Some(place) = PLACES.iter().find(is_of) else {
                undescribed += 1;
                continue;
            };
            let is_whole = place.file == WHOLE;
            let folder = if is_whole { discovery(test) } else { Some(specs.clone()) };
            let Some(folder) = folder else { return };
            let api = apis.entry(place.file).or_insert_with(|| Api::read(&folder, place));
            let faults = api.faults(request, reply);
            assert!(
                faults.is_empty(),
                "{}: {} {}\n{faults}",
                case.title,
                request.method,
                request.url
            );
            checked += 1;
        }
    }
    assert!(checked > 0, "nothing was checked");
    println!("{test}: {checked} requests as described, {undescribed} without a description");
}

/// Parts of a service of Cloud Run, each with its type, of which there is a description.
const PARTS: [(&str, &str); 2] = [
    ("/template/containers", "GoogleCloudRunV2Container"),
    ("/terminalCondition", "GoogleCloudRunV2Condition"),
];

/// Checks the described parts of every request and answer about a service of Cloud Run.
pub(crate) fn check_parts(test: &str, played: &[Played]) {
    let Some(specs) = shared_data(test, "specs") else { return };
    let known = Swagger::read(&specs.join("google-run-v2.trimmed.json"));
    let mut checked = 0;
    for case in played {
        for (request, reply) in &case.said {
            let asked: Option<Value> = serde_json::from_slice(&request.body).ok();
            let answered =
                reply.as_ref().ok().filter(|it| it.is_success()).and_then(Response::json);
            for (said, (place, kind)) in
                asked.iter().chain(&answered).flat_map(|said| PARTS.map(|part| (said, part)))
            {
                let Some(part) = said.pointer(place) else { continue };
                for part in part.as_array().map_or(std::slice::from_ref(part), Vec::as_slice) {
                    assert_eq!(known.check_value(kind, part), "", "{}", case.title);
                    checked += 1;
                }
            }
        }
    }
    assert!(checked > 0, "nothing was checked");
}

struct Api {
    rest: Swagger,
    path: &'static str,
    /// Whether answers are recorded whole; else only what is read of them.
    whole: bool,
    filters: Option<(Swagger, &'static str)>,
}

impl Api {
    fn read(specs: &Path, place: &Place) -> Self {
        Self {
            rest: Swagger::read(&specs.join(place.file)),
            path: place.path,
            whole: !place.file.starts_with("github"),
            filters: place.filter.map(|(file, name)| (Swagger::read(&specs.join(file)), name)),
        }
    }

    fn faults(&self, request: &Request, reply: &Reply) -> String {
        let path = request.url.path();
        let path = path.find(self.path).map_or("", |at| &path[at..]);
        let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let method = request.method.as_str();
        let asked = Asked { method, path, query: &query, body: body.as_ref() };
        let mut faults = self.rest.check_request(asked);
        if let Some(fields) = fields::asked(request) {
            faults.push_str(&self.rest.check_fields_asked(asked, &fields));
        }
        let filter = query.iter().find(|(name, _)| name == "filter");
        if let (Some((_, filter)), Some(_)) = (filter, &self.filters) {
            faults.push_str(&self.filter_faults(filter));
        }
        let is_file = query.iter().any(|(name, value)| name == "alt" && value == "media");
        if let Ok(Response { status: status @ 200..=202, body, .. }) = reply
            && !is_file
            && let Ok(body) = serde_json::from_slice::<Value>(body)
        {
            let found = self.rest.check_answer(asked, *status, &body);
            let counts = |fault: &&str| self.whole || !fault.ends_with(": missing");
            faults.extend(found.lines().filter(counts).map(|fault| format!("{fault}\n")));
        }
        faults
    }

    /// The server decodes a filter once more than the rest of the query.
    fn filter_faults(&self, filter: &str) -> String {
        let spaced = filter.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().expect("a filter is text");
        match (serde_json::from_str::<Value>(filter), serde_json::from_str::<Value>(&decoded)) {
            (Ok(once), Ok(twice)) if once == twice => {
                let known = self.filters.as_ref().expect("the description has filters");
                known.0.check_value(known.1, &twice)
            }
            _ => format!("a filter does not survive being decoded twice: {filter}\n"),
        }
    }
}

/// A table of states, and a run in one of them.
struct Table {
    name: &'static str,
    states: &'static str,
    config: Value,
    run: fn(&str) -> Value,
}

fn tables() -> [Table; 7] {
    let kubeflow =
        |api: &str| json!({"kubeflow": {"endpoint": "http://localhost:8888", "api": api}});
    let google = |kind: &str| json!({ kind: { "project": "acme", "location": "europe-west4" } });
    let github = json!({"github_actions": {"repository": "a/b", "auth": {"bearer": {"env": "T"}}}});
    let table = |name, states, config, run| Table { name, states, config, run };
    [
        table(
            "kfp-v2beta1",
            "states",
            kubeflow("v2beta1"),
            |state| json!({"run_id": "7", "state": state}),
        ),
        table(
            "kfp-v1beta1",
            "states",
            kubeflow("v1beta1"),
            |state| json!({"run": {"id": "7", "status": state}}),
        ),
        table(
            "vertex-ai",
            "states",
            google("vertex"),
            |state| json!({"name": "7", "state": state}),
        ),
        table(
            "cloud-build",
            "states",
            google("cloud_build"),
            |state| json!({"id": "7", "status": state}),
        ),
        table(
            "cloud-run-jobs",
            "states",
            google("cloud_run"),
            |state| json!({"name": "7", "conditions": [{"type": "Completed", "state": state}]}),
        ),
        table(
            "mage",
            "states",
            json!({"mage": {"endpoint": "http://localhost:6789"}}),
            |state| json!({"pipeline_run": {"id": 7, "status": state}}),
        ),
        table(
            "github-actions",
            "conclusion",
            github,
            |state| json!({"id": 7, "status": "completed", "conclusion": state}),
        ),
    ]
}

/// Asks for a run in every state the tables know, and in one they do not.
pub(crate) fn check_states(test: &str) {
    let Some(specs) = shared_data(test, "specs") else { return };
    let known = std::fs::read(specs.join("run-states.json")).unwrap();
    let known: Value = serde_json::from_slice(&known).unwrap();
    for table in tables() {
        let states = known[table.name][table.states].as_object().unwrap();
        assert!(!states.is_empty());
        for (native, expected) in states {
            check_state(&table, native, expected);
        }
        let (phase, message) = state(&table.config, &(table.run)("TELEPORTED"));
        assert_eq!(phase, Phase::Running, "{}", table.name);
        assert_eq!(message.unwrap(), "unknown state: state=`TELEPORTED`");
    }
    let by_status = known["github-actions"]["status"].as_object().unwrap();
    let github = &tables()[6];
    let run: fn(&str) -> Value = |status| json!({"id": 7, "status": status});
    let table = Table { name: github.name, states: "status", config: github.config.clone(), run };
    for (native, expected) in by_status.iter().filter(|(name, _)| *name != "completed") {
        check_state(&table, native, expected);
    }
}

fn check_state(table: &Table, native: &str, expected: &Value) {
    let (phase, message) = state(&table.config, &(table.run)(native));
    let is_unknown = message.is_some_and(|message| message.contains("unknown state"));
    assert!(!is_unknown, "{} {native} is not known", table.name);
    assert_eq!(phase.text(), expected[0], "{} {native}", table.name);
    assert_eq!(phase.is_terminal(), expected[1], "{} {native}", table.name);
}

fn state(config: &Value, run: &Value) -> (Phase, Option<String>) {
    let config: ServiceConfig = serde_json::from_value(config.clone()).unwrap();
    let call = config.open().unwrap().status(&ExternalRun { id: "7".to_owned(), url: None });
    let answer = Response { status: 200, body: run.to_string().into(), ..Response::default() };
    match call.read(Ok(answer)) {
        Step::Done(Some(Outcome::Status { phase, message })) => (phase, message),
        other @ (Step::Done(_) | Step::Send(_)) => panic!("not a state: {other:?}"),
    }
}
