//! The newest state: what a process has of it, and whether the log still is what that rests on.

use refit_core::error::{Error, ErrorKind};
use refit_core::fold::fold;
use refit_core::mutant::{self, Mutant};
use refit_core::time::{Span, Timestamp};

use super::Reconciler;
use crate::ledger::View;

/// A state this process has, and when it was last known to be the newest.
pub(super) struct Cached {
    pub(super) view: View,
    pub(super) confirmed: Span,
    /// Whether its last commit was seen in the log within this pass.
    pub(super) is_proved: bool,
    /// Where the store's time went back: the ledger's time then, and when by the clock of the process.
    pub(super) behind: Option<(Timestamp, Span)>,
}

impl Reconciler {
    /// The newest state: the one this process has if it is young enough to be committed from, else the stored one.
    pub(super) async fn refresh(&mut self) -> Result<Cached, Error> {
        let elapsed = self.parts.clock.elapsed();
        if let Some(mut cached) = self.view.take() {
            let age = Span::from_millis(elapsed.as_millis() - cached.confirmed.as_millis());
            if age < cached.view.state.timing.state_age_max() {
                cached.is_proved = false;
                cached.confirmed = elapsed;
                self.follow(&mut cached).await?;
                return Ok(cached);
            }
        }
        let view = self.load().await?;
        if let Some((seq, nonce)) = &self.seen {
            self.recognise(*seq, nonce.as_ref()).await?;
        }
        Ok(Cached { view, confirmed: elapsed, is_proved: true, behind: None })
    }

    /// Refuses a log that no longer has a commit this process has seen, or has another in its place; says its nonce.
    async fn recognise(&self, seq: u64, known: Option<&String>) -> Result<Option<String>, Error> {
        if mutant::is(Mutant::LogDeleted) || mutant::is(Mutant::RestorationUnseen) {
            return Ok(known.cloned());
        }
        let stored = self.ledger.commit(seq).await?.map(|commit| commit.nonce);
        match stored.is_some() && (known.is_none() || stored.as_ref() == known) {
            true => Ok(stored),
            false => Err(shorter(seq)),
        }
    }

    /// Folds what others have written since, onto what the log still has.
    async fn follow(&self, cached: &mut Cached) -> Result<(), Error> {
        let next = cached.view.state.seq + 1;
        let Some(first) = self.ledger.commit(next).await? else { return Ok(()) };
        self.prove(cached).await?;
        fold(&mut cached.view.state, &first);
        let others = self.ledger.follow(&mut cached.view.state).await?;
        cached.view.tip = Some(others.last().unwrap_or(&first).nonce.clone());
        Ok(())
    }

    /// Refuses to build on a commit which the log no longer has, or has another in the place of: it was replaced by a
    /// copy while this process went on, and what follows in it is another history. One read in a pass.
    pub(super) async fn prove(&self, cached: &mut Cached) -> Result<(), Error> {
        if !cached.is_proved {
            let View { state, tip, .. } = &mut cached.view;
            *tip = self.recognise(state.seq, tip.as_ref()).await?;
            cached.is_proved = true;
        }
        Ok(())
    }

    async fn load(&mut self) -> Result<View, Error> {
        if let Some(view) = self.ledger.load().await? {
            return Ok(view);
        }
        self.ledger.found(&self.parts.nonces.next(), &self.parts.timing).await?;
        let missing =
            || Error::new(ErrorKind::Unavailable, "the ledger was founded and is not there yet");
        self.ledger.load().await?.ok_or_else(missing)
    }

    /// The ledger's time: the store's, but it never goes back.
    pub(super) fn now(&self, cached: &mut Cached, store: Timestamp) -> Timestamp {
        let last = cached.view.state.now;
        if store >= last {
            cached.behind = None;
            return store;
        }
        let elapsed = self.parts.clock.elapsed();
        let (from, at) = *cached.behind.get_or_insert((last, elapsed));
        (from + Span::from_millis(elapsed.as_millis() - at.as_millis())).max(last)
    }
}

/// What is said where the log is not the one this process has seen.
fn shorter(seen: u64) -> Error {
    let message = format!(
        "the log is shorter than it was, or another; if the ledger was restored from a copy, say so with `refit fsck --restored` and start this process anew: seen=`{seen}`"
    );
    Error::new(ErrorKind::Data, message)
}
