//! Recorded exchanges with pipeline services: what is asked, what is answered, and what is made of it.
//!
//! A file below `testdata/<service>` holds cases as text. `>` is a request, `<` its answer, `=` the result;
//! `UPDATE_EXPECT=1` writes requests and results anew. `lost` is an answer that never came, `refused` a connection
//! that was not taken.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod contract;
mod exchange;
#[path = "../said/mod.rs"]
mod said;
mod table;
mod workflows;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use http::Method;
use refit_wire::pipeline::ServiceConfig;
use schemars::SchemaGenerator;
use serde_json::{Value, json};

use crate::said::Played;

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
        let (played, again) = exchange::play(&text);
        expect_file![file].assert_eq(&again);
        all.extend(played);
    }
    all
}

/// What holds for every service.
fn check_all(played: &[Played]) {
    for case in played {
        let writes: Vec<usize> = (0..case.said.len())
            .filter(|at| ![Method::GET, Method::HEAD].contains(&case.said[*at].0.method))
            .collect();
        match case.verb.as_str() {
            "start" => check_start(case, &writes),
            "find" => assert!(writes.is_empty(), "{}: looking changes nothing", case.title),
            "status" => check_status(case, &writes),
            _ => {}
        }
    }
}

/// A start is sent once. Another follows only one that was refused, and reads only one that was taken already.
fn check_start(case: &Played, writes: &[usize]) {
    let status = |at: usize| case.said[at].1.as_ref().map_or(0, |response| response.status);
    let refused = |at: &usize| (400..500).contains(&status(*at));
    let earlier = writes.len().saturating_sub(1);
    assert!(writes.iter().take(earlier).all(refused), "{}: a start is sent once", case.title);
    if let Some(last) = writes.last() {
        let comes_last = last + 1 == case.said.len() || status(*last) == 409;
        assert!(comes_last, "{}: the start comes last", case.title);
    }
}

/// Whoever follows a run may take out what came before it, and changes nothing else.
fn check_status(case: &Played, writes: &[usize]) {
    let clears = |at: &usize| case.said[*at].0.url.path().ends_with(":undeployModel");
    assert!(writes.iter().all(clears), "{}: looking changes nothing", case.title);
}

#[test]
fn kubeflow_is_asked_and_understood_as_recorded() {
    let played = play("kubeflow");
    check_all(&played);
    contract::check("kubeflow_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn vertex_is_asked_and_understood_as_recorded() {
    let played = play("vertex");
    check_all(&played);
    contract::check("vertex_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn an_endpoint_of_vertex_is_asked_and_understood_as_recorded() {
    let played = play("vertex_endpoint");
    check_all(&played);
    contract::check("an_endpoint_of_vertex_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn cloud_build_is_asked_and_understood_as_recorded() {
    let played = play("cloud_build");
    check_all(&played);
    contract::check("cloud_build_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn cloud_run_is_asked_and_understood_as_recorded() {
    let played = play("cloud_run");
    check_all(&played);
    contract::check("cloud_run_is_asked_and_understood_as_recorded", &played);
}

/// The description is of jobs, so parts of what is said are in it only.
#[test]
fn a_service_of_cloud_run_is_asked_and_understood_as_recorded() {
    let played = play("cloud_run_service");
    check_all(&played);
    contract::check_parts("a_service_of_cloud_run_is_asked_and_understood_as_recorded", &played);
}

#[test]
fn github_actions_is_asked_and_understood_as_recorded() {
    let played = play("github_actions");
    check_all(&played);
    contract::check("github_actions_is_asked_and_understood_as_recorded", &played);
}

/// There is no published description of it.
#[test]
fn mage_is_asked_and_understood_as_recorded() {
    check_all(&play("mage"));
}

/// What it is asked and answers is said by the rule file.
#[test]
fn a_described_service_is_asked_and_understood_as_recorded() {
    check_all(&play("http"));
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
    let all = [
        json!({"kubeflow": {"endpoint": "http://localhost:8888"}}),
        vertex(&json!({})),
        json!({"vertex_endpoint": {"project": "acme", "location": "europe-west4"}}),
        json!({"cloud_build": {"project": "acme"}}),
        json!({"cloud_run": {"project": "acme", "location": "europe-west4"}}),
        json!({"cloud_run_service": {"project": "acme", "location": "europe-west4"}}),
        github("acme/training"),
        json!({"mage": {"endpoint": "http://localhost:6789"}}),
        described(&json!({})),
        json!({"local": {}}),
    ];
    assert_eq!(all.len(), ServiceConfig::about().len(), "every kind is here");
    for written in all {
        let config = config(written.clone());
        assert_eq!(written.as_object().unwrap().keys().collect::<Vec<_>>(), [config.kind()]);
        assert!(!recordings(config.kind()).is_empty());
        assert!(config.open().is_ok(), "{written}");
    }
}

fn vertex(settings: &Value) -> Value {
    let mut config = json!({"project": "acme", "location": "europe-west4"});
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "vertex": config })
}

fn github(repository: &str) -> Value {
    json!({"github_actions": {"repository": repository, "auth": {"bearer": {"env": "T"}}}})
}

fn github_app(settings: &Value) -> Value {
    let app = json!({"client_id": "Iv23", "installation": 1, "private_key": {"env": "KEY"}});
    let mut config = json!({"repository": "acme/training", "app": app});
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "github_actions": config })
}

