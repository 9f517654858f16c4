//! CloudEvents: what happens, for other programs, one event per transition.
//!
//! Over HTTP in structured mode; through Pub/Sub in binary mode, as the binding of CloudEvents to Pub/Sub has it.

use std::collections::BTreeMap;

use ::http::HeaderValue;
use ::http::header::CONTENT_TYPE;
use cloudevents::{AttributesReader as _, Event, EventBuilder as _, EventBuilderV10};
use refit_core::notice::{Notice, NoticeKind};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pubsub::check_topic;
use super::webhook::{Target, read};
use super::{About, Notifier, Sending, Settings, Telling};
use crate::outgoing::{Outgoing, Publish};
use crate::pipeline::auth::Auth;
use crate::pipeline::endpoint::Endpoint;

/// The media type of an event in structured mode.
const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json");

/// CloudEvents, by HTTP or through a topic of Pub/Sub: one of `url` and `topic`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Events")]
pub struct Config {
    /// Where to post them. Plain `http` is for private hosts.
    url: Option<Endpoint>,
    /// The credential for `url`; what is usual follows from the host.
    auth: Option<Auth>,
    /// The topic they are published to, `projects/P/topics/T`.
    topic: Option<String>,
}

#[derive(Debug)]
enum Events {
    Http(Target),
    Topic(String),
}

impl Settings for Config {
    const ABOUT: About = About {
        sends: "a CloudEvent 1.0 per transition, to a URL or a topic",
        id: "`id` of the event",
        limit: "none",
        refused: "400, 405, 410, 413, 415, 422",
        is_for_programs: true,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let events = match (&self.url, &self.topic) {
            (Some(url), None) => Events::Http(Target::plain(url, self.auth.as_ref())?),
            (None, Some(_)) if self.auth.is_some() => {
                return Err("`auth` is for `url`".to_owned());
            }
            (None, Some(topic)) => {
                check_topic(topic)?;
                Events::Topic(topic.clone())
            }
            _ => return Err("say where with one of `url` and `topic`".to_owned()),
        };
        Ok(Box::new(events))
    }
}

impl Notifier for Events {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        // Nothing is gathered for programs, so there is one.
        let notice = telling.letter.notices.first();
        let event = notice.map(|notice| event(telling.ledger, notice)).unwrap_or_default();
        let outgoing = match self {
            Self::Http(target) => {
                let mut request = target.post(&json!(event));
                request.headers.insert(CONTENT_TYPE, STRUCTURED);
                request.into()
            }
            Self::Topic(topic) => Outgoing::Publish(published(topic.clone(), &event)),
        };
        Sending { outgoing, read }
    }
}

/// The type of the event of a kind of notice.
#[must_use]
pub fn event_type(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::BatchClosed => "dev.refit.batch.closed.v1",
        NoticeKind::Launch => "dev.refit.run.started.v1",
        NoticeKind::Success => "dev.refit.run.succeeded.v1",
        NoticeKind::Failure => "dev.refit.run.failed.v1",
        NoticeKind::Cancelled => "dev.refit.run.cancelled.v1",
        NoticeKind::Stuck => "dev.refit.run.stuck.v1",
        NoticeKind::Uncertain => "dev.refit.run.uncertain.v1",
        NoticeKind::Budget => "dev.refit.budget.reached.v1",
        NoticeKind::Quarantine => "dev.refit.event.quarantined.v1",
        NoticeKind::Requested => "dev.refit.model.requested.v1",
        NoticeKind::Promoted => "dev.refit.model.promoted.v1",
        NoticeKind::Refused => "dev.refit.model.refused.v1",
    }
}

/// A notice as a CloudEvent.
fn event(ledger: &str, notice: &Notice) -> Event {
    let source = match &notice.trigger {
        Some(trigger) => format!("/refit/ledgers/{ledger}/triggers/{trigger}"),
        None => format!("/refit/ledgers/{ledger}"),
    };
    let builder = EventBuilderV10::new()
        .id(notice.id.to_string())
        .ty(event_type(notice.kind))
        .source(source)
        .time(notice.at.to_string())
        .data("application/json", data(notice));
    let builder = match notice.batch {
        Some(batch) => builder.subject(batch.to_string()),
        None => builder,
    };
    builder.build().expect("a notice has an id, a type, a source that is a path, and a time")
}

/// What it is about; what the event says of itself is left out.
fn data(notice: &Notice) -> Value {
    let mut data = json!(notice);
    if let Some(fields) = data.as_object_mut() {
        fields.retain(|name, _| !["id", "kind", "at"].contains(&name.as_str()));
    }
    data
}

fn published(topic: String, event: &Event) -> Publish {
    let mut attributes = BTreeMap::from([
        ("ce-specversion".to_owned(), event.specversion().to_string()),
        ("ce-id".to_owned(), event.id().to_owned()),
        ("ce-type".to_owned(), event.ty().to_owned()),
        ("ce-source".to_owned(), event.source().to_string()),
        ("content-type".to_owned(), "application/json".to_owned()),
    ]);
    let subject = event.subject().map(|subject| ("ce-subject".to_owned(), subject.to_owned()));
    let time = event.time().map(|time| ("ce-time".to_owned(), time.to_rfc3339()));
    attributes.extend(subject.into_iter().chain(time));
    let data = match event.data() {
        Some(cloudevents::Data::Json(value)) => value.to_string().into(),
        _ => bytes::Bytes::new(),
    };
    Publish { topic, data, attributes }
}
