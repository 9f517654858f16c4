//! Checks what is said against the published descriptions of the services.

use std::path::Path;

use percent_encoding::percent_decode_str;
use refit_core::plan::Outcome;
use refit_core::run::{ExternalRun, Phase};
use refit_testkit::shared::shared_data;
use refit_testkit::spec::{Asked, Swagger};
use refit_wire::call::Step;
use refit_wire::http::{Reply, Request, Response};
use refit_wire::pipeline::ServiceConfig;
use serde_json::{Value, json};

use crate::exchange::Played;

/// Checks every request, and every answer that is the service's, against its description.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn check(test: &str, played: &[Played]) {
    let Some(specs) = shared_data("specs") else {
        return println!("skipped: {test}: the descriptions of the services are not here");
    };
    let apis =
        [Api::read(&specs, "v2beta1", "v2beta1Filter"), Api::read(&specs, "v1beta1", "apiFilter")];
    let mut checked = 0;
    for case in played {
        for (request, reply) in &case.said {
            let path = request.url.path();
            let api = apis.iter().find(|api| path.contains(&format!("/apis/{}/", api.name)));
            let faults = api.expect("one of the two APIs").faults(request, reply);
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
}

struct Api {
    name: &'static str,
    rest: Swagger,
    filters: Swagger,
    filter: &'static str,
}

impl Api {
    fn read(specs: &Path, name: &'static str, filter: &'static str) -> Self {
        Self {
            name,
            rest: Swagger::read(&specs.join(format!("kfp-{name}.swagger.json"))),
            filters: Swagger::read(&specs.join(format!("kfp-{name}-filter.swagger.json"))),
            filter,
        }
    }

    fn faults(&self, request: &Request, reply: &Reply) -> String {
        let path = request.url.path();
        let path = path.find("/apis/").map_or("", |at| &path[at..]);
        let query: Vec<(String, String)> = request.url.query_pairs().into_owned().collect();
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let method = request.method.as_str();
        let asked = Asked { method, path, query: &query, body: body.as_ref() };
        let mut faults = self.rest.check_request(asked);
        if let Some((_, filter)) = query.iter().find(|(name, _)| name == "filter") {
            faults.push_str(&self.filter_faults(filter));
        }
        if let Ok(Response { status: status @ 200, body, .. }) = reply
            && let Ok(body) = serde_json::from_slice::<Value>(body)
        {
            faults.push_str(&self.rest.check_answer(asked, *status, &body));
        }
        faults
    }

    /// The server decodes a filter once more than the rest of the query.
    fn filter_faults(&self, filter: &str) -> String {
        let spaced = filter.replace('+', " ");
        let decoded = percent_decode_str(&spaced).decode_utf8().expect("a filter is text");
        match (serde_json::from_str::<Value>(filter), serde_json::from_str::<Value>(&decoded)) {
            (Ok(once), Ok(twice)) if once == twice => self.filters.check_value(self.filter, &twice),
            _ => format!("a filter does not survive being decoded twice: {filter}\n"),
        }
    }
}

/// Asks for a run in every state the tables know, and in one they do not.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn check_states(test: &str) {
    let Some(specs) = shared_data("specs") else {
        return println!("skipped: {test}: the tables of states are not here");
    };
    let tables = std::fs::read(specs.join("run-states.json")).unwrap();
    let tables: Value = serde_json::from_slice(&tables).unwrap();
    for api in ["v2beta1", "v1beta1"] {
        let states = tables[format!("kfp-{api}")]["states"].as_object().unwrap();
        assert!(!states.is_empty());
        for (native, expected) in states {
            let (phase, message) = state(api, native);
            let is_unknown = message.is_some_and(|message| message.contains("unknown"));
            assert!(!is_unknown, "{api} {native} is not known");
            assert_eq!(phase.text(), expected[0], "{api} {native}");
            assert_eq!(phase.is_terminal(), expected[1], "{api} {native}");
        }
        let (phase, message) = state(api, "TELEPORTED");
        assert_eq!(phase, Phase::Running);
        assert_eq!(message.unwrap(), "unknown state: state=`TELEPORTED`");
    }
}

fn state(api: &str, native: &str) -> (Phase, Option<String>) {
    let config = json!({"kubeflow": {"endpoint": "http://localhost:8888", "api": api}});
    let config: ServiceConfig = serde_json::from_value(config).unwrap();
    let body = match api {
        "v1beta1" => json!({"run": {"id": "7", "status": native}}),
        _ => json!({"run_id": "7", "state": native}),
    };
    let call = config.open().unwrap().status(&ExternalRun { id: "7".to_owned(), url: None });
    let answer = Response { status: 200, body: body.to_string().into(), ..Response::default() };
    match call.read(Ok(answer)) {
        Step::Done(Some(Outcome::Status { phase, message })) => (phase, message),
        other @ (Step::Done(_) | Step::Send(_)) => panic!("not a state: {other:?}"),
    }
}
