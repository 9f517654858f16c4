//! The normal form of what arrived, for people and for tests: what each event is, whatever route it took.

use refit_core::event::{Event, Fact, Invalid, Message, ObjectChange};
use refit_core::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::source::{DATA_ENCODING, DELIVERY_ATTEMPT, ORDERING_KEY, PUBSUB};
use crate::source::{Invocation, Item, Ping, Rejected, Understood, understand};

/// The kind of what cannot be understood.
const INVALID: &str = "invalid";
/// Attributes that tell runs, changes of a registry and pushes apart; they stand beside the event's other members.
const TOLD: [&str; 10] =
    ["action", "alias", "attempt", "model", "ref", "repository", "run", "sha", "status", "version"];
/// The kinds that have them.
const TELLING: [&str; 3] = ["registry", "run.status", "scm.push"];

/// What is said of the time of an event that says nothing of it itself.
const RECEIVED_AT: &str = "RECEIVED_AT";

/// What a delivery means, as JSON: its `outcome`, the `reason` of a refusal, and its `events`.
#[must_use]
pub fn normal_form(understood: &Result<Understood, Rejected>) -> Value {
    match understood {
        Ok(Understood::Record(events)) => {
            let (invalid, events): (Vec<Value>, Vec<Value>) =
                events.iter().map(normal_event).partition(|form| form["kind"] == INVALID);
            let mut form = json!({"outcome": "record", "events": events});
            if let [first, ..] = &invalid[..] {
                form["outcome"] = json!("partial");
                form["reason"] = first["reason"].clone();
                form["quarantined"] = json!(invalid);
            }
            form
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

/// What an invocation on AWS Lambda means: as for any delivery, and for a batch of a queue also which messages mean
/// nothing and which are not understood, in the words of Lambda. Once those are in quarantine they are acknowledged.
#[must_use]
pub fn normal_invocation(invocation: &Invocation) -> Value {
    match invocation {
        Invocation::Request(request) => normal_form(&understand(&request.delivery())),
        Invocation::Single(understood) => normal_form(understood),
        Invocation::Batch(items) => normal_batch(items),
    }
}

fn normal_batch(items: &[Item]) -> Value {
    let forms: Vec<Value> = items.iter().map(|item| normal_form(&item.understood)).collect();
    let of = |outcome: &str| {
        let pairs = items.iter().zip(&forms).filter(|(_, form)| form["outcome"] == outcome);
        pairs.map(|(item, _)| item.id.as_str()).collect::<Vec<&str>>()
    };
    let (ignored, rejected, partial) = (of("ignore"), of("reject"), of("partial"));
    let outcome = match (rejected.len(), ignored.len()) {
        (0, ignored) if !items.is_empty() && ignored == items.len() => "ignore",
        (0, _) if partial.is_empty() => "record",
        (rejected, _) if rejected == items.len() => "reject",
        (_, _) => "partial",
    };
    let events = forms.iter().filter_map(|form| form["events"].as_array()).flatten();
    let mut form = json!({"outcome": outcome, "events": events.collect::<Vec<&Value>>()});
    let first = |is_told: fn(&str) -> bool| {
        forms.iter().find(|form| form["outcome"].as_str().is_some_and(is_told))
    };
    let wrong = first(|outcome| matches!(outcome, "reject" | "partial"));
    if let Some(told) = wrong.or_else(|| first(|outcome| outcome == "ignore")) {
        form["reason"] = told["reason"].clone();
    }
    let failures = rejected.iter().map(|id| json!({"itemIdentifier": id}));
    let failures: Vec<Value> = failures.collect();
    let parts = forms.iter().filter_map(|form| form["quarantined"].as_array()).flatten();
    let parts = json!(parts.collect::<Vec<&Value>>());
    let lists = [
        ("ignored", json!(ignored)),
        ("quarantined", parts),
        ("batchItemFailures", json!(failures)),
    ];
    for (name, list) in lists.into_iter().filter(|(_, list)| *list != json!([])) {
        form[name] = list;
    }
    form
}

/// One event, as JSON.
#[must_use]
pub fn normal_event(event: &Event) -> Value {
    let (kind, details) = match &event.fact {
        Fact::Object(change) => (change.kind.name(), object(change, sequencer(event, change))),
        Fact::Message(message) => {
            let kind = kind_of_message(event, message);
            (kind, self::message(message, TELLING.contains(&kind)))
        }
        Fact::Drift(report) => ("drift", vec![("drift", json!(report))]),
        Fact::Command(command) => ("command", vec![("command", json!(command))]),
        Fact::Invalid(invalid) => (INVALID, self::invalid(invalid)),
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
    let delivery = ping.delivery.clone().unwrap_or_else(|| format!("{}@{slot}", ping.job));
    form.insert("delivery_id".to_owned(), json!(delivery));
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
fn kind_of_message<'a>(event: &'a Event, message: &Message) -> &'a str {
    match event.identity.0.first().map(String::as_str) {
        Some("pubsub" | "eventbridge") | None => "message",
        Some("mlflow") => "registry",
        Some("run") => "run.status",
        Some("github") => match message.ty.as_str() {
            "github.push" => "scm.push",
            "github.workflow_run.completed" => "run.status",
            _ => "message",
        },
        Some(kind) => kind,
    }
}

/// What orders the changes of an object in S3, as it was sent: a part of its identity, unless it had none.
fn sequencer<'a>(event: &'a Event, change: &ObjectChange) -> Option<&'a String> {
    let part = event.identity.0.get(3).filter(|_| change.object.scheme == "s3")?;
    let is_other = change.object.generation.as_ref() == Some(part) || part.contains('@');
    (!is_other).then_some(part)
}

fn object(change: &ObjectChange, sequencer: Option<&String>) -> Vec<(&'static str, Value)> {
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
        ("sequencer", json!(sequencer)),
        ("checksum", json!(object.checksum)),
        ("created", json!(object.created.map(time_text))),
        ("content_type", json!(object.content_type)),
        ("metadata", json!(object.metadata)),
        ("overwrote", json!(change.overwrote)),
        ("overwritten_by", json!(change.overwritten_by)),
    ]
}

