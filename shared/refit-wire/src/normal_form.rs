//! The normal form of what arrived, for people and for tests: what each event is, whatever route it took.

use refit_core::event::{Event, Fact, Invalid, Message, ObjectChange};
use refit_core::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::source::{DATA_ENCODING, DELIVERY_ATTEMPT, ORDERING_KEY, PUBSUB};
use crate::source::{Ping, Rejected, Understood};

/// What is said of the time of an event that says nothing of it itself.
const RECEIVED_AT: &str = "RECEIVED_AT";

/// What a delivery means, as JSON: its `outcome`, the `reason` of a refusal, and its `events`.
#[must_use]
pub fn normal_form(understood: &Result<Understood, Rejected>) -> Value {
    match understood {
        Ok(Understood::Record(events)) => {
            let is_invalid = |event: &Event| matches!(event.fact, Fact::Invalid(_));
            let outcome = if events.iter().any(is_invalid) { "partial" } else { "record" };
            let events: Vec<Value> = events.iter().map(normal_event).collect();
            json!({"outcome": outcome, "events": events})
        }
        Ok(Understood::Ping(ping)) => json!({"outcome": "record", "events": [tick(ping)]}),
        Ok(Understood::Ignore { reason }) => {
            json!({"outcome": "ignore", "reason": reason, "events": []})
        }
        Err(Rejected { status, reason }) => {
            json!({"outcome": "reject", "reason": reason, "suggested_status": status, "events": []})
        }
    }
}

/// One event, as JSON.
#[must_use]
pub fn normal_event(event: &Event) -> Value {
    let (kind, details) = match &event.fact {
        Fact::Object(change) => (change.kind.name(), object(change)),
        Fact::Message(message) => (kind_of_message(event), self::message(message)),
        Fact::Drift(report) => ("drift", vec![("drift", json!(report))]),
        Fact::Command(command) => ("command", vec![("command", json!(command))]),
        Fact::Invalid(invalid) => ("invalid", self::invalid(invalid)),
    };
    let mut form = common(kind, &event.origin, event.time, &event.identity.0);
    form.extend(event.delivery.as_ref().map(|id| ("delivery_id".to_owned(), json!(id))));
    let present = details.into_iter().filter(|(name, value)| !is_nothing(name, value));
    form.extend(present.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(form)
}

/// A ping, which is an event to whoever reads about it only.
fn tick(ping: &Ping) -> Value {
    let slot = ping.time.map_or_else(|| RECEIVED_AT.to_owned(), time_text);
    let identity = ["tick".to_owned(), ping.job.clone(), slot.clone()];
    let mut form = common("tick", &ping.origin, ping.time, &identity);
    form.insert("delivery_id".to_owned(), json!(format!("{}@{slot}", ping.job)));
    if !ping.data.is_null() {
        form.insert("data".to_owned(), ping.data.clone());
    }
    Value::Object(form)
}

fn common(
    kind: &str,
    origin: &str,
    time: Option<Timestamp>,
    identity: &[String],
) -> Map<String, Value> {
    let time = time.map_or_else(|| RECEIVED_AT.to_owned(), time_text);
    Map::from_iter([
        ("kind".to_owned(), json!(kind)),
        ("origin".to_owned(), json!(origin)),
        ("time".to_owned(), json!(time)),
        ("identity".to_owned(), json!(identity)),
    ])
}

/// A time with its milliseconds, where it has any.
fn time_text(time: Timestamp) -> String {
    time.to_string().replace(".000Z", "Z")
}

/// What a message is called: what the first part of its identity says.
fn kind_of_message(event: &Event) -> &str {
    match event.identity.0.first().map(String::as_str) {
        Some("pubsub") | None => "message",
        Some(kind) => kind,
    }
}

fn object(change: &ObjectChange) -> Vec<(&'static str, Value)> {
    let object = &change.object;
    let parts = [
        ("bucket", json!(object.bucket)),
        ("name", json!(object.name)),
        ("version", json!(object.generation)),
        ("metageneration", json!(object.metageneration)),
        ("size", json!(object.size)),
    ];
    let parts = parts.into_iter().filter(|(_, value)| !value.is_null());
    let parts = Map::from_iter(parts.map(|(name, value)| (name.to_owned(), value)));
    vec![
        ("object", Value::Object(parts)),
        ("checksum", json!(object.checksum)),
        ("created", json!(object.created.map(time_text))),
        ("content_type", json!(object.content_type)),
        ("metadata", json!(object.metadata)),
        ("overwrote", json!(change.overwrote)),
        ("overwritten_by", json!(change.overwritten_by)),
    ]
}

fn message(message: &Message) -> Vec<(&'static str, Value)> {
    let mut attributes = message.attributes.clone();
    let ordering_key = attributes.remove(ORDERING_KEY);
    let attempt = attributes.remove(DELIVERY_ATTEMPT).and_then(|text| text.parse::<i64>().ok());
    let topic = message.source.strip_prefix(PUBSUB).filter(|name| name.contains("/topics/"));
    let data = match (&message.data, attributes.remove(DATA_ENCODING)) {
        (Value::String(_), Some(_)) => "data_base64",
        (Value::String(_), None) => "data_text",
        (_, _) => "data",
    };
    vec![
        ("type", json!(message.ty)),
        ("source", json!(message.source)),
        ("subject", json!(message.subject)),
        ("topic", json!(topic)),
        ("ordering_key", json!(ordering_key)),
        ("delivery_attempt", json!(attempt)),
        ("attributes", json!(attributes)),
        (data, message.data.clone()),
    ]
}

fn invalid(invalid: &Invalid) -> Vec<(&'static str, Value)> {
    vec![
        ("reason", json!(invalid.reason)),
        ("content_type", json!(invalid.content_type)),
        ("size", json!(invalid.size)),
    ]
}

/// Whether a detail says nothing. Data that is empty is said: it is what was sent.
fn is_nothing(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty() && name != "data",
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => false,
    }
}
