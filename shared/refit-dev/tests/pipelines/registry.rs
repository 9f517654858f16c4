//! The model registry: versions of what runs made, and their stages.

use std::fs::{self, File};
use std::path::PathBuf;

use axum::body::Body;
use axum::http::{Request, header};
use refit_core::key::RunKey;
use refit_core::time::Span;
use refit_dev::pipelines::State;
use serde_json::{Value, json};
use url::Url;

use crate::world::{Open, World, id};

/// Makes a model and says how good it is.
const TRAIN: &str = r#"mkdir $REFIT_RUN_DIR/artifacts/plots
    echo "model $REFIT_RUN_KEY" >$REFIT_RUN_DIR/artifacts/model.json
    echo '{"accuracy": 0.97, "rows": 142, "name": "x", "nested": {"a": 1}}' >$REFIT_RUN_DIR/artifacts/metrics.json
    echo '<svg/>' >$REFIT_RUN_DIR/artifacts/plots/a.svg
    ln -s /etc/passwd $REFIT_RUN_DIR/artifacts/link"#;

fn key(number: u32) -> RunKey {
    id(number + 1000)
}

/// A service with runs of these numbers that succeeded.
async fn trained(world: &World, runs: &[u32]) -> Open {
    world.pipeline("churn", &[("train", TRAIN)]);
    let open = world.open().await;
    for &number in runs {
        let run = open.start(number, "churn").await;
        open.ends(run, State::Succeeded).await;
    }
    open
}

async fn register(open: &Open, number: u32) -> Value {
    let asked = json!({"key": key(number), "run": id(number)});
    let (status, version) = open.registry("POST", "churn/versions", &asked).await;
    assert_eq!(status, 200, "{version}");
    version
}

async fn place(open: &Open, stage: &str, version: &str) -> Value {
    let path = format!("churn/stages/{stage}");
    let (status, model) = open.registry("PUT", &path, &json!({ "version": version })).await;
    assert_eq!(status, 200, "{model}");
    model
}

async fn model(open: &Open) -> Value {
    let (status, model) = open.registry("GET", "churn", &Value::Null).await;
    assert_eq!(status, 200, "{model}");
    model
}

fn folder(version: &Value) -> PathBuf {
    Url::parse(version["uri"].as_str().unwrap()).unwrap().to_file_path().unwrap()
}

fn stages(model: &Value) -> Vec<(&str, Option<&str>)> {
    let versions = model["versions"].as_array().unwrap().iter();
    versions.map(|it| (it["version"].as_str().unwrap(), it["stage"].as_str())).collect()
}

#[tokio::test]
async fn a_version_is_a_copy_of_what_its_run_made() {
    let world = World::new();
    let open = trained(&world, &[1]).await;
    assert_eq!(model(&open).await, json!({"model": "churn", "versions": [], "stages": {}}));
    assert!(!world.path("service/registry").exists(), "looking makes nothing");
    let version = register(&open, 1).await;
    let uri = version["uri"].clone();
    let expected = json!({
        "version": "1", "key": key(1), "run": id(1), "created": version["created"], "stage": null,
        "metrics": {"accuracy": 0.97, "rows": 142}, "uri": uri,
    });
    assert_eq!(version, expected);
    assert!(uri.as_str().unwrap().ends_with("/registry/churn/versions/1"), "{uri}");
    let copied = |name: &str| folder(&version).join("artifacts").join(name);
    fs::remove_dir_all(open.service.folder(id(1)).join("artifacts")).unwrap();
    assert_eq!(fs::read_to_string(copied("model.json")).unwrap(), format!("model {}\n", id(1)));
    assert_eq!(fs::read_to_string(copied("plots/a.svg")).unwrap(), "<svg/>\n");
    assert!(!copied("link").exists(), "a link leads out of the run");
    let expected = json!({"model": "churn", "versions": [version], "stages": {}});
    assert_eq!(model(&open).await, expected);
}

