//! What is proved of a folder that `refit dev` serves, once it has come to rest.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::process::{ask, json};

/// Passes until something must be wrong.
const PASSES_MAX: usize = 150;

/// Asks for passes until nothing is pending, nothing runs, no batch waits, no version is on its way, nobody is still to be
/// told, and `is_all` says so of the runs: all of the same commit.
pub(crate) fn settle(folder: &Path, place: &str, is_all: impl Fn(&[Value]) -> bool) {
    for _ in 0..PASSES_MAX {
        let (status, body) = ask(place, "POST /tick", &[]);
        assert_eq!(status, 204, "{body}");
        let status = json(folder, &["status"]);
        let is_idle = status["pending"] == 0
            && ["batches", "runs", "receivers"].iter().all(|list| status[list] == json!([]));
        if is_idle
            && versions_rest(folder)
            && is_all(&runs(folder))
            && json(folder, &["status"])["commit"] == status["commit"]
        {
            return;
        }
    }
    panic!("it does not come to rest: {} {:#?}", json(folder, &["status"]), runs(folder));
}

/// Whether no version is on its way to its registry, or to a stage.
fn versions_rest(folder: &Path) -> bool {
    let models = json(folder, &["models"]);
    let versions = models["models"].as_array().into_iter().flatten();
    let mut phases = versions.flat_map(|model| model["versions"].as_array().into_iter().flatten());
    let moving = ["registering", "candidate", "entering"].map(Value::from);
    phases.all(|version| !moving.contains(&version["phase"]))
}

/// The runs of the ledger.
pub(crate) fn runs(folder: &Path) -> Vec<Value> {
    json(folder, &["runs", "--all"])["runs"].as_array().unwrap().clone()
}

/// The URIs in the manifests of runs, in order.
pub(crate) fn members(folder: &Path, runs: &[Value]) -> Vec<String> {
    let manifest = |run: &Value| {
        let path = folder.join(".refit").join(run["manifest"].as_str().unwrap());
        fs::read_to_string(path).unwrap()
    };
    let text: String = runs.iter().map(manifest).collect();
    let uri = |line: &str| {
        let member: Value = serde_json::from_str(line).unwrap();
        member["uri"].as_str().unwrap().to_owned()
    };
    let mut members: Vec<_> = text.lines().map(uri).collect();
    members.sort();
    members
}

/// Demands that each batch is one run at the pipeline service, under the key and at the end the ledger says, and
/// answers with the runs of the ledger.
pub(crate) fn each_batch_is_one_run(folder: &Path, place: &str, of: &str) -> Vec<Value> {
    let runs = runs(folder);
    let text = |run: &Value, name: &str| run[name].as_str().unwrap().to_owned();
    let of_ledger: BTreeMap<_, _> = runs
        .iter()
        .map(|run| (text(run, "run"), vec![(text(run, "key"), text(run, "phase"))]))
        .collect();
    let served = served(folder, place);
    let batches: BTreeSet<_> = served.keys().chain(of_ledger.keys()).collect();
    for batch in batches {
        let (run, known) = (served.get(batch), of_ledger.get(batch));
        assert_eq!(run, known, "{of}: {batch} is one run, of one key");
    }
    runs
}

/// The runs the pipeline service has, with their keys and how each ended, by batch.
fn served(folder: &Path, place: &str) -> BTreeMap<String, Vec<(String, String)>> {
    let bearer = bearer(place);
    let mut served = BTreeMap::<_, Vec<_>>::new();
    let known = fs::read_dir(folder.join(".refit/dev/pipelines/runs"));
    for run in known.into_iter().flatten() {
        let id = run.unwrap().file_name().into_string().unwrap();
        let request = format!("GET /apis/local/v1/runs/{id}");
        let (_, run) = ask(place, &request, &[("authorization", bearer.as_str())]);
        let run: Value = serde_json::from_str(&run).unwrap();
        let text =
            |value: &Value| value.as_str().unwrap_or_else(|| panic!("{id}: {run}")).to_owned();
        let batch = text(&run["labels"]["batch"]);
        served.entry(batch).or_default().push((text(&run["id"]), text(&run["state"])));
    }
    served
}

/// The keys of the runs whose versions of a model the registry has, in order.
pub(crate) fn versions(place: &str, model: &str) -> Vec<String> {
    let request = format!("GET /registry/models/{model}");
    let (status, model) = ask(place, &request, &[("authorization", &bearer(place))]);
    let model: Value = serde_json::from_str(&model).unwrap();
    let versions = model["versions"].as_array().into_iter().flatten();
    let mut keys: Vec<_> =
        versions.map(|version| version["key"].as_str().unwrap().to_owned()).collect();
    assert!(status == 200 || keys.is_empty(), "status=`{status}`, {model}");
    keys.sort();
    keys
}

/// What the service and the registry of this machine want to be shown.
fn bearer(place: &str) -> String {
    let token = "GET /computeMetadata/v1/instance/service-accounts/default/token";
    let (_, token) = ask(place, token, &[("metadata-flavor", "Google")]);
    let token: Value = serde_json::from_str(&token).unwrap();
    format!("Bearer {}", token["access_token"].as_str().unwrap())
}

/// Demands that `refit audit` and `refit fsck` find nothing.
pub(crate) fn nothing_is_wrong(folder: &Path, of: &str) {
    for proof in ["audit", "fsck"] {
        assert_eq!(json(folder, &[proof])["findings"], json!([]), "{of}: {proof}");
    }
}

/// Demands that `refit status` is clean: nothing waits or runs, nothing was not understood, nobody is still to be told,
/// the rules can be read, and no trigger is in trouble or paused.
pub(crate) fn status_is_clean(folder: &Path, of: &str) {
    let status = json(folder, &["status"]);
    let clean = json!({
        "rules_unreadable": null, "pending": 0, "quarantined": 0,
        "batches": [], "runs": [], "receivers": [],
    });
    for (name, value) in clean.as_object().unwrap() {
        assert_eq!(status.get(name), Some(value), "{of}: {name}: {status:#}");
    }
    let triggers = status["triggers"].as_array().unwrap();
    let is_ready = |trigger: &Value| {
        let clean = [("trouble", Value::Null), ("paused", Value::Null), ("removed", json!(false))];
        clean.iter().all(|(name, value)| trigger.get(name) == Some(value))
    };
    assert!(!triggers.is_empty() && triggers.iter().all(is_ready), "{of}: {triggers:#?}");
}
