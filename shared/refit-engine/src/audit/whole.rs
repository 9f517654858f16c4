//! Proof that what is stored is whole: nothing is missing, changed or foreign.
//!
//! The log is read once, and beside it the folders of what commits name, both in the order of the commits' numbers:
//! what is held at a time does not grow with the ledger.

use std::collections::BTreeSet;

use refit_core::commit::{Change, Commit, MemoryChange};
use refit_core::error::Error;
use refit_core::fold::fold;
use refit_core::key::sha256_hex;
use refit_core::state::State;
use refit_core::time::Timestamp;

use super::folder::Folder;
use super::{Progress, READABLE, Report, Revisions, SEGMENT_READABLE, check_invariants};
use crate::gather::ReadRules;
use crate::layout;
use crate::ledger::{Ledger, begin};
use crate::port::Entry;
use crate::record::{read_segment, read_snapshot};

const NO_GAP: &str = "the log has no gap";
const LED_TO: &str = "a snapshot is what the log leads to";
const SNAPSHOT_READABLE: &str = "a snapshot can be read";
const STORED: &str = "what a commit depends on is stored";
const IN_FORCE: &str = "the rules in force are stored";
const NAMED: &str = "an object is what its name says";
const FOREIGN: &str = "nothing foreign is stored";

/// What `fsck` may find wrong, beside invariants that a commit breaks.
pub const FINDINGS: &[&str] = &[
    READABLE,
    NO_GAP,
    LED_TO,
    SNAPSHOT_READABLE,
    STORED,
    IN_FORCE,
    NAMED,
    SEGMENT_READABLE,
    FOREIGN,
];

/// Proves that the log has no gap and obeys its invariants, that snapshots are what it leads to, that everything a
/// commit depends on is stored as long as it has to be, that whatever is named by its content has that content, and
/// that the folders of the ledger hold nothing else.
///
/// A commit and a segment carry no digest: of a byte that was changed there is found what cannot be read any more, what
/// breaks an invariant, and what leads to another state than a snapshot says.
///
/// # Errors
/// The store's. A commit that cannot be read is a finding, the last.
pub async fn fsck(
    ledger: &Ledger,
    read_rules: &ReadRules,
    progress: Progress<'_>,
) -> Result<Report, Error> {
    let mut whole = Whole {
        ledger,
        revisions: Revisions::new(ledger, read_rules),
        report: Report::default(),
        progress,
        read: 0,
        folders: layout::COMMIT_OBJECTS.map(|name| Folder::new(ledger, name)),
        snapshots: BTreeSet::new(),
        applied: BTreeSet::new(),
        absent: BTreeSet::new(),
        unnamed: Vec::new(),
    };
    let by = whole.check().await;
    whole.report.ended(by)
}

/// What is known of a ledger as far as its log was read.
struct Whole<'a> {
    ledger: &'a Ledger,
    revisions: Revisions<'a>,
    report: Report,
    progress: Progress<'a>,
    /// Objects that were read.
    read: u64,
    /// What commits name, as far as it was come across.
    folders: [Folder<'a>; 3],
    /// Snapshots of commits that were not come to yet.
    snapshots: BTreeSet<u64>,
    /// Revisions of the rules that were put in force.
    applied: BTreeSet<String>,
    /// What commits name, is not stored, and no later commit says was deleted.
    absent: BTreeSet<String>,
    /// Objects that no commit names and that are as old as such a one gets.
    unnamed: Vec<String>,
}

