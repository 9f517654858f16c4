//! What the service answers.

use std::path::Path;

use axum::body::Body;
use axum::http::{Request, header};
use refit_core::error::ErrorKind;
use refit_dev::pipelines::{Pipelines, State};
use serde_json::{Value, json};

use crate::world::{World, id};

const DECLARED: &str = "
parameters: {manifest: {type: string}, rate: {type: double, default: 0.1}}
steps: [{name: a, command: ['true']}]
";

#[tokio::test]
async fn a_pipeline_is_described() {
    let world = World::new();
    world.definition("churn", DECLARED);
    world.definition("folder", "name: other\nsteps: [{name: a, command: ['true']}]");
    let open = world.open().await;
    let (status, churn) = open.ask("GET", "pipelines/churn", "").await;
    assert_eq!(status, 200);
    assert_eq!(churn["version"].as_str().map(str::len), Some(64));
    let parameters = json!({
        "manifest": {"type": "string", "optional": false},
        "rate": {"type": "double", "optional": true},
    });
    assert_eq!(churn["parameters"], parameters);
    let (_, other) = open.ask("GET", "pipelines/other", "").await;
    assert_eq!((&other["name"], &other["parameters"]), (&json!("other"), &Value::Null));
    assert_eq!(open.ask("GET", "pipelines/folder", "").await.0, 404);
    let all = (0..8).map(|_| open.ask("GET", "pipelines/churn", ""));
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(|(_, answer)| *answer == churn), "however many ask at once");
}

#[tokio::test]
async fn the_pipeline_of_the_demo_is_one() {
    let world = World::new();
    let mut config = world.config();
    config.pipelines =
        vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer")];
    let service = Pipelines::open(config).await.unwrap();
    let open = crate::world::Open { service };
    let (status, described) = open.ask("GET", "pipelines/breast-cancer", "").await;
    assert_eq!(status, 200, "{described}");
    let parameters = json!({
        "manifest": {"type": "string", "optional": false},
        "alpha": {"type": "double", "optional": true},
    });
    assert_eq!(described["parameters"], parameters);
}

#[tokio::test]
async fn a_pipeline_that_cannot_be_read_is_refused_with_the_place() {
    let world = World::new();
    world.definition("churn", "steps:\n  - name: a\n    comand: [sh]\n");
    let open = world.open().await;
    for (method, path, body) in [
        ("GET", "pipelines/churn", String::new()),
        ("POST", "runs", json!({"id": id(1), "pipeline": "churn"}).to_string()),
    ] {
        let (status, answer) = open.ask(method, path, &body).await;
        assert_eq!(status, 422);
        let message = answer["error"].as_str().unwrap();
        assert!(message.contains("did you mean `command`?"), "{message}");
        assert!(message.contains("churn/pipeline.yaml:3:5`"), "{message}");
    }
}

#[tokio::test]
async fn the_same_request_is_the_same_run_and_another_is_a_conflict() {
    let world = World::new();
    world.definition("churn", DECLARED);
    let open = world.open().await;
    let asked = json!({"id": id(1), "pipeline": "churn", "parameters": {"manifest": "m"}, "labels": {"a": "b"}});
    let (status, first) = open.ask("POST", "runs", &asked.to_string()).await;
    assert_eq!((status.as_u16(), &first["id"]), (201, &json!(id(1))));
    let ended = open.ends(id(1), State::Succeeded).await;
    let (status, again) = open.ask("POST", "runs", &asked.to_string()).await;
    assert_eq!((status.as_u16(), again), (200, json!(ended)));
    for (field, value) in [
        ("parameters", json!({"manifest": "n"})),
        ("labels", json!({})),
        ("version", json!("0")),
        ("pipeline", json!("other")),
    ] {
        let mut other = asked.clone();
        other[field] = value;
        let (status, answer) = open.ask("POST", "runs", &other.to_string()).await;
        assert_eq!(status, 409, "{field}: {answer}");
    }
    assert_eq!(open.service.runs(10).len(), 1);
}

#[tokio::test]
async fn racing_requests_of_one_id_start_one_run() {
    let world = World::new();
    world.pipeline("churn", &[("a", "echo x >>$REFIT_BUCKETS/marks")]);
    let open = world.open().await;
    let asked = json!({"id": id(1), "pipeline": "churn"}).to_string();
    let answers = futures::future::join_all((0..8).map(|_| open.ask("POST", "runs", &asked))).await;
    let new = answers.iter().filter(|(status, _)| status.as_u16() == 201).count();
    let same = answers.iter().filter(|(status, _)| status.as_u16() == 200).count();
    assert_eq!((new, same), (1, 7));
    open.ends(id(1), State::Succeeded).await;
    assert_eq!(world.marks("marks"), 1);
}

