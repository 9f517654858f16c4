//! Who is told in a world, and what comes of it.

use refit_core::key::Hash128;
use refit_core::notice::{Delivery, NoticeKind, OutboxChange, Receipt};
use refit_core::rules::Receiver;
use refit_core::state::State;
use refit_core::time::Span;

use crate::world::hour;

/// Somebody to be told, from words such as `ml on=failure,stuck alone`.
pub(crate) fn receiver(words: &[String]) -> (String, Receiver) {
    let mut receiver = Receiver { on: NoticeKind::ALARMS.iter().copied().collect(), groups: true };
    for setting in &words[1..] {
        match setting.split_once('=') {
            Some((_, kinds)) => receiver.on = kinds.split(',').map(kind).collect(),
            None => receiver.groups = false,
        }
    }
    (words[0].clone(), receiver)
}

fn kind(name: &str) -> NoticeKind {
    *NoticeKind::ALL.iter().find(|kind| kind.name() == name).unwrap()
}

/// What came of the letter to a receiver that is due first.
pub(crate) fn delivery(state: &State, answer: &str, receiver: &str) -> Delivery {
    let letters = &state.outboxes[receiver].letters;
    let (id, letter) = letters.iter().min_by_key(|(_, letter)| letter.due).unwrap();
    let receipt = match answer {
        "delivered" => Receipt::Delivered,
        "lost" => Receipt::Failed { after: None, message: "no answer".into() },
        "busy-for-10m" => {
            Receipt::Failed { after: Some(Span::mins(10)), message: "too many".into() }
        }
        _ => Receipt::Refused("no such channel".into()),
    };
    Delivery { receiver: receiver.to_owned(), letter: *id, tries: letter.tries, receipt }
}

/// A change of what a receiver is to be told; `letters` are known by their places.
pub(crate) fn outbox_text(letters: &[Hash128], change: &OutboxChange) -> String {
    let name = |id: &Hash128| {
        let place = letters.iter().position(|letter| letter == id);
        format!("letter {}", place.map_or(0, |place| place + 1))
    };
    match change {
        OutboxChange::Raised { letter, due, notice } => {
            let batch = notice.batch.map_or(String::new(), |batch| format!(" {batch}"));
            let attempt = notice.attempt.map_or(String::new(), |number| format!("/{number}"));
            let message = notice.message.as_ref().map_or(String::new(), |it| format!(" ({it})"));
            let kind = notice.kind.name();
            format!("{} at {}: {kind}{batch}{attempt}{message}", name(letter), hour(*due))
        }
        OutboxChange::Counted(letter) => format!("{} counts one more", name(letter)),
        OutboxChange::Sealed(letter) => format!("{} sealed", name(letter)),
        OutboxChange::Delivered(letter) => format!("{} delivered", name(letter)),
        OutboxChange::Failed { letter, until, message } => {
            format!("{} again at {}: {message}", name(letter), hour(*until))
        }
        OutboxChange::GivenUp { letter, message } => {
            format!("{} given up: {message}", name(letter))
        }
        OutboxChange::Closed => "closed".to_owned(),
    }
}
