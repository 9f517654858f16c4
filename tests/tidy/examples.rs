//! The examples of Terraform: each is whole, and its rule file is right.

use std::collections::BTreeSet;

use refit_core::drift::DriftReport;
use refit_core::event::Fact;
use refit_core::rules::{On, Trigger};
use refit_core::time::Timestamp;
use refit_wire::config;
use refit_wire::sample::read_sample;
use refit_wire::source::{Understood, understand};

use crate::hcl::blocks;
use crate::sources::{Source, all, assert_none, check, root};

const FOLDER: &str = "terraform/examples/";
/// What every example has.
const FILES: &[&str] =
    &["README.md", "main.tf", "outputs.tf", "refit.yaml", "variables.tf", "versions.tf"];

fn examples(sources: &[Source]) -> BTreeSet<&str> {
    let names = sources.iter().filter_map(|source| source.path.strip_prefix(FOLDER));
    names.filter_map(|rest| rest.split_once('/').map(|(name, _)| name)).collect()
}

fn incomplete(sources: &[Source]) -> Vec<String> {
    let paths = examples(sources)
        .into_iter()
        .flat_map(|name| FILES.iter().map(move |file| format!("{FOLDER}{name}/{file}")));
    paths.filter(|path| sources.iter().all(|source| source.path != *path)).collect()
}

/// The whole rule files in a document: those that define services as well as triggers.
fn rule_files(document: &Source) -> Vec<&str> {
    let blocks = document.text.split("```yaml\n").skip(1);
    let blocks = blocks.filter_map(|rest| Some(rest.split_once("\n```")?.0));
    let has = |block: &str, key: &str| block.lines().any(|line| line.starts_with(key));
    blocks.filter(|block| has(block, "services:") && has(block, "triggers:")).collect()
}

/// Rule files with mistakes, or with something to be warned of, in examples and documents.
fn wrong_rules(sources: &[Source]) -> Vec<String> {
    let is_example = |path: &str| path.starts_with(FOLDER) || path.starts_with("examples/");
    let files = sources.iter().flat_map(|source| {
        let text = match &*source.path {
            path if is_example(path) && path.ends_with("/refit.yaml") => vec![&*source.text],
            path if path.ends_with(".md") => rule_files(source),
            _ => Vec::new(),
        };
        text.into_iter().map(move |text| (&source.path, text))
    });
    let wrong = files.filter_map(|(path, text)| {
        let (_, found) = config::read(text);
        let said = config::render(path, text, &found, false);
        (!found.is_empty()).then(|| said.trim_end().to_owned())
    });
    wrong.collect()
}

/// Variables that must be given and that the file to begin with does not give.
fn not_given(sources: &[Source]) -> Vec<String> {
    let of_an_example = |module: &str| module.starts_with(FOLDER);
    let needed = blocks(sources).into_iter().filter(|it| {
        it.what == "variable" && of_an_example(&it.module) && it.text("default").is_empty()
    });
    let missing = needed.filter_map(|variable| {
        let path = root().join(&variable.module).join("terraform.tfvars.example");
        let given = std::fs::read_to_string(&path).unwrap_or_default();
        let gives = |line: &str| {
            line.split_once('=').is_some_and(|(name, _)| name.trim() == variable.name())
        };
        (!given.lines().any(gives)).then(|| variable.place())
    });
    missing.collect()
}

/// An anomaly of Vertex AI Model Monitoring, as the sink of the module delivers it.
fn anomaly(now: &str) -> DriftReport {
    let text = std::fs::read_to_string(root().join("events/drift/vertex-anomaly.http")).unwrap();
    let now: Timestamp = now.parse().unwrap();
    let sample = read_sample(&text, now).unwrap();
    let Understood::Record(events) = understand(&sample.delivery()).unwrap() else {
        panic!("it is recorded")
    };
    let Some(Fact::Drift(report)) = events.into_iter().next().map(|event| event.fact) else {
        panic!("it is a report")
    };
    *report
}

/// Triggers on drift, in examples that take the anomalies of Vertex, which two of them in a row would not fire.
fn deaf(sources: &[Source]) -> Vec<String> {
    let takes = |path: &str| {
        let main = path.replace("/refit.yaml", "/main.tf");
        sources.iter().any(|it| it.path == main && it.text.contains("drift_vertex "))
    };
    let reports = ["2026-01-05T12:00:00Z", "2026-01-05T13:00:00Z"].map(anomaly);
    let hears = |trigger: &Trigger| {
        let mut entries = trigger.minds(&reports[0]);
        entries.any(|entry| {
            let in_a_row = entry.series(&reports[0]) == entry.series(&reports[1]);
            in_a_row && entry.consecutive <= 2 && entry.judge(&reports[1]).is_ok()
        })
    };
    let files =
        sources.iter().filter(|source| source.ends_with("/refit.yaml") && takes(&source.path));
    let found = files.flat_map(|source| {
        let triggers = config::read(&source.text).0.map(|it| it.rules.triggers).unwrap_or_default();
        let on_drift = |trigger: &Trigger| trigger.on.iter().any(|on| matches!(on, On::Drift(_)));
        let deaf = triggers.into_iter().filter(|(_, it)| on_drift(it) && !hears(it));
        deaf.map(|(name, _)| format!("{}: {name}", source.path)).collect::<Vec<_>>()
    });
    found.collect()
}

