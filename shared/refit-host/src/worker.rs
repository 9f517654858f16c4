//! A puller of messages, for networks that nothing can be pushed into: what it pulls goes through the same door.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use refit_core::error::Error;
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::Clock;
use refit_platform::auth::Places;
use refit_platform::subscription::{self, Flow, Pulled, Subscription};
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::source::Delivery;
use tokio::sync::Semaphore;

use crate::function::Base;
use crate::intake::Door;

/// The longest a message is kept from others: recording it takes seconds, or it is given back.
const LEASE: Span = Span::mins(2);
/// Bytes of messages under way.
const BYTES_MAX: u32 = 64 << 20;
/// How long the first message the ledger does not take is kept before it is given back, and the next ones at most:
/// given back at once, they would come again at once.
const KEEP_MIN: Span = Span::secs(1);
const KEEP_MAX: Span = Span::secs(32);
/// How long messages under way may take to be recorded when the process ends.
const RECORD_WITHIN: Span = Span::secs(5);
/// How long what was acknowledged may take to be sent then.
const CLOSE_WITHIN: Span = Span::secs(4);

/// What a worker is told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the ledger lies.
    pub ledger: String,
    /// What is woken.
    pub wake: Option<String>,
    /// The subscription, `projects/P/subscriptions/S`.
    pub subscription: String,
    /// Messages under way at the same time.
    pub at_once: u16,
}

/// What every message under way shares.
struct Worker {
    door: Door,
    clock: Arc<dyn Clock>,
    /// Messages in a row that the ledger did not take.
    failures: AtomicU32,
}

/// Pulls messages and records them until `shutdown` is over.
///
/// # Errors
/// What keeps it from starting or from going on: a wrong setting, a ledger that cannot be opened, a subscription that
/// is not there or not allowed.
pub async fn run(settings: &Settings, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
    let base = Base::open(&settings.ledger).await?;
    let options = Options { places: Places::from_env(), ..Options::default() };
    let transport = Arc::new(HttpTransport::new(Arc::clone(&base.clock), options)?);
    let flow = Flow { messages: settings.at_once, bytes: BYTES_MAX, lease: LEASE };
    let pulled = subscription::open(&settings.subscription, flow, &transport).await?;
    let waker = base.waker(settings.wake.as_deref()).await?;
    tracing::info!(subscription = settings.subscription, ledger = settings.ledger, "pulling");
    let door = Door::push(base.intake(), waker, None);
    let ended = pull(pulled, settings.at_once, door, base.clock, shutdown).await;
    tracing::info!("ended");
    ended
}

/// Records what a subscription holds, at most so many messages at the same time.
///
/// # Errors
/// What the subscription fails with for good.
pub async fn pull(
    mut subscription: Box<dyn Subscription>,
    at_once: u16,
    door: Door,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let room = Arc::new(Semaphore::new(usize::from(at_once)));
    let worker = Arc::new(Worker { door, clock: Arc::clone(&clock), failures: AtomicU32::new(0) });
    let mut shutdown = std::pin::pin!(shutdown);
    let ended = loop {
        // While the ledger takes nothing a place is free only after a while: the end is watched for meanwhile as well.
        let place = tokio::select! {
            biased;
            () = &mut shutdown => break Ok(()),
            place = Arc::clone(&room).acquire_owned() => place.expect("it is never closed"),
        };
        let next = tokio::select! {
            biased;
            () = &mut shutdown => break Ok(()),
            next = subscription.next() => next,
        };
        match next {
            Some(Ok(pulled)) => {
                let worker = Arc::clone(&worker);
                tokio::spawn(async move {
                    worker.record(pulled).await;
                    drop(place);
                });
            }
            Some(Err(error)) => break Err(error),
            None => break Ok(()),
        }
    };
    // Those under way end, or are given back: the subscription does that with whatever was not acknowledged.
    within(&*clock, RECORD_WITHIN, room.acquire_many(u32::from(at_once))).await;
    within(&*clock, CLOSE_WITHIN, subscription.close()).await;
    ended
}

