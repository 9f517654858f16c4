//! Versions and features: declared once, for the whole workspace.

use std::collections::BTreeMap;

use crate::sources::{Source, all, assert_none, check, root};

/// Crates of which there are several versions, because two that are used want different ones.
const SEVERAL: &[(&str, &str)] = &[
    ("base64", "`cel`, `gcp_auth` and we use 0.22; `reqwest` and `hyper-util` 0.23"),
    ("bit-set", "`fancy-regex` uses 0.8, `antlr4rust` and `proptest` 0.11"),
    ("bit-vec", "as `bit-set`; `yasna`, for test certificates, uses a third"),
    ("crypto-common", "as `digest`"),
    ("darling", "`derive_builder` of `croner` is behind `serde_with`; no program contains it"),
    ("darling_core", "as `darling`"),
    ("darling_macro", "as `darling`"),
    ("digest", "`crc-fast` of the Google crates uses 0.10, `sha2` 0.11"),
    ("getrandom", "`ring` uses 0.2, `ahash` and `jsonschema` 0.3, we 0.4"),
    ("hashbrown", "`indexmap` 1 and `tokio-util` use older ones"),
    ("indexmap", "`serde_with` of the Google crates has both"),
    ("itertools", "`prost-derive` uses 0.14, `object_store` 0.15"),
    ("nom", "`cel` uses 7, `lettre` 8"),
    ("r-efi", "as `getrandom`; for no platform we build for"),
    ("rand", "`opentelemetry_sdk` of the Google crates uses 0.9, `proptest` 0.10"),
    ("rand_core", "as `rand`"),
    ("schemars", "`serde_with` of the Google crates has both"),
    ("strum", "`croner` is behind the Google crates"),
    ("strum_macros", "as `strum`"),
    ("syn", "half of the derive macros use 2, half use 3; no program contains it"),
    ("synstructure", "as `syn`"),
    ("windows-sys", "`ring` uses 0.52; for no platform we build for"),
];

/// Beginnings of the names of crates that would be a second TLS implementation, or a second provider of rustls.
const OTHER_TLS: &[&str] = &["aws-lc", "openssl-sys", "native-tls"];

/// The lines of a manifest that declare a dependency, with their numbers.
fn declared(manifest: &Source) -> impl Iterator<Item = (usize, &str)> {
    let mut is_inside = false;
    let lines = manifest.text.lines().enumerate().filter(move |(_, line)| {
        if line.starts_with('[') {
            is_inside = line.ends_with("dependencies]");
            return false;
        }
        is_inside && !line.trim().is_empty() && !line.starts_with('#')
    });
    lines.map(|(index, line)| (index + 1, line))
}

/// Whether a declaration leaves version and features to the workspace.
///
/// Features of our own packages are for tests, and said where they are wanted.
fn is_left_to_workspace(line: &str) -> bool {
    let (name, rest) = line.split_once(['.', ' ']).unwrap_or((line, ""));
    let is_own = name.starts_with("refit-");
    let is_workspace = rest.contains("workspace = true");
    is_workspace && !rest.contains("version") && (is_own || !rest.contains("features"))
}

fn declared_here(sources: &[Source]) -> Vec<String> {
    let members =
        sources.iter().filter(|it| it.ends_with("/Cargo.toml") && it.path != "Cargo.toml");
    let all = members.flat_map(|it| declared(it).map(|(line, text)| (&it.path, line, text)));
    let found = all.filter(|(_, _, text)| !is_left_to_workspace(text));
    found.map(|(path, line, text)| format!("{path}:{line} {text}")).collect()
}

/// Dependencies the workspace declares and no package uses.
fn unused(sources: &[Source]) -> Vec<String> {
    let named = |line: &str| line.split(['.', ' ']).next().unwrap_or_default().to_owned();
    let (root, members): (Vec<&Source>, Vec<&Source>) = sources
        .iter()
        .filter(|it| it.ends_with("Cargo.toml"))
        .partition(|it| it.path == "Cargo.toml");
    let used: Vec<String> =
        members.iter().flat_map(|it| declared(it).map(|(_, line)| named(line))).collect();
    let known = root.iter().flat_map(|it| declared(it).map(|(_, line)| named(line)));
    known.filter(|name| !used.contains(name)).collect()
}

