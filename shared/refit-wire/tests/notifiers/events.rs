//! Outgoing CloudEvents, read back by the SDK and by refit's own reader of Pub/Sub.

use cloudevents::{AttributesReader as _, Event};
use refit_core::notice::NoticeKind;
use refit_wire::notify::events::event_type;
use refit_wire::outgoing::{Outgoing, Publish};
use serde_json::{Value, json};

use crate::letters::{id, letter};
use crate::teller;

fn events(target: &str, place: &str, fields: &Value) -> Outgoing {
    let letter = letter(&format!("one {fields}"));
    let config = json!({ "events": { target: place } });
    teller(&config, None).tell("ledger-1", id(&letter), &letter, None).outgoing
}

#[test]
fn every_kind_is_an_event_the_sdk_takes_and_keeps_its_id() {
    for kind in NoticeKind::ALL {
        let fields = json!({ "kind": kind });
        let sent = events("url", "http://localhost:8080/events", &fields);
        let Outgoing::Http(request) = sent else { panic!("{sent:?}") };
        assert_eq!(request.headers["content-type"], "application/cloudevents+json");
        let event: Event = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(event.id(), "00112233445566778899aabbccddeeff");
        assert_eq!(event.ty(), event_type(*kind));
        assert_eq!(event.source().to_string(), "/refit/ledgers/ledger-1/triggers/churn");
        assert_eq!(event.subject(), Some("b12"));
        assert_eq!(event.time().unwrap().timestamp(), 1_795_253_400);
        let again: Value = serde_json::to_value(&event).unwrap();
        assert_eq!(again["data"]["run"], "rf-ffeeddccbbaa99887766554433221100");
    }
}

/// A message of a topic in the structured form, which the SDK reads. The binary form of Pub/Sub differs from that of
/// HTTP in nothing but the name of one header.
fn structured(message: &Publish) -> Value {
    let mut event = json!({ "data": serde_json::from_slice::<Value>(&message.data).unwrap() });
    for (name, value) in &message.attributes {
        let name = match name.as_str() {
            "content-type" => "datacontenttype",
            name => name.strip_prefix("ce-").unwrap(),
        };
        event[name] = json!(value);
    }
    event
}

#[test]
fn every_kind_through_a_topic_is_the_same_event_as_by_http() {
    for kind in NoticeKind::ALL {
        let fields = json!({ "kind": kind });
        let Outgoing::Publish(message) = events("topic", "projects/p/topics/t", &fields) else {
            panic!("{kind:?} is not published")
        };
        let Outgoing::Http(request) = events("url", "http://localhost:8080/events", &fields) else {
            panic!("{kind:?} is not posted")
        };
        let published: Event = serde_json::from_value(structured(&message)).unwrap();
        let posted: Event = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(published.ty(), event_type(*kind));
        assert_eq!(published.id(), "00112233445566778899aabbccddeeff");
        assert_eq!(
            serde_json::to_value(&published).unwrap(),
            serde_json::to_value(&posted).unwrap(),
            "{kind:?}"
        );
    }
}

#[test]
fn types_are_told_apart() {
    let types: std::collections::BTreeSet<_> =
        NoticeKind::ALL.iter().map(|kind| event_type(*kind)).collect();
    assert_eq!(types.len(), NoticeKind::ALL.len());
}
