//! Telling those who want to know. Letters are on their way while passes go on: a receiver that does not answer
//! delays nobody.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, Either, select};
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use refit_core::error::{Error, ErrorKind};
use refit_core::key::Hash128;
use refit_core::mutant::{self, Mutant};
use refit_core::notice::{Delivery, Letter, Receipt};
use refit_core::state::State;
use refit_core::time::{Span, Timestamp};
use refit_wire::http::Failure;
use refit_wire::link::ledger_at;
use refit_wire::notify::{Sending, Teller};
use refit_wire::outgoing::Outgoing;

use crate::deadline::within;
use crate::port::{Clock, Transport};

/// Letters on their way at the same time.
const LETTERS: usize = 16;
/// Letters on their way to one receiver.
const LETTERS_EACH: usize = 4;
/// How long a letter may take.
const LIMIT: Span = Span::secs(20);

/// A letter of a receiver.
type Slot = (String, Hash128);

/// The letters on their way, and what came of those that are not.
#[derive(Default)]
pub struct Courier {
    /// Nobody locks it: it lets threads share what has a courier, which futures alone would not.
    under_way: Mutex<FuturesUnordered<BoxFuture<'static, Delivery>>>,
    slots: Vec<Slot>,
    /// What came of letters and is not written down yet.
    done: Vec<Delivery>,
}

impl std::fmt::Debug for Courier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Courier").field("under_way", &self.slots).finish_non_exhaustive()
    }
}

/// What letters are sent by.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports have nothing to print")]
pub struct Bag<'a> {
    /// Where letters go.
    pub transport: &'a Arc<dyn Transport>,
    /// The clock of the process.
    pub clock: &'a Arc<dyn Clock>,
    /// Who can be told, by name.
    pub tellers: &'a BTreeMap<String, Arc<Teller>>,
    /// The URI of the ledger, by which links name it.
    pub root: &'a str,
}

impl Courier {
    /// What came of letters and is not written down yet.
    #[must_use]
    pub fn done(&self) -> &[Delivery] {
        &self.done
    }

    /// Notes that the first so many of these are written down, or are of no concern.
    pub fn settle(&mut self, count: usize) {
        self.done.drain(..count);
    }

    /// Whether letters are on their way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        !self.slots.is_empty()
    }

    /// Waits until something came of one more letter; for ever where none is on its way.
    pub async fn delivered(&mut self) {
        match self.under_way().next().await {
            Some(delivery) => self.note(delivery),
            None => std::future::pending().await,
        }
    }

    /// Does something else while letters are on their way.
    pub async fn alongside<T>(&mut self, work: impl Future<Output = T> + Send) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            match select(work.as_mut(), std::pin::pin!(self.delivered())).await {
                Either::Left((result, _)) => return result,
                Either::Right(((), _)) => {}
            }
        }
    }

    /// Sends the letters that are due, and takes in what is answered at once. A letter is first the business of the
    /// process that wrote when it is due, and nobody's before the newest commit seals it.
    pub fn send(
        &mut self,
        (state, now): (&State, Timestamp),
        is_own: impl Fn(&str) -> bool,
        bag: &Bag<'_>,
    ) {
        let lease = state.timing.lease;
        let is_due = |letter: &Letter| {
            let from = if is_own(&letter.owner) { letter.due } else { letter.due + lease };
            let is_sealed = letter.is_sealed(state.now) || mutant::is(Mutant::LetterSentUnsealed);
            is_sealed && from <= now
        };
        for (receiver, outbox) in &*state.outboxes {
            let Some(teller) = bag.tellers.get(receiver) else { continue };
            for (id, letter) in outbox.letters.iter().filter(|(_, letter)| is_due(letter)) {
                let slot = (receiver.clone(), *id);
                if self.may_send(&slot) {
                    let telling = (Arc::clone(teller), state.ledger.clone(), letter.clone());
                    self.under_way().push(carry(slot.clone(), telling, bag));
                    self.slots.push(slot);
                }
            }
        }
        while let Some(Some(delivery)) = self.under_way().next().now_or_never() {
            self.note(delivery);
        }
    }

    fn under_way(&mut self) -> &mut FuturesUnordered<BoxFuture<'static, Delivery>> {
        self.under_way.get_mut().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_send(&self, slot: &Slot) -> bool {
        let each = self.slots.iter().filter(|(receiver, _)| *receiver == slot.0).count();
        let is_done = self.done.iter().any(|it| (&it.receiver, it.letter) == (&slot.0, slot.1));
        self.slots.len() < LETTERS && each < LETTERS_EACH && !is_done && !self.slots.contains(slot)
    }

    fn note(&mut self, delivery: Delivery) {
        self.slots.retain(|(receiver, letter)| {
            (receiver, letter) != (&delivery.receiver, &delivery.letter)
        });
        self.done.push(delivery);
    }
}

fn carry(
    (receiver, letter): Slot,
    (teller, ledger, written): (Arc<Teller>, String, Letter),
    bag: &Bag<'_>,
) -> BoxFuture<'static, Delivery> {
    let (transport, clock) = (Arc::clone(bag.transport), Arc::clone(bag.clock));
    let named = ledger_at(bag.root);
    let carried = async move {
        let receipt = match key(&teller, &written, &*transport, &*clock).await {
            Ok(key) => {
                let sending =
                    teller.tell(&ledger, letter, &written, key.as_deref().zip(Some(named)));
                deliver(sending, &*transport, &*clock).await
            }
            Err(error) => Receipt::Failed { after: None, message: error.to_string() },
        };
        Delivery { receiver, letter, tries: written.tries, receipt }
    };
    carried.boxed()
}

/// The secret of the links in a letter, if it has any.
async fn key(
    teller: &Teller,
    letter: &Letter,
    transport: &dyn Transport,
    clock: &dyn Clock,
) -> Result<Option<String>, Error> {
    let Some(secret) = teller.secret(letter) else { return Ok(None) };
    let late = || Err(Error::new(ErrorKind::Unavailable, "a secret could not be read in time"));
    within(clock, LIMIT, transport.secret(secret, None)).await.unwrap_or_else(late).map(Some)
}

/// Sends one letter once, and says what came of it within the time a letter may take.
pub async fn deliver(sending: Sending, transport: &dyn Transport, clock: &dyn Clock) -> Receipt {
    let Sending { outgoing, read } = sending;
    let sent = async {
        match outgoing {
            Outgoing::Http(request) => transport.send(*request).await,
            Outgoing::Mail(mail) => transport.mail(*mail).await,
            Outgoing::Publish(message) => transport.publish(message).await,
        }
    };
    let late = || Err(Failure::Unclear("no answer in time".to_owned()));
    read(within(clock, LIMIT, sent).await.unwrap_or_else(late))
}
