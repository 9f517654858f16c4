//! From an upload to production on this machine: the engine and its adapter against the registry of `refit dev`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::process::{Dev, json, output};

const RULES: &str = "\
services: { local: { local: {} } }
registries: { models: { local: {} } }
triggers:
  breast-cancer:
    on: { objects: { bucket: uploads, suffix: .csv } }
    batch: { quiet: 1s }
    run: { service: local, pipeline: breast-cancer, parameters: { manifest: \"${ batch.manifest }\" } }
    promote:
      registry: models
      model: breast-cancer
      gate: { accuracy: { min: 0.9, drop: 0.1 } }
      acceptance: acceptance
      production: { approvals: 1 }
  acceptance:
    on: { model: { model: breast-cancer, stage: staging } }
    run: { service: local, pipeline: acceptance, parameters: { uri: \"${ model.uri }\" } }
";

const ACCEPTANCE: &str = "\
name: acceptance
parameters: { uri: { type: string } }
steps:
  - { name: look, command: [\"true\"] }
";

/// The rules of the demo without what becomes of the models: written before it, they stay.
const UNPROMOTED: &str = "\
services: { local: { local: {} } }
triggers:
  breast-cancer:
    on: { objects: { bucket: uploads, suffix: .csv } }
    batch: { quiet: 1s, min_count: 8 }
    run: { service: local, pipeline: breast-cancer, parameters: { manifest: \"${ batch.manifest }\" } }
";

/// Runs the demo below a folder, such that nothing is registered: its own folder.
pub(crate) fn demo_unpromoted(folder: &Path) -> PathBuf {
    let own = folder.join("refit-demo");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("refit.yaml"), UNPROMOTED).unwrap();
    assert!(output(folder, &["dev", "--demo", "--port", "0"]).status.success());
    own
}

/// Uploads data under another name, and waits until the version it makes waits for approval.
fn make(dev: &mut Dev, folder: &Path, name: &str) {
    let part = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/breast-cancer/data");
    let text = fs::read_to_string(part.join("part-1.csv")).unwrap();
    // Another end, so that these are other bytes than those uploaded before.
    let lines: Vec<&str> = text.lines().collect();
    let left = lines.len() - name.len();
    let bucket = folder.join("buckets/uploads");
    fs::write(bucket.join(format!("{name}.csv")), lines[..left].join("\n") + "\n").unwrap();
    dev.says("its version of breast-cancer is to be in production, asks the rule");
}

#[test]
fn an_upload_becomes_the_version_in_production_and_a_rollback_takes_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let folder = demo_unpromoted(folder.path());
    fs::write(folder.join("refit.yaml"), RULES).unwrap();
    fs::create_dir_all(folder.join("pipelines/acceptance")).unwrap();
    fs::write(folder.join("pipelines/acceptance/pipeline.yaml"), ACCEPTANCE).unwrap();
    let mut dev = Dev::start(&folder, &[]);
    dev.says("watching");
    for (name, version) in [("a", "1"), ("bb", "2")] {
        make(&mut dev, &folder, name);
        let approve = ["approve", "breast-cancer", version, "--as", "ann"];
        assert!(json(&folder, &approve)["answer"]["commit"].is_u64());
        dev.says(&format!("version {version} of the model breast-cancer is served at"));
    }
    json(&folder, &["rollback", "breast-cancer", "--as", "ann"]);
    dev.says("version 1 of the model breast-cancer is served at");
    let models = json(&folder, &["models"]);
    assert_eq!(models["models"][0]["stages"]["production"], "1", "{models}");
    let trail = json(&folder, &["trail", "breast-cancer", "2"]);
    assert!(trail["version"]["metrics"]["accuracy"].as_f64().unwrap() > 0.9, "{trail}");
    assert!(trail["members"][0]["uri"].as_str().unwrap().ends_with("uploads/bb.csv"), "{trail}");
    for proof in ["audit", "fsck"] {
        assert_eq!(json(&folder, &[proof])["findings"], serde_json::json!([]), "{proof}");
    }
    assert!(dev.terminate().success());
}
