//! Which package may use which, and what may be nowhere below one.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::{Value, json};

use crate::sources::{assert_none, root};

/// Each package with those of the workspace it may use: a row uses rows above it.
const MAY_USE: &[(&str, &[&str])] = &[
    ("refit-core", &[]),
    ("refit-wire", &["refit-core"]),
    ("refit-engine", &["refit-core", "refit-wire"]),
    ("refit-platform", &["refit-core", "refit-wire", "refit-engine"]),
    ("refit-host", &["refit-core", "refit-wire", "refit-engine", "refit-platform"]),
    (
        "refit-testkit",
        &["refit-core", "refit-wire", "refit-engine", "refit-platform", "refit-host"],
    ),
    ("breast-cancer", &[]),
    (
        "refit-dev",
        &[
            "refit-core",
            "refit-wire",
            "refit-engine",
            "refit-platform",
            "refit-host",
            "breast-cancer",
        ],
    ),
    (
        "refit",
        &[
            "refit-core",
            "refit-wire",
            "refit-engine",
            "refit-platform",
            "refit-host",
            "refit-dev",
            "breast-cancer",
        ],
    ),
];
/// What every other function may use.
const OF_FUNCTIONS: &[&str] = &["refit-host"];
/// What tests may use as well.
const OF_TESTS: &[&str] = &["refit-testkit"];
/// Folders of packages that test or measure, and are in no program: they may use everything.
const UNSHIPPED: &[&str] = &["tests/", "benches/"];

/// What no function is built from.
const BELOW_NO_FUNCTION: &[&str] = &["refit-dev", "refit-testkit", "breast-cancer", "clap"];
/// What may be nowhere in what a package is built from.
const NOWHERE_BELOW: &[(&str, &[&str])] = &[
    (
        "refit-core",
        &["tokio", "http", "hyper", "rand", "tracing", "reqwest", "futures", "getrandom"],
    ),
    ("refit-wire", &["tokio", "reqwest", "hyper", "tracing"]),
    ("refit-engine", &["tokio", "reqwest", "hyper", "gcp_auth", "object_store"]),
    ("object", BELOW_NO_FUNCTION),
    ("drift", BELOW_NO_FUNCTION),
    ("hook", BELOW_NO_FUNCTION),
    ("tick", BELOW_NO_FUNCTION),
    ("refit", &["refit-testkit"]),
];

/// What cargo prints.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root()).output();
    let output = output.expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What cargo knows of the packages of the workspace.
fn metadata() -> Value {
    let printed = cargo(&["metadata", "--format-version=1", "--offline", "--no-deps"]);
    serde_json::from_str(&printed).unwrap()
}

fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The packages of the workspace: name, folder, and what metadata says of it.
fn members(metadata: &Value) -> Vec<(&str, String, &Value)> {
    let ids: BTreeSet<&str> = items(&metadata["workspace_members"]).map(text).collect();
    let root = format!("{}/", text(&metadata["workspace_root"]));
    let own = items(&metadata["packages"]).filter(|package| ids.contains(text(&package["id"])));
    let with_folder = own.map(|package| {
        let manifest = text(&package["manifest_path"]);
        let folder = manifest.strip_prefix(&root).unwrap_or(manifest);
        (text(&package["name"]), folder.replace("Cargo.toml", ""), package)
    });
    with_folder.collect()
}

/// What a package of the workspace may use of it; `None` if no row says.
fn may_use(name: &str, folder: &str) -> Option<&'static [&'static str]> {
    let row = MAY_USE.iter().find(|(package, _)| *package == name).map(|(_, used)| *used);
    row.or_else(|| folder.starts_with("functions/").then_some(OF_FUNCTIONS))
}

/// Uses that go up, or sideways.
fn upward(metadata: &Value) -> Vec<String> {
    let members = members(metadata);
    let own: BTreeSet<&str> = members.iter().map(|(name, _, _)| *name).collect();
    let mut found = Vec::new();
    for (name, folder, package) in members {
        if UNSHIPPED.iter().any(|unshipped| folder.starts_with(unshipped)) {
            continue;
        }
        let Some(allowed) = may_use(name, &folder) else {
            found.push(format!("{name} has no row"));
            continue;
        };
        for used in items(&package["dependencies"]) {
            let (other, in_tests) = (text(&used["name"]), used["kind"] == "dev");
            let is_allowed = allowed.contains(&other) || (in_tests && OF_TESTS.contains(&other));
            if own.contains(other) && !is_allowed {
                found.push(format!("{name} uses {other}"));
            }
        }
    }
    found
}

/// What cargo lists a package to be built from, on this machine: tests and build scripts left out.
fn tree(package: &str) -> String {
    let arguments = ["tree", "--offline", "--edges=normal", "--prefix=none", "--format={p}"];
    cargo(&[&arguments[..], &["--package", package]].concat())
}

/// Those of `banned` that a tree holds.
fn present(package: &str, tree: &str, banned: &[&str]) -> Vec<String> {
    let names: BTreeSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    let found = banned.iter().filter(|name| names.contains(**name));
    found.map(|name| format!("{name} is below {package}")).collect()
}

/// A workspace of two packages and one that is not of it.
fn small() -> Value {
    let package = |name: &str, folder: &str, used: Value| {
        json!({
            "id": name, "name": name, "dependencies": used,
            "manifest_path": format!("/r/{folder}/Cargo.toml"),
        })
    };
    let uses = |name: &str| json!([{"name": name, "kind": null}]);
    json!({
        "workspace_root": "/r",
        "workspace_members": ["refit-core", "refit-wire", "refit-odd"],
        "packages": [
            package("refit-core", "shared/refit-core", uses("refit-wire")),
            package("refit-wire", "shared/refit-wire", uses("refit-core")),
            package("refit-odd", "shared/refit-odd", json!([])),
        ],
    })
}

#[test]
fn packages_use_those_above_them_only() {
    assert_none("see MAY_USE", &upward(&metadata()));
    assert_eq!(upward(&small()), ["refit-core uses refit-wire", "refit-odd has no row"]);
}

#[test]
fn nothing_is_built_from_what_it_must_not_know() {
    assert_eq!(present("object", &tree("object"), &["tokio"]).len(), 1, "the tree is read");
    let found = NOWHERE_BELOW.iter().map(|(name, banned)| present(name, &tree(name), banned));
    assert_none("see NOWHERE_BELOW", &found.collect::<Vec<_>>().concat());
    let text = "refit-core v0.1.0 (/r)\nserde v1.0.0\ntokio v1.0.0 (*)\ntokio-util v0.7.0";
    assert_eq!(present("refit-core", text, &["tokio", "rand"]), ["tokio is below refit-core"]);
}