fn message(message: &Message, is_telling: bool) -> Vec<(&'static str, Value)> {
    let mut attributes = message.attributes.clone();
    let ordering_key = attributes.remove(ORDERING_KEY);
    let attempt = attributes.remove(DELIVERY_ATTEMPT).and_then(|text| text.parse::<i64>().ok());
    let topic = message.source.strip_prefix(PUBSUB).filter(|name| name.contains("/topics/"));
    let data = match (&message.data, attributes.remove(DATA_ENCODING)) {
        (Value::String(_), Some(_)) => "data_base64",
        (Value::String(_), None) => "data_text",
        (_, _) => "data",
    };
    let names = TOLD.into_iter().filter(|_| is_telling);
    let told: Vec<_> = names.map(|name| (name, told(name, attributes.remove(name)))).collect();
    let details = [
        ("type", json!(message.ty)),
        ("source", json!(message.source)),
        ("subject", json!(message.subject)),
        ("topic", json!(topic)),
        ("ordering_key", json!(ordering_key)),
        ("delivery_attempt", json!(attempt)),
        ("attributes", json!(attributes)),
        (data, message.data.clone()),
    ];
    details.into_iter().chain(told).collect()
}

/// An attempt is a number, everything else a text.
fn told(name: &str, value: Option<String>) -> Value {
    match value {
        Some(text) if name == "attempt" => {
            text.parse().map_or(json!(text), |number: u64| json!(number))
        }
        other => json!(other),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_batch_is_that_of_what_is_wrong_with_it() {
        let message = |id: &str, body: Value| json!({"eventSource": "aws:sqs", "messageId": id, "body": body.to_string()});
        let test = json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"});
        let (test, poison) = (message("1", test), message("2", json!({"hello": "world"})));
        let form =
            |records: &[&Value]| normal_invocation(&Invocation::of(&json!({"Records": records})));
        let both = form(&[&test, &poison]);
        assert_eq!((&both["outcome"], &both["ignored"]), (&json!("partial"), &json!(["1"])));
        assert_eq!(both["reason"], form(&[&poison])["reason"]);
        assert_ne!(both["reason"], form(&[&test])["reason"]);
    }

    /// A message of a queue may hold several records itself.
    #[test]
    fn what_is_not_understood_within_a_message_of_a_batch_is_told() {
        let record = |version: &str| {
            json!({
                "eventSource": "aws:s3", "eventVersion": version, "eventName": "ObjectCreated:Put",
                "s3": {"bucket": {"name": "b"}, "object": {"key": "a", "sequencer": "0A"}},
            })
        };
        let body = json!({"Records": [record("2.1"), record("3.0")]}).to_string();
        let batch =
            json!({"Records": [{"eventSource": "aws:sqs", "messageId": "1", "body": body}]});
        let form = normal_invocation(&Invocation::of(&batch));
        assert_eq!(
            (&form["outcome"], &form["batchItemFailures"]),
            (&json!("partial"), &Value::Null)
        );
        assert_eq!(form["events"].as_array().map(Vec::len), Some(1));
        assert_eq!(form["quarantined"].as_array().map(Vec::len), Some(1));
        assert_eq!(form["quarantined"][0]["reason"], form["reason"]);
    }
}
