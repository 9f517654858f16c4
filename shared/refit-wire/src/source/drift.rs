//! Drift reports: as CloudEvents, in Pub/Sub messages, or as JSON by themselves, in the form of whichever tool.
//!
//! Each tool is a file and a row. What none of them knows is no drift report.

mod monitoring;
mod native;

use refit_core::drift::DriftReport;
use refit_core::event::{Event, Fact, Identity};
use refit_core::key::sha256_hex;
use refit_core::time::Timestamp;
use serde_json::Value;

use super::cloudevents::{CloudEvent, Route};
use super::fields::Fields;
use super::payload::Payload;
use super::pubsub::PubsubMessage;
use super::{Arrival, Meaning, Rejected, Understood};

/// The forms of reports, in the order in which they are tried.
const FORMS: &[Form] = &[native::read, monitoring::read];

/// What a form makes of what was carried: nothing where it is none of its own.
type Form = fn(&Carried<'_>) -> Result<Option<Understood>, Rejected>;

/// Bytes of a report, as JSON.
const REPORT_BYTES_MAX: usize = 256 * 1024;

/// JSON that may be a report, and what its envelope says.
struct Carried<'a> {
    document: &'a Value,
    /// The type and the subject, where the envelope is a CloudEvent.
    event: Option<&'a CloudEvent>,
    /// What the envelope takes for the fact.
    identity: Option<Identity>,
    /// When it was sent.
    time: Option<Timestamp>,
    /// The id of its delivery.
    delivery: Option<String>,
}

/// Recognises reports by their type, or by the members they have.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let understood = match arrival {
        Arrival::CloudEvent(event) => match &event.data {
            Payload::Json(document) => in_event(document, event)?,
            Payload::Text(_) | Payload::Bytes(_) => None,
        },
        Arrival::Pubsub(message) => in_message(message)?,
        Arrival::Document(document) => {
            let carried =
                Carried { document, event: None, identity: None, time: None, delivery: None };
            carried.understand()?
        }
        Arrival::Request(_) => None,
    };
    Ok(understood.map(Meaning::Means))
}

fn in_event(document: &Value, event: &CloudEvent) -> Result<Option<Understood>, Rejected> {
    let (delivery, published) = match &event.route {
        Route::Http | Route::Background => (None, None),
        Route::Pubsub { delivery, published, .. } => (delivery.clone(), *published),
    };
    let carried = Carried {
        document,
        event: Some(event),
        identity: Some(event.identity()),
        time: event.time.or(published),
        delivery,
    };
    carried.understand()
}

fn in_message(message: &PubsubMessage) -> Result<Option<Understood>, Rejected> {
    let Ok(document) = serde_json::from_slice::<Value>(&message.data) else { return Ok(None) };
    let carried = Carried {
        document: &document,
        event: None,
        identity: message.identity().ok(),
        time: message.published,
        delivery: message.delivery.clone(),
    };
    carried.understand()
}

impl Carried<'_> {
    fn understand(&self) -> Result<Option<Understood>, Rejected> {
        for form in FORMS {
            if let Some(understood) = form(self)? {
                return Ok(Some(understood));
            }
        }
        Ok(None)
    }

    /// The members, if it is an object that is no other CloudEvent's data.
    fn plain_fields(&self) -> Option<Fields<'_>> {
        Fields::of(self.document).filter(|_| self.event.is_none())
    }

    /// A report as an event.
    fn record(
        &self,
        origin: &str,
        identity: Identity,
        time: Option<Timestamp>,
        report: DriftReport,
    ) -> Result<Option<Understood>, Rejected> {
        let size = serde_json::to_vec(&report).map_or(usize::MAX, |bytes| bytes.len());
        if size > REPORT_BYTES_MAX {
            let reason = format!(
                "the report is too large: put it into `raw.ref`: bytes=`{size}`, limit=`{REPORT_BYTES_MAX}`"
            );
            return Err(Rejected::malformed(reason));
        }
        Ok(Some(Understood::Record(vec![Event {
            identity,
            origin: origin.to_owned(),
            time,
            delivery: self.delivery.clone(),
            replay: None,
            fact: Fact::Drift(Box::new(report)),
        }])))
    }
}

/// An identity made of parts.
fn identity<const N: usize>(parts: [&str; N]) -> Identity {
    Identity(parts.map(str::to_owned).to_vec())
}

/// The digest of a report, where nothing else says which one it is.
fn digest(report: &DriftReport) -> String {
    serde_json::to_vec(report).map(|bytes| sha256_hex(&bytes)).unwrap_or_default()
}
