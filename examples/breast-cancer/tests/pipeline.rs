//! The steps of the pipeline, one after another, over files of the data set.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};

use breast_cancer::data::{self, COLUMNS};
use breast_cancer::model::Model;
use breast_cancer::{Job, Places, Step};
use expect_test::expect;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::Url;

const STEPS: [Step; 4] = [Step::Preprocess, Step::Train, Step::Predict, Step::Evaluate];

/// A run over objects of the bucket `uploads`.
struct World(TempDir);

impl World {
    fn new() -> Self {
        let world = Self(tempfile::Builder::new().prefix("a run").tempdir().unwrap());
        fs::create_dir_all(world.path("buckets/uploads")).unwrap();
        world
    }

    /// A run over these parts of the data set.
    fn of_parts(parts: &[u32]) -> Self {
        let world = Self::new();
        let names: Vec<_> = parts.iter().map(|part| format!("part-{part}.csv")).collect();
        for name in &names {
            fs::copy(sample(name), world.path("buckets/uploads").join(name)).unwrap();
        }
        let uris: Vec<_> = names.iter().map(|name| format!("gs://uploads/{name}")).collect();
        world.manifest(&uris);
        world
    }

    /// A run over one file of this text.
    fn of_text(text: &str) -> Self {
        let world = Self::new();
        fs::write(world.path("buckets/uploads/x.csv"), text).unwrap();
        world.manifest(&["gs://uploads/x.csv".to_owned()]);
        world
    }

    fn manifest(&self, uris: &[String]) {
        let lines =
            uris.iter().map(|uri| json!({"uri": uri, "generation": "1"}).to_string() + "\n");
        fs::write(self.path("manifest.jsonl"), lines.collect::<String>()).unwrap();
        let uri = Url::from_file_path(self.path("manifest.jsonl")).unwrap();
        self.parameters(&json!({"manifest": uri.as_str(), "alpha": 1.0}));
    }

    fn parameters(&self, parameters: &Value) {
        fs::write(self.path("parameters.json"), parameters.to_string()).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn step(&self, step: Step) -> Result<String, String> {
        let run_dir = self.path("run");
        let (parameters, buckets) = (self.path("parameters.json"), self.path("buckets"));
        let mut out = Vec::new();
        let job = Job { step, places: Places { run_dir, parameters, buckets } };
        job.run(&mut out).map_err(|error| format!("{error:#}"))?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn run(&self) -> Result<String, String> {
        STEPS.into_iter().map(|step| self.step(step)).collect()
    }

    fn artifact(&self, name: &str) -> Vec<u8> {
        fs::read(self.path("run/artifacts").join(name)).unwrap()
    }

    fn metric(&self, name: &str) -> f64 {
        let metrics: Value = serde_json::from_slice(&self.artifact("metrics.json")).unwrap();
        metrics[name].as_f64().unwrap()
    }
}

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name)
}

#[test]
fn the_files_hold_the_published_data_set() {
    let parts = (1..=8).map(|part| data::read(&sample(&format!("part-{part}.csv"))).unwrap());
    let rows: Vec<_> = parts.flatten().collect();
    assert_eq!(rows.len(), 569);
    assert_eq!(rows.iter().filter(|row| row.malignant).count(), 212);
    let range = |at: usize| {
        let values = rows.iter().map(|row| row.features[at]);
        (values.clone().fold(f64::MAX, f64::min), values.fold(f64::MIN, f64::max))
    };
    assert_eq!(range(0), (6.981, 28.11), "radius, mean");
    assert_eq!(range(13), (6.802, 542.2), "area, standard error");
    assert_eq!(range(21), (12.02, 49.54), "texture, worst");
}

