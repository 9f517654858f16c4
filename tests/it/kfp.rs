//! The SDK of Kubeflow Pipelines, which is independent of us, on what we make: it reads a run that we have started, and
//! compiles a pipeline with the guard. The server it asks is a fake of ours.

use std::path::{Path, PathBuf};

use refit_core::state::State;
use refit_testkit::counterpart::kfp_python;
use refit_testkit::fake::kfp::Options;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::patience::soon;
use crate::world::{Api, World, upload};

const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";

fn here(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Runs a program of `counterparts/kfp`: what it prints.
async fn python(python: &Path, program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(python);
    command.arg(here("counterparts/kfp").join(program)).args(arguments).kill_on_drop(true);
    let output = soon("the SDK has done it", command.output()).await.unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sdk_reads_a_run_as_it_was_asked_for() {
    let test = "kfp::the_sdk_reads_a_run_as_it_was_asked_for";
    let Some(sdk) = kfp_python(test) else { return };
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let reply = world.deliver(&upload("churn/a", 1, "churn/a")).await;
    assert_eq!(reply.status, 204, "{}", reply.body);
    let is_under_way = |state: &State| state.runs.values().any(|run| run.attempt().is_live());
    let state = world.until("a run is under way", is_under_way).await;
    let run = &world.runs()[0];
    let printed = python(&sdk, "read.py", &[&world.kfp.url(), &run.id]).await;
    let found: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let attempt = state.runs.values().next().unwrap().attempt().clone();
    let expected = json!({
        "run": run.id, "name": run.name, "pipeline": "churn", "parameters": run.parameters,
        "created": found["created"], "listed": [run.id], "ended": "SUCCEEDED",
    });
    assert_eq!(found, expected);
    assert!(found["created"].as_str().unwrap().starts_with("2026-01-01T00:00:"), "{found}");
    assert_eq!(run.id, attempt.key.uuid());
    assert!(found["parameters"]["manifest"].as_str().unwrap().ends_with(".jsonl"), "{found}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_is_a_component_and_what_follows_it_waits_for_its_decision() {
    let test = "kfp::the_guard_is_a_component_and_what_follows_it_waits_for_its_decision";
    let Some(sdk) = kfp_python(test) else { return };
    let folder = TempDir::new().unwrap();
    let compiled = folder.path().join("churn.json");
    let component = here("../examples/guard/component.yaml");
    let arguments = [component.to_str().unwrap(), compiled.to_str().unwrap()];
    python(&sdk, "guard.py", &arguments).await;
    let text = std::fs::read_to_string(&compiled).unwrap();
    let compiled: Value = serde_json::from_str(&text).unwrap();
    let container = &compiled["deploymentSpec"]["executors"]["exec-guard"]["container"];
    let program = std::fs::read_to_string(here("../examples/guard/guard.py")).unwrap();
    assert_eq!(container["command"], json!(["python3", "-c", program]));
    let tasks = &compiled["root"]["dag"]["tasks"];
    assert_eq!(tasks["guard"]["cachingOptions"], json!({}));
    let run = &tasks["guard"]["inputs"]["parameters"]["run"]["runtimeValue"]["constant"];
    assert_eq!(run, "{{$.pipeline_job_uuid}}");
    let condition = &tasks["condition-1"]["triggerPolicy"]["condition"];
    assert!(condition.as_str().unwrap().contains("== 'go'"), "{condition}");
}