#[tokio::test]
async fn the_same_key_is_the_same_version_however_many_ask() {
    let world = World::new();
    let open = trained(&world, &[1, 2]).await;
    let all = futures::future::join_all((0..8).map(|_| register(&open, 1))).await;
    assert!(all.iter().all(|version| *version == all[0]), "{all:?}");
    world.clock.advance(Span::secs(1));
    assert_eq!(register(&open, 2).await["version"], "2");
    assert_eq!(register(&open, 1).await, all[0]);
    assert_eq!(stages(&model(&open).await), [("1", None), ("2", None)]);
    let other = json!({"key": key(1), "run": id(2)});
    let (status, answer) = open.registry("POST", "churn/versions", &other).await;
    assert_eq!(status, 409);
    assert!(answer["error"].as_str().unwrap().contains("the key is that of another run"));
    let (_, elsewhere) =
        open.registry("POST", "other/versions", &json!({"key": key(1), "run": id(1)})).await;
    assert_eq!(elsewhere["version"], "1", "another model counts for itself");
}

#[tokio::test]
async fn a_stage_goes_from_version_to_version_and_who_loses_it_is_archived() {
    let world = World::new();
    let open = trained(&world, &[1, 2, 3]).await;
    for number in [1, 2, 3] {
        register(&open, number).await;
    }
    assert_eq!(open.service.current("churn").unwrap(), None);
    place(&open, "production", "1").await;
    let after = place(&open, "staging", "2").await;
    assert_eq!(after["stages"], json!({"production": "1", "staging": "2"}));
    assert_eq!(place(&open, "staging", "2").await, after, "the second time changes nothing");
    let after = place(&open, "production", "2").await;
    assert_eq!(after["stages"], json!({"production": "2"}));
    let expected = [("1", Some("archived")), ("2", Some("production")), ("3", None)];
    assert_eq!(stages(&after), expected);
    let current = open.service.current("churn").unwrap().unwrap();
    assert_eq!(current.version, "2");
    assert_eq!(current.folder, folder(&after["versions"][1]));
    let back = place(&open, "production", "1").await;
    let expected = [("1", Some("production")), ("2", Some("archived")), ("3", None)];
    assert_eq!(stages(&back), expected, "back again");
    assert_eq!(model(&open).await, back);
}

#[tokio::test]
async fn what_was_answered_outlives_the_service_and_what_a_crash_cut_short_is_gone() {
    let world = World::new();
    let open = trained(&world, &[1, 2]).await;
    register(&open, 1).await;
    let before = place(&open, "production", "1").await;
    open.close().await;
    let churn = world.path("service/registry/churn");
    fs::create_dir_all(churn.join("versions/.draft-2/artifacts")).unwrap();
    fs::write(churn.join("stages.draft"), "{\"v\":1,\"stag").unwrap();
    let open = world.open().await;
    assert_eq!(model(&open).await, before);
    assert_eq!(register(&open, 2).await["version"], "2");
    let after = place(&open, "staging", "2").await;
    assert_eq!(stages(&after), [("1", Some("production")), ("2", Some("staging"))]);
    assert!(!churn.join("versions/.draft-2").exists());
    open.service.shutdown().await;
    let asked = json!({"version": "1"});
    assert_eq!(open.registry("PUT", "churn/stages/staging", &asked).await.0, 503);
    assert_eq!(model(&open).await, after, "nothing is changed any more");
}

#[tokio::test]
async fn a_registry_of_a_later_version_is_not_touched() {
    let world = World::new();
    let open = trained(&world, &[1]).await;
    register(&open, 1).await;
    let path = world.path("service/registry/churn/stages.json");
    let text = r#"{"v":2,"staging":null,"production":null,"archived":[]}"#;
    fs::write(&path, text).unwrap();
    let (status, answer) =
        open.registry("PUT", "churn/stages/staging", &json!({"version": "1"})).await;
    assert_eq!(status, 503);
    assert!(answer["error"].as_str().unwrap().contains("stored by a later version: v=`2`"));
    assert_eq!(fs::read_to_string(&path).unwrap(), text);
}