impl Worker {
    /// Acknowledges a message once it is durable, else gives it back.
    async fn record(&self, pulled: Pulled) {
        let (headers, body) = pulled.message.as_push();
        if self.door.record(&Delivery { headers: &headers, body: &body }).await {
            self.failures.store(0, Ordering::Relaxed);
            pulled.acknowledge();
            return;
        }
        let failures = self.failures.fetch_add(1, Ordering::Relaxed).min(5);
        let keep = Span::from_millis(KEEP_MIN.as_millis() << failures).min(KEEP_MAX);
        self.clock.sleep(keep).await;
        pulled.give_back();
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use refit_core::error::ErrorKind;
    use refit_core::event::{Event, Fact};
    use refit_engine::intake::Intake;
    use refit_engine::nonce::Nonces;
    use refit_engine::port::Store;
    use refit_engine::record::read_segment;
    use refit_platform::clock::SystemClock;
    use refit_platform::store::MemoryStore;
    use refit_testkit::clock::ManualClock;
    use refit_testkit::fault::{Fault, FaultyStore};
    use refit_wire::source::PulledMessage;
    use tokio::sync::oneshot;

    use super::*;
    use crate::waker::Nobody;

    /// A subscription that holds these messages, and notes which were acknowledged; a fake of ours.
    #[derive(Debug, Default)]
    struct Scripted {
        messages: VecDeque<Result<PulledMessage, Error>>,
        settled: Arc<Mutex<Vec<(String, bool)>>>,
    }

    #[async_trait]
    impl Subscription for Scripted {
        async fn next(&mut self) -> Option<Result<Pulled, Error>> {
            let message = self.messages.pop_front()?;
            Some(message.map(|message| {
                let (settled, id) = (Arc::clone(&self.settled), message.id.clone());
                Pulled::new(message, move |is_taken| settled.lock().unwrap().push((id, is_taken)))
            }))
        }

        async fn close(&mut self) {}
    }

    fn message(id: &str, data: Vec<u8>) -> PulledMessage {
        PulledMessage {
            subscription: "projects/p/subscriptions/s".to_owned(),
            id: id.to_owned(),
            data: data.into(),
            ..PulledMessage::default()
        }
    }

    fn door(inbox: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Door {
        let intake = Intake::new(inbox, clock, Nonces::new("worker"), Span::secs(4));
        Door::push(intake, Arc::new(Nobody), None)
    }

    /// What became of the messages, how pulling ended, and what was recorded.
    async fn pulled(
        messages: Vec<Result<PulledMessage, Error>>,
    ) -> (Vec<(String, bool)>, Result<(), Error>, Vec<Event>) {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inbox: Arc<dyn Store> = Arc::new(MemoryStore::new(Arc::clone(&clock)));
        let door = door(Arc::clone(&inbox), Arc::clone(&clock));
        let scripted = Scripted { messages: messages.into(), ..Scripted::default() };
        let settled = Arc::clone(&scripted.settled);
        let ended = pull(Box::new(scripted), 4, door, clock, std::future::pending()).await;
        let mut recorded = Vec::new();
        for entry in inbox.list("inbox/", "", 100).await.unwrap().entries {
            let body = inbox.get(&entry.name).await.unwrap().unwrap();
            recorded.extend(read_segment(&entry.name, &body).unwrap());
        }
        let mut settled = settled.lock().unwrap().clone();
        settled.sort();
        (settled, ended, recorded)
    }

    #[tokio::test]
    async fn a_message_is_acknowledged_once_it_is_recorded_and_poison_as_well() {
        let large = vec![b'x'; 2 << 20];
        let poison = PulledMessage {
            attributes: [("ce-specversion".to_owned(), "1.0".to_owned())].into(),
            ..message("poison", b"{".to_vec())
        };
        let (settled, ended, events) = pulled(vec![
            Ok(message("good", b"{}".to_vec())),
            Ok(poison),
            Ok(message("large", large)),
        ])
        .await;
        assert!(ended.is_ok());
        let taken = ["good", "large", "poison"].map(|id| (id.to_owned(), true));
        assert_eq!(settled, taken);
        let invalid = events.iter().filter(|event| matches!(event.fact, Fact::Invalid(_)));
        assert_eq!((events.len(), invalid.count()), (3, 2));
    }

    #[tokio::test]
    async fn what_fails_for_good_ends_the_worker_after_what_is_under_way() {
        let gone = Error::new(ErrorKind::Rejected, "no such subscription");
        let (settled, ended, events) =
            pulled(vec![Ok(message("good", b"{}".to_vec())), Err(gone)]).await;
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Rejected);
        assert_eq!((settled, events.len()), (vec![("good".to_owned(), true)], 1));
    }
    /// A subscription that never ends, whose every message the ledger does not take.
    #[derive(Debug)]
    struct Endless {
        given: Arc<AtomicU32>,
        settled: Arc<Mutex<Vec<(String, bool)>>>,
    }

    #[async_trait]
    impl Subscription for Endless {
        async fn next(&mut self) -> Option<Result<Pulled, Error>> {
            let number = self.given.fetch_add(1, Ordering::Relaxed);
            let (settled, id) = (Arc::clone(&self.settled), number.to_string());
            let message = message(&id, b"{}".to_vec());
            let settle = move |is_taken| settled.lock().unwrap().push((id, is_taken));
            Some(Ok(Pulled::new(message, settle)))
        }

        async fn close(&mut self) {}
    }

    /// Polled until nothing that can go on by itself is left: the runtime has one thread.
    async fn quiet() {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn no_more_messages_are_under_way_at_once_than_it_is_told() {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let memory = Arc::new(MemoryStore::new(Arc::clone(&shared)));
        let down = FaultyStore::new(memory, |_| Fault::Before(ErrorKind::Unavailable));
        let door = door(Arc::new(down), Arc::clone(&shared));
        let (given, settled) = (Arc::<AtomicU32>::default(), Arc::default());
        let endless = Endless { given: Arc::clone(&given), settled: Arc::clone(&settled) };
        let at_once = 3;
        let pulling =
            tokio::spawn(pull(Box::new(endless), at_once, door, shared, std::future::pending()));
        for _ in 0..60 {
            quiet().await;
            let given_back = u32::try_from(settled.lock().unwrap().len()).unwrap();
            let under_way = given.load(Ordering::Relaxed) - given_back;
            assert_eq!(under_way, u32::from(at_once), "neither more nor fewer");
            clock.advance(Span::secs(1));
        }
        let settled = settled.lock().unwrap();
        assert!(settled.len() > 5, "they are given back, and others pulled");
        assert!(settled.iter().all(|(_, is_taken)| !is_taken), "what is not recorded is lost");
        pulling.abort();
    }

    #[tokio::test]
    async fn it_ends_in_ten_seconds_though_every_place_waits_for_a_ledger_that_is_down() {
        let clock = Arc::new(ManualClock::new("2026-01-05T10:00:00Z".parse().unwrap()));
        let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let memory = Arc::new(MemoryStore::new(Arc::clone(&shared)));
        let down = FaultyStore::new(memory, |_| Fault::Before(ErrorKind::Unavailable));
        let door = door(Arc::new(down), Arc::clone(&shared));
        let settled = Arc::default();
        let endless = Endless { given: Arc::default(), settled: Arc::clone(&settled) };
        let (end, shutdown) = oneshot::channel::<()>();
        let shutdown = async { drop(shutdown.await) };
        let mut pulling = tokio::spawn(pull(Box::new(endless), 1, door, shared, shutdown));
        for _ in 0..40 {
            quiet().await;
            clock.advance(Span::secs(1));
        }
        quiet().await;
        let given_back = ["0", "1", "2", "3", "4"].map(|id| (id.to_owned(), false));
        assert_eq!(
            *settled.lock().unwrap(),
            given_back,
            "kept for 1, 2, 4, 8 and 16 s, the sixth for 32 s"
        );
        assert!(!pulling.is_finished());
        end.send(()).unwrap();
        for _ in 0..10 {
            quiet().await;
            clock.advance(Span::secs(1));
        }
        quiet().await;
        assert!(pulling.is_finished(), "ten seconds are over");
        assert!((&mut pulling).await.unwrap().is_ok());
    }
}
