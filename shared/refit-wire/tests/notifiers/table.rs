//! The tables of notifiers and of what they tell in the documentation.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use refit_core::notice::NoticeKind;
use refit_wire::config::{read, render};
use refit_wire::notify::NotifierConfig;
use refit_wire::notify::events::event_type;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn kinds() -> String {
    let mut table = "| `on` | what happened | a person | a program | type of the CloudEvent |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for kind in NoticeKind::ALL {
        let mark = |usual: &[NoticeKind]| if usual.contains(kind) { "yes" } else { "" };
        let (person, program) = (mark(NoticeKind::ALARMS), mark(NoticeKind::EVENTS));
        let (name, text, ty) = (kind.name(), kind.text(), event_type(*kind));
        let _ = writeln!(table, "| `{name}` | {text} | {person} | {program} | `{ty}` |");
    }
    table
}

fn notifiers() -> String {
    let mut table = "| | what is sent | where its id is | cut off after | given up at once |\n\
                     | --- | --- | --- | --- | --- |\n"
        .to_owned();
    for (kind, about) in NotifierConfig::about() {
        let _ = writeln!(
            table,
            "| `{kind}` | {} | {} | {} | {} |",
            about.sends, about.id, about.limit, about.refused
        );
    }
    table
}

#[test]
fn the_documentation_says_what_the_code_says() {
    let path = repository().join("docs/notifications.md");
    let written = fs::read_to_string(&path).unwrap();
    let sections = [("kinds", kinds()), ("notifiers", notifiers())];
    let current = sections.iter().fold(written.clone(), |text, (name, table)| {
        let (begin, end) = (format!("<!-- from the code: {name} -->\n"), "<!-- until here -->");
        let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("no mark: {name}"));
        let (_, after) = rest.split_once(end).unwrap();
        format!("{before}{begin}\n{}\n{end}{after}", table.trim_end())
    });
    expect_file![path].assert_eq(&current);
}

#[test]
fn the_example_shows_every_notifier() {
    let text = fs::read_to_string(repository().join("examples/notify/refit.yaml")).unwrap();
    let (config, found) = read(&text);
    assert!(found.is_empty(), "{}", render("refit.yaml", &text, &found, false));
    let shown: BTreeSet<&str> =
        config.as_ref().unwrap().notifier_configs.values().map(NotifierConfig::kind).collect();
    let all: BTreeSet<&str> = NotifierConfig::about().into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(shown, all);
}