fn described(settings: &Value) -> Value {
    let mut config = json!({
        "endpoint": "http://localhost:8080",
        "start": {"path": "/runs/{key}/{pipeline}", "run": "/id"},
        "status": {"path": "/{run}", "state": "/s", "states": {"succeeded": ["a"], "failed": ["b"]}},
    });
    config.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    json!({ "http": config })
}

/// Each of the settings is refused, with these words.
fn refuse(cases: &[(Value, &str)]) {
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
        (json!({"vertex": {"project": "acme"}}), "missing field `location`"),
        (json!({"vertex": {"project": "acme", "location": "x/../y"}}), "no `location` of Google"),
        (vertex(&json!({"labels": {"refit-key": "x"}})), "cannot be a label"),
        (vertex(&json!({"endpoint": "https://evil.example"})), "no host of Google"),
        (vertex(&json!({"caching": false})), "unknown field `caching`"),
        (
            json!({"vertex_endpoint": {"project": "acme", "location": ""}}),
            "no `location` of Google",
        ),
        (json!({"cloud_build": {"project": "acme", "location": ""}}), "no `location` of Google"),
        (json!({"cloud_run": {"project": "A B", "location": "x"}}), "no `project` of Google"),
        (json!({"cloud_run_service": {"project": "", "location": "x"}}), "no `project` of Google"),
        (github("acme"), "OWNER/NAME"),
        (github("acme/a/b"), "OWNER/NAME"),
        (github("../x"), "OWNER/NAME"),
        (json!({"github_actions": {"repository": "a/b"}}), "say with `auth` or `app`"),
        (json!({"mage": {"endpoint": "https://mage.acme.example"}}), "say with `auth`"),
        (
            json!({"mage": {"endpoint": "http://localhost", "check_status": false, "error_on_failure": false}}),
            "has no effect",
        ),
        (described(&json!({"start": {"path": "/runs", "run": "/id"}})), "does not send `{key}`"),
        (
            described(&json!({"start": {"path": "/runs/{key}/{run}", "run": "/id"}})),
            "not known before",
        ),
        (
            described(&json!({"start": {"path": "//evil.example/{key}", "run": "/id"}})),
            "stays below",
        ),
        (described(&json!({"start": {"path": "/{key}", "run": "id"}})), "begins with `/`"),
        (
            described(&json!({"start": {"path": "/{key}", "run": "/id", "body": "{KEY}"}})),
            "in braces",
        ),
        (described(&json!({"cancel": {"path": "/runs/{key}"}})), "by `{run}` alone"),
        (
            described(
                &json!({"status": {"path": "/{run}", "state": "/s", "states": {"succeeded": ["a"], "failed": []}}}),
            ),
            "how badly",
        ),
        (
            described(
                &json!({"status": {"path": "/{run}", "state": "/s", "states": {"succeeded": ["a"], "failed": ["a"]}}}),
            ),
            "two states",
        ),
        (json!({"mlflow": {}}), "unknown variant `mlflow`"),
    ];
    refuse(&cases);
}