#[test]
fn all_files_give_a_good_model_and_a_matrix_to_look_at() {
    let world = World::of_parts(&[1, 2, 3, 4, 5, 6, 7, 8]);
    let log = world.run().unwrap();
    assert!(world.metric("accuracy") >= 0.93);
    assert!(world.metric("roc_auc") >= 0.97);
    let shown = log.split_once("rows scored\n").unwrap().1;
    expect![[r"
                            predicted
                            benign  malignant
        actual  benign          89          0
                malignant        3         50

        accuracy   0.9789
        recall     0.9434
        precision  1.0000
        ROC AUC    0.9869
        ::progress 1.00 accuracy 0.979, ROC AUC 0.987
    "]]
    .assert_eq(shown);
    let picture = String::from_utf8(world.artifact("confusion-matrix.svg")).unwrap();
    let shows = |words: &str| picture.lines().any(|line| line.trim() == words);
    for words in ["predicted", "actual", "89", "50", "94.3 % of malignant", "0.979", "ROC AUC"] {
        assert!(shows(words), "{words}");
    }
}

#[test]
fn the_same_rows_give_the_same_model_whatever_the_order_of_the_files() {
    let [one, other] = [&[1, 2, 3][..], &[3, 1, 2, 1]].map(World::of_parts);
    one.run().unwrap();
    other.run().unwrap();
    for name in ["model.json", "metrics.json", "predictions.csv", "confusion-matrix.svg"] {
        assert_eq!(one.artifact(name), other.artifact(name), "{name}");
    }
    let dataset: Value = serde_json::from_slice(&other.artifact("dataset.json")).unwrap();
    assert_eq!(dataset["duplicates"], 71);
}

#[test]
fn one_file_is_enough() {
    for part in 1..=8 {
        let world = World::of_parts(&[part]);
        world.run().unwrap();
        assert!(world.metric("accuracy") > 0.8, "part {part}");
    }
}

#[test]
fn a_stored_model_scores_a_single_row() {
    let world = World::of_parts(&[1, 2]);
    world.run().unwrap();
    let model = Model::parse(&world.artifact("model.json")).unwrap();
    let right = data::read(&sample("part-8.csv")).unwrap().into_iter();
    let right = right.filter(|row| (model.probability(row) >= 0.5) == row.malignant).count();
    assert!(right >= 65, "{right} of 72 rows it never saw");
}

#[test]
fn a_regularisation_changes_the_model_and_a_useless_one_is_refused() {
    let world = World::of_parts(&[1]);
    world.run().unwrap();
    let usual = world.artifact("model.json");
    let with = |alpha: Value| {
        world.parameters(&json!({"alpha": alpha}));
        world.step(Step::Train)
    };
    with(json!(10.0)).unwrap();
    assert_ne!(world.artifact("model.json"), usual);
    for alpha in [json!(-1), json!(1001), json!("much"), json!(null)] {
        assert!(with(alpha.clone()).is_err(), "{alpha}");
    }
}

#[test]
fn what_cannot_be_read_is_named() {
    let part = fs::read_to_string(sample("part-1.csv")).unwrap();
    let rows = |count: usize| part.lines().take(count + 1).map(|line| format!("{line}\n"));
    let check = |text: &str, expected: &str| {
        let error = World::of_text(text).step(Step::Preprocess).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check(&rows(59).collect::<String>(), "too few rows to learn from: found=`59` needed=`60`");
    check(&COLUMNS.join(","), "too few rows");
    check("", "column 1 is not `radius_mean`");
    check(&part.replacen("diagnosis", "id", 1), "column 31 is not `diagnosis`");
    check(&part.replacen("diagnosis", "diagnosis,id", 1), "more columns");
    check(&part.replace(",malignant", ",M"), "x.csv line 2: the diagnosis is neither");
    check(
        &part.replacen("\n17.99", "\nNaN", 1),
        "line 2: radius_mean is not a number: value=`NaN`",
    );
    check(&part.replacen("\n17.99,", "\n", 1), "found record with 30 fields");
    let benign =
        (0..80).map(|at| part.replace("malignant", "benign").replacen("17.99", &at.to_string(), 1));
    let benign = benign.flat_map(|text| text.lines().nth(1).map(|line| format!("{line}\n")));
    let header = rows(0).collect::<String>();
    check(&(header + &benign.collect::<String>()), "too few malignant rows: found=`0`");
}

#[test]
fn members_lie_below_the_buckets_and_nowhere_else() {
    let world = World::new();
    fs::write(world.path("secret.csv"), "").unwrap();
    let check = |uri: &str, expected: &str| {
        world.manifest(&[uri.to_owned()]);
        let error = world.step(Step::Preprocess).unwrap_err();
        assert!(error.contains(expected), "{error}");
    };
    check("gs://uploads/../../secret.csv", "not the URI of an object");
    check("gs:///etc/passwd", "not the URI of an object");
    check("secret.csv", "not the URI of an object");
    check("gs://uploads/absent.csv", "cannot read");
    world.parameters(&json!({"manifest": "gs://ledger/manifest.jsonl"}));
    assert!(world.step(Step::Preprocess).unwrap_err().contains("not a file URI"));
}
