//! Words that do not belong in what is kept.

use crate::sources::{Source, all, assert_none, check, rust};

/// What is left to do is done, or is written down where work is planned.
const LEFTOVERS: &[&str] = &["TODO", "FIXME", "XXX:", "dbg!(", "todo!(", "unimplemented!("];
/// Where somebody happened to write the text: places on one machine, and talk about who writes.
const OF_A_WORKPLACE: &[&str] = &[
    "/work/",
    "/home/",
    "/tmp/target",
    "this session",
    "previous session",
    "sub-agent",
    "subagent",
    "coding agent",
    "AI assistant",
    "language model",
    "the brief",
    "my task",
    "as requested",
];
/// The files that have these words because they are about them.
const ABOUT_WORDS: &[&str] = &["tests/tidy/words.rs", "clippy.toml", "Cargo.toml"];

fn with_words(sources: &[Source], words: &[&str]) -> Vec<String> {
    let others = sources.iter().filter(|source| !ABOUT_WORDS.contains(&source.path.as_str()));
    let lines = others.flat_map(|source| {
        source.text.lines().enumerate().map(|(index, line)| (&source.path, index + 1, line))
    });
    let found = lines.filter_map(|(path, line, text)| {
        words.iter().find(|word| text.contains(**word)).map(|word| format!("{path}:{line} {word}"))
    });
    found.collect()
}

fn leftovers(sources: &[Source]) -> Vec<String> {
    with_words(sources, LEFTOVERS)
}

fn of_a_workplace(sources: &[Source]) -> Vec<String> {
    with_words(sources, OF_A_WORKPLACE)
}

/// Tests that are not made, without a word on why.
fn silent(sources: &[Source]) -> Vec<String> {
    let lines = sources.iter().flat_map(|source| {
        source.text.lines().enumerate().map(|(index, line)| (&source.path, index + 1, line.trim()))
    });
    let silent = lines.filter(|(_, _, line)| *line == "#[ignore]");
    silent.map(|(path, line, _)| format!("{path}:{line}")).collect()
}

#[test]
fn nothing_is_left_to_do() {
    assert_none("left to do", &leftovers(&all()));
    check(
        leftovers,
        &[("a.md", "one\nTODO: two"), ("b.rs", "dbg!(x)"), ("c.rs", "done")],
        &["a.md:2 TODO", "b.rs:1 dbg!("],
    );
}

#[test]
fn texts_are_about_the_program_alone() {
    assert_none("of a workplace", &of_a_workplace(&all()));
    check(
        of_a_workplace,
        &[("a.md", "see /home/me/notes"), ("b.md", "see notes")],
        &["a.md:1 /home/"],
    );
}

#[test]
fn a_test_that_is_not_made_says_why() {
    assert_none("ignored without a reason", &silent(&rust()));
    let text = "#[test]\n#[ignore]\nfn a() {}\n#[ignore = \"needs a bucket\"]\nfn b() {}";
    check(silent, &[("a.rs", text)], &["a.rs:2"]);
}
