//! From an upload to production at MLflow itself, which is independent of us, as is the client its runs log with.
//!
//! What MLflow holds is asked of its own API after every step.

use std::fs;
use std::path::{Path, PathBuf};

use refit_testkit::counterpart::{Counterpart, Kind};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Dev, ask, json, output};

const RULES: &str = "\
services: { local: { local: {} } }
registries: { models: { mlflow: { endpoint: \"http://PLACE\", experiment: churn, stages: true } } }
triggers:
  churn:
    on: { objects: { bucket: uploads, suffix: .csv } }
    batch: { quiet: 1s }
    run:
      service: local
      pipeline: train
      parameters: { manifest: \"${ batch.manifest }\", refit_key: \"${ run.key }\" }
    promote:
      registry: models
      model: churn
      gate: { accuracy: { min: 0.9, drop: 0.1 } }
      request: manual
      staging: { approvals: 1, four_eyes: true }
      acceptance: acceptance
      production: { approvals: 1, four_eyes: true }
  acceptance:
    on: { model: { model: churn, stage: staging } }
    run:
      service: local
      pipeline: test
      parameters: { version: \"${ model.version }\", uri: \"${ model.uri }\" }
  redeploy:
    on: { model: { model: churn, stage: production } }
    run: { service: local, pipeline: deploy, parameters: { version: \"${ model.version }\" } }
";

/// `refit dev` with its world, and the MLflow it registers at.
struct Walk {
    dev: Dev,
    folder: TempDir,
    mlflow: Counterpart,
}

impl Walk {
    /// Starts both; nothing where MLflow is not installed, which is said.
    fn start(test: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mlflow = Kind::Mlflow.start_with(test, |command| {
            command.arg(format!("--backend-store-uri=sqlite:///{}", at("mlflow.db").display()));
            command.arg("--artifacts-destination").arg(at("mlflow"));
        })?;
        // Beside the program lies the Python it runs in.
        let python = Kind::Mlflow.find()?.with_file_name("python");
        for step in ["train", "test", "deploy"] {
            write(&at(&format!("pipelines/{step}/pipeline.yaml")), &pipeline(&python, step));
        }
        fs::create_dir_all(at("buckets/uploads")).unwrap();
        write(&at("refit.yaml"), &RULES.replace("PLACE", mlflow.place()));
        let place = format!("http://{}", mlflow.place());
        let variables =
            [("MLFLOW_TRACKING_URI", place.as_str()), ("MLFLOW_DISABLE_TELEMETRY", "true")];
        let mut dev = Dev::start(folder.path(), &variables);
        dev.says("watching");
        Some(Self { dev, folder, mlflow })
    }

    /// Uploads sizes that are called high from here on, and waits until it is said what became of the version.
    fn upload(&mut self, name: &str, is_high: impl Fn(u32) -> bool, words: &str) {
        let row = |size: u32| format!("{size},{}\n", u32::from(is_high(size)));
        let rows: String = (0..10).map(row).collect();
        write(&self.path().join("buckets/uploads").join(name), &format!("size,high\n{rows}"));
        self.dev.says(words);
    }

    /// One asks for the stage that comes next, and another lets the version go there.
    fn take(&mut self, version: &str, (one, other): (&str, &str)) {
        json(self.path(), &["request", "churn", version, "--as", one]);
        let alone = output(self.path(), &["approve", "churn", version, "--as", one]);
        assert_eq!(alone.status.code(), Some(4), "{alone:?}");
        json(self.path(), &["approve", "churn", version, "--as", other]);
    }

    /// Takes a candidate to production, with its test on the way.
    fn promote(&mut self, version: &str) {
        self.take(version, ("ann", "bob"));
        self.dev.says("was accepted by");
        assert_eq!(self.aliases()["staging"], version);
        assert_eq!(self.stages()[version], "Staging");
        self.take(version, ("ann", "cat"));
        self.deployed(version);
    }

    /// Waits until a version is in production, and was deployed from there.
    fn deployed(&mut self, version: &str) {
        self.dev.says("its version of churn has its stage");
        self.dev.says("is over: succeeded");
        assert_eq!(self.aliases()["production"], version);
        assert_eq!(self.stages()[version], "Production");
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// What MLflow answers.
    fn asked(&self, rest: &str) -> Value {
        let request = format!("GET /api/2.0/mlflow/{rest}");
        let (status, answer) = ask(self.mlflow.place(), &request, &[]);
        assert_eq!(status, 200, "{request}: {answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// Which version has which alias at MLflow.
    fn aliases(&self) -> Value {
        let model = self.asked("registered-models/get?name=churn");
        let aliases = model["registered_model"]["aliases"].as_array().cloned().unwrap_or_default();
        aliases
            .iter()
            .map(|it| (it["alias"].as_str().unwrap().to_owned(), it["version"].clone()))
            .collect()
    }

    /// Which stage of old each version has at MLflow.
    fn stages(&self) -> Value {
        let versions = self.versions();
        let stage =
            |it: &Value| (it["version"].as_str().unwrap().to_owned(), it["current_stage"].clone());
        versions.iter().map(stage).collect()
    }

    /// Checks that MLflow has this version, made by the run of this key, of a model that was logged.
    fn holds(&self, version: &str, key: &Value) {
        let found = &self.versions()[0];
        assert_eq!((&found["version"], &found["status"]), (&version.into(), &"READY".into()));
        assert_eq!(found["tags"][0], json!({ "key": "refit_key", "value": key }), "{found}");
        let source = found["source"].as_str().unwrap();
        assert!(source.starts_with("mlflow-artifacts:/1/models/m-"), "{source}");
    }

    /// Where the versions stand, newest first.
    fn phases(&self) -> Vec<String> {
        let models = json(self.path(), &["models"]);
        let versions = models["models"][0]["versions"].as_array().unwrap();
        versions.iter().map(|version| version["phase"].as_str().unwrap().to_owned()).collect()
    }

    /// The versions MLflow has, newest first.
    fn versions(&self) -> Vec<Value> {
        let found = self.asked("model-versions/search?filter=name%3D%27churn%27");
        found["model_versions"].as_array().cloned().unwrap_or_default()
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn pipeline(python: &Path, step: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let program: PathBuf = root.join("tests/counterparts/mlflow/step.py");
    let command = json!([python, program, step]);
    format!("name: {step}\nsteps:\n  - {{ name: {step}, command: {command} }}\n")
}

#[test]
fn a_version_goes_to_production_at_mlflow_and_a_rollback_takes_it_back() {
    let test = "mlflow::a_version_goes_to_production_at_mlflow_and_a_rollback_takes_it_back";
    let Some(mut walk) = Walk::start(test) else { return };

    walk.upload("good.csv", |size| size > 4, "is registered as 1");
    let run = &json(walk.path(), &["runs", "--all"])["runs"][0];
    walk.holds("1", &run["key"]);
    assert_eq!(walk.aliases(), json!({}), "a candidate has no stage");
    assert_eq!(walk.stages(), json!({ "1": "None" }));
    walk.promote("1");

    walk.upload("noise.csv", |size| size % 2 == 1, "is not good enough: it is too low");
    assert_eq!(walk.aliases(), json!({ "staging": "1", "production": "1" }));
    let refused = output(walk.path(), &["request", "churn", "2", "--as", "ann"]);
    assert_eq!(refused.status.code(), Some(4), "{refused:?}");

    walk.upload("better.csv", |size| size > 5, "is registered as 3");
    walk.promote("3");
    assert_eq!(walk.phases(), ["promoted", "refused", "archived"]);
    assert_eq!(walk.stages(), json!({ "1": "Archived", "2": "None", "3": "Production" }));

    json(walk.path(), &["rollback", "churn", "--as", "ann", "--reason", "complaints"]);
    assert_eq!(walk.aliases()["production"], "3", "two are asked");
    json(walk.path(), &["approve", "churn", "1", "--as", "bob"]);
    walk.deployed("1");
    assert_eq!(walk.aliases(), json!({ "staging": "3", "production": "1" }));
    assert_eq!(walk.stages(), json!({ "1": "Production", "2": "None", "3": "Archived" }));
    assert_eq!(walk.versions().len(), 3);
    for proof in ["audit", "fsck"] {
        assert_eq!(json(walk.path(), &[proof])["findings"], json!([]), "{proof}");
    }
    assert!(walk.dev.terminate().success());
}
