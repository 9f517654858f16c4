//! What is fuzzed.

mod buckets;
mod callers;
mod credentials;
mod events;
mod expressions;
mod ledger;
mod links;
mod pulled;
mod replies;
mod rules;

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::path::{Path, PathBuf};

/// A parser that meets the outside.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name on the command line, and its folder in the corpus.
    pub name: &'static str,
    /// What it is given.
    pub about: &'static str,
    /// Inputs it understands, to begin with.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Gives it an input and checks what must hold of what it makes of it; panics where that is not so.
    pub give: fn(&[u8]) -> Outcome,
}

/// What a target made of an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was understood, as something of this kind.
    Understood(String),
    /// It was refused, in these words.
    Refused(String),
}

/// Every target.
pub const ALL: &[Target] = &[
    events::EVENTS,
    pulled::PULLED,
    replies::REPLIES,
    buckets::BUCKETS,
    links::LINKS,
    callers::TOKENS,
    callers::TRACES,
    credentials::CREDENTIALS,
    expressions::EXPRESSIONS,
    rules::RULES,
    ledger::SEGMENTS,
    ledger::COMMITS,
    ledger::SNAPSHOTS,
    ledger::MANIFESTS,
];

impl Target {
    /// The folder of its corpus: what was found once, and what leads far.
    #[must_use]
    pub fn corpus(&self) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(self.name)
    }

    /// Its seeds, and its corpus.
    #[must_use]
    pub fn inputs(&self) -> Vec<Vec<u8>> {
        let kept = files(&self.corpus()).into_iter().filter_map(|path| fs::read(path).ok());
        (self.seeds)().into_iter().chain(kept).collect()
    }
}

impl Outcome {
    /// What sort of outcome it is: its words without what is quoted, and without numbers.
    #[must_use]
    pub fn sort(&self) -> u64 {
        let (is_understood, words) = match self {
            Self::Understood(kind) => (true, kind),
            Self::Refused(words) => (false, words),
        };
        let plain = words.split(['`', '"']).step_by(2).flat_map(str::chars);
        let plain: String = plain.filter(|letter| !letter.is_ascii_digit()).take(200).collect();
        let mut hasher = DefaultHasher::new();
        (is_understood, plain).hash(&mut hasher);
        hasher.finish()
    }
}

/// The files below a folder, in order; none where it is missing.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let below = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    paths.into_iter().flat_map(below).collect()
}

/// The files below a folder of the repository that end so, as text.
fn texts(folder: &str, end: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let paths = files(&root).into_iter().filter(|path| path.to_string_lossy().ends_with(end));
    paths.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

/// The first line of an input, and what comes after it.
fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    (&input[..end], input.get(end + 1..).unwrap_or_default())
}