#[tokio::test]
async fn a_request_that_is_wrong_is_refused_and_nothing_is_kept() {
    let world = World::new();
    world.definition("churn", DECLARED);
    let open = world.open().await;
    let with =
        |parameters: Value| json!({"id": id(1), "pipeline": "churn", "parameters": parameters});
    let good = json!({"manifest": "m"});
    for (body, status, words) in [
        (json!({"id": "../../x", "pipeline": "churn", "parameters": good}), 400, "run key"),
        (json!({"id": "rf-1", "pipeline": "churn", "parameters": good}), 400, "32 hexadecimal"),
        (json!({"pipeline": "churn"}), 400, "id"),
        (json!({"id": id(1), "pipeline": "churn", "parametres": {}}), 400, "parametres"),
        (json!({"id": id(1), "pipeline": "churn", "parameters": []}), 400, "map"),
        (json!([]), 400, "an object that asks for a run"),
        (with(json!({})), 400, "parameter `manifest` is missing"),
        (with(json!({"manifest": 1})), 400, "parameter `manifest` is no string"),
        (with(json!({"manifest": "m", "rte": 1})), 400, "unknown parameter `rte`"),
        (json!({"id": id(1), "pipeline": "absent"}), 404, "pipeline=`absent`"),
        (json!({"id": id(1), "pipeline": "../pipelines/churn"}), 404, "no such pipeline"),
        (json!({"id": id(1), "pipeline": "churn", "version": "../x"}), 404, "no such version"),
        (
            json!({"id": id(1), "pipeline": "churn", "version": "0".repeat(64)}),
            404,
            "no such version",
        ),
    ] {
        let (found, answer) = open.ask("POST", "runs", &body.to_string()).await;
        assert_eq!(found, status, "{body}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(words)), "{answer}");
    }
    let (status, answer) = open.ask("POST", "runs", "not json").await;
    assert_eq!((status.as_u16(), answer["error"].is_string()), (400, true));
    let (status, answer) = open.ask("POST", "runs", &" ".repeat((1 << 20) + 1)).await;
    assert_eq!((status.as_u16(), answer["error"].is_string()), (413, true));
    assert!(open.service.runs(10).is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_found_wherever_the_path_points() {
    let world = World::new();
    world.pipeline("churn", &[("a", "true")]);
    let open = world.open().await;
    let run = open.start(1, "churn").await;
    open.ends(run, State::Succeeded).await;
    for (method, path) in [
        ("GET", "pipelines/absent".to_owned()),
        ("GET", "pipelines/..%2Fpipelines%2Fchurn".to_owned()),
        ("GET", format!("runs/{}", id(2))),
        ("GET", "runs/..%2F..%2Fservice".to_owned()),
        ("GET", "runs/..%2F..%2Fservice/logs".to_owned()),
        ("GET", format!("runs/{run}/logs?step=b")),
        ("GET", format!("runs/{run}/logs?step=../request")),
        ("POST", format!("runs/{}:cancel", id(2))),
        ("POST", format!("runs/{run}:explode")),
        ("POST", format!("runs/{run}")),
    ] {
        let (status, answer) = open.ask(method, &path, "").await;
        assert_eq!((status.as_u16(), answer["error"].is_string()), (404, true), "{path}: {answer}");
    }
}

#[tokio::test]
async fn runs_are_listed_newest_first() {
    let world = World::new();
    world.pipeline("churn", &[("a", "echo hello")]);
    let open = world.open().await;
    for number in [3, 1, 2] {
        world.clock.advance(refit_core::time::Span::secs(1));
        let run = open.start(number, "churn").await;
        open.ends(run, State::Succeeded).await;
    }
    let ids = |answer: &Value| -> Vec<_> {
        answer["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()).collect()
    };
    let (_, answer) = open.ask("GET", "runs", "").await;
    assert_eq!(ids(&answer), [2, 1, 3].map(|number| json!(id(number))));
    let (_, answer) = open.ask("GET", "runs?limit=1", "").await;
    assert_eq!(ids(&answer), [json!(id(2))]);
    let (status, answer) = open.ask("GET", "runs?limit=many", "").await;
    assert_eq!((status.as_u16(), answer["error"].is_string()), (400, true));
    assert_eq!(open.ask("GET", &format!("runs/{}/logs", id(2)), "").await.1, "hello\n");
}

#[tokio::test]
async fn nobody_is_let_in_without_a_good_token() {
    let world = World::new();
    world.pipeline("churn", &[("a", "echo hello")]);
    let open = world.open().await;
    let run = open.start(1, "churn").await;
    open.ends(run, State::Succeeded).await;
    let paths = [
        ("GET", "pipelines/churn".to_owned()),
        ("GET", "runs".to_owned()),
        ("POST", "runs".to_owned()),
        ("GET", format!("runs/{run}")),
        ("POST", format!("runs/{run}:cancel")),
        ("GET", format!("runs/{run}/logs")),
    ];
    for (method, path) in paths {
        for token in [None, Some("Bearer bad"), Some("Bearer "), Some("good"), Some("Basic good")] {
            let mut request =
                Request::builder().method(method).uri(format!("/apis/local/v1/{path}"));
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, token);
            }
            let (status, answer) = open.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(
                (status.as_u16(), answer["error"].is_string()),
                (401, true),
                "{path} {token:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_pinned_version_runs_as_it_was() {
    let world = World::new();
    world.pipeline("churn", &[("a", "echo old")]);
    let open = world.open().await;
    let (_, old) = open.ask("GET", "pipelines/churn", "").await;
    world.pipeline("churn", &[("a", "echo new")]);
    let (_, new) = open.ask("GET", "pipelines/churn", "").await;
    assert_ne!(old["version"], new["version"]);
    for (number, version, said) in [(1, &old["version"], "old\n"), (2, &Value::Null, "new\n")] {
        let asked = json!({"id": id(number), "pipeline": "churn", "version": version});
        let (status, run) = open.ask("POST", "runs", &asked.to_string()).await;
        assert_eq!(status, 201, "{run}");
        open.ends(id(number), State::Succeeded).await;
        assert_eq!(open.log(id(number), "a").await, said);
    }
    let asked = json!({"id": id(3), "pipeline": "other", "version": old["version"]});
    assert_eq!(open.ask("POST", "runs", &asked.to_string()).await.0, 404, "another's version");
}

#[tokio::test]
async fn two_services_do_not_share_a_folder() {
    let world = World::new();
    let open = world.open().await;
    let second = Pipelines::open(world.config()).await;
    assert_eq!(second.err().map(|error| error.kind()), Some(ErrorKind::Conflict));
    open.close().await;
    world.open().await;
}
