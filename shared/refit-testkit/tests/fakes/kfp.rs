//! The server of Kubeflow Pipelines does the harm the real one does.

use refit_testkit::fake::client::{Reply, call};
use refit_testkit::fake::kfp::{Ask, Judge, Kfp, Options, Phase, Trouble};
use serde_json::{Value, json};

const ID: &str = "00112233-4455-6677-8899-aabbccddeeff";
const JSON: &str = "content-type: application/json\r\n";

fn kfp(options: Options) -> Kfp {
    let kfp = Kfp::start(options);
    kfp.add_pipeline("churn", &[("manifest", "STRING"), ("files", "NUMBER_INTEGER")]);
    kfp
}

fn place(kfp: &Kfp) -> String {
    kfp.url().replace("http://", "")
}

async fn get(kfp: &Kfp, path: &str) -> Reply {
    call(&place(kfp), &format!("GET /apis/{path}"), "", b"").await.unwrap()
}

async fn post(kfp: &Kfp, path: &str, body: &Value) -> std::io::Result<Reply> {
    let line = format!("POST /apis/{path}");
    call(&place(kfp), &line, JSON, body.to_string().as_bytes()).await
}

/// A server with an experiment.
async fn ready(options: Options) -> Kfp {
    let kfp = kfp(options);
    let made = post(&kfp, "v2beta1/experiments", &json!({ "display_name": "Default" })).await;
    assert_eq!(made.unwrap().json()["experiment_id"], "e-1");
    kfp
}

fn start() -> Value {
    json!({
        "run_id": ID,
        "experiment_id": "e-1",
        "display_name": "churn 1",
        "pipeline_version_reference": { "pipeline_id": "p-1", "pipeline_version_id": "v-1" },
        "runtime_config": { "parameters": { "manifest": "gs://a/b", "files": 2 } },
    })
}

fn start_v1() -> Value {
    let reference = |kind: &str, id: &str, relationship: &str| json!({ "key": { "type": kind, "id": id }, "relationship": relationship });
    json!({
        "name": "churn 1",
        "pipeline_spec": { "parameters": [
            { "name": "manifest", "value": "gs://a/b" }, { "name": "files", "value": "2" },
        ] },
        "resource_references": [
            reference("EXPERIMENT", "e-1", "OWNER"),
            reference("PIPELINE_VERSION", "v-1", "CREATOR"),
        ],
    })
}

#[tokio::test]
async fn a_second_start_under_one_id_leaves_a_shadow() {
    let kfp = ready(Options::default()).await;
    let first = post(&kfp, "v2beta1/runs", &start()).await.unwrap();
    assert_eq!((first.status, first.json()["run_id"].as_str()), (200, Some(ID)));
    let second = post(&kfp, "v2beta1/runs", &start()).await.unwrap();
    assert_eq!(second.status, 500, "{}", second.body);
    let shadows: Vec<bool> = kfp.runs().iter().map(|run| run.shadow).collect();
    assert_eq!(shadows, [false, true]);
}

#[tokio::test]
async fn an_older_server_makes_up_ids_so_that_a_second_start_is_a_second_run() {
    let kfp = ready(Options { ids_ignored: true, ..Options::default() }).await;
    for (path, body) in
        [("v2beta1/runs", start()), ("v1beta1/runs", start_v1()), ("v1beta1/runs", start_v1())]
    {
        assert_eq!(post(&kfp, path, &body).await.unwrap().status, 200);
    }
    let runs = kfp.runs();
    assert!(runs.iter().all(|run| !run.shadow && run.id != ID), "{runs:?}");
    assert_eq!(runs.len(), 3);
    assert_eq!(get(&kfp, &format!("v2beta1/runs/{ID}")).await.status, 404);
}

#[tokio::test]
async fn a_run_goes_on_as_it_is_looked_at_and_one_that_is_ended_fails() {
    let kfp = ready(Options { looks: Some(3), ..Options::default() }).await;
    let path = format!("v2beta1/runs/{ID}");
    let started = post(&kfp, "v2beta1/runs", &start()).await.unwrap();
    assert_eq!(started.json()["state"], "PENDING");
    let mut states = Vec::new();
    for _ in 0..4 {
        states.push(get(&kfp, &path).await.json()["state"].clone());
    }
    assert_eq!(states, ["RUNNING", "RUNNING", "SUCCEEDED", "SUCCEEDED"]);
    let over = post(&kfp, &format!("{path}:terminate"), &Value::Null).await.unwrap();
    assert_eq!(over.status, 400, "{}", over.body);

    let kfp = ready(Options { looks: None, ..Options::default() }).await;
    post(&kfp, "v2beta1/runs", &start()).await.unwrap();
    assert_eq!(get(&kfp, &path).await.json()["state"], "RUNNING");
    let told = post(&kfp, &format!("{path}:terminate"), &Value::Null).await.unwrap();
    assert_eq!((told.status, kfp.runs()[0].phase()), (200, Phase::Canceling));
    let ended = get(&kfp, &path).await.json();
    assert_eq!(ended["state"], "FAILED");
    assert_eq!(ended["state_history"][2]["state"], "CANCELING");
}

