//! Recorded exchanges with pipeline services: what is asked, what is answered, and what is made of it.
//!
//! A file below `testdata/<service>` holds cases as text. `>` is a request, `<` its answer, `=` the result;
//! `UPDATE_EXPECT=1` writes requests and results anew. `lost` is an answer that never came, `refused` a connection
//! that was not taken.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod exchange;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use http::Method;
use refit_wire::pipeline::ServiceConfig;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use crate::exchange::{Played, Recording};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn recordings(service: &str) -> BTreeSet<PathBuf> {
    let folder = fs::read_dir(testdata().join(service)).unwrap();
    let files: BTreeSet<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    assert!(!files.is_empty(), "nothing is recorded for {service}");
    files
}

/// Plays everything recorded with a service, and returns what was said.
fn play(service: &str) -> Vec<Played> {
    let mut all = Vec::new();
    for file in recordings(service) {
        let text = fs::read_to_string(&file).unwrap();
        let recording = Recording::read(&text);
        let (played, again) = recording.play();
        expect_file![file].assert_eq(&again);
        all.extend(played);
    }
    all
}

/// What holds for every service.
fn check_all(played: &[Played]) {
    for case in played {
        let posts = case.said.iter().filter(|(request, _)| request.method == Method::POST).count();
        if case.verb == "start" {
            assert!(posts <= 1, "{}: a start posts once", case.title);
        }
        if case.verb == "start" && posts == 1 {
            let last = &case.said.last().unwrap().0;
            assert_eq!(last.method, Method::POST, "{}: the start comes last", case.title);
        }
        if matches!(case.verb.as_str(), "find" | "status") {
            assert_eq!(posts, 0, "{}: looking changes nothing", case.title);
        }
    }
}

#[test]
fn kubeflow_is_asked_and_understood_as_recorded() {
    let played = play("kubeflow");
    check_all(&played);
    contract::check("kubeflow_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn local_is_asked_and_understood_as_recorded() {
    check_all(&play("local"));
}

fn config(value: Value) -> ServiceConfig {
    serde_json::from_value(value).unwrap()
}

#[test]
fn a_kind_is_named_as_it_is_written() {
    for written in
        [json!({"kubeflow": {"endpoint": "http://localhost:8888"}}), json!({"local": {}})]
    {
        let config = config(written.clone());
        assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), [config.kind()]);
        assert!(!recordings(config.kind()).is_empty());
        assert!(config.open().is_ok(), "{written}");
    }
}

#[test]
fn settings_that_cannot_be_are_refused() {
    let cases = [
        (json!({"kubeflow": {}}), "missing field `endpoint`"),
        (json!({"kubeflow": {"endpoint": "http://kfp.acme.example"}}), "private hosts"),
        (
            json!({"kubeflow": {"endpoint": "http://localhost", "api": "v3"}}),
            "unknown variant `v3`",
        ),
        (json!({"kubeflow": {"endpoint": "http://localhost", "hots": 1}}), "unknown field `hots`"),
        (json!({"kubeflow": {"endpoint": "https://kfp.acme.example"}}), "`auth`"),
        (
            json!({"kubeflow": {"endpoint": "http://localhost", "namespace": ""}}),
            "`namespace` is empty",
        ),
        (json!({"local": {"endpoint": "http://10.0.0.1"}}), "on this machine"),
        (json!({"mlflow": {}}), "unknown variant `mlflow`"),
    ];
    for (written, fault) in cases {
        let read = serde_json::from_value::<ServiceConfig>(written.clone());
        let error = match read {
            Ok(config) => config.open().map(|_| ()).unwrap_err(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains(fault), "{written}: {error}");
    }
}

#[test]
fn a_target_is_checked_with_the_place_of_the_fault() {
    let v2 = json!({"kubeflow": {"endpoint": "http://localhost:8888"}});
    let v1 = json!({"kubeflow": {"endpoint": "http://localhost:8888", "api": "v1beta1"}});
    let root = json!({"pipeline": "churn", "pipeline_root": "gs://b/r"});
    let cases = [
        (&v2, json!({"pipeline": "churn"}), ""),
        (&v2, json!({"pipeline": {"id": "7"}, "version": "3", "experiment": "e"}), ""),
        (&v2, root.clone(), ""),
        (&v1, root, "`pipeline_root` has no effect with `api: v1beta1`"),
        (&v2, json!({}), "missing field `pipeline`"),
        (&v2, json!({"pipeline": {"id": 7}}), "at=`pipeline.id`"),
        (&v2, json!({"pipeline": ["churn"]}), "a name, or `{ id: … }`"),
        (&v2, json!({"pipeline": "churn", "versoin": "3"}), "unknown field `versoin`"),
        (&json!({"local": {}}), json!({"pipeline": "churn"}), ""),
        (&v2, json!({"pipeline": "churn", "experiment": ""}), "`experiment` is empty"),
        (&json!({"local": {}}), json!({"pipeline": ""}), "`pipeline` is empty"),
    ];
    for (service, target, fault) in cases {
        let checked = config(service.clone()).check_target(&target);
        match checked {
            Ok(()) => assert!(fault.is_empty(), "{target}"),
            Err(error) => {
                assert!(!fault.is_empty() && error.contains(fault), "{target}: {error}");
            }
        }
    }
}

#[test]
fn schemas_name_every_setting_and_describe_it() {
    let mut generator = SchemaGenerator::default();
    let targets = ServiceConfig::target_schemas(&mut generator);
    assert_eq!(targets.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), ["kubeflow", "local"]);
    let schema = generator.into_root_schema_for::<ServiceConfig>().to_value();
    let definitions = schema["$defs"].as_object().unwrap();
    let mut settings = 0;
    for (name, definition) in definitions {
        for (field, setting) in definition["properties"].as_object().into_iter().flatten() {
            assert!(setting["description"].is_string(), "{name}.{field} has no description");
            settings += 1;
        }
        let is_open = definition.get("properties").is_some()
            && definition["additionalProperties"] != json!(false);
        assert!(!is_open, "{name} takes anything");
    }
    assert!(settings >= 11, "{settings} settings");
    assert_eq!(definitions["KubeflowRun"]["required"], json!(["pipeline"]));
}

#[test]
fn hosts_are_those_that_are_asked() {
    let kubeflow = config(json!({"kubeflow": {"endpoint": "http://localhost:8888/x"}}));
    assert_eq!(kubeflow.hosts(), ["localhost"]);
    assert_eq!(config(json!({"local": {}})).hosts(), ["127.0.0.1"]);
}

#[test]
fn every_native_state_means_what_the_tables_say() {
    contract::check_states("every_native_state_means_what_the_tables_say");
}