/// The names of crates in the lock file: of every feature and platform, and once for every version.
fn locked(lock: &str) -> impl Iterator<Item = &str> {
    lock.lines().filter_map(|line| line.strip_prefix("name = ")).map(|name| name.trim_matches('"'))
}

/// Crates of a second TLS implementation, by what the lock file holds.
fn other_tls(lock: &str) -> Vec<&str> {
    let is_other = |name: &&str| OTHER_TLS.iter().any(|other| name.starts_with(other));
    locked(lock).filter(is_other).collect()
}

/// What `cargo deny` is to overlook: a crate without a version would be one at every version, also at those to come.
fn overlooked_at_every_version(deny: &str) -> Vec<&str> {
    let skips = deny.lines().skip_while(|line| *line != "skip = [").take_while(|line| *line != "]");
    let named = skips.filter_map(|line| line.split('"').nth(1));
    named.filter(|name| !name.contains([':', '@'])).collect()
}

/// Crates with several versions, by what the lock file holds.
fn several(lock: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for name in locked(lock) {
        *versions.entry(name).or_default() += 1;
    }
    versions.into_iter().filter(|(_, count)| *count > 1).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn versions_and_features_are_declared_once() {
    assert_none("not left to the workspace", &declared_here(&all()));
    let text = "[package]\nversion = \"1\"\n[dependencies]\na.workspace = true\nb = \"1\"\n\
                c = { workspace = true, features = [\"d\"] }\n\n[dev-dependencies]\n\
                refit-core = { workspace = true, features = [\"mutants\"] }\n[features]\nx = []";
    check(
        declared_here,
        &[("Cargo.toml", text), ("a/Cargo.toml", text)],
        &[
            "a/Cargo.toml:5 b = \"1\"",
            "a/Cargo.toml:6 c = { workspace = true, features = [\"d\"] }",
        ],
    );
}

#[test]
fn what_is_declared_is_used() {
    assert_none("no package uses it", &unused(&all()));
    let root = "[workspace.dependencies]\na = \"1\"\nb = { version = \"1\" }";
    let member = "[dev-dependencies]\na.workspace = true";
    check(unused, &[("Cargo.toml", root), ("x/Cargo.toml", member)], &["b"]);
}

#[test]
fn there_is_one_version_of_each_crate() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let is_known = |name: &String| SEVERAL.iter().any(|(known, _)| known == name);
    let new: Vec<String> = several(&lock).into_iter().filter(|name| !is_known(name)).collect();
    assert_none("several versions", &new);
    let text = "[[package]]\nname = \"a\"\n[[package]]\nname = \"b\"\n[[package]]\nname = \"a\"\n";
    assert_eq!(several(text), ["a"]);
}

#[test]
fn there_is_one_tls_provider_whatever_the_features() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    assert_eq!(other_tls(&lock), [""; 0], "ring is the provider");
    let named = ["aws-lc-rs", "openssl-probe", "openssl-sys", "ring", "native-tls"];
    let text: String =
        named.iter().map(|name| format!("[[package]]\nname = \"{name}\"\n")).collect();
    assert_eq!(other_tls(&text), ["aws-lc-rs", "openssl-sys", "native-tls"]);
}

#[test]
fn what_is_overlooked_is_so_at_stated_versions() {
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap();
    assert_eq!(overlooked_at_every_version(&deny), [""; 0], "see `skip` in deny.toml");
    let text = "deny = [\n    { crate = \"a\" },\n]\nskip = [\n    { crate = \"b\" },\n    { crate = \"c:1\" },\n]\n[x]";
    assert_eq!(overlooked_at_every_version(text), ["b"]);
}

#[test]
fn what_is_excused_is_so_still() {
    let lock = std::fs::read_to_string(root().join("Cargo.lock")).unwrap();
    let several = several(&lock);
    let over: Vec<String> = SEVERAL
        .iter()
        .filter(|(name, why)| why.is_empty() || !several.iter().any(|it| it == name))
        .map(|(name, _)| (*name).to_owned())
        .collect();
    assert_none("there is one version again", &over);
}