#[tokio::test]
async fn starts_that_are_wrong_are_refused_and_start_nothing() {
    let kfp = ready(Options::default()).await;
    let with = |path: &str, value: Value| {
        let mut body = start();
        *body.pointer_mut(path).unwrap() = value;
        body
    };
    let mut unknown = start();
    unknown["plugins_input"] = json!({});
    let long = "x".repeat(10_001);
    for (body, status, words) in [
        (unknown, 400, "unknown field"),
        (with("/runtime_config/parameters/files", json!("2")), 400, "of another type"),
        (with("/runtime_config/parameters", json!({ "files": 2 })), 400, "manifest is missing"),
        (with("/runtime_config/parameters/manifest", json!(long)), 400, "larger"),
        (with("/pipeline_version_reference/pipeline_version_id", json!("v-9")), 500, "not found"),
        (with("/experiment_id", json!("e-9")), 404, "not found"),
        (with("/display_name", json!("")), 500, "Invalid input error"),
        (Value::Null, 400, "no JSON"),
    ] {
        let reply = post(&kfp, "v2beta1/runs", &body).await.unwrap();
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.body.contains(words), "{body}: {}", reply.body);
    }
    let mut wrong = start_v1();
    wrong["pipeline_spec"]["parameters"][0]["name"] = json!("other");
    assert_eq!(post(&kfp, "v1beta1/runs", &wrong).await.unwrap().status, 400);
    assert_eq!(kfp.runs(), []);
}

#[tokio::test]
async fn a_filter_is_decoded_twice() {
    let kfp = ready(Options::default()).await;
    let made = post(&kfp, "v2beta1/experiments", &json!({ "display_name": "a+b%" })).await;
    assert_eq!(made.unwrap().status, 200);
    let find = |value: &str| {
        let filter = json!({ "predicates": [
            { "operation": "EQUALS", "key": "display_name", "string_value": value },
        ] });
        let filter = filter.to_string().replace("\\\\u", "\\u");
        let coded: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        format!("v2beta1/experiments?filter={coded}")
    };
    let once = get(&kfp, &find("a+b%25")).await;
    assert_eq!(once.json(), json!({}), "a plus became a space");
    assert_eq!(get(&kfp, &find("a+b%")).await.status, 400, "a lone percent cannot be decoded");
    let escaped = get(&kfp, &find("a\\u002bb\\u0025")).await;
    assert_eq!(escaped.json()["experiments"][0]["display_name"], "a+b%");
}

#[tokio::test]
async fn whoever_has_no_good_token_gets_a_page_to_log_in() {
    let judge: Judge = std::sync::Arc::new(|token: &str| token == "good");
    for login_status in [200, 401] {
        let options = Options {
            judge: Some(std::sync::Arc::clone(&judge)),
            login_status,
            ..Options::default()
        };
        let kfp = kfp(options);
        for headers in ["", "authorization: Bearer bad\r\n"] {
            let line = "GET /apis/v2beta1/pipelines/p-1";
            let reply = call(&place(&kfp), line, headers, b"").await.unwrap();
            assert_eq!(reply.status, login_status);
            assert!(reply.body.contains("Sign in"), "{}", reply.body);
        }
        let good = "authorization: Bearer good\r\n";
        let reply = call(&place(&kfp), "GET /apis/v2beta1/pipelines/p-1", good, b"").await.unwrap();
        assert_eq!(reply.json()["display_name"], "churn");
    }
}

#[tokio::test]
async fn troubles_come_in_line_each_with_its_effect_or_without() {
    for (trouble, status, runs) in [
        (Trouble::Unavailable, Some(503), 0),
        (Trouble::TooMany(7), Some(429), 0),
        (Trouble::Closed, None, 0),
        (Trouble::AnswerLost, None, 1),
        (Trouble::FailedAfter, Some(500), 1),
    ] {
        let kfp = ready(Options::default()).await;
        kfp.trouble(Ask::Start, trouble);
        let reply = post(&kfp, "v2beta1/runs", &start()).await;
        assert_eq!(reply.as_ref().ok().map(|reply| reply.status), status, "{trouble:?}");
        assert_eq!(kfp.runs().len(), runs, "{trouble:?}");
        if trouble == Trouble::TooMany(7) {
            assert!(reply.unwrap().head.contains("retry-after: 7"));
        }
        let next = post(&kfp, "v1beta1/runs", &start_v1()).await.unwrap();
        assert_eq!(next.status, 200, "after {trouble:?} all is well");
    }
}

#[tokio::test]
async fn a_request_that_is_held_takes_effect_at_once_or_late() {
    for (trouble, at_once) in [(Trouble::Hang, 1), (Trouble::Late, 0)] {
        let kfp = ready(Options::default()).await;
        kfp.trouble(Ask::Start, trouble);
        let body = start();
        let asking = post(&kfp, "v2beta1/runs", &body);
        tokio::select! {
            reply = asking => panic!("answered: {reply:?}"),
            () = kfp.held(1) => {}
        }
        assert_eq!(kfp.runs().len(), at_once, "{trouble:?}");
        kfp.release();
        // Whoever asked is gone; what is late comes nevertheless.
        while kfp.runs().is_empty() {
            tokio::task::yield_now().await;
        }
        assert_eq!(kfp.runs().len(), 1);
    }
}

#[tokio::test]
async fn a_run_may_be_hidden_from_looks() {
    let kfp = ready(Options::default()).await;
    kfp.hide_next(2);
    post(&kfp, "v2beta1/runs", &start()).await.unwrap();
    let listed = get(&kfp, "v2beta1/runs?experiment_id=e-1").await.json();
    assert_eq!(listed, json!({}));
    let path = format!("v2beta1/runs/{ID}");
    let [second, third] = [get(&kfp, &path).await, get(&kfp, &path).await];
    assert_eq!((second.status, third.status), (404, 200));
}

#[tokio::test]
async fn a_server_that_is_closed_refuses_connections_until_it_opens() {
    let kfp = Kfp::closed(Options::default());
    let refused = call(&place(&kfp), "GET /apis/v2beta1/experiments", "", b"").await;
    assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    kfp.open();
    assert_eq!(get(&kfp, "v2beta1/experiments").await.status, 200);
    assert_eq!(kfp.seen().len(), 1);
}
