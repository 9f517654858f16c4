//! Outgoing CloudEvents, read back by the SDK and by refit's own reader of Pub/Sub.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudevents::event::SpecVersion;
use cloudevents::message::{self, BinaryDeserializer, BinarySerializer, MessageAttributeValue};
use cloudevents::{AttributesReader as _, Data, Event};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use refit_core::event::Fact;
use refit_core::notice::NoticeKind;
use refit_wire::notify::events::event_type;
use refit_wire::outgoing::{Outgoing, Publish};
use refit_wire::source::{Delivery, Understood, understand};
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

/// A published message as the SDK has one told to it, attribute by attribute. The binary form of Pub/Sub differs from that
/// of HTTP in nothing but the name of one header.
struct Published<'a>(&'a Publish);

impl BinaryDeserializer for Published<'_> {
    fn deserialize_binary<R: Sized, V: BinarySerializer<R>>(
        self,
        serializer: V,
    ) -> message::Result<R> {
        let Publish { attributes, data, .. } = self.0;
        let version = SpecVersion::try_from(attributes["ce-specversion"].as_str())?;
        let mut serializer = serializer.set_spec_version(version)?;
        for (name, value) in attributes.iter().filter(|(name, _)| *name != "ce-specversion") {
            let value = MessageAttributeValue::String(value.clone());
            serializer = match name.as_str() {
                "content-type" => serializer.set_attribute("datacontenttype", value)?,
                name => serializer.set_attribute(name.strip_prefix("ce-").unwrap(), value)?,
            };
        }
        serializer.end_with_data(data.to_vec())
    }
}

/// The same message as refit itself takes it where a subscription pushes it.
fn pushed(message: &Publish) -> refit_core::event::Event {
    let body = json!({
        "message": {
            "attributes": message.attributes,
            "data": STANDARD.encode(&message.data),
            "messageId": "17",
            "publishTime": "2026-01-05T12:00:00Z",
        },
        "subscription": "projects/p/subscriptions/s",
    });
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, "application/json".parse().unwrap())]);
    match understand(&Delivery { headers: &headers, body: body.to_string().as_bytes() }) {
        Ok(Understood::Record(events)) => events.into_iter().next().unwrap(),
        other => panic!("{other:?}"),
    }
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
        let mut published = Published(&message).into_event().unwrap();
        let mut posted: Event = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(published.ty(), event_type(*kind));
        let data: Value = serde_json::from_slice(&message.data).unwrap();
        let (as_json, nothing) = (Some("application/json".to_owned()), None);
        let bytes = Some(Data::Binary(message.data.to_vec()));
        assert_eq!(published.take_data(), (as_json.clone(), nothing.clone(), bytes), "{kind:?}");
        assert_eq!(
            posted.take_data(),
            (as_json, nothing, Some(Data::Json(data.clone()))),
            "{kind:?}"
        );
        assert_eq!(published, posted, "{kind:?}: and all else that they say");

        let taken = pushed(&message);
        let Fact::Message(said) = &taken.fact else { panic!("{taken:?}") };
        assert_eq!((&*said.ty, &*said.id), (event_type(*kind), published.id()));
        assert_eq!(
            (&said.source, said.subject.as_deref()),
            (&published.source().to_string(), published.subject())
        );
        let at = published.time().unwrap().timestamp_millis();
        assert_eq!((taken.time.unwrap().as_millis(), &said.data), (at, &data), "{kind:?}");
    }
}

#[test]
fn types_are_told_apart() {
    let types: std::collections::BTreeSet<_> =
        NoticeKind::ALL.iter().map(|kind| event_type(*kind)).collect();
    assert_eq!(types.len(), NoticeKind::ALL.len());
}
