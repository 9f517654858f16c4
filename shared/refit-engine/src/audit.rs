//! Proof over a whole ledger: every event that was stored has exactly one fate, and the log obeys its invariants.
//!
//! `audit` proves the guarantees from what is stored, without the code that decided; `fsck` proves that what is
//! stored is whole.

mod books;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use refit_core::commit::Commit;
use refit_core::error::Error;
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::key::sha256_hex;
use refit_core::rules::Rules;
use refit_core::state::State;
use serde::Serialize;

use crate::gather::ReadRules;
use crate::layout;
use crate::ledger::{Ledger, begin};
use crate::port::Page;
use crate::record::read_snapshot;
use books::Books;

/// Names a page of a listing may have.
const PAGE: usize = 1000;
/// Findings that are kept; more are counted only.
const FINDINGS_MAX: usize = 100;

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
}

/// Who is told how many commits were read.
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
/// The store's, and `Data` for a commit that cannot be read.
pub async fn audit(
    ledger: &Ledger,
    read_rules: &ReadRules,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let mut books = Books::default();
    let mut revisions = Revisions::new(ledger, read_rules);
    let Some(genesis) = ledger.commit(0).await? else { return Ok(books.report) };
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
    books.read_inbox(ledger, &state).await?;
    Ok(books.report)
}

/// Proves that the log has no gap and obeys its invariants, that everything it names is stored and is what its
/// name says, and that snapshots are what the log leads to.
///
/// # Errors
/// The store's, and `Data` for a commit that cannot be read.
pub async fn fsck(
    ledger: &Ledger,
    read_rules: &ReadRules,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let mut report = Report::default();
    let mut revisions = Revisions::new(ledger, read_rules);
    let Some(genesis) = ledger.commit(0).await? else { return Ok(report) };
    let snapshots = list(ledger, layout::SNAPSHOT).await?.entries;
    let snapshots: BTreeSet<u64> =
        snapshots.iter().filter_map(|entry| layout::snapshot_seq(&entry.name)).collect();
    let mut state = begin(&genesis);
    while let Some(commit) = ledger.commit(state.seq + 1).await? {
        check_invariants(&mut revisions, &state, &commit, &mut report).await?;
        fold(&mut state, &commit);
        if snapshots.contains(&state.seq) {
            check_snapshot(ledger, &state, &mut report).await?;
        }
        report.commits += 1;
        progress(report.commits);
    }
    check_log_end(ledger, &state, &mut report).await?;
    check_objects(ledger, &state, &mut report).await?;
    Ok(report)
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

async fn check_snapshot(ledger: &Ledger, state: &State, report: &mut Report) -> Result<(), Error> {
    let name = layout::snapshot(state.seq);
    let Some(body) = ledger.store().get(&name).await? else { return Ok(()) };
    match read_snapshot(&name, &body) {
        Ok(stored) if stored == *state => {}
        Ok(_) => report.find("a snapshot is what the log leads to", format!("snapshot=`{name}`")),
        Err(error) => report.find("a snapshot can be read", error.to_string()),
    }
    Ok(())
}

/// The log ends where it is first absent; a commit beyond would mean that one was deleted. One that is there by now was
/// written meanwhile.
async fn check_log_end(ledger: &Ledger, state: &State, report: &mut Report) -> Result<(), Error> {
    let beyond = layout::commit(state.seq + 1);
    let page = ledger.store().list(layout::LOG, &beyond, 1).await?;
    if let Some(entry) = page.entries.first().filter(|entry| entry.name != beyond) {
        report.find("the log has no gap", format!("missing=`{beyond}`, present=`{}`", entry.name));
    }
    Ok(())
}

/// What the state refers to is there, and is what its name says.
async fn check_objects(ledger: &Ledger, state: &State, report: &mut Report) -> Result<(), Error> {
    let manifests = state.runs.values().map(|run| run.manifest.as_str());
    let runs = state.memory.runs().iter().map(|run| run.name.as_str());
    let names: BTreeSet<&str> = state.parts_in_use().chain(manifests).chain(runs).collect();
    for name in names {
        match ledger.store().get(name).await? {
            None => report.find("what a commit depends on is stored", format!("missing=`{name}`")),
            Some(body) if !name.contains(&sha256_hex(&body)) => {
                report.find("an object is what its name says", format!("object=`{name}`"));
            }
            Some(_) => {}
        }
    }
    if let Some(name) = state.rules.as_ref().map(|revision| layout::rules(revision))
        && ledger.store().get(&name).await?.is_none()
    {
        report.find("the rules in force are stored", format!("missing=`{name}`"));
    }
    Ok(())
}

/// A whole folder, and the store's time when it began to be listed.
async fn list(ledger: &Ledger, folder: &str) -> Result<Page, Error> {
    let mut whole = ledger.store().list(folder, folder, PAGE).await?;
    while let Some(from) = whole.next.take() {
        let page = ledger.store().list(folder, &from, PAGE).await?;
        whole.entries.extend(page.entries);
        whole.next = page.next;
    }
    Ok(whole)
}
