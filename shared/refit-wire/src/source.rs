//! Sources: whatever arrives, understood as events.
//!
//! What arrives has one of a few shapes, and often holds something of another shape: a request holds a document,
//! which is a Pub/Sub push, which holds a CloudEvent. Each source is a function that looks at one shape and says
//! that it is none of its own, what it means, or what is inside it. A new source is one file and one row; what
//! arrives otherwise than over HTTP is a document.

use std::collections::BTreeMap;
use std::fmt;

use http::HeaderMap;
use refit_core::event::{Event, Fact, ObjectChange};
use refit_core::time::Timestamp;
use serde_json::Value;

use self::aws::Enveloped;
use self::cloudevents::CloudEvent;
use self::pubsub::PubsubMessage;
use self::quarantine::quarantine;

mod aws;
mod background;
mod cloudevents;
mod completion;
mod drift;
mod eventbridge;
mod fields;
mod gcs;
mod invocation;
mod payload;
mod pubsub;
mod pulled;
mod quarantine;
mod s3;
mod scheduler;
mod table;
#[cfg(test)]
mod tests;
mod webhook;

pub use self::drift::file::{may_be_report, reports_in, understand_report};
pub(crate) use self::gcs::listed;
pub use self::invocation::{Invocation, Item, UrlRequest, understand_document};
pub(crate) use self::payload::DATA_ENCODING;
pub use self::payload::json_of_tools;
pub(crate) use self::pubsub::{DELIVERY_ATTEMPT, ORDERING_KEY, PUBSUB};
pub use self::pulled::PulledMessage;
pub use self::quarantine::{quarantined, quarantined_report, upload_of};
pub use self::table::{Row, TABLE};
pub use self::webhook::{Secrets, Sender};

/// The sources, in the order in which they are asked. A webhook is nothing else, whatever its signature does not cover
/// says; and what a message brings as headers says what is in it, not what the request is.
const SOURCES: &[Source] = &[
    webhook::read,
    pubsub::read,
    cloudevents::read,
    background::read,
    gcs::read,
    s3::read,
    aws::read,
    drift::read,
    completion::read,
    eventbridge::read,
    scheduler::read,
];

/// What a source says of something: nothing where it is none of its own.
type Source = fn(&Arrival<'_>) -> Result<Option<Meaning>, Rejected>;

/// Events that one delivery may hold.
const EVENTS_MAX: usize = 1_000;
/// Attributes that one event may have.
const ATTRIBUTES_MAX: usize = 256;
/// Bytes that one attribute, or one part of an identity, may have.
const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;
/// Envelopes that may be within one another.
const ENVELOPES_MAX: usize = 8;
/// Characters of an arrived text that a reason shows.
const SHOWN_MAX: usize = 100;

/// A delivery as it arrived over HTTP.
#[derive(Clone, Copy)]
pub struct Delivery<'a> {
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The body, whole.
    pub body: &'a [u8],
}

/// What a delivery means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Understood {
    /// Facts, to be stored before the delivery is acknowledged. Parts of a batch that could not be understood are
    /// among them, as [`Fact::Invalid`].
    Record(Vec<Event>),
    /// A call to look at the clock; nothing to store.
    Ping(Ping),
    /// Of no concern.
    Ignore {
        /// Why.
        reason: String,
    },
}

/// Why a delivery cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The HTTP status that says so, where the sender waits for an answer.
    pub status: u16,
    /// What is wrong with it.
    pub reason: String,
}

/// A scheduler's call. It carries no meaning of its own: whoever is called finds out what is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The route it came by.
    pub origin: String,
    /// The job.
    pub job: String,
    /// The time it was scheduled for; none where it was started by hand.
    pub time: Option<Timestamp>,
    /// The id of the delivery, where the scheduler gives one.
    pub delivery: Option<String>,
    /// What it carries.
    pub data: Value,
}

/// Something that arrived, or that was inside something that arrived.
enum Arrival<'a> {
    /// An HTTP request.
    Request(Delivery<'a>),
    /// JSON, however it arrived.
    Document(Value),
    /// A CloudEvent, however it arrived.
    CloudEvent(CloudEvent),
    /// A message of a Pub/Sub topic, however it arrived.
    Pubsub(PubsubMessage),
    /// JSON in an envelope of AWS.
    Enveloped(Enveloped),
}

/// What a source makes of something.
enum Meaning {
    /// What it means.
    Means(Understood),
    /// It is an envelope with this inside.
    Holds(Arrival<'static>),
    /// It is a batch of documents.
    HoldsAll(Vec<Value>),
}

/// Understands a delivery. Any bytes whatever have a meaning, or are rejected with a reason.
///
/// # Errors
/// It cannot be understood: [`quarantined`] makes the event to be stored instead.
pub fn understand(delivery: &Delivery<'_>) -> Result<Understood, Rejected> {
    refuse_encoded(delivery.headers)?;
    understand_arrival(Arrival::Request(*delivery), ENVELOPES_MAX)
}

/// Nothing is unpacked: a small body may be a large one compressed.
fn refuse_encoded(headers: &HeaderMap) -> Result<(), Rejected> {
    let mut encodings = headers.get_all(http::header::CONTENT_ENCODING).iter();
    if encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return Ok(());
    }
    Err(Rejected::unsupported("the body is encoded: send it without content-encoding"))
}

