//! The table of registries in the documentation.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use expect_test::expect_file;
use refit_wire::registry::{About, RegistryConfig};

use crate::recordings;

/// What the words of a row rest on.
fn proof(kind: &str, about: &About) -> String {
    let count = |file| fs::read_to_string(file).unwrap().matches("\n## ").count();
    let cases: usize = recordings(kind).iter().map(count).sum();
    let spec = about.spec.map_or("no published description".to_owned(), |file| {
        let name = file
            .trim_end_matches(".json")
            .trim_end_matches(".derived")
            .trim_end_matches(".trimmed");
        format!("checked against `{name}`")
    });
    let walked =
        about.walked.map(|server| format!("; the [walk](promotion.md#a-walk) at {server}"));
    format!("{cases} recorded exchanges, {spec}{}", walked.unwrap_or_default())
}

#[test]
fn the_table_of_registries_is_the_one_in_the_documentation() {
    let mut text = "# Registries of models\n\n\
        How each kind of registry is used. Written by a test from the code; `UPDATE_EXPECT=1 cargo test -p refit-wire` \
        renews it. What becomes of a version is told in [promotion.md](promotion.md).\n\n\
        A version is looked up by its run key before it is registered, and again where an answer was lost; where a \
        registry has several under one key, the lowest is taken for ours.\n\n\
        The exchanges are our own, with made-up values in documented fields; no registry was asked for them.\n\n\
        | registry | register | find | metrics | stage | proof |\n\
        |---|---|---|---|---|---|\n"
        .to_owned();
    for (kind, about) in RegistryConfig::about() {
        let About { create, find, metrics, stage, .. } = about;
        let proof = proof(kind, &about);
        let _ = writeln!(text, "| `{kind}` | {create} | {find} | {metrics} | {stage} | {proof} |");
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    expect_file![root.join("docs/registries.md")].assert_eq(&text);
}
