//! The log and its snapshots: the only place where anything is decided.

use std::sync::Arc;

use bytes::Bytes;
use refit_core::commit::{Change, Commit, InboxChange};
use refit_core::error::{Error, ErrorKind};
use refit_core::fold::fold;
use refit_core::mutant::{self, Mutant};
use refit_core::state::{State, VERSION};
use refit_core::time::{Span, Timestamp};
use refit_core::timing::{SNAPSHOT_COMMITS_MAX, Timing};

use crate::layout;
use crate::port::{Clock, Created, Store};
use crate::record;

/// Snapshots that are kept.
pub const SNAPSHOTS_KEPT: usize = 3;
/// How often a commit whose fate is unclear is tried again in one pass.
const COMMIT_TRIES: u32 = 3;
/// How often a mark is tried again where reconcilers take its number.
const MARK_TRIES: u32 = 5;

/// A state with what is known of where it came from.
#[derive(Clone, Debug)]
pub struct View {
    /// The state.
    pub state: State,
    /// The commit of the newest snapshot known to exist; none if there is none.
    pub snapshot: Option<u64>,
    /// The nonce of its last commit; none while only a snapshot of it was read.
    pub tip: Option<String>,
}

/// What came of writing a commit.
#[derive(Debug)]
pub enum Written {
    /// It is in the log.
    Ours {
        /// The commit the log holds: ours, perhaps one of an earlier try.
        commit: Box<Commit>,
        /// The store's time when that was known.
        at: Timestamp,
    },
    /// Another one took its number.
    Foreign(Box<Commit>),
}

impl Written {
    /// The commit the log holds.
    #[must_use]
    pub fn commit(&self) -> &Commit {
        match self {
            Self::Ours { commit, .. } | Self::Foreign(commit) => commit,
        }
    }
}

/// A ledger in a store.
#[derive(Clone)]
pub struct Ledger {
    store: Arc<dyn Store>,
}

impl std::fmt::Debug for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ledger")
    }
}

impl Ledger {
    /// The ledger in this store, which may be empty yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// The store it lies in.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Creates `log/0` unless there is one. Losing is fine: the other's id and times hold.
    ///
    /// # Errors
    /// The store's.
    pub async fn found(&self, id: &str, timing: &Timing) -> Result<(), Error> {
        let created = Change::Created { ledger: id.to_owned(), timing: timing.clone() };
        let genesis = Commit { changes: vec![created], ..bare(0, id, Timestamp::EPOCH) };
        self.store.create(&layout::commit(0), record::write_commit(&genesis)).await?;
        Ok(())
    }

    /// Reads the newest state: a snapshot and every commit after it. `None` if the ledger was never founded.
    ///
    /// # Errors
    /// The store's, and `Data` for a commit that cannot be read.
    pub async fn load(&self) -> Result<Option<View>, Error> {
        let mut view = match self.newest_snapshot().await? {
            Some(state) => View { snapshot: Some(state.seq), state, tip: None },
            None => match self.commit(0).await? {
                Some(genesis) => {
                    View { state: begin(&genesis), snapshot: None, tip: Some(genesis.nonce) }
                }
                None => return Ok(None),
            },
        };
        if let Some(last) = self.follow(&mut view.state).await?.pop() {
            view.tip = Some(last.nonce);
        }
        Ok(Some(view))
    }

    async fn newest_snapshot(&self) -> Result<Option<State>, Error> {
        let page = self.store.list(layout::SNAPSHOT, layout::SNAPSHOT, SNAPSHOTS_KEPT).await?;
        for entry in page.entries {
            let Some(body) = self.store.get(&entry.name).await? else { continue };
            match record::read_snapshot(&entry.name, &body) {
                Ok(state) if mutant::is(Mutant::SnapshotTrustedBlindly) => {
                    let seq = layout::snapshot_seq(&entry.name).unwrap_or(state.seq);
                    return Ok(Some(State { seq, ..state }));
                }
                Ok(state) => return Ok(Some(state)),
                Err(error) => {
                    tracing::warn!(name = entry.name, %error, "a snapshot is passed over")
                }
            }
        }
        Ok(None)
    }

    /// Folds every commit after the state, and says how many there were.
    ///
    /// # Errors
    /// The store's, and `Data` for a commit that cannot be read.
    pub async fn follow(&self, state: &mut State) -> Result<Vec<Commit>, Error> {
        let mut folded = Vec::new();
        while let Some(commit) = self.commit(state.seq + 1).await? {
            fold(state, &commit);
            folded.push(commit);
        }
        Ok(folded)
    }

    /// Reads one commit; `None` if there is none of that number.
    ///
    /// # Errors
    /// The store's, and `Data` if it cannot be read.
    pub async fn commit(&self, seq: u64) -> Result<Option<Commit>, Error> {
        let body = self.store.get(&layout::commit(seq)).await?;
        body.map(|body| record::read_commit(seq, &body)).transpose()
    }

