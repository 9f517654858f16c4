//! Proof over a whole ledger: every event that was stored has exactly one fate, and the log obeys its invariants.
//!
//! `audit` proves the guarantees from what is stored, without the code that decided; `fsck` proves that what is
//! stored is whole.

mod books;
mod folder;
mod whole;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use refit_core::commit::Commit;
use refit_core::error::{Error, ErrorKind};
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::rules::Rules;
use refit_core::state::State;
use serde::Serialize;

use crate::gather::ReadRules;
use crate::layout;
use crate::ledger::{Ledger, begin};
use books::Books;
pub use whole::{FINDINGS, fsck};

/// Findings that are kept; more are counted only.
const FINDINGS_MAX: usize = 100;

/// What is wrong where the log cannot be followed.
const READABLE: &str = "every record can be read; what comes after is not looked at";
/// What is wrong where a segment says nothing.
const SEGMENT_READABLE: &str = "a segment can be read";

/// What was looked at and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Commits in the log.
    pub commits: u64,
    /// Segments that were consumed and are still kept.
    pub segments: u64,
    /// Events in them.
    pub events: u64,
    /// Memberships: an event may be a member for several triggers.
    pub accepted: u64,
    /// Events that became no member of any batch.
    pub refused: u64,
    /// Segments no commit has consumed yet.
    pub pending: u64,
    /// Segments no listing will show, under names far from the time they were stored: never acknowledged.
    pub orphans: u64,
    /// Objects of the watched buckets that were looked at; none where buckets were left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub objects: Option<u64>,
    /// Batches that became runs.
    pub runs: u64,
    /// What is wrong.
    pub findings: Vec<Finding>,
    /// How many more findings there are.
    pub more_findings: u64,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is broken: an invariant or a guarantee.
    pub what: String,
    /// Where and how.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.message)
    }
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Adds a finding.
    pub fn find(&mut self, what: &str, message: String) {
        match self.findings.len() < FINDINGS_MAX {
            true => self.findings.push(Finding { what: what.to_owned(), message }),
            false => self.more_findings += 1,
        }
    }

    /// What was found until the end, or until a record that cannot be read: that is what was looked for.
    fn ended(mut self, by: Result<(), Error>) -> Result<Self, Error> {
        match by {
            Err(error) if error.kind() == ErrorKind::Data => self.find(READABLE, error.to_string()),
            by => by?,
        }
        Ok(self)
    }
}

/// Who is told how much was read: commits by an audit, objects of the ledger by `fsck`.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// Revisions of the rules, each read once.
struct Revisions<'a> {
    ledger: &'a Ledger,
    read_rules: &'a ReadRules,
    known: BTreeMap<String, Option<Arc<Rules>>>,
}

impl<'a> Revisions<'a> {
    fn new(ledger: &'a Ledger, read_rules: &'a ReadRules) -> Self {
        Self { ledger, read_rules, known: BTreeMap::new() }
    }

    /// The rules of a revision; none where they are missing or this binary cannot read them.
    async fn of(&mut self, revision: &str) -> Result<Option<Arc<Rules>>, Error> {
        if let Some(known) = self.known.get(revision) {
            return Ok(known.clone());
        }
        let body = self.ledger.store().get(&layout::rules(revision)).await?;
        let book = body.and_then(|body| (self.read_rules)(std::str::from_utf8(&body).ok()?).ok());
        let rules = book.map(|book| book.rules);
        self.known.insert(revision.to_owned(), rules.clone());
        Ok(rules)
    }

    /// The rules a commit begins with, and those it puts in force, in order; none where one of them cannot be read.
    async fn in_force(
        &mut self,
        state: &State,
        commit: &Commit,
    ) -> Result<Option<Vec<Arc<Rules>>>, Error> {
        let mut rules = Vec::new();
        match &state.rules {
            Some(revision) => rules.push(self.of(revision).await?),
            None => rules.push(Some(Arc::default())),
        }
        for revision in commit.applied() {
            rules.push(self.of(revision).await?);
        }
        Ok(rules.into_iter().collect())
    }
}

/// Proves that every stored event is pending, a member of exactly one batch per trigger, or refused.
///
/// # Errors
/// The store's. A commit that cannot be read is a finding, the last.
pub async fn audit(
    ledger: &Ledger,
    read_rules: &ReadRules,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let mut books = Books::default();
    let by = keep_books(&mut books, ledger, read_rules, progress).await;
    books.report.ended(by)
}

async fn keep_books(
    books: &mut Books,
    ledger: &Ledger,
    read_rules: &ReadRules,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let mut revisions = Revisions::new(ledger, read_rules);
    let Some(genesis) = ledger.commit(0).await? else { return Ok(()) };
    let mut state = begin(&genesis);
    while let Some(commit) = ledger.commit(state.seq + 1).await? {
        check_invariants(&mut revisions, &state, &commit, &mut books.report).await?;
        let rules = revisions.in_force(&state, &commit).await?;
        books.read_segments(ledger, &commit, rules.as_deref()).await?;
        books.read_changes(ledger, &commit).await?;
        fold(&mut state, &commit);
        books.report.commits += 1;
        progress(books.report.commits);
    }
    books.read_open(ledger, &state).await?;
    books.read_inbox(ledger, &state).await
}

async fn check_invariants(
    revisions: &mut Revisions<'_>,
    state: &State,
    commit: &Commit,
    report: &mut Report,
) -> Result<(), Error> {
    let rules = match commit.applied().next_back().or(state.rules.as_ref()) {
        Some(revision) => revisions.of(revision).await?,
        None => None,
    };
    for violation in invariants::check(state, commit, rules.as_deref()) {
        report.find(violation.invariant, format!("commit=`{}`, {}", commit.seq, violation.message));
    }
    Ok(())
}
