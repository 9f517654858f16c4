//! Links between pages lead somewhere.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::sources::{Source, all, assert_none, check, root};

/// The lines of a page that are no code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut is_code = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        is_code ^= is_fence;
        !is_code && !is_fence && !line.starts_with("    ")
    })
}

/// A line without what is in backticks.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect()
}

/// Where the links of a page lead.
fn targets(text: &str) -> Vec<String> {
    let lines = prose(text).map(without_code).collect::<Vec<_>>().join("\n");
    let inline = lines.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    let inline = inline.map(|(target, _)| target.to_owned());
    let named = lines.lines().filter(|line| line.starts_with('['));
    let named = named.filter_map(|line| line.split_once("]: ").map(|(_, it)| it.trim().to_owned()));
    inline.chain(named).collect()
}

/// What a heading is called in links to it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase().replace(' ', "-");
    kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

/// The path a relative link leads to, from the root of the repository.
fn resolved(from: &str, target: &str) -> String {
    let joined = Path::new(from).parent().unwrap_or(Path::new("")).join(target);
    let mut path = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(path.pop()),
            Component::Normal(name) => path.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    path.to_string_lossy().into_owned()
}

/// Whether a link leads out of the repository, or to an item of a crate's documentation.
fn is_outside(target: &str) -> bool {
    target.contains("://")
        || target.starts_with("mailto:")
        || target.contains("::")
        || target.contains('@')
}

fn broken(sources: &[Source]) -> Vec<String> {
    broken_where(sources, |path| sources.iter().any(|source| source.path == path))
}

fn broken_where(sources: &[Source], exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for page in sources.iter().filter(|source| source.ends_with(".md")) {
        for target in targets(&page.text).into_iter().filter(|target| !is_outside(target)) {
            let (path, heading) = target.split_once('#').unwrap_or((&target, ""));
            let path = if path.is_empty() { page.path.clone() } else { resolved(&page.path, path) };
            let there = sources.iter().find(|source| source.path == path);
            let has =
                there.is_none_or(|it| heading.is_empty() || anchors(&it.text).contains(heading));
            if !exists(&path) || !has {
                found.push(format!("{}: {target}", page.path));
            }
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    assert_none("leads nowhere", &broken_where(&all(), |path| root().join(path).exists()));
    let page = "# A page\n[up](../b.md) [here](#a-page) [out](https://example.com) `[no](x.md)`\n\
                [gone](gone.md) [part](../b.md#two) [item](crate::b)\n```\n[code](x.md)\n```\n\
                [other]: ../c.md";
    let files = [("docs/a.md", page), ("b.md", "# One\n")];
    check(broken, &files, &["docs/a.md: gone.md", "docs/a.md: ../b.md#two", "docs/a.md: ../c.md"]);
}