    /// Makes sure that a commit after this state is never too far from a snapshot.
    ///
    /// # Errors
    /// The store's. The snapshot is a cache: one that someone else wrote serves as well.
    pub async fn keep_snapshot(&self, view: &mut View, commits_max: u64) -> Result<(), Error> {
        let since = view.state.seq - view.snapshot.unwrap_or(0);
        if since < commits_max {
            return Ok(());
        }
        let body = record::write_snapshot(&view.state)?;
        self.store.create(&layout::snapshot(view.state.seq), body).await?;
        view.snapshot = Some(view.state.seq);
        Ok(())
    }

    /// Writes what a commit depends on, then the commit.
    ///
    /// `is_ours` tells the nonces of this process: a lost answer, a client's retry and a late first try are ours.
    ///
    /// # Errors
    /// `Unavailable` where it is not known what came of it; the next pass sees.
    pub async fn write(
        &self,
        view: &mut View,
        draft: &Draft<'_>,
        clock: &dyn Clock,
        is_ours: &(dyn Fn(&str) -> bool + Sync),
    ) -> Result<Written, Error> {
        self.keep_snapshot(view, SNAPSHOT_COMMITS_MAX).await?;
        self.write_objects(draft.objects).await?;
        let seq = draft.commit.seq;
        let body = record::write_commit(draft.commit);
        for attempt in 1..=COMMIT_TRIES {
            let at = match self.store.create(&layout::commit(seq), body.clone()).await {
                Ok(Created::Won { at }) => {
                    return Ok(Written::Ours { commit: Box::new(draft.commit.clone()), at });
                }
                Ok(Created::Lost { at }) => Some(at),
                Err(error) => {
                    tracing::warn!(seq, %error, "the fate of a commit is unclear");
                    None
                }
            };
            let taken_for_own = match at {
                Some(_) => mutant::is(Mutant::LostMeansOurs),
                None => mutant::is(Mutant::NoAnswerMeansWon),
            };
            if taken_for_own {
                let commit = Box::new(draft.commit.clone());
                return Ok(Written::Ours { commit, at: at.unwrap_or(draft.commit.now) });
            }
            if let Some(winner) = self.commit(seq).await? {
                return Ok(match is_ours(&winner.nonce) {
                    true => {
                        Written::Ours { at: at.unwrap_or(winner.now), commit: Box::new(winner) }
                    }
                    false => Written::Foreign(Box::new(winner)),
                });
            }
            clock.sleep(Span::from_millis(100 << attempt)).await;
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            format!("a commit could not be written: seq=`{seq}`"),
        ))
    }

    /// Marks a ledger that was restored from a copy: from the commit this answers with on, events from before it are
    /// late. None where the ledger was never founded.
    ///
    /// Nothing else is decided by it, and nothing that waits in the inbox is consumed.
    ///
    /// # Errors
    /// The store's, `Data` for a commit that cannot be read, and `Unavailable` where reconcilers keep taking its
    /// number, or where it is not known whether it is written: a second mark does no harm.
    pub async fn mark_restored(
        &self,
        nonce: &str,
        clock: &dyn Clock,
    ) -> Result<Option<Commit>, Error> {
        let Some(mut view) = self.load().await? else { return Ok(None) };
        for _ in 0..MARK_TRIES {
            let page = self.store.list(layout::LOG, &layout::commit(u64::MAX), 1).await?;
            let changes = vec![Change::Inbox(InboxChange::Restored)];
            let now = page.now.max(view.state.now);
            let commit = Commit { changes, ..bare(view.state.seq + 1, nonce, now) };
            let draft = Draft { commit: &commit, objects: &[] };
            match self.write(&mut view, &draft, clock, &|other| other == nonce).await? {
                Written::Ours { commit, .. } => return Ok(Some(*commit)),
                Written::Foreign(winner) => fold(&mut view.state, &winner),
            }
        }
        let message = "reconcilers are at work on the ledger: stop them first";
        Err(Error::new(ErrorKind::Unavailable, message))
    }

    async fn write_objects(&self, objects: &[(String, Bytes)]) -> Result<(), Error> {
        let writes: Vec<_> =
            objects.iter().map(|(name, body)| self.store.create(name, body.clone())).collect();
        futures::future::try_join_all(writes).await?;
        Ok(())
    }
}

/// A commit to be written, with the objects it depends on.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// The commit.
    pub commit: &'a Commit,
    /// Names and contents.
    pub objects: &'a [(String, Bytes)],
}

/// A commit that changes nothing.
fn bare(seq: u64, nonce: &str, now: Timestamp) -> Commit {
    Commit {
        v: VERSION,
        seq,
        nonce: nonce.to_owned(),
        now,
        segments: Vec::new(),
        changes: Vec::new(),
        decisions: Vec::new(),
        fresh: Default::default(),
        uses: Vec::new(),
        members: None,
    }
}

/// The state after `log/0`.
#[must_use]
pub fn begin(genesis: &Commit) -> State {
    let mut state = State::new(String::new(), Timing::default());
    fold(&mut state, genesis);
    state
}
