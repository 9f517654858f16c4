//! Messages that were pulled, as they would have been pushed: what they mean is decided in one place.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use refit_core::time::Timestamp;
use serde_json::{Value, json};

/// A message of a Pub/Sub subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PulledMessage {
    /// The subscription, `projects/P/subscriptions/S`.
    pub subscription: String,
    /// The id its service gave it.
    pub id: String,
    /// What its publisher says of it.
    pub attributes: BTreeMap<String, String>,
    /// What it holds.
    pub data: Bytes,
    /// The key it is ordered by; empty for none.
    pub ordering_key: String,
    /// When it was published.
    pub published: Option<Timestamp>,
    /// How often it was delivered, where the service counts.
    pub attempt: Option<u32>,
}

impl PulledMessage {
    /// The headers and the body a push of it has.
    #[must_use]
    pub fn as_push(&self) -> (HeaderMap, Bytes) {
        let mut message = json!({
            "attributes": self.attributes,
            "data": BASE64_STANDARD.encode(&self.data),
            "messageId": self.id,
        });
        if let Some(published) = self.published {
            message["publishTime"] = Value::String(published.to_string());
        }
        if !self.ordering_key.is_empty() {
            message["orderingKey"] = Value::String(self.ordering_key.clone());
        }
        let mut push = json!({ "message": message, "subscription": self.subscription });
        if let Some(attempt) = self.attempt {
            push["deliveryAttempt"] = Value::from(attempt);
        }
        let json = HeaderValue::from_static("application/json");
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, json)]);
        (headers, push.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use refit_core::event::Fact;

    use super::super::{Delivery, Understood, understand};
    use super::*;

    fn understood(message: &PulledMessage) -> Understood {
        let (headers, body) = message.as_push();
        understand(&Delivery { headers: &headers, body: &body }).unwrap()
    }

    #[test]
    fn a_pulled_message_means_what_a_pushed_one_means() {
        let message = PulledMessage {
            subscription: "projects/p/subscriptions/s".to_owned(),
            id: "7".to_owned(),
            attributes: BTreeMap::from([("a".to_owned(), "ä".to_owned())]),
            data: Bytes::from_static(b"{\"x\": 1}"),
            ordering_key: "k".to_owned(),
            published: Some(Timestamp::from_millis(1_767_614_397_000)),
            attempt: Some(3),
        };
        let Understood::Record(events) = understood(&message) else { panic!("nothing recorded") };
        let [event] = &events[..] else { panic!("{events:?}") };
        let Fact::Message(told) = &event.fact else { panic!("{event:?}") };
        assert_eq!((told.id.as_str(), &told.data), ("7", &json!({ "x": 1 })));
        assert_eq!(told.attributes["a"], "ä");
        assert_eq!(told.attributes["x-goog-pubsub-ordering-key"], "k");
        assert_eq!(event.time, message.published);
    }

    #[test]
    fn the_notification_of_an_upload_is_one() {
        let attributes = [
            ("eventType", "OBJECT_FINALIZE"),
            ("payloadFormat", "NONE"),
            ("bucketId", "b"),
            ("objectId", "x"),
            ("objectGeneration", "1"),
        ];
        let message = PulledMessage {
            subscription: "projects/p/subscriptions/s".to_owned(),
            id: "8".to_owned(),
            attributes: attributes.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            ..PulledMessage::default()
        };
        let Understood::Record(events) = understood(&message) else { panic!("nothing recorded") };
        assert!(
            matches!(&events[0].fact, Fact::Object(change) if change.object.uri() == "gs://b/x")
        );
    }
}
