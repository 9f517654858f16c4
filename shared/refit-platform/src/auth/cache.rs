//! Tokens that are kept while they hold, and fetched once for all who wait.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::Clock;
use refit_wire::credential::{Given, Token};

/// How long fetching a token may take.
const TIMEOUT: Span = Span::secs(5);
/// How long before its end a token is replaced, unless half its life is shorter.
const EARLY: Span = Span::mins(5);
/// How long a failure stands before the source is asked again.
const BACK_OFF: Span = Span::secs(5);

/// Where tokens come from.
#[async_trait]
pub(super) trait Source: Send + Sync {
    /// What tells one token from another.
    type Key: Clone + Eq + Hash + Send + Sync;

    /// Fetches a token, and says how long it holds from the moment it was asked for.
    async fn fetch(&self, key: &Self::Key) -> Result<Given, Error>;
}

/// A source and the tokens it gave. Times are of the clock that counts suspension, so that a token does not outlive
/// its end while the machine sleeps.
pub(super) struct Cache<S: Source> {
    source: S,
    clock: Arc<dyn Clock>,
    slots: Mutex<HashMap<S::Key, Arc<Slot>>>,
}

/// The place of one token.
#[derive(Default)]
struct Slot {
    held: Mutex<Held>,
    /// Locked while the token is fetched. Who waits and goes away leaves the others to it.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Held {
    token: Option<Kept>,
    failed: Option<Failed>,
}

struct Kept {
    token: Token,
    /// When it is to be replaced.
    due: Span,
    /// When it ends.
    end: Span,
}

struct Failed {
    until: Span,
    kind: ErrorKind,
    message: String,
}

/// How a token stands.
enum Standing {
    /// It holds.
    Good(Token),
    /// It holds, but is to be replaced.
    Due(Token),
    /// There is none, and asking again is too early.
    Refused(Error),
    /// There is none.
    Absent,
}

impl<S: Source> fmt::Debug for Cache<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cache")
    }
}

impl<S: Source> Cache<S> {
    pub(super) fn new(source: S, clock: Arc<dyn Clock>) -> Self {
        Self { source, clock, slots: Mutex::default() }
    }

    /// A token that holds.
    pub(super) async fn get(&self, key: &S::Key) -> Result<Token, Error> {
        let slot = self.slot(key);
        let (old, _fetching) = match slot.standing(self.clock.elapsed()) {
            Standing::Good(token) => return Ok(token),
            Standing::Refused(error) => return Err(error),
            Standing::Due(token) => match slot.fetching.try_lock() {
                Ok(fetching) => (Some(token), fetching),
                Err(_) => return Ok(token),
            },
            Standing::Absent => (None, slot.fetching.lock().await),
        };
        match slot.standing(self.clock.elapsed()) {
            Standing::Good(token) => Ok(token),
            Standing::Refused(error) => Err(error),
            Standing::Due(_) | Standing::Absent => self.fetch(&slot, key, old).await,
        }
    }

    /// Fetches a token; where that fails, the old one still serves.
    async fn fetch(&self, slot: &Slot, key: &S::Key, old: Option<Token>) -> Result<Token, Error> {
        let asked = self.clock.elapsed();
        let answer = within(&*self.clock, TIMEOUT, self.source.fetch(key)).await;
        let late = || Err(Error::new(ErrorKind::Unavailable, "a credential was not had in time"));
        let mut held = slot.held();
        match answer.unwrap_or_else(late) {
            Ok((token, life)) => {
                let early = EARLY.as_millis().min(life.as_millis() / 2);
                let due = asked + Span::from_millis(life.as_millis() - early);
                held.token = Some(Kept { token: token.clone(), due, end: asked + life });
                Ok(token)
            }
            Err(error) => {
                let until = self.clock.elapsed() + BACK_OFF;
                held.failed =
                    Some(Failed { until, kind: error.kind(), message: error.to_string() });
                old.ok_or(error)
            }
        }
    }

    /// Forgets this token, if it is still the one that is kept.
    pub(super) fn forget(&self, key: &S::Key, token: &Token) {
        self.slot(key).held().token.take_if(|kept| kept.token == *token);
    }

    fn slot(&self, key: &S::Key) -> Arc<Slot> {
        let mut slots = self.slots.lock().expect("no holder of the lock panics");
        Arc::clone(slots.entry(key.clone()).or_default())
    }
}

impl Slot {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().expect("no holder of the lock panics")
    }

    fn standing(&self, now: Span) -> Standing {
        let held = self.held();
        let failed = held.failed.as_ref().filter(|failed| now < failed.until);
        match (&held.token, failed) {
            (Some(kept), None) if kept.due <= now && now < kept.end => {
                Standing::Due(kept.token.clone())
            }
            (Some(kept), _) if now < kept.end => Standing::Good(kept.token.clone()),
            (_, Some(failed)) => Standing::Refused(Error::new(failed.kind, failed.message.clone())),
            (_, None) => Standing::Absent,
        }
    }
}

#[cfg(test)]
mod tests;
