//! Workflows of GitHub beside the rule files of examples: each takes what its rule gives, and runs nothing unsaid.

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;

use crate::table::repository;

/// The workflows, with their folders.
const WORKFLOWS: [(&str, &str); 3] =
    [("dvc", "retrain.yml"), ("github-actions", "retrain.yml"), ("github-actions", "deploy.yml")];

fn document(path: &str) -> Value {
    let text = fs::read_to_string(repository().join("examples").join(path)).unwrap();
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn names(fields: &Value) -> BTreeSet<&str> {
    fields.as_object().into_iter().flatten().map(|(name, _)| name.as_str()).collect()
}

/// What the rules give to runs of a workflow.
fn given<'a>(rules: &'a Value, workflow: &str) -> BTreeSet<&'a str> {
    let mut runs = rules["triggers"].as_object().unwrap().values().map(|trigger| &trigger["run"]);
    let run = runs.find(|run| run["workflow"] == workflow).unwrap();
    names(&run["parameters"]).into_iter().chain(["refit_key"]).collect()
}

/// Everything of that name, wherever it stands.
fn all<'a>(name: &str, within: &'a Value) -> Vec<&'a Value> {
    match within {
        Value::Array(items) => items.iter().flat_map(|item| all(name, item)).collect(),
        Value::Object(fields) => {
            let here = fields.get(name);
            here.into_iter().chain(fields.values().flat_map(|field| all(name, field))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// Whether it is a commit of another repository, or a folder of this one.
fn is_pinned(action: &str) -> bool {
    let is_commit = |text: &str| text.len() == 40 && text.chars().all(|c| c.is_ascii_hexdigit());
    let commit = action.split_once('@').is_some_and(|(_, version)| is_commit(version));
    commit || action.starts_with("./")
}

#[test]
fn a_workflow_takes_what_its_rule_gives_and_shows_its_key() {
    for (folder, name) in WORKFLOWS {
        let workflow = document(&format!("{folder}/{name}"));
        let rules = document(&format!("{folder}/refit.yaml"));
        let inputs = &workflow["on"]["workflow_dispatch"]["inputs"];
        assert_eq!(names(inputs), given(&rules, name), "{folder}: {name}");
        let title = workflow["run-name"].as_str().unwrap();
        assert!(title.contains("inputs.refit_key"), "{folder}: {title}");
    }
}

#[test]
fn the_actions_of_a_workflow_are_pinned_and_its_scripts_hold_no_inputs() {
    for (folder, name) in WORKFLOWS {
        let workflow = document(&format!("{folder}/{name}"));
        let actions = all("uses", &workflow);
        assert!(!actions.is_empty(), "{folder}");
        for action in actions {
            assert!(is_pinned(action.as_str().unwrap()), "{folder}: {action}");
        }
        for script in all("run", &workflow) {
            assert!(!script.as_str().unwrap().contains("${{"), "{folder}: {script}");
        }
    }
    assert!(!is_pinned("actions/checkout@v4") && !is_pinned("acme/action"));
}

#[test]
fn a_workflow_gives_the_guard_what_it_takes_and_trains_after_it() {
    let (workflow, guard) = (document("dvc/retrain.yml"), document("guard/action.yml"));
    let steps = workflow["jobs"]["guard"]["steps"].as_array().unwrap();
    let step = steps.iter().find(|step| step["uses"] == "./.github/actions/guard").unwrap();
    assert_eq!(names(&step["with"]), names(&guard["inputs"]));
    let train = &workflow["jobs"]["train"];
    assert_eq!(train["needs"], "guard");
    assert_eq!(train["if"], "needs.guard.outputs.decision == 'go'");
}
