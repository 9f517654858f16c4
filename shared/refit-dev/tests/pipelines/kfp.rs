//! A compiled pipeline of Kubeflow, run without a cluster by its own SDK, which is independent of us.

use std::path::Path;

use refit_dev::pipelines::State;
use refit_testkit::counterpart::kfp_python;
use serde_json::{Value, json};

use crate::world::{Open, World, artifact, id};

/// Asks for a run with a rate.
async fn start(open: &Open, number: u32, rate: f64) {
    let asked = json!({"id": id(number), "pipeline": "churn", "parameters": {"rate": rate}});
    assert_eq!(open.ask("POST", "runs", &asked.to_string()).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compiled_pipeline_of_kubeflow_is_a_step() {
    let Some(python) = kfp_python("kfp::a_compiled_pipeline_of_kubeflow_is_a_step") else { return };
    let program =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/counterparts/kfp/local.py");
    let world = World::new();
    let definition = json!({
        "parameters": {"rate": {"type": "double"}},
        "steps": [{"name": "kubeflow", "command": [python, program]}],
    });
    world.definition("churn", &definition.to_string());
    let open = world.open().await;
    for (number, rate, published) in [(1, 0.75, true), (2, 0.25, false)] {
        start(&open, number, rate).await;
        let run = open.ends(id(number), State::Succeeded).await;
        let metrics: Value =
            serde_json::from_str(&artifact(&open, id(number), "metrics.json")).unwrap();
        assert_eq!(metrics, json!({"accuracy": 0.9 + rate / 10.0}));
        let log = open.log(id(number), "kubeflow").await;
        assert_eq!(log.contains("published with 0.9"), published, "{log}");
        assert!(run.artifacts.contains(&"metrics.json".to_owned()), "{run:?}");
    }
    start(&open, 3, 0.0).await;
    let failed = open.ends(id(3), State::Failed).await;
    let why = failed.message.unwrap();
    assert!(why.contains("exit status: 1"), "{why}");
    let log = open.log(id(3), "kubeflow").await;
    assert!(log.contains("the rate is not above 0"), "{log}");
}