impl Whole<'_> {
    async fn check(&mut self) -> Result<(), Error> {
        let Some(genesis) = self.ledger.commit(0).await? else { return Ok(()) };
        self.list_snapshots().await?;
        let mut state = begin(&genesis);
        self.check_snapshot(&state).await?;
        while let Some(commit) = self.ledger.commit(state.seq + 1).await? {
            check_invariants(&mut self.revisions, &state, &commit, &mut self.report).await?;
            fold(&mut state, &commit);
            self.check_snapshot(&state).await?;
            self.check_uses(&state, &commit).await?;
            self.report.commits += 1;
            self.tell();
        }
        self.check_folders(&state, None).await?;
        let now = self.check_rules(&state).await?;
        self.check_inbox().await?;
        let has_no_gap = self.check_log(&state).await?;
        let has_its_end = self.check_snapshots_left(&state);
        // What has become of objects since is in commits that are missing.
        if has_no_gap && has_its_end {
            self.check_absent(&state, now);
            self.check_unnamed(&state);
        }
        Ok(())
    }

    fn tell(&mut self) {
        self.read += 1;
        (self.progress)(self.read);
    }

    fn find_foreign(&mut self, name: &str, why: &str) {
        self.report.find(FOREIGN, format!("{why}: object=`{name}`"));
    }

    async fn list_snapshots(&mut self) -> Result<(), Error> {
        let mut folder = Folder::new(self.ledger, layout::SNAPSHOT);
        while let Some(entry) = folder.next().await? {
            let seq = layout::snapshot_seq(&entry.name);
            match seq.filter(|seq| layout::snapshot(*seq) == entry.name) {
                Some(seq) => drop(self.snapshots.insert(seq)),
                None => self.find_foreign(&entry.name, "not the name of a snapshot"),
            }
        }
        Ok(())
    }

    async fn check_snapshot(&mut self, state: &State) -> Result<(), Error> {
        if !self.snapshots.remove(&state.seq) {
            return Ok(());
        }
        let name = layout::snapshot(state.seq);
        let Some(body) = self.ledger.store().get(&name).await? else { return Ok(()) };
        match read_snapshot(&name, &body) {
            Ok(stored) if stored == *state => {}
            Ok(_) => self.report.find(LED_TO, format!("snapshot=`{name}`")),
            Err(error) => self.report.find(SNAPSHOT_READABLE, error.to_string()),
        }
        self.tell();
        Ok(())
    }

    /// A snapshot beyond the end of the log, which was listed before that was read, means that its end was lost.
    fn check_snapshots_left(&mut self, state: &State) -> bool {
        for seq in &self.snapshots {
            let name = layout::snapshot(*seq);
            let message = format!("the log ends before: snapshot=`{name}`, last=`{}`", state.seq);
            self.report.find(LED_TO, message);
        }
        self.snapshots.is_empty()
    }

    /// What a commit names is stored, and has the content its name says.
    async fn check_uses(&mut self, state: &State, commit: &Commit) -> Result<(), Error> {
        self.applied.extend(commit.applied().cloned());
        for name in &commit.uses {
            if !self.check_content(name).await? {
                self.absent.insert(name.clone());
            }
        }
        for change in &commit.changes {
            if let Change::Memory(MemoryChange::Deleted(names)) = change {
                self.absent.retain(|name| !names.contains(name));
            }
        }
        self.check_folders(state, Some(commit)).await
    }

    /// Whether the object is stored; if it is, that its content is what its name says.
    async fn check_content(&mut self, name: &str) -> Result<bool, Error> {
        let Some(body) = self.ledger.store().get(name).await? else { return Ok(false) };
        let said = layout::object_digest(name).map(|(_, digest)| digest);
        if said != Some(&sha256_hex(&body)) {
            self.report.find(NAMED, format!("object=`{name}`"));
        }
        self.tell();
        Ok(true)
    }

    /// What lies in the folders under numbers up to that of the commit, or beyond the log.
    async fn check_folders(&mut self, state: &State, commit: Option<&Commit>) -> Result<(), Error> {
        for at in 0..self.folders.len() {
            let is_due = |entry: &Entry| match (layout::object_digest(&entry.name), commit) {
                (Some((seq, _)), Some(commit)) => seq <= commit.seq,
                _ => true,
            };
            while let Some(entry) = self.folders[at].next_if(is_due).await? {
                let now = self.folders[at].now;
                if layout::object_digest(&entry.name).is_none() {
                    self.find_foreign(&entry.name, "not a name this folder has");
                } else if commit.is_none_or(|commit| !commit.uses.contains(&entry.name)) {
                    self.check_content(&entry.name).await?;
                    let is_old = entry.created + state.timing.garbage <= now;
                    self.unnamed.extend(is_old.then_some(entry.name));
                }
            }
        }
        Ok(())
    }

    /// Every revision that is stored is what its name says, and every one that was put in force is stored. Others wait
    /// for whoever applies them, for ever. Answers with the store's time.
    async fn check_rules(&mut self, state: &State) -> Result<Timestamp, Error> {
        let mut folder = Folder::new(self.ledger, layout::RULES);
        while let Some(entry) = folder.next().await? {
            let revision = entry.name.strip_prefix(layout::RULES).unwrap_or_default();
            self.applied.remove(revision);
            if !layout::is_digest(revision) {
                self.find_foreign(&entry.name, "not the name of a revision of the rules");
                continue;
            }
            let body = self.ledger.store().get(&entry.name).await?;
            if body.is_some_and(|body| sha256_hex(&body) != revision) {
                self.report.find(NAMED, format!("object=`{}`", entry.name));
            }
            self.tell();
        }
        for revision in std::mem::take(&mut self.applied) {
            let what = if state.rules.as_ref() == Some(&revision) { IN_FORCE } else { STORED };
            self.report.find(what, format!("missing=`{}`", layout::rules(&revision)));
        }
        Ok(folder.now)
    }

    /// Every segment that is kept can be read.
    async fn check_inbox(&mut self) -> Result<(), Error> {
        let mut folder = Folder::new(self.ledger, layout::INBOX);
        while let Some(entry) = folder.next().await? {
            let name = entry.name.strip_prefix(layout::INBOX).unwrap_or_default();
            if layout::segment_time(name).is_none() {
                self.find_foreign(&entry.name, "not the name of a segment");
                continue;
            }
            let Some(body) = self.ledger.store().get(&entry.name).await? else { continue };
            if let Err(error) = read_segment(&entry.name, &body) {
                self.report.find(SEGMENT_READABLE, error.to_string());
            }
            self.tell();
        }
        Ok(())
    }

    /// The log ends where it is first absent; a commit beyond would mean that one was deleted. Those that follow without
    /// a gap were written meanwhile. Answers whether the log is whole.
    async fn check_log(&mut self, state: &State) -> Result<bool, Error> {
        let mut folder = Folder::new(self.ledger, layout::LOG);
        let mut next = state.seq + 1;
        let mut is_whole = true;
        while let Some(entry) = folder.next().await? {
            match layout::commit_seq(&entry.name).filter(|seq| layout::commit(*seq) == entry.name) {
                Some(seq) if seq > next && is_whole => {
                    is_whole = false;
                    let missing = layout::commit(next);
                    let message = format!("missing=`{missing}`, present=`{}`", entry.name);
                    self.report.find(NO_GAP, message);
                }
                Some(seq) => next = next.max(seq + 1),
                None => self.find_foreign(&entry.name, "not the name of a commit"),
            }
        }
        Ok(is_whole)
    }

    /// What is not stored was old enough to be deleted.
    fn check_absent(&mut self, state: &State, now: Timestamp) {
        for name in std::mem::take(&mut self.absent) {
            // A ledger that is ahead of the store's clock goes by a time that only its reconcilers know.
            let is_over = |since: &Timestamp| now < state.now || *since + state.timing.window < now;
            if !state.retired.get(&name).is_some_and(is_over) {
                self.report.find(STORED, format!("missing=`{name}`"));
            }
        }
    }

    /// What a writer that lost, or died, has left behind stays until housekeeping has come to its number, and is the
    /// next commit's at the most; in a ledger that was restored, of any commit that was lost.
    fn check_unnamed(&mut self, state: &State) {
        for name in std::mem::take(&mut self.unnamed) {
            let seq = layout::object_digest(&name).map_or(0, |(seq, _)| seq);
            let is_beyond = seq > state.seq + 1 && state.marks.restored.is_none();
            if seq <= state.marks.swept || is_beyond {
                self.find_foreign(&name, "no commit names it");
            }
        }
    }
}
