//! The table of services in the documentation, and the rule files that show each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use refit_wire::config::{read, render};
use refit_wire::pipeline::{About, ServiceConfig};

use crate::recordings;

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// The rule files that show a service, by folder.
fn examples() -> Vec<(String, String)> {
    let folders = fs::read_dir(repository().join("examples")).unwrap();
    let mut found = Vec::new();
    for folder in folders.map(|entry| entry.unwrap()) {
        let name = folder.file_name().into_string().unwrap();
        if let Ok(text) = fs::read_to_string(folder.path().join("refit.yaml")) {
            found.push((name, text));
        }
    }
    found.sort();
    found
}

#[test]
fn every_example_holds_no_mistake_and_every_service_has_one() {
    let mut shown = BTreeSet::new();
    for (folder, text) in examples() {
        let (config, found) = read(&text);
        assert!(found.is_empty(), "{folder}\n{}", render("refit.yaml", &text, &found, false));
        let config = config.unwrap();
        for (name, service) in &config.service_configs {
            shown.insert(service.kind());
            let class = format!("{:?}", config.services[name].profile().class);
            let about =
                ServiceConfig::about().into_iter().find(|(kind, _)| *kind == service.kind());
            assert!(about.unwrap().1.class.starts_with(&class), "{folder}: class {class}");
        }
    }
    let kinds: BTreeSet<_> = ServiceConfig::about().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(shown, kinds);
}

/// What the words of a row rest on.
fn proof(kind: &str, about: &About) -> String {
    let cases: usize = recordings(kind)
        .iter()
        .map(|file| fs::read_to_string(file).unwrap().matches("\n## ").count())
        .sum();
    let name = |file: &&str| format!("`{}`", file.split('.').next().unwrap_or(file));
    let specs: Vec<String> = about.specs.iter().map(name).collect();
    let spec = match specs.is_empty() {
        true => "no published description".to_owned(),
        false => format!("checked against {}", specs.join(", ")),
    };
    format!("{cases} recorded exchanges, {spec}; {}", about.proof)
}

#[test]
fn the_tests_behind_every_service_are_there() {
    for (kind, about) in ServiceConfig::about() {
        let paths: Vec<&str> = about.proof.split('`').filter(|it| it.contains('/')).collect();
        assert!(!paths.is_empty(), "{kind}");
        for path in paths {
            assert!(repository().join(path).exists(), "{kind}: {path}");
        }
    }
}

#[test]
fn the_table_of_services_is_the_one_in_the_documentation() {
    let mut text = "# Services\n\n\
        How each kind of service is used. Written by a test from the code; `UPDATE_EXPECT=1 cargo test -p refit-wire` \
        renews it.\n\n\
        Class A: a second start under the same key starts nothing. Class B: keys are taken, and a second start under \
        one does harm, so every start is looked up first. Class C: no keys, runs are found by a marker; the guard in \
        the pipeline's first step makes one run effective.\n\n\
        Where a person has a run run again at its service, it is followed as the column says, also for a day after \
        refit recorded that it failed, was cancelled or took too long: every ten minutes its service is asked. Its new \
        end counts, is told, and makes a version. Not followed is a run whose next attempt was started or whose members \
        went to another batch; one that may not overlap another run of its trigger is, once that is over. A run that \
        succeeded has succeeded. What the batch of any run held is run once more by `refit replay --force`.\n\n\
        The exchanges are our own, with made-up values in documented fields; no service was asked for them.\n\n\
        | service | class | start | find | status | cancel | run again there | push | proof |\n\
        |---|---|---|---|---|---|---|---|---|\n"
        .to_owned();
    for (kind, about) in ServiceConfig::about() {
        let About { class, start, find, status, cancel, again, push, .. } = about;
        let proof = proof(kind, &about);
        let _ = writeln!(
            text,
            "| `{kind}` | {class} | {start} | {find} | {status} | {cancel} | {again} | {push} | {proof} |"
        );
    }
    expect_file![repository().join("docs/services.md")].assert_eq(&text);
}
