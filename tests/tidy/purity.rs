//! What crates that only decide, or only translate, do not name.

use crate::sources::{Source, assert_none, check, rust};

/// What neither decides nor translates, beside what is of the machine.
const OF_EFFECTS: &[&str] = &[
    "std::io",
    "std::sync::Mutex",
    "Timestamp::now",
    "Zoned::now",
    "tracing::",
    "async fn",
    ".await",
];
/// What gives another order in every run.
const OF_NO_ORDER: &[&str] = &["HashMap", "HashSet"];
/// Where one of these is meant: the evaluator takes its maps so, and refit never walks them.
const MEANT: &[(&str, &str)] = &[("shared/refit-core/src/expression.rs", "HashMap")];
/// Where the environment is read: for all programs, and for tests.
const MAY_READ: &[&str] = &["shared/refit-platform/src/env.rs", "shared/refit-testkit/"];
/// What only the outside world has; the engine asks its ports for it instead.
const OF_THE_MACHINE: &[&str] = &[
    "std::fs",
    "std::net::Tcp",
    "std::net::Udp",
    "ToSocketAddrs",
    "std::env",
    "std::process",
    "std::thread",
    "std::time",
    "SystemTime",
    "Instant::",
    "tokio::",
    "reqwest::",
    "rand::",
    "getrandom",
    "println!",
    "eprintln!",
];

/// What no process is called by: its files are those of a store.
const OF_A_DISK: &[&str] = &["std::fs", "tokio::fs", "std::process::Command", "tokio::process"];

fn named(sources: &[Source], folder: &str, words: &[&str]) -> Vec<String> {
    let of_folder = sources.iter().filter(|source| source.path.starts_with(folder));
    let lines = of_folder
        .filter(|source| source.is_shipped())
        .flat_map(|source| source.code().map(|(line, text)| (source.path.as_str(), line, text)));
    let found = lines.filter_map(|(path, line, text)| {
        let is_meant = |word: &str| MEANT.contains(&(path, word));
        let mut words = words.iter().filter(|word| text.contains(**word) && !is_meant(word));
        words.next().map(|word| format!("{path}:{line} {word}"))
    });
    found.collect()
}

fn impure(sources: &[Source]) -> Vec<String> {
    let core = "shared/refit-core/src/";
    let of_the_world = [OF_THE_MACHINE, OF_EFFECTS].concat();
    [
        named(sources, core, &of_the_world),
        named(sources, core, OF_NO_ORDER),
        named(sources, "shared/refit-wire/src/", &of_the_world),
        named(sources, "shared/refit-engine/src/", OF_THE_MACHINE),
        named(sources, "shared/refit-host/src/", OF_A_DISK),
    ]
    .concat()
}

/// Places that read the environment past the one that does it for all.
fn readers(sources: &[Source]) -> Vec<String> {
    let elsewhere: Vec<Source> = sources
        .iter()
        .filter(|source| !MAY_READ.iter().any(|place| source.path.starts_with(place)))
        .map(|source| Source::new(&source.path, &source.text))
        .collect();
    let folders = ["shared/", "functions/"];
    folders.map(|folder| named(&elsewhere, folder, &["std::env::var"])).concat()
}

#[test]
fn deciding_and_translating_look_at_nothing() {
    assert_none("only refit-platform looks at the world", &impure(&rust()));
    let files = [
        ("shared/refit-core/src/plan.rs", "// std::fs\nuse std::fs;\n#[cfg(test)]\nuse std::io;"),
        ("shared/refit-core/src/fold.rs", "type A = HashMap<u8, u8>;"),
        ("shared/refit-wire/src/http.rs", "pub async fn send() {}"),
        ("shared/refit-engine/src/act.rs", "async fn act() { tokio::spawn(b()) }"),
        ("shared/refit-host/src/server.rs", "use std::net::TcpListener;\nuse std::fs;"),
        ("shared/refit-platform/src/clock.rs", "std::time::SystemTime::now()"),
        ("shared/refit-core/tests/decisions/main.rs", "use std::fs;"),
    ];
    check(
        impure,
        &files,
        &[
            "shared/refit-core/src/plan.rs:2 std::fs",
            "shared/refit-core/src/fold.rs:1 HashMap",
            "shared/refit-wire/src/http.rs:1 async fn",
            "shared/refit-engine/src/act.rs:1 tokio::",
            "shared/refit-host/src/server.rs:2 std::fs",
        ],
    );
}

#[test]
fn the_environment_is_read_in_one_place() {
    assert_none("environment", &readers(&rust()));
    let files = [
        ("shared/refit-platform/src/env.rs", "std::env::var(name)"),
        ("functions/tick/src/main.rs", "std::env::var(name)"),
    ];
    check(readers, &files, &["functions/tick/src/main.rs:1 std::env::var"]);
}
