//! Proof over a whole ledger: every event that was stored has exactly one fate, and the log obeys its invariants.
//!
//! `audit` proves the guarantees from what is stored, without the code that decided; `fsck` proves that what is
//! stored is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use refit_core::commit::{BatchChange, Change, Closed, Commit, Decision, TriggerChange};
use refit_core::error::Error;
use refit_core::event::{Event, Fact};
use refit_core::fold::fold;
use refit_core::invariants;
use refit_core::key::{Hash128, sha256_hex};
use refit_core::member::read_manifest;
use refit_core::state::{BatchId, State};
use serde::Serialize;

use crate::explain::{Verdict, verdicts};
use crate::gather::ReadRules;
use crate::layout;
use crate::ledger::{Ledger, begin};
use crate::record::{read_segment, read_snapshot};

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

    fn find(&mut self, what: &str, message: String) {
        match self.findings.len() < FINDINGS_MAX {
            true => self.findings.push(Finding { what: what.to_owned(), message }),
            false => self.more_findings += 1,
        }
    }
}

/// Who is told how many commits were read.
pub type Progress<'a> = &'a (dyn Fn(u64) + Sync);

/// What an audit knows of the events it has seen.
#[derive(Default)]
struct Books {
    report: Report,
    /// Where each event became a member, by trigger.
    members: BTreeMap<(String, Hash128), BatchId>,
    /// How many members each batch has, by the verdicts on events and by what moved to it.
    joined: BTreeMap<BatchId, u64>,
    /// How many members each run was given.
    given: BTreeMap<BatchId, u64>,
    /// Batches whose members moved on, and where to.
    moved: BTreeMap<BatchId, BatchId>,
    /// Batches of which not every event can be seen any more.
    partial: BTreeSet<BatchId>,
    consumed: BTreeSet<String>,
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
    let Some(genesis) = ledger.commit(0).await? else { return Ok(books.report) };
    let mut state = begin(&genesis);
    while let Some(commit) = ledger.commit(state.seq + 1).await? {
        check_invariants(ledger, read_rules, &state, &commit, &mut books.report).await?;
        books.read_segments(ledger, &commit).await?;
        books.read_changes(ledger, &commit).await?;
        fold(&mut state, &commit);
        books.report.commits += 1;
        progress(books.report.commits);
    }
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
    let Some(genesis) = ledger.commit(0).await? else { return Ok(report) };
    let snapshots = list(ledger, layout::SNAPSHOT).await?;
    let snapshots: BTreeSet<u64> =
        snapshots.iter().filter_map(|name| layout::snapshot_seq(name)).collect();
    let mut state = begin(&genesis);
    while let Some(commit) = ledger.commit(state.seq + 1).await? {
        check_invariants(ledger, read_rules, &state, &commit, &mut report).await?;
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
    ledger: &Ledger,
    read_rules: &ReadRules,
    state: &State,
    commit: &Commit,
    report: &mut Report,
) -> Result<(), Error> {
    let applied = commit.changes.iter().rev().find_map(|change| {
        let Change::Applied { revision, .. } = change else { return None };
        Some(revision)
    });
    let rules = match applied.or(state.rules.as_ref()) {
        Some(revision) => ledger.store().get(&layout::rules(revision)).await?,
        None => None,
    };
    let rules = rules.and_then(|body| read_rules(std::str::from_utf8(&body).ok()?).ok());
    for violation in invariants::check(state, commit, rules.as_ref().map(|book| &*book.rules)) {
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

/// The log ends where it is first absent; a commit beyond would mean that one was deleted.
async fn check_log_end(ledger: &Ledger, state: &State, report: &mut Report) -> Result<(), Error> {
    let beyond = layout::commit(state.seq + 1);
    let page = ledger.store().list(layout::LOG, &beyond, 1).await?;
    if let Some(entry) = page.entries.first() {
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

async fn list(ledger: &Ledger, folder: &str) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut from = folder.to_owned();
    loop {
        let page = ledger.store().list(folder, &from, PAGE).await?;
        names.extend(page.entries.into_iter().map(|entry| entry.name));
        let Some(next) = page.next else { return Ok(names) };
        from = next;
    }
}

impl Books {
    async fn read_segments(&mut self, ledger: &Ledger, commit: &Commit) -> Result<(), Error> {
        for (number, name) in (0..).zip(&commit.segments) {
            // After the store's clock went back a segment may be read again; its events are duplicates then.
            self.consumed.insert(name.clone());
            let Some(body) = ledger.store().get(&layout::segment_object(name)).await? else {
                self.partial.extend(commit.changes.iter().filter_map(joined_batch));
                continue;
            };
            self.report.segments += 1;
            let events = read_segment(name, &body).unwrap_or_default();
            for (place, event) in (0..).zip(&events) {
                self.read_event(commit, event, &verdicts(commit, number, place));
            }
        }
        Ok(())
    }

    fn read_event(&mut self, commit: &Commit, event: &Event, verdicts: &[Verdict]) {
        self.report.events += 1;
        let is_answered =
            matches!(event.fact, Fact::Command(_)) && commit.answer(event.id()).is_some();
        if verdicts.is_empty() && !is_answered {
            let message = format!("commit=`{}`, event=`{}`", commit.seq, event.name());
            self.report.find("an accepted event has a fate", message);
        }
        let mut is_member = false;
        for verdict in verdicts {
            if let Verdict::Accepted { trigger, batch } = verdict {
                is_member = true;
                self.report.accepted += 1;
                self.join(trigger, *batch, event.id());
            }
        }
        self.report.refused += u64::from(!is_member);
    }

    fn join(&mut self, trigger: &str, batch: BatchId, event: Hash128) {
        *self.joined.entry(batch).or_default() += 1;
        if let Some(other) = self.members.insert((trigger.to_owned(), event), batch) {
            let message =
                format!("event=`{event}`, trigger=`{trigger}`, batches=`{other}, {batch}`");
            self.report.find("one batch per event and trigger", message);
        }
    }

    async fn read_changes(&mut self, ledger: &Ledger, commit: &Commit) -> Result<(), Error> {
        for change in &commit.changes {
            if let Change::Batch { batch, change: BatchChange::MovedTo(to) } = change {
                self.move_members(*batch, *to);
            }
            if let Change::Batch { batch, change: BatchChange::Discarded } = change
                && !commit.decisions.iter().any(is_obeyed)
            {
                let message = format!("commit=`{}`, batch=`{batch}`", commit.seq);
                self.report.find("a batch is dropped by a person only", message);
            }
            if let Change::Trigger { trigger, change: TriggerChange::Fired { firing, batch } } =
                change
            {
                self.join(trigger, *batch, firing.slot.id(trigger));
            }
            if let Change::Trigger { trigger, change: TriggerChange::Staged { entry, batch } } =
                change
            {
                self.join(trigger, *batch, entry.id(trigger));
            }
            if let Change::Closed(closed) = change {
                self.report.runs += 1;
                self.read_run(ledger, closed).await?;
            }
        }
        Ok(())
    }

    /// An open batch hands over all its members, a run that was replaced what its manifest holds.
    fn move_members(&mut self, from: BatchId, to: BatchId) {
        let open = self.joined.get(&from).copied().unwrap_or(0);
        let count = self.given.get(&from).copied().unwrap_or(open);
        *self.joined.entry(to).or_default() += count;
        if self.partial.contains(&from) {
            self.partial.insert(to);
        }
        self.moved.insert(from, to);
    }

    /// The manifest holds the members of the batch, all of them but those the commit says were left out.
    async fn read_run(&mut self, ledger: &Ledger, closed: &Closed) -> Result<(), Error> {
        let wrong = |message: String| format!("run=`{}`: {message}", closed.batch);
        let what = "a manifest holds the members of its batch";
        let facts = &closed.facts;
        self.given.insert(closed.batch, facts.count);
        let Some(body) = ledger.store().get(&closed.manifest).await? else {
            self.report.find(what, wrong("it is missing".to_owned()));
            return Ok(());
        };
        let members = read_manifest(&body).unwrap_or_default();
        if !closed.manifest.contains(&sha256_hex(&body)) || members.len() as u64 != facts.count {
            self.report.find(what, wrong("it is not what its name says".to_owned()));
        }
        let is_partial = self.partial.contains(&closed.batch);
        let joined = self.joined.get(&closed.batch).copied().unwrap_or(0);
        let adds_up = facts.count + facts.superseded + facts.gone == facts.joined;
        if !adds_up || (joined != facts.joined && !is_partial) {
            self.report.find(what, wrong(format!("joined=`{joined}`, said=`{facts:?}`")));
        }
        let stranger = members.iter().find(|member| {
            let batch = self.members.get(&(closed.trigger.clone(), member.event));
            batch.is_none_or(|batch| self.end_of(*batch) != closed.batch)
        });
        if let Some(member) = stranger.filter(|_| !is_partial) {
            self.report.find(what, wrong(format!("a stranger: event=`{}`", member.event)));
        }
        Ok(())
    }

    fn end_of(&self, batch: BatchId) -> BatchId {
        self.moved.get(&batch).map_or(batch, |to| self.end_of(*to))
    }

    async fn read_inbox(&mut self, ledger: &Ledger, state: &State) -> Result<(), Error> {
        let reach = (state.marks.full - state.timing.grace).compact();
        for object in list(ledger, layout::INBOX).await? {
            let name = object.strip_prefix(layout::INBOX).unwrap_or(&object);
            if self.consumed.contains(name) {
                continue;
            }
            match name >= reach.as_str() {
                true => self.report.pending += 1,
                false => self.report.orphans += 1,
            }
        }
        Ok(())
    }
}

/// Whether a person's command was obeyed.
fn is_obeyed(decision: &Decision) -> bool {
    matches!(decision, Decision::Answered { ok: true, .. })
}

fn joined_batch(change: &Change) -> Option<BatchId> {
    let Change::Batch { batch, change: BatchChange::Joined { .. } } = change else { return None };
    Some(*batch)
}