#[test]
fn the_anomalies_of_vertex_fire_the_rules_of_who_takes_them() {
    assert_none("deaf", &deaf(&all()));
    let path = format!("{FOLDER}cloud-build-redeploy/refit.yaml");
    let file = all().into_iter().find(|source| source.path == path).unwrap();
    let job = "\"6680511704087920640\"";
    assert!(file.text.contains(job), "the rule names the job of the sample");
    let main = format!("{FOLDER}cloud-build-redeploy/main.tf");
    let files = [
        (&*path, &*file.text.replace(job, "churn")),
        (&*main, "module a {\n drift_vertex = true\n}"),
    ];
    check(deaf, &files, &[&format!("{path}: churn-drift")]);
}

/// Examples whose images the page on deploying does not name as they do.
fn images_untold(sources: &[Source]) -> Vec<String> {
    let page = sources.iter().find(|source| source.path == "docs/deploy.md");
    let rows: Vec<&str> = page.map(|page| page.text.lines().collect()).unwrap_or_default();
    let untold = examples(sources).into_iter().filter_map(|name| {
        let path = root().join(FOLDER).join(name).join("terraform.tfvars.example");
        let given = std::fs::read_to_string(path).unwrap_or_default();
        let images = given.lines().filter_map(|line| line.split_once("@sha256:"));
        let programs = images.filter_map(|(image, _)| image.rsplit_once('/'));
        let programs: BTreeSet<&str> = programs.map(|(_, program)| program).collect();
        let cell = format!("| `{}` |", programs.into_iter().collect::<Vec<_>>().join(" "));
        let is_told = |row: &&str| row.starts_with(&format!("| [{name}](")) && row.ends_with(&cell);
        (!rows.iter().any(is_told)).then(|| format!("{name}: {cell}"))
    });
    untold.collect()
}

#[test]
fn every_image_of_an_example_is_built() {
    assert_none("images", &images_untold(&all()));
    let files = [
        ("terraform/examples/minimal/main.tf", ""),
        ("terraform/examples/vertex/main.tf", ""),
        ("docs/deploy.md", "| [minimal](x) | a | `refit` |\n| [vertex](x) | a | `tick` |"),
    ];
    check(images_untold, &files, &["vertex: | `object tick` |"]);
    let text = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let (toolchain, build) = (text("rust-toolchain.toml"), text("cloudbuild.yaml"));
    let rust = toolchain.split('"').nth(1).unwrap();
    assert!(build.contains(&format!("/rust:{rust}-")), "images are built with another Rust");
    let ignored = text(".dockerignore");
    let programs = std::fs::read_dir(root().join("functions")).unwrap();
    for program in programs.map(|it| it.unwrap().file_name().into_string().unwrap()) {
        let line = format!("!target/*/*/{program}");
        assert!(ignored.lines().any(|it| it == line), "an image has no {program}");
    }
}

#[test]
fn every_example_is_whole() {
    assert_none("missing", &incomplete(&all()));
    let paths: Vec<String> = FILES[1..].iter().map(|file| format!("{FOLDER}a/{file}")).collect();
    let files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "")).collect();
    check(incomplete, &files, &["terraform/examples/a/README.md"]);
}

#[test]
fn what_must_be_given_is_in_the_file_to_begin_with() {
    assert_none("not in terraform.tfvars.example", &not_given(&all()));
    let text = "variable \"no_such\" {\n type = string\n}\nvariable \"other\" {\n default = 1\n}";
    check(
        not_given,
        &[("terraform/examples/minimal/x.tf", text)],
        &["terraform/examples/minimal: no_such"],
    );
}

#[test]
fn rule_files_of_examples_and_documents_hold_no_mistake() {
    assert_none("rules", &wrong_rules(&all()));
    let readme = all().into_iter().find(|source| source.path == "README.md").unwrap();
    assert_eq!(rule_files(&readme).len(), 1);
    let rules = "services: {}\ntriggers: { a: { on: {} } }";
    let page = format!("Rules:\n```yaml\n{rules}\n```\n");
    for (path, text) in [
        ("terraform/examples/a/refit.yaml", rules),
        ("examples/a/refit.yaml", rules),
        ("a.md", &page),
    ] {
        assert_eq!(wrong_rules(&[Source::new(path, text)]).len(), 1, "{path}");
    }
}