#[tokio::test]
async fn what_is_wrong_is_refused_and_nothing_is_kept() {
    let world = World::new();
    world.pipeline("broken", &[("a", "exit 3")]);
    let open = trained(&world, &[1]).await;
    let failed = open.start(2, "broken").await;
    open.ends(failed, State::Failed).await;
    let good = json!({"key": key(1), "run": id(1)});
    let long = "x".repeat(64);
    for (path, body, status, words) in [
        ("Churn/versions", good.clone(), 400, "name of a model"),
        ("..%2Fchurn/versions", good.clone(), 400, "name of a model"),
        (".hidden/versions", good.clone(), 400, "name of a model"),
        (format!("{long}/versions").as_str(), good.clone(), 400, "name of a model"),
        ("churn/versions", json!({"key": "../x", "run": id(1)}), 400, "run key"),
        ("churn/versions", json!({"key": key(1)}), 400, "run"),
        ("churn/versions", json!({"key": key(1), "run": id(1), "stage": "x"}), 400, "stage"),
        ("churn/versions", json!([]), 400, "an object that asks for a version"),
        ("churn/versions", json!({"key": key(1), "run": id(9)}), 404, "no such run"),
        ("churn/versions", json!({"key": key(1), "run": "../x"}), 404, "no such run"),
        ("churn/versions", json!({"key": key(1), "run": id(2)}), 409, "has not succeeded"),
    ] {
        let (found, answer) = open.registry("POST", path, &body).await;
        assert_eq!(found, status, "{path} {body}: {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| error.contains(words)), "{answer}");
    }
    assert!(!world.path("service/registry").exists());
    register(&open, 1).await;
    for (path, body, status) in [
        ("churn/stages/staging", json!({"version": "2"}), 404),
        ("churn/stages/staging", json!({"version": "../1"}), 404),
        ("churn/stages/archived", json!({"version": "1"}), 404),
        ("churn/stages/staging", json!({"version": 1}), 400),
        ("other/stages/staging", json!({"version": "1"}), 404),
    ] {
        let (found, answer) = open.registry("PUT", path, &body).await;
        assert_eq!(found, status, "{path} {body}: {answer}");
    }
    assert_eq!(model(&open).await["stages"], json!({}));
}

#[tokio::test]
async fn a_run_that_made_too_much_is_no_version() {
    let world = World::new();
    let many = "for n in $(seq 1000); do : >$REFIT_RUN_DIR/artifacts/$n; done";
    world.pipeline("many", &[("a", many)]);
    let open = trained(&world, &[1]).await;
    let run = open.start(2, "many").await;
    open.ends(run, State::Succeeded).await;
    let file = File::create(open.service.folder(id(1)).join("artifacts/large")).unwrap();
    file.set_len((1 << 30) + 1).unwrap();
    for (number, words) in [(1, "made too much"), (2, "too many files")] {
        let asked = json!({"key": key(number), "run": id(number)});
        let (status, answer) = open.registry("POST", "churn/versions", &asked).await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer["error"].as_str().unwrap().contains(words), "{answer}");
    }
    assert_eq!(model(&open).await["versions"], json!([]));
}

#[tokio::test]
async fn metrics_that_cannot_be_read_are_none() {
    let world = World::new();
    for (number, text) in (1..).zip(["", "[1]", "{\"accuracy\": \"high\"}", "{\"a\": 1e999}"]) {
        let script = format!("printf '%s' '{text}' >$REFIT_RUN_DIR/artifacts/metrics.json");
        world.pipeline("odd", &[("a", &script)]);
        let open = world.open().await;
        let run = open.start(number, "odd").await;
        open.ends(run, State::Succeeded).await;
        assert_eq!(register(&open, number).await["metrics"], json!({}), "{text}");
        open.close().await;
    }
}

#[tokio::test]
async fn nobody_is_let_in_without_a_good_token() {
    let world = World::new();
    let open = trained(&world, &[]).await;
    for (method, path) in
        [("GET", "churn"), ("POST", "churn/versions"), ("PUT", "churn/stages/staging")]
    {
        for token in [None, Some("Bearer bad")] {
            let mut request =
                Request::builder().method(method).uri(format!("/registry/models/{path}"));
            if let Some(token) = token {
                request = request.header(header::AUTHORIZATION, token);
            }
            let (status, _) = open.send(request.body(Body::empty()).unwrap()).await;
            assert_eq!(status, 401, "{path} {token:?}");
        }
    }
}