/// Opens envelopes until something has a meaning of its own.
fn understand_arrival(mut arrival: Arrival<'_>, envelopes: usize) -> Result<Understood, Rejected> {
    for left in (0..envelopes).rev() {
        match ask(&arrival)? {
            Meaning::Means(understood) => return within_limits(understood),
            Meaning::Holds(inside) => arrival = inside,
            Meaning::HoldsAll(documents) => return understand_batch(&documents, left),
        }
    }
    Err(Rejected::malformed("too many envelopes within one another"))
}

/// Asks the sources in turn; what none of them knows is taken for what it plainly is.
fn ask(arrival: &Arrival<'_>) -> Result<Meaning, Rejected> {
    for source in SOURCES {
        if let Some(meaning) = source(arrival)? {
            return Ok(meaning);
        }
    }
    match arrival {
        Arrival::Request(delivery) => json_of_tools(delivery.body)
            .map(|document| Meaning::Holds(Arrival::Document(document)))
            .map_err(|_| Rejected::malformed("neither a known kind of request nor JSON")),
        Arrival::Document(_) => Err(Rejected::malformed(
            "JSON of no known kind; a Pub/Sub push without its wrapper needs `write metadata`",
        )),
        Arrival::CloudEvent(event) => Ok(event.plain()),
        Arrival::Pubsub(message) => message.plain(),
        Arrival::Enveloped(inside) => Ok(inside.plain()),
    }
}

/// Understands the documents of a batch one by one: one that is rejected does not take the others with it.
fn understand_batch(documents: &[Value], envelopes: usize) -> Result<Understood, Rejected> {
    if documents.len() > EVENTS_MAX {
        return Err(too_many("events in a batch", EVENTS_MAX));
    }
    let parts = documents.iter().map(|part| Arrival::Document(part.clone()));
    let mut parts: Vec<_> = parts.map(|part| understand_arrival(part, envelopes)).collect();
    if !parts.is_empty() && parts.iter().all(Result::is_err) {
        return parts.swap_remove(0);
    }
    let mut events = vec![];
    for (document, part) in documents.iter().zip(parts) {
        match part {
            Ok(Understood::Record(more)) => events.extend(more),
            Ok(Understood::Ping(_) | Understood::Ignore { .. }) => {}
            Err(rejected) => {
                let body = document.to_string().into_bytes();
                events.push(quarantine(Some("application/json"), &body, &rejected.reason));
            }
        }
    }
    if events.is_empty() {
        let reason = "nothing in the batch is to be recorded".to_owned();
        return Ok(Understood::Ignore { reason });
    }
    within_limits(Understood::Record(events))
}

/// The limits of what is stored, whatever the source.
fn within_limits(understood: Understood) -> Result<Understood, Rejected> {
    if let Understood::Record(events) = &understood {
        if events.len() > EVENTS_MAX {
            return Err(too_many("events in one delivery", EVENTS_MAX));
        }
        events.iter().try_for_each(check_size)?;
    }
    Ok(understood)
}

fn check_size(event: &Event) -> Result<(), Rejected> {
    let none = BTreeMap::new();
    let (attributes, others) = match &event.fact {
        Fact::Object(ObjectChange { object, .. }) => {
            (&object.metadata, [object.content_type.as_ref(), object.checksum.as_ref(), None])
        }
        Fact::Message(message) => (
            &message.attributes,
            [Some(&message.source), Some(&message.ty), message.subject.as_ref()],
        ),
        Fact::Drift(_) => (&none, [None; 3]),
        Fact::Command(_) | Fact::Invalid(_) => return Ok(()),
    };
    if attributes.len() > ATTRIBUTES_MAX {
        return Err(too_many("attributes", ATTRIBUTES_MAX));
    }
    let attributes = attributes.iter().flat_map(|(name, value)| [name, value]);
    let others = others.into_iter().flatten().chain(&event.delivery).chain(&event.identity.0);
    if attributes.chain(others).any(|text| text.len() > ATTRIBUTE_BYTES_MAX) {
        return Err(too_many("bytes in an attribute", ATTRIBUTE_BYTES_MAX));
    }
    Ok(())
}

fn too_many(what: &str, limit: usize) -> Rejected {
    Rejected::malformed(format!("too many {what}: limit=`{limit}`"))
}

/// An arrived text as a reason may show it: short, and without control characters.
fn shown(text: &str) -> String {
    text.chars().take(SHOWN_MAX).flat_map(char::escape_debug).collect()
}

fn repeated(header: &str) -> Rejected {
    Rejected::malformed(format!("a header is repeated: name=`{}`", shown(header)))
}

impl Rejected {
    /// It is not what it says it is.
    fn malformed(reason: impl Into<String>) -> Self {
        Self { status: 400, reason: reason.into() }
    }

    /// It is in a form that is not read.
    fn unsupported(reason: impl Into<String>) -> Self {
        Self { status: 415, reason: reason.into() }
    }
}

impl Meaning {
    /// One fact.
    fn record(event: Event) -> Self {
        Self::Means(Understood::Record(vec![event]))
    }
}

impl fmt::Debug for Delivery<'_> {
    /// Says how much there is, never what: headers hold tokens.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("headers", &self.headers.len())
            .field("body_bytes", &self.body.len())
            .finish()
    }
}