#[test]
fn an_app_of_github_is_the_one_credential_and_whole() {
    let unnamed = json!({"client_id": "", "installation": 1, "private_key": {"env": "K"}});
    refuse(&[
        (github_app(&json!({"auth": "none"})), "only one of `auth` and `app`"),
        (github_app(&json!({"endpoint": "http://ghe.acme.example/api/v3"})), "plain http"),
        (github_app(&json!({ "app": unnamed })), "`client_id` is empty"),
    ]);
    assert!(config(github_app(&json!({}))).open().is_ok());
}

#[test]
fn a_target_is_checked_with_the_place_of_the_fault() {
    let v2 = json!({"kubeflow": {"endpoint": "http://localhost:8888"}});
    let v1 = json!({"kubeflow": {"endpoint": "http://localhost:8888", "api": "v1beta1"}});
    let root = json!({"pipeline": "churn", "pipeline_root": "gs://b/r"});
    let (vx, gh, hs) = (vertex(&json!({})), github("a/b"), described(&json!({})));
    let ve = json!({"vertex_endpoint": {"project": "acme", "location": "europe-west4"}});
    let cb = json!({"cloud_build": {"project": "acme"}});
    let cr = json!({"cloud_run": {"project": "acme", "location": "europe-west4"}});
    let cs = json!({"cloud_run_service": {"project": "acme", "location": "europe-west4"}});
    let mg = json!({"mage": {"endpoint": "http://localhost:6789"}});
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
        (&vx, json!({"template": "gs://b/n.yaml"}), ""),
        (&vx, json!({"template": "gs://b"}), "a template is"),
        (&vx, json!({"template": "https://evil.example/p/r/n/t"}), "a template is"),
        (&vx, json!({"template": "https://eu-kfp.pkg.dev/p/r/n"}), "a template is"),
        (&vx, json!({"template": "https://evil.example#-kfp.pkg.dev/p/r/n/t"}), "a template is"),
        (&vx, json!({"template": "gs://b/n", "pipeline_root": "s3://x"}), "begins with gs://"),
        (&vx, json!({"template": "gs://b/n", "labels": {"A": "x"}}), "cannot be a label"),
        (&ve, json!({"name": "4567"}), ""),
        (&ve, json!({"name": "4567", "min_replicas": 2, "max_replicas": 2}), ""),
        (&ve, json!({"name": "a/b"}), "`name` is the id of an endpoint"),
        (&ve, json!({"name": "4567", "min_replicas": 0}), "`min_replicas` is 1 at the least"),
        (&ve, json!({"name": "4567", "min_replicas": 2, "max_replicas": 1}), "is below"),
        (&cb, json!({"trigger": "t", "branch": "main"}), ""),
        (
            &cb,
            json!({"trigger": "t", "branch": "main", "tag": "v1"}),
            "only one of `branch` and `tag`",
        ),
        (&cb, json!({"trigger": ""}), "`trigger` is empty"),
        (&cr, json!({"job": "train", "args": []}), ""),
        (&cr, json!({"job": "train", "container": ""}), "`container` is empty"),
        (&cs, json!({"name": "churn-api"}), ""),
        (&cs, json!({"name": ""}), "`name` is empty"),
        (&cs, json!({"name": "churn-api", "container": ""}), "`container` is empty"),
        (&gh, json!({"workflow": "w.yml", "ref": "main"}), ""),
        (&gh, json!({"workflow": "w.yml", "event_type": "retrain"}), ""),
        (&gh, json!({"workflow": "w.yml"}), "say with `ref`"),
        (&gh, json!({"workflow": "w.yml", "ref": "main", "event_type": "x"}), "only one of"),
        (&gh, json!({"workflow": "w.yml", "event_type": "x".repeat(101)}), "100 characters"),
        (&mg, json!({"schedule": 7, "token": {"env": "T"}}), ""),
        (&mg, json!({"schedule": 7, "token": "hush"}), "at=`token`"),
        (&hs, json!({"with": {"pipeline": "churn"}}), ""),
        (&hs, json!({}), "say `with: { pipeline: … }`"),
        (&hs, json!({"with": {"pipeline": "churn", "model": "x"}}), "no use for `with.model`"),
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
    let kinds: Vec<_> = ServiceConfig::about().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(targets.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(), kinds);
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
    assert!(settings >= 55, "{settings} settings");
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
