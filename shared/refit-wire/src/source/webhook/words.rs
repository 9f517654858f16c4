//! What somebody says of a version in words, wherever they are written: `approve|reject MODEL VERSION [STAGE] [REASON]`.

use refit_core::event::{Command, Event, Fact, Identity};
use refit_core::promotion::{Says, Statement, WORDS_BYTES_MAX};
use refit_core::time::Timestamp;

use super::super::{Meaning, Understood};

/// Where words were written, when, and by whom.
pub(super) struct Written {
    /// What makes them a fact.
    pub(super) identity: Vec<String>,
    /// The route.
    pub(super) origin: &'static str,
    /// When.
    pub(super) time: Option<Timestamp>,
    /// The delivery that tells of them.
    pub(super) delivery: String,
    /// The account they are of.
    pub(super) person: String,
}

/// The command that words are; nothing to be recorded where they are none.
pub(super) fn command<'a>(
    words: impl Iterator<Item = &'a str>,
    usage: &str,
    written: Written,
) -> Meaning {
    let Written { identity, origin, time, delivery, person } = written;
    let Some(said) = statement(words, person) else {
        return ignored(&format!("no command: `{usage}`"));
    };
    if said.reason.len() > WORDS_BYTES_MAX {
        return ignored("the reason is longer than 1000 bytes");
    }
    Meaning::record(Event {
        identity: Identity(identity),
        origin: origin.to_owned(),
        time,
        delivery: Some(delivery),
        replay: None,
        fact: Fact::Command(Command::Promotion(said)),
    })
}

fn statement<'a>(words: impl Iterator<Item = &'a str>, person: String) -> Option<Statement> {
    let mut words = words.peekable();
    let says = match words.next()? {
        "approve" => Says::Approve,
        "reject" => Says::Reject,
        _ => return None,
    };
    let (model, version) = (words.next()?.to_owned(), words.next()?.to_owned());
    let stage = words.peek().and_then(|word| word.parse().ok());
    let reason: Vec<&str> = words.skip(usize::from(stage.is_some())).collect();
    let reason = reason.join(" ");
    Some(Statement { model, version, says, stage, request: None, person, reason })
}

/// What is not to be recorded, and why.
pub(super) fn ignored(reason: &str) -> Meaning {
    Meaning::Means(Understood::Ignore { reason: reason.to_owned() })
}
