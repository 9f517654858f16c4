//! `refit dev --demo`, where nobody watches.

use std::path::Path;

use crate::process::{Dev, json, output};

#[test]
fn the_demo_is_one_run_of_its_eight_files_and_the_next_demo_is_one_more() {
    let folder = tempfile::tempdir().unwrap();
    let first = output(folder.path(), &["dev", "--demo", "--port", "0"]);
    let said = String::from_utf8(first.stderr).unwrap();
    let result = String::from_utf8(first.stdout).unwrap();
    assert!(first.status.success(), "{said}{result}");
    for words in [
        "shortened for the demo",
        "gs://uploads/part-8.csv arrived",
        "because data may still be arriving",
        "became a run on local with 8 members",
        "step 4 of 4, evaluate: done",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // What the example's own tests hold to be the result of all eight files.
    for words in [
        "with 8 members succeeded",
        "actual  benign          89          0",
        "        malignant        3         50",
        "accuracy   0.9789",
        "recall     0.9434",
        "ROC AUC    0.9869",
        "refit why gs://uploads/part-1.csv",
    ] {
        assert!(result.contains(words), "{words}: {result}");
    }
    let picture = result.lines().find_map(|line| line.strip_prefix("picture: ")).unwrap();
    assert!(Path::new(picture).exists(), "{picture}");

    let again = json(folder.path(), &["dev", "--demo", "--port", "0"]);
    assert_eq!(
        (&again["run"]["phase"], &again["run"]["members"]),
        (&"succeeded".into(), &8.into())
    );
    assert_eq!(again["metrics"]["true_positives"], 50);

    let demo = folder.path().join("refit-demo");
    let runs = json(&demo, &["runs", "--all"]);
    assert_eq!(runs["runs"].as_array().unwrap().len(), 2, "{runs}");
    for proof in ["audit", "fsck"] {
        assert_eq!(json(&demo, &[proof])["findings"], serde_json::json!([]), "{proof}");
    }
    let why = output(&demo, &["why", "gs://uploads/part-1.csv"]);
    assert!(why.status.success(), "{why:?}");
}

#[test]
fn the_demo_leads_to_a_version_that_waits_and_says_what_lets_it_into_production() {
    let folder = tempfile::tempdir().unwrap();
    assert!(output(folder.path(), &["dev", "--demo", "--port", "0"]).status.success());
    let folder = folder.path().join("refit-demo");
    let mut dev = Dev::start(&folder, &[]);
    dev.says("waits for: refit approve breast-cancer 1");
    let models = json(&folder, &["models"]);
    assert_eq!(models["models"][0]["stages"]["staging"], "1", "{models}");
    json(&folder, &["approve", "breast-cancer", "1", "--as", "ann"]);
    dev.says("version 1 of the model breast-cancer is served at");
    let models = json(&folder, &["models"]);
    assert_eq!(models["models"][0]["stages"]["production"], "1", "{models}");
    for proof in ["audit", "fsck"] {
        assert_eq!(json(&folder, &[proof])["findings"], serde_json::json!([]), "{proof}");
    }
    assert!(dev.terminate().success());
}
