//! The files of the repository that rules are about.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders nobody wrote: what is built, and what others recorded.
const SKIPPED: &[&str] = &["target", "refit-demo", "data", "node_modules"];
/// What files that are read end with.
const READ: &[&str] = &["rs", "md", "toml", "yaml", "yml", "tf", "http", "json", "Dockerfile"];

/// A file, by its path from the root of the repository.
pub(crate) struct Source {
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// A file that is not there, to test a rule with.
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    pub(crate) fn ends_with(&self, suffix: &str) -> bool {
        self.path.ends_with(suffix)
    }

    /// Whether it is part of a program, rather than of a test.
    pub(crate) fn is_shipped(&self) -> bool {
        let (is_code, is_test) = (self.path.contains("/src/"), self.path.ends_with("tests.rs"));
        is_code && !is_test && !self.path.contains("/tests/") && !self.path.starts_with("tests/")
    }

    /// Its lines of code, with their numbers: no comments, and nothing of the tests at its end.
    pub(crate) fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let before_tests = |(_, line): &(usize, &str)| *line != "#[cfg(test)]";
        let lines = self.text.lines().enumerate().take_while(before_tests);
        let code = lines.filter(|(_, line)| !line.trim_start().starts_with("//"));
        code.map(|(index, line)| (index + 1, line))
    }
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this package is a folder in it")
}

/// Every file that somebody wrote.
pub(crate) fn all() -> Vec<Source> {
    let mut found = Vec::new();
    walk(root(), &mut found);
    assert!(found.len() > 100, "{} files are not the repository", found.len());
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Every file with Rust in it.
pub(crate) fn rust() -> Vec<Source> {
    all().into_iter().filter(|source| source.ends_with(".rs")).collect()
}

fn walk(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with('.') || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        if path.is_dir() {
            walk(&path, found);
        } else if READ.iter().any(|end| name.ends_with(end)) {
            found.extend(read(&path));
        }
    }
}

/// Reads a file, unless it is no text or was removed just now.
fn read(path: &PathBuf) -> Option<Source> {
    let text = fs::read_to_string(path).ok()?;
    let path = path.strip_prefix(root()).unwrap().to_str().unwrap();
    Some(Source::new(path, &text))
}

/// Fails with everything that was found to break a rule.
pub(crate) fn assert_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// Tests a rule: it finds that much in these files.
pub(crate) fn check(
    rule: impl Fn(&[Source]) -> Vec<String>,
    files: &[(&str, &str)],
    wanted: &[&str],
) {
    let files: Vec<Source> = files.iter().map(|(path, text)| Source::new(path, text)).collect();
    assert_eq!(rule(&files), wanted);
}
