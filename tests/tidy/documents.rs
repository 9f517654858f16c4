//! What is said of each package and module, and what the first page promises.

use crate::sources::{Source, all, assert_none, check, rust};

/// What the first two blocks of commands on the first page are: the demo, and the tests.
const FIRST_COMMANDS: [&str; 2] = ["cargo run -p refit -- dev --demo", "cargo test --workspace"];

fn undocumented(sources: &[Source]) -> Vec<String> {
    let says = |source: &Source| {
        let first = source.text.lines().next().unwrap_or_default();
        first.starts_with("//! ") || first.starts_with("#![doc = ")
    };
    // A file `tests.rs` holds the tests of the module it lies below, and nothing else.
    let modules = sources.iter().filter(|source| !source.ends_with("/tests.rs"));
    modules.filter(|source| !says(source)).map(|source| source.path.clone()).collect()
}

/// Modules within files that say nothing of themselves.
fn undocumented_within(sources: &[Source]) -> Vec<String> {
    let with_modules = sources.iter().filter(|source| {
        let mut lines = source.text.lines();
        source.is_shipped() && lines.any(|line| line.contains("mod ") && line.ends_with('{'))
    });
    let within = with_modules.flat_map(|source| {
        let file = syn::parse_file(&source.text).unwrap_or_else(|e| panic!("{}: {e}", source.path));
        let silent = file.items.into_iter().filter_map(|item| match item {
            syn::Item::Mod(module) if module.content.is_some() => Some(module),
            _ => None,
        });
        silent
            .filter(|module| module.ident != "tests")
            .filter(|module| !module.attrs.iter().any(|attr| attr.path().is_ident("doc")))
            .map(|module| format!("{}: mod {}", source.path, module.ident))
            .collect::<Vec<_>>()
    });
    within.collect()
}

/// Packages whose first file says nothing, and that have no page of their own.
fn silent_packages(sources: &[Source]) -> Vec<String> {
    let folders = sources.iter().filter_map(|source| source.path.strip_suffix("/Cargo.toml"));
    let says = |folder: &str| {
        sources.iter().any(|source| {
            let entries = ["src/lib.rs", "src/main.rs", "it/main.rs", "README.md"];
            let is_entry = entries.iter().any(|it| source.path == format!("{folder}/{it}"));
            is_entry && (source.ends_with(".md") || source.text.starts_with("//! "))
        })
    };
    folders.filter(|folder| !says(folder)).map(str::to_owned).collect()
}

/// What the fenced blocks of a page hold.
fn blocks(text: &str) -> Vec<String> {
    let fenced = text.split("\n```").skip(1).step_by(2);
    fenced.filter_map(|block| block.split_once('\n')).map(|(_, body)| body.to_owned()).collect()
}

fn other_first_commands(sources: &[Source]) -> Vec<String> {
    let readme = sources.iter().find(|source| source.path == "README.md");
    let blocks = readme.map(|source| blocks(&source.text)).unwrap_or_default();
    let found = FIRST_COMMANDS
        .iter()
        .enumerate()
        .filter(|(index, wanted)| blocks.get(*index).is_none_or(|block| block.trim() != **wanted));
    found.map(|(_, wanted)| (*wanted).to_owned()).collect()
}

/// Tests that the page on guarantees names, and that are nowhere.
fn unknown_tests(sources: &[Source]) -> Vec<String> {
    let page = sources.iter().find(|source| source.path == "docs/guarantees.md");
    let words = page.into_iter().flat_map(|page| page.text.split('`').skip(1).step_by(2));
    let is_name = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let tests = words.filter(is_name).filter(|word| word.matches('_').count() >= 2);
    let is_there = |test: &str| {
        let function = format!("fn {test}(");
        sources.iter().any(|it| it.ends_with(".rs") && it.text.contains(&function))
    };
    tests.filter(|test| !is_there(test)).map(str::to_owned).collect()
}

#[test]
fn the_tests_behind_the_guarantees_are_there() {
    assert_none("no such test", &unknown_tests(&all()));
    let page = "| a | `this_is_here`, `this_is_not`, `max_count` |";
    let files = [("docs/guarantees.md", page), ("a.rs", "fn this_is_here() {}")];
    check(unknown_tests, &files, &["this_is_not"]);
}

#[test]
fn every_module_says_what_it_is() {
    assert_none("begins with no `//!`", &undocumented(&rust()));
    assert_none("has no `///`", &undocumented_within(&rust()));
    let files = [("a.rs", "//! A.\n"), ("b.rs", "fn b() {}\n"), ("c/tests.rs", "fn c() {}")];
    check(undocumented, &files, &["b.rs"]);
    let text = "/// A.\nmod a {\n}\nmod b {\n}\nmod c;\nmod tests {\n}";
    check(undocumented_within, &[("x/src/a.rs", text)], &["x/src/a.rs: mod b"]);
}

#[test]
fn every_package_says_what_it_is() {
    assert_none("neither a README nor a first line", &silent_packages(&all()));
    let files = [
        ("Cargo.toml", ""),
        ("a/Cargo.toml", ""),
        ("a/README.md", "# a"),
        ("b/Cargo.toml", ""),
        ("b/src/lib.rs", "pub fn b() {}"),
        ("c/Cargo.toml", ""),
        ("c/src/main.rs", "//! C."),
    ];
    check(silent_packages, &files, &["b"]);
}

#[test]
fn the_first_page_begins_with_the_demo_and_the_tests() {
    assert_none("README.md", &other_first_commands(&all()));
    let text = "# a\n\n```sh\ncargo run -p refit -- dev --demo\n```\n\nb\n\n```sh\nmake\n```\n";
    check(other_first_commands, &[("README.md", text)], &["cargo test --workspace"]);
}
