//! What holds whatever the source, and what the tests of the sources have in common.

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::json;

use super::*;
use crate::normal_form::normal_form;

/// The normal form of a request.
pub(super) fn form(headers: &[(&str, &str)], body: &str) -> Value {
    let header = |(name, value): &(&str, &str)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    let mut map = HeaderMap::new();
    for (name, value) in headers.iter().map(header) {
        map.append(name, value);
    }
    normal_form(&understand(&Delivery { headers: &map, body: body.as_bytes() }))
}

/// The normal form of JSON that arrives without a word about it.
pub(super) fn form_of_json(body: &Value) -> Value {
    form(&[("content-type", "application/json")], &body.to_string())
}

/// The normal form of a report that lies in a file.
pub(super) fn filed(report: &Value) -> Value {
    normal_form(&understand_report(report))
}

/// Status and reason of a rejection.
pub(super) fn refusal(form: &Value) -> String {
    assert_eq!(form["outcome"], "reject", "{form}");
    format!("{} {}", form["suggested_status"], form["reason"].as_str().unwrap())
}

/// The only event.
pub(super) fn event(form: &Value) -> &Value {
    assert_eq!(form["outcome"], "record", "{form}");
    assert_eq!(form["events"].as_array().map(Vec::len), Some(1), "{form}");
    &form["events"][0]
}

/// A Pub/Sub push with this message.
pub(super) fn push(message: &Value) -> Value {
    json!({"message": message, "subscription": "projects/p/subscriptions/s"})
}

fn cloud_event(id: usize) -> Value {
    json!({"specversion": "1.0", "id": id.to_string(), "source": "/s", "type": "t"})
}

fn batch(events: &[Value]) -> Value {
    form(&[("content-type", "application/cloudevents-batch+json")], &json!(events).to_string())
}

#[test]
fn what_no_source_knows_is_rejected() {
    let cases = [
        ("", "400 neither a known kind of request nor JSON"),
        ("hello", "400 neither a known kind of request nor JSON"),
        ("{}", "400 JSON of no known kind"),
        ("[]", "400 JSON of no known kind"),
        ("{\"specversion\": null}", "400 JSON of no known kind"),
    ];
    for (body, expected) in cases {
        assert!(refusal(&form(&[], body)).starts_with(expected), "{body}");
    }
}

#[test]
fn a_body_that_is_encoded_is_not_unpacked() {
    let body = cloud_event(1).to_string();
    let coded = |encoding: &str| form(&[("content-encoding", encoding)], &body);
    assert!(refusal(&coded("gzip")).starts_with("415 the body is encoded"));
    assert_eq!(coded("identity")["outcome"], "record");
}

#[test]
fn a_batch_has_at_most_a_thousand_events() {
    let events: Vec<Value> = (0..=EVENTS_MAX).map(cloud_event).collect();
    let full = batch(&events[..EVENTS_MAX]);
    assert_eq!(full["events"].as_array().unwrap().len(), EVENTS_MAX);
    assert_eq!(refusal(&batch(&events)), "400 too many events in a batch: limit=`1000`");
}

#[test]
fn one_bad_event_of_a_batch_does_not_take_the_others_with_it() {
    let bad = json!({"specversion": "1.0", "id": ""});
    let some = batch(&[cloud_event(1), bad.clone(), json!(5)]);
    assert_eq!(some["outcome"], "partial");
    assert_eq!(some["events"].as_array().map(Vec::len), Some(1));
    assert_eq!(some["quarantined"].as_array().map(Vec::len), Some(2));
    assert!(refusal(&batch(&[bad])).contains("name=`id`"), "a batch of bad ones is bad");
    assert_eq!(batch(&[])["outcome"], "ignore");
}

#[test]
fn attributes_are_limited_in_number_and_length() {
    let message = |count: usize, bytes: usize| {
        let attributes = (0..count).map(|at| (format!("a{at}"), json!("x".repeat(bytes))));
        let attributes: serde_json::Map<String, Value> = attributes.collect();
        form_of_json(&push(&json!({"messageId": "1", "attributes": attributes})))
    };
    assert_eq!(message(ATTRIBUTES_MAX, 1)["outcome"], "record");
    assert_eq!(refusal(&message(ATTRIBUTES_MAX + 1, 1)), "400 too many attributes: limit=`256`");
    assert_eq!(message(1, ATTRIBUTE_BYTES_MAX)["outcome"], "record");
    let long = refusal(&message(1, ATTRIBUTE_BYTES_MAX + 1));
    assert_eq!(long, "400 too many bytes in an attribute: limit=`65536`");
}

#[test]
fn every_text_of_an_event_is_limited_in_length() {
    for name in ["id", "source", "type", "subject", "extension"] {
        let mut event = cloud_event(1);
        event[name] = json!("x".repeat(ATTRIBUTE_BYTES_MAX + 1));
        assert!(refusal(&form_of_json(&event)).contains("too many bytes"), "{name}");
    }
}

#[test]
fn envelopes_within_one_another_come_to_an_end() {
    use base64::Engine as _;
    let wrap = |inner: &Value| {
        let data = base64::engine::general_purpose::STANDARD.encode(inner.to_string());
        let attributes = json!({"content-type": "application/cloudevents+json"});
        let message = push(&json!({"messageId": "1", "attributes": attributes, "data": data}));
        json!({
            "specversion": "1.0", "id": "1", "source": "/s", "type": pubsub::PUBLISHED, "data": message,
        })
    };
    let nested = |times: usize| (0..times).fold(cloud_event(1), |inner, _| wrap(&inner));
    assert_eq!(form_of_json(&nested(2))["outcome"], "record");
    let refused = refusal(&form_of_json(&nested(9)));
    assert_eq!(refused, "400 too many envelopes within one another");
}

#[test]
fn a_delivery_is_printed_without_what_it_holds() {
    let headers =
        HeaderMap::from_iter([(http::header::AUTHORIZATION, "Bearer x".parse().unwrap())]);
    let text = format!("{:?}", Delivery { headers: &headers, body: b"secret" });
    assert_eq!(text, "Delivery { headers: 1, body_bytes: 6 }");
}
