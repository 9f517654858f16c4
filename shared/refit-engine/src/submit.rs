//! Commands on a running ledger: append, then wait for the commit that answers.

use refit_core::error::Error;
use refit_core::event::{Command, Event, Fact, Identity};
use refit_core::key::Hash128;
use refit_core::time::Span;

use crate::deadline::within;
use crate::ledger::Ledger;
use crate::port::Clock;

/// How long the answer to a command is usually waited for: a ping, and a pass.
pub const ANSWER_WITHIN: Span = Span::secs(75);
/// How often it is looked for.
const LOOK_EVERY: Span = Span::from_millis(200);

/// What became of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether it was obeyed.
    pub ok: bool,
    /// What came of it, in words.
    pub message: String,
    /// The commit that says so.
    pub commit: u64,
}

/// A command as an event; `nonce` makes it unlike any other.
#[must_use]
pub fn command_event(command: Command, actor: &str, nonce: &str) -> Event {
    Event {
        identity: Identity(vec!["command".to_owned(), actor.to_owned(), nonce.to_owned()]),
        origin: "refit.cli".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Command(command),
    }
}

/// Waits for the commit after `from` that answers the command: `None` if no reconciler answers within the span; the
/// command stays recorded.
///
/// # Errors
/// The store's.
pub async fn answer(
    ledger: &Ledger,
    clock: &dyn Clock,
    from: u64,
    command: Hash128,
    wait: Span,
) -> Result<Option<Answer>, Error> {
    let look = async {
        let mut seq = from;
        loop {
            while let Some(commit) = ledger.commit(seq + 1).await? {
                seq = commit.seq;
                if let Some((ok, message)) = commit.answer(command) {
                    return Ok(Answer { ok, message: message.to_owned(), commit: seq });
                }
            }
            clock.sleep(LOOK_EVERY).await;
        }
    };
    within(clock, wait, look).await.transpose()
}
