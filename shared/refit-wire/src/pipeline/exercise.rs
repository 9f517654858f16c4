//! The service that `docs/new-service.md` adds: its file and its row, as they stand there.

use refit_core::run::Phase;
use serde_json::json;

use super::*;
use crate::http::{Reply, Request, Response};

#[path = "../../../../docs/new-service/airflow.rs"]
pub mod airflow;

services! {
    /// Airflow, by its DAGs.
    Airflow: airflow,
}

const KEY: &str = "rf-00112233445566778899aabbccddeeff";

fn service() -> Box<dyn PipelineService> {
    let written = json!({ "airflow": { "endpoint": "http://airflow.prod.svc:8080" } });
    serde_json::from_value::<ServiceConfig>(written).unwrap().open().unwrap()
}

/// What is asked, answer by answer, and what comes of it.
fn follow<T>(mut step: Step<T>, answers: &[(u16, Value)]) -> (Vec<Request>, T) {
    let mut asked = Vec::new();
    let mut answers = answers.iter();
    loop {
        match step {
            Step::Done(result) => return (asked, result),
            Step::Send(call) => {
                asked.push(Request::clone(&call.request));
                let (status, body) = answers.next().expect("an answer is left");
                step = call.read(reply(*status, body));
            }
        }
    }
}

fn reply(status: u16, body: &Value) -> Reply {
    Ok(Response { status, body: body.to_string().into(), ..Response::default() })
}

fn with_launch<T>(ask: impl FnOnce(&Launch<'_>) -> T) -> T {
    let (target, parameters) = (json!({ "dag": "churn" }), json!({ "rate": 0.1 }));
    ask(&Launch {
        key: KEY.parse().unwrap(),
        trigger: "churn-new-data",
        batch: "b12",
        target: &target,
        parameters: &parameters,
        cache: false,
        since: Timestamp::EPOCH,
    })
}

fn run(state: &str) -> Value {
    json!({ "dag_run_id": KEY, "dag_id": "churn", "state": state })
}

fn ours() -> ExternalRun {
    ExternalRun { id: format!("churn/{KEY}"), url: None }
}

#[test]
fn a_start_is_made_under_the_key_and_one_that_was_made_is_adopted() {
    let start = || with_launch(|launch| service().start(launch));
    let (asked, outcome) = follow(start(), &[(200, run("queued"))]);
    assert_eq!(outcome, Outcome::Started(ours()));
    assert_eq!(asked[0].url.path(), "/api/v2/dags/churn/dagRuns");
    let taken = (409, json!({ "detail": "The DAGRun already exists" }));
    let (_, outcome) = follow(start(), &[taken.clone(), (200, run("running"))]);
    assert_eq!(outcome, Outcome::Found(ours()));
    let (_, outcome) = follow(start(), &[taken, (503, json!({}))]);
    assert_eq!(outcome, Outcome::Unclear("the run cannot be read".to_owned()));
}

#[test]
fn a_run_is_found_by_its_key_alone() {
    let find = || Step::Send(with_launch(|launch| service().find(launch).unwrap()));
    assert_eq!(follow(find(), &[(200, run("running"))]).1, Some(Outcome::Found(ours())));
    let missing = json!({ "detail": "The DagRun was not found" });
    assert_eq!(follow(find(), &[(404, missing)]).1, Some(Outcome::Absent));
    assert_eq!(follow(find(), &[(404, json!({}))]).1, None, "a proxy's");
    assert_eq!(follow(find(), &[(200, json!({ "dag_run_id": "manual" }))]).1, None);
}

#[test]
fn a_dag_that_is_paused_is_not_started() {
    let prepare = || service().prepare(&json!({ "dag": "churn" }));
    let (_, prepared) = follow(prepare(), &[(200, json!({ "is_paused": true }))]);
    assert_eq!(prepared.unwrap_err(), "the DAG is paused: dag=`churn`");
    let (_, prepared) = follow(prepare(), &[(200, json!({ "is_paused": false }))]);
    assert_eq!(prepared.unwrap().target, json!({ "dag": "churn" }));
}

#[test]
fn every_state_is_known() {
    let states = [
        ("queued", Phase::Pending),
        ("running", Phase::Running),
        ("success", Phase::Succeeded),
        ("failed", Phase::Failed),
    ];
    for (state, phase) in states {
        let step = Step::Send(service().status(&ours()));
        let known = Some(Outcome::Status { phase, message: None });
        assert_eq!(follow(step, &[(200, run(state))]).1, known, "{state}");
    }
    let step = Step::Send(service().status(&ours()));
    let unknown = "unknown state: state=`melted`".to_owned();
    let goes_on = Outcome::Status { phase: Phase::Running, message: Some(unknown) };
    assert_eq!(follow(step, &[(200, run("melted"))]).1, Some(goes_on));
}

#[test]
fn every_request_is_one_that_airflow_describes() {
    let test = "every_request_is_one_that_airflow_describes";
    let Some(specs) = refit_testkit::shared::shared_data(test, "specs") else { return };
    let mut asked = follow(Step::Send(service().status(&ours())), &[(200, run("running"))]).0;
    asked.extend(follow(with_launch(|it| service().start(it)), &[(200, run("queued"))]).0);
    asked.extend(follow(Step::Send(service().cancel(&ours()).unwrap()), &[(200, run("failed"))]).0);
    asked.extend(follow(service().prepare(&json!({ "dag": "churn" })), &[(200, json!({}))]).0);
    let spec = refit_testkit::spec::Swagger::read(&specs.join("airflow-3-api-v2.trimmed.json"));
    for request in asked {
        let query: Vec<_> = request.url.query_pairs().into_owned().collect();
        let body: Option<Value> = serde_json::from_slice(&request.body).ok();
        let faults = spec.check_request(refit_testkit::spec::Asked {
            method: request.method.as_str(),
            path: request.url.path(),
            query: &query,
            body: body.as_ref(),
        });
        assert_eq!(faults, "", "{} {}", request.method, request.url);
    }
}

#[test]
fn the_page_shows_the_row() {
    let page = include_str!("../../../../docs/new-service.md");
    assert!(page.contains("    /// Airflow, by its DAGs.\n    Airflow: airflow,\n"));
}
