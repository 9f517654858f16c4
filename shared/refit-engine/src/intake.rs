//! Accepting events: they are durable in the inbox before they are acknowledged.
//!
//! Intake reads nothing and knows no rules; all it needs of the store is `create`. Events that arrive while a
//! write is under way share the next segment, so that a burst costs few writes and a single event waits for none. Where
//! that one is full they wait for room, so that no more than two segments are kept however slow the store is.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::Shared;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::Event;
use refit_core::mutant::{self, Mutant};
use refit_core::time::{Span, Timestamp};
use refit_core::timing::{SEGMENT_BYTES_MAX, SEGMENT_EVENTS_MAX, Timing};

use crate::deadline::within;
use crate::layout;
use crate::nonce::Nonces;
use crate::port::{Clock, Created, Store};
use crate::record::write_segment;

/// The name of a segment that is durable, or why it may not be.
type Outcome = Result<String, String>;
/// One write, driven by whoever waits for it; none of them is needed.
type Write = Shared<Pin<Box<dyn Future<Output = Outcome> + Send>>>;

/// The door to the inbox.
#[derive(Clone)]
pub struct Intake {
    writer: Arc<Writer>,
    line: Arc<Mutex<Option<Segment>>>,
    deadline: Span,
}

/// The newest segment of the line.
#[derive(Clone)]
struct Segment {
    content: Arc<Mutex<Content>>,
    write: Write,
}

#[derive(Default)]
struct Content {
    events: Vec<Event>,
    bytes: usize,
    sealed: bool,
}

struct Writer {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    nonces: Nonces,
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Intake")
    }
}

impl Intake {
    /// An intake that answers within `deadline`, however slow the store is.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        nonces: Nonces,
        deadline: Span,
    ) -> Self {
        Self { writer: Arc::new(Writer { store, clock, nonces }), line: Arc::default(), deadline }
    }

    /// Stores events together and answers with the name of their segment once they are durable.
    ///
    /// # Errors
    /// `Invalid` if they are too large for a segment; `Unavailable` if they may not be durable: they are to be
    /// sent again, and are recognised then.
    pub async fn append(&self, events: Vec<Event>) -> Result<String, Error> {
        let bytes = write_segment(&events).len();
        if bytes > SEGMENT_BYTES_MAX || events.len() > SEGMENT_EVENTS_MAX {
            let message =
                format!("too large for a segment: events=`{}`, bytes=`{bytes}`", events.len());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        let unavailable = |message: String| Error::new(ErrorKind::Unavailable, message);
        let stored = self.store(events, bytes);
        match within(&*self.writer.clock, self.deadline, stored).await {
            Some(outcome) => outcome.map_err(unavailable),
            None => Err(unavailable("the store did not answer in time".to_owned())),
        }
    }

    /// Waits for room, then for the write.
    async fn store(&self, mut events: Vec<Event>, bytes: usize) -> Outcome {
        loop {
            match self.join(events, bytes) {
                Ok(write) => return write.await,
                Err((newest, left)) => {
                    let _ = newest.await;
                    events = left;
                }
            }
        }
    }

    /// Joins the newest segment, or begins the next where that is being written; gives the events back where it is full.
    fn join(&self, events: Vec<Event>, bytes: usize) -> Result<Write, (Write, Vec<Event>)> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(newest) = &*line {
            let mut content = newest.content();
            if !content.sealed {
                return match content.take_in(events, bytes) {
                    None => Ok(newest.write.clone()),
                    Some(left) => Err((newest.write.clone(), left)),
                };
            }
        }
        let content = Arc::new(Mutex::new(Content { events, bytes, sealed: false }));
        let before = line.take().map(|newest| newest.write);
        let write = Arc::clone(&self.writer).write(Arc::clone(&content), before);
        *line = Some(Segment { content, write: write.clone() });
        Ok(write)
    }
}

impl Segment {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Content {
    /// Takes events in, or gives them back where there is no room.
    fn take_in(&mut self, events: Vec<Event>, bytes: usize) -> Option<Vec<Event>> {
        let fits = self.bytes + bytes <= SEGMENT_BYTES_MAX
            && self.events.len() + events.len() <= SEGMENT_EVENTS_MAX;
        if !fits {
            return Some(events);
        }
        self.events.extend(events);
        self.bytes += bytes;
        None
    }

    fn seal(&mut self) -> Vec<Event> {
        self.sealed = true;
        std::mem::take(&mut self.events)
    }
}

impl Writer {
    /// Waits for the write before, then seals the segment and stores it.
    fn write(self: Arc<Self>, content: Arc<Mutex<Content>>, before: Option<Write>) -> Write {
        let write = async move {
            if let Some(before) = before {
                let _ = before.await;
            }
            let events = content.lock().unwrap_or_else(PoisonError::into_inner).seal();
            self.store(&events).await
        };
        write.boxed().shared()
    }

    /// Stores a segment under the machine's time, and again under the store's where the two are far apart: a
    /// listing looks no further back than the grace, so only a name near the store's time may be acknowledged.
    async fn store(&self, events: &[Event]) -> Outcome {
        let body = write_segment(events);
        let mut time = self.clock.now();
        for _ in 0..3 {
            let name = layout::segment(time, &self.nonces.next());
            match self.store.create(&layout::segment_object(&name), body.clone()).await {
                Ok(Created::Won { at }) if is_near(time, at) => return Ok(name),
                Ok(Created::Won { .. }) if mutant::is(Mutant::AcknowledgeByOwnClock) => {
                    return Ok(name);
                }
                Err(_) if mutant::is(Mutant::AcknowledgeBeforeDurable) => return Ok(name),
                Ok(Created::Won { at }) => time = at,
                Ok(Created::Lost { .. }) => {
                    return Err("the name of a segment was taken".to_owned());
                }
                Err(error) => return Err(error.to_string()),
            }
        }
        Err("the time of the store jumps".to_owned())
    }
}

/// Intake reads nothing, no ledger's own times either: the distance is the same for all.
fn is_near(name: Timestamp, created: Timestamp) -> bool {
    name.since(created).max(created.since(name)) <= Timing::default().name
}
