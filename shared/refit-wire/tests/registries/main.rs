//! Recorded exchanges with registries of models: what is asked, what is answered, and what is made of it.
//!
//! A file below `testdata/registries/<kind>` holds cases as text, as those of pipeline services do. The exchanges are
//! our own, with made-up values in documented fields.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod exchange;
#[path = "../said/mod.rs"]
mod said;
mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use http::Method;
use refit_wire::registry::RegistryConfig;
use serde_json::{Value, json};

use crate::said::Played;

fn recordings(kind: &str) -> BTreeSet<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/registries").join(kind);
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

/// Plays everything recorded with a registry, and returns what was said.
fn play(kind: &str) -> Vec<Played> {
    let mut all = Vec::new();
    for file in recordings(kind) {
        let text = fs::read_to_string(&file).unwrap();
        let (played, again) = exchange::play(&text);
        expect_file![file].assert_eq(&again);
        all.extend(played);
    }
    assert!(!all.is_empty(), "nothing is recorded for {kind}");
    all
}

/// Whether a request changes nothing, also where it is a POST.
fn is_read(case: &Played, at: usize) -> bool {
    let (request, _) = &case.said[at];
    request.method == Method::GET || request.url.path().ends_with("/search")
}

/// What holds for every registry: looking changes nothing, and a version is created by the last request.
fn check_all(played: &[Played]) {
    for case in played {
        let writes: Vec<usize> = (0..case.said.len()).filter(|at| !is_read(case, *at)).collect();
        match case.verb.as_str() {
            "find" | "stages" | "look_up" | "has_stage" => {
                assert!(writes.is_empty(), "{}: looking changes nothing", case.title);
            }
            "create" | "register" => {
                let is_version = |at: &&usize| {
                    let path = case.said[**at].0.url.path();
                    ["/versions", "model-versions/create", "models:upload"]
                        .iter()
                        .any(|end| path.ends_with(end))
                };
                let created: Vec<&usize> = writes.iter().filter(is_version).collect();
                assert!(created.len() <= 1, "{}: a version is created once", case.title);
                let comes_last = created.iter().all(|at| **at + 1 == case.said.len());
                assert!(comes_last, "{}: creating comes last", case.title);
            }
            _ => {}
        }
    }
}

#[test]
fn local_is_asked_and_understood_as_recorded() {
    check_all(&play("local"));
}

#[test]
fn mlflow_is_asked_and_understood_as_recorded() {
    let played = play("mlflow");
    check_all(&played);
    contract::check("mlflow_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn vertex_is_asked_and_understood_as_recorded() {
    let played = play("vertex");
    check_all(&played);
    contract::check_vertex("vertex_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let mlflow = |settings: Value| json!({ "mlflow": settings });
    let vertex = |settings: Value| json!({ "vertex": settings });
    let of_acme = |artifacts: &str, image: &str| {
        json!({
            "project": "acme", "location": "europe-west4", "artifacts": artifacts, "image": image,
        })
    };
    let cases = [
        (json!({"local": {"endpoint": "http://10.0.0.1"}}), "on this machine"),
        (json!({"local": {"folder": "x"}}), "unknown field `folder`"),
        (mlflow(json!({"endpoint": "http://localhost"})), "missing field `experiment`"),
        (mlflow(json!({"endpoint": "http://localhost", "experiment": ""})), "is empty"),
        (mlflow(json!({"endpoint": "https://m.acme.example", "experiment": "e"})), "`auth`"),
        (mlflow(json!({"endpoint": "http://m.acme.example", "experiment": "e"})), "private hosts"),
        (vertex(json!({"location": "europe-west4"})), "missing field `project`"),
        (vertex(of_acme("acme-models/churn", "i")), "a folder of a bucket"),
        (vertex(of_acme("gs://acme-models", "i")), "a folder of a bucket"),
        (vertex(of_acme("gs://acme-models/churn", "")), "is empty"),
        (json!({"sagemaker": {}}), "unknown variant `sagemaker`"),
    ];
    for (written, fault) in cases {
        let error = match serde_json::from_value::<RegistryConfig>(written.clone()) {
            Ok(config) => config.open().map(|_| ()).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(fault), "{written}: {error}");
    }
}

#[test]
fn a_registry_says_what_it_takes() {
    let local: RegistryConfig = serde_json::from_value(json!({"local": {}})).unwrap();
    let mlflow = json!({"mlflow": {"endpoint": "http://localhost:5000", "experiment": "churn"}});
    let mlflow: RegistryConfig = serde_json::from_value(mlflow).unwrap();
    assert!(local.takes("local", "a.b_c").is_ok() && local.takes("local", "A").is_err());
    assert!(local.takes("kubeflow", "a").is_err() && mlflow.takes("kubeflow", "A").is_ok());
    let vertex = json!({"vertex": {
        "project": "acme", "location": "europe-west4", "artifacts": "gs://b/f", "image": "i",
    }});
    let vertex: RegistryConfig = serde_json::from_value(vertex).unwrap();
    assert!(vertex.takes("mage", "churn-2_b").is_ok());
    for wrong in ["Churn", "2churn", "-churn", "a.b", &"a".repeat(64)] {
        assert!(vertex.takes("mage", wrong).is_err(), "{wrong}");
    }
    assert_eq!([local.kind(), mlflow.kind(), vertex.kind()], ["local", "mlflow", "vertex"]);
}

#[test]
fn a_registry_is_the_same_whatever_is_told_there_as_well() {
    let place = |settings: Value| {
        let config: RegistryConfig = serde_json::from_value(json!({ "mlflow": settings })).unwrap();
        config.place()
    };
    let here = json!({"endpoint": "http://localhost:5000", "experiment": "churn"});
    let with = |field: &str, value: Value| {
        let mut settings = here.clone();
        settings[field] = value;
        place(settings)
    };
    assert_eq!(place(here.clone()), with("stages", json!(true)));
    assert_eq!(place(here.clone()), with("auth", json!({"bearer": {"env": "MLFLOW_TOKEN"}})));
    assert_ne!(place(here.clone()), with("experiment", json!("other")));
}
