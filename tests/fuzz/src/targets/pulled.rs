//! Messages that were pulled: attributes as lines, an empty line, what the message holds.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use refit_core::time::Timestamp;
use refit_wire::sample::read_sample;
use refit_wire::source::{Delivery, PulledMessage};
use serde_json::Value;

use super::events::judge;
use super::{Outcome, Target, texts};

pub(super) const PULLED: Target =
    Target { name: "pulled", about: "messages that were pulled", seeds, give };

/// Lines that are no attributes.
const ID: &str = "#id";
const KEY: &str = "#key";

/// The samples that Pub/Sub pushes, as they would be pulled.
fn seeds() -> Vec<Vec<u8>> {
    let samples = texts("events", ".http").into_iter().filter_map(|text| {
        let sample = read_sample(&text, Timestamp::EPOCH).ok()?;
        let push: Value = serde_json::from_slice(&sample.body).ok()?;
        let message = push.get("message")?.as_object()?;
        let attributes = message.get("attributes").and_then(Value::as_object);
        let lines = attributes
            .into_iter()
            .flatten()
            .filter_map(|(name, value)| Some(format!("{name}: {}\n", value.as_str()?)));
        let head: String = lines.chain(["#id: 7\n\n".to_owned()]).collect();
        let data = message.get("data").and_then(Value::as_str).unwrap_or_default();
        Some([head.as_bytes(), &BASE64_STANDARD.decode(data).ok()?].concat())
    });
    samples.collect()
}

fn give(input: &[u8]) -> Outcome {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, data) = end.map_or((&[][..], input), |end| (&input[..end], &input[end + 2..]));
    let head = String::from_utf8_lossy(head);
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let mut message = PulledMessage {
        subscription: "projects/acme/subscriptions/refit-object".to_owned(),
        attributes: lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        data: data.to_vec().into(),
        published: Some(Timestamp::EPOCH),
        ..PulledMessage::default()
    };
    message.id = message.attributes.remove(ID).unwrap_or_default();
    message.ordering_key = message.attributes.remove(KEY).unwrap_or_default();
    let (headers, body) = message.as_push();
    check_push(&message, &body);
    judge(&Delivery { headers: &headers, body: &body })
}

/// A push says what the message says, to the byte.
fn check_push(message: &PulledMessage, body: &[u8]) {
    let push: Value = serde_json::from_slice(body).expect("a push is JSON");
    let pushed = &push["message"];
    let data = pushed["data"].as_str().and_then(|data| BASE64_STANDARD.decode(data).ok());
    assert_eq!(data.as_deref(), Some(&message.data[..]));
    assert_eq!(pushed["messageId"], Value::from(message.id.as_str()));
    let attributes = serde_json::to_value(&message.attributes).expect("texts are JSON");
    assert_eq!(pushed["attributes"], attributes);
}
