//! Messages of Pub/Sub topics: pushed with and without the wrapper, through Eventarc, and in the older form for
//! background functions. What a message holds may be known to another source; else it is a message of its own.
//!
//! A push without the wrapper needs `write metadata`: without it nothing says which message it is.

use std::collections::BTreeMap;

use http::HeaderMap;
use refit_core::event::{Event, Fact, Identity, Message};
use refit_core::time::Timestamp;

use super::cloudevents::{CloudEvent, Route};
use super::fields::Fields;
use super::payload::{Payload, decode_base64, json_of_tools};
use super::{ATTRIBUTE_BYTES_MAX, Arrival, Meaning, Rejected, repeated};

/// The type of a message as a CloudEvent.
pub(super) const PUBLISHED: &str = "google.cloud.pubsub.topic.v1.messagePublished";
/// What the source of a message as a CloudEvent begins with.
pub(crate) const PUBSUB: &str = "//pubsub.googleapis.com/";
/// The attribute that holds the ordering key, as a push without the wrapper spells it.
pub(crate) const ORDERING_KEY: &str = "x-goog-pubsub-ordering-key";
/// The attribute that holds the approximate number of the delivery.
pub(crate) const DELIVERY_ATTEMPT: &str = "x-goog-pubsub-delivery-attempt";

/// Headers that describe a message and are none of its attributes.
const METADATA: [&str; 3] =
    ["x-goog-pubsub-message-id", "x-goog-pubsub-publish-time", "x-goog-pubsub-subscription-name"];
/// Headers that describe the request, among which the attributes of a message without a wrapper arrive.
pub(super) const HOP: [&str; 24] = [
    "accept",
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "forwarded",
    "from",
    "host",
    "proxy-authorization",
    "te",
    "traceparent",
    "tracestate",
    "transfer-encoding",
    "user-agent",
    "via",
    "x-cloud-trace-context",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-serverless-authorization",
];

/// A message of a topic.
#[derive(Debug)]
pub(super) struct PubsubMessage {
    /// The route it came by.
    pub(super) origin: &'static str,
    /// The id of its delivery.
    pub(super) delivery: Option<String>,
    /// When it was published.
    pub(super) published: Option<Timestamp>,
    /// What its publisher says of it.
    pub(super) attributes: BTreeMap<String, String>,
    /// What it holds.
    pub(super) data: Vec<u8>,
    /// The media type of what it holds, where only the request says so.
    content_type: Option<String>,
    id: Option<String>,
    subscription: Option<String>,
    topic: Option<String>,
}

/// Recognises messages by their headers, by the members of the wrapper, and by the type of the CloudEvent.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let message = match arrival {
        Arrival::Request(delivery) if delivery.headers.contains_key(METADATA[0]) => {
            unwrapped(delivery.headers, delivery.body)?
        }
        Arrival::Document(document) => match Fields::of(document) {
            Some(fields) if is_wrapper(fields) => wrapped(fields, "pubsub.push")?,
            Some(_) | None => return Ok(None),
        },
        Arrival::CloudEvent(event) if event.ty == PUBLISHED => published(event)?,
        Arrival::Request(_)
        | Arrival::CloudEvent(_)
        | Arrival::Pubsub(_)
        | Arrival::Enveloped(_) => return Ok(None),
    };
    Ok(Some(Meaning::Holds(Arrival::Pubsub(message))))
}

/// Whether a document has the members of the wrapper and no others.
fn is_wrapper(fields: Fields<'_>) -> bool {
    let known = |name: &str| matches!(name, "message" | "subscription" | "deliveryAttempt");
    fields.get("message").is_some() && fields.names().all(known)
}

/// The subscription and the id of the message in a body that is its wrapper, whatever else is wrong with it.
pub(super) fn message_in(body: &[u8]) -> Option<[String; 2]> {
    let document = json_of_tools(body).ok()?;
    let fields = Fields::of(&document).filter(|fields| is_wrapper(*fields))?;
    let message = fields.object("message").ok()??;
    let id = ["messageId", "message_id"].iter().find_map(|name| message.get(name)?.as_str())?;
    let which = [fields.get("subscription")?.as_str()?, id];
    let is_name = |text: &str| (1..=ATTRIBUTE_BYTES_MAX).contains(&text.len());
    which.iter().all(|text| is_name(text)).then(|| which.map(str::to_owned))
}

/// Both spellings of a member are sent, and either may be missing.
fn wrapped(fields: Fields<'_>, origin: &'static str) -> Result<PubsubMessage, Rejected> {
    let missing = || Rejected::malformed("the push has no message");
    let message = fields.object("message")?.ok_or_else(missing)?;
    let text = |camel: &str, snake: &str| {
        let found =
            message.text(camel)?.map_or_else(|| message.text(snake), |text| Ok(Some(text)))?;
        Ok(found.filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let id = text("messageId", "message_id")?;
    let mut attributes = message.texts("attributes")?;
    let ordering_key = text("orderingKey", "ordering_key")?;
    attributes.extend(ordering_key.map(|key| (ORDERING_KEY.to_owned(), key)));
    let attempt = fields.int64("deliveryAttempt")?;
    attributes.extend(attempt.map(|count| (DELIVERY_ATTEMPT.to_owned(), count.to_string())));
    let published = message.time("publishTime")?;
    Ok(PubsubMessage {
        origin,
        delivery: id.clone(),
        published: published.map_or_else(|| message.time("publish_time"), |time| Ok(Some(time)))?,
        attributes,
        data: message.text("data")?.map(decode_base64).transpose()?.unwrap_or_default(),
        content_type: None,
        id,
        subscription: fields
            .text("subscription")?
            .filter(|name| !name.is_empty())
            .map(str::to_owned),
        topic: None,
    })
}

/// The body is the data, and everything else is among the headers, their names in lower case.
fn unwrapped(headers: &HeaderMap, body: &[u8]) -> Result<PubsubMessage, Rejected> {
    let mut texts = BTreeMap::new();
    for (name, value) in headers.iter().filter(|(name, _)| !HOP.contains(&name.as_str())) {
        let wrong = |_| Rejected::malformed(format!("a header is not UTF-8: name=`{name}`"));
        let text = std::str::from_utf8(value.as_bytes()).map_err(wrong)?;
        if texts.insert(name.as_str().to_owned(), text.to_owned()).is_some() {
            return Err(repeated(name.as_str()));
        }
    }
    let [id, published, subscription] =
        METADATA.map(|name| texts.remove(name).filter(|text| !text.is_empty()));
    let wrong = |_| Rejected::malformed("the time of publication is not an RFC 3339 time");
    let content_type = headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    Ok(PubsubMessage {
        origin: "pubsub.push.unwrapped",
        delivery: id.clone(),
        published: published.map(|text| text.parse().map_err(wrong)).transpose()?,
        attributes: texts,
        data: body.to_vec(),
        content_type: content_type.map(str::to_owned),
        id,
        subscription,
        topic: None,
    })
}

/// A message as Eventarc delivers it: here the topic is known.
fn published(event: &CloudEvent) -> Result<PubsubMessage, Rejected> {
    let origin = match &event.route {
        Route::Http => "pubsub.eventarc",
        Route::Background => "pubsub.gcf",
        Route::Pubsub { origin, .. } => origin,
    };
    let message = wrapped(event.fields()?, origin)?;
    Ok(PubsubMessage {
        delivery: Some(event.id.clone()),
        published: message.published.or(event.time),
        topic: event.source.strip_prefix(PUBSUB).map(str::to_owned),
        ..message
    })
}

impl PubsubMessage {
    /// The media type of what it holds: an attribute of that name, which without a wrapper is the request's own.
    pub(super) fn content_type(&self) -> Option<&str> {
        self.attribute("content-type").or(self.content_type.as_deref())
    }

    /// An attribute by its name, in whatever case: where it arrived as a header it lost its own.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        let similar = || {
            let mut attributes = self.attributes.iter();
            attributes.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, text)| text)
        };
        self.attributes.get(name).or_else(similar).map(String::as_str)
    }

    /// What the fact is where nothing within says so: the id, and where it holds.
    pub(super) fn identity(&self) -> Result<Identity, Rejected> {
        let (place, id) = self.place_and_id()?;
        Ok(Identity(vec!["pubsub".to_owned(), place.to_owned(), id.to_owned()]))
    }

    fn place_and_id(&self) -> Result<(&str, &str), Rejected> {
        let missing = |what: &str| Rejected::malformed(format!("the message names no {what}"));
        let id = self.id.as_deref().ok_or_else(|| missing("id"))?;
        let place = self.subscription.as_deref().or(self.topic.as_deref());
        Ok((place.ok_or_else(|| missing("subscription"))?, id))
    }

    /// The message as such, where no source knows what it holds.
    pub(super) fn plain(&self) -> Result<Meaning, Rejected> {
        self.event().map(Meaning::record)
    }

    /// The message as an event.
    pub(super) fn event(&self) -> Result<Event, Rejected> {
        let (place, id) = self.place_and_id()?;
        let mut attributes = self.attributes.clone();
        let data = Payload::guessed(self.data.clone()).into_data(&mut attributes);
        let source = self.topic.as_deref().unwrap_or(place);
        let message = Message {
            source: format!("{PUBSUB}{source}"),
            id: id.to_owned(),
            ty: PUBLISHED.to_owned(),
            subject: None,
            data,
            attributes,
        };
        Ok(Event {
            identity: self.identity()?,
            origin: self.origin.to_owned(),
            time: self.published,
            delivery: self.delivery.clone(),
            replay: None,
            fact: Fact::Message(message),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{event, form, form_of_json, push, refusal};

    const METADATA: [(&str, &str); 3] = [
        ("x-goog-pubsub-message-id", "7"),
        ("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s"),
        ("x-goog-pubsub-publish-time", "2026-01-05T12:00:00Z"),
    ];

    fn identity(message: &Value) -> Value {
        event(&form_of_json(&push(message)))["identity"].clone()
    }

    #[test]
    fn either_spelling_of_a_member_will_do() {
        let expected = json!(["pubsub", "projects/p/subscriptions/s", "7"]);
        for message in [
            json!({"messageId": "7"}),
            json!({"message_id": "7"}),
            json!({"messageId": "7", "message_id": "7", "data": null, "attributes": null}),
        ] {
            assert_eq!(identity(&message), expected, "{message}");
        }
        let snake =
            json!({"message_id": "7", "publish_time": "2026-01-05T12:00:00Z", "ordering_key": "k"});
        let form = form_of_json(&push(&snake));
        assert_eq!(event(&form)["time"], "2026-01-05T12:00:00Z");
        assert_eq!(event(&form)["ordering_key"], "k");
    }

    #[test]
    fn pushes_that_are_broken_say_how() {
        let subscription = "projects/p/subscriptions/s";
        let cases = [
            (json!({"message": "x"}), "400 a member is not an object: name=`message`"),
            (json!({"message": {"data": "~!@"}}), "400 the data is not base64"),
            (push(&json!({})), "400 the message names no id"),
            (push(&json!({"messageId": ""})), "400 the message names no id"),
            (push(&json!({"messageId": 7})), "400 a member is not a text: name=`messageId`"),
            (
                push(&json!({"messageId": "7", "data": {}})),
                "400 a member is not a text: name=`data`",
            ),
            (
                push(&json!({"messageId": "7", "attributes": {"a": 1}})),
                "400 a member is not an object of texts: name=`attributes`",
            ),
            (
                push(&json!({"messageId": "7", "publishTime": "today"})),
                "400 a member is not an RFC 3339 time: name=`publishTime`",
            ),
            (json!({"message": {"messageId": "7"}}), "400 the message names no subscription"),
            (
                json!({"message": {"messageId": "7"}, "subscription": subscription, "deliveryAttempt": "x"}),
                "400 a member is not an integer: name=`deliveryAttempt`",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(refusal(&form_of_json(&body)), expected, "{body}");
        }
    }

    #[test]
    fn attributes_without_a_wrapper_are_the_headers_that_describe_no_request() {
        let others = [
            ("authorization", "Bearer x"),
            ("user-agent", "any"),
            ("content-type", "application/json"),
            ("x-goog-pubsub-ordering-key", "k"),
            ("table", "orders"),
            ("name", "März 100%25"),
        ];
        let form = form(&[&METADATA[..], &others[..]].concat(), "{\"a\": 1}");
        let expected = json!({
            "kind": "message", "origin": "pubsub.push.unwrapped", "delivery_id": "7",
            "time": "2026-01-05T12:00:00Z", "identity": ["pubsub", "projects/p/subscriptions/s", "7"],
            "source": "//pubsub.googleapis.com/projects/p/subscriptions/s", "type": super::PUBLISHED,
            "attributes": {"table": "orders", "name": "März 100%25"}, "ordering_key": "k",
            "data": {"a": 1},
        });
        assert_eq!(event(&form), &expected);
    }

    #[test]
    fn metadata_that_cannot_be_read_is_refused() {
        let changed = |name: &str, value: &'static str| {
            let changed =
                METADATA.map(|(other, text)| (other, if other == name { value } else { text }));
            refusal(&form(&changed, "x"))
        };
        assert_eq!(changed(METADATA[0].0, ""), "400 the message names no id");
        assert_eq!(changed(METADATA[1].0, ""), "400 the message names no subscription");
        let expected = "400 the time of publication is not an RFC 3339 time";
        assert_eq!(changed(METADATA[2].0, "today"), expected);
        let twice = [&METADATA[..], &METADATA[..1]].concat();
        let expected = "400 a header is repeated: name=`x-goog-pubsub-message-id`";
        assert_eq!(refusal(&form(&twice, "x")), expected, "an attribute may have that name");
    }

    #[test]
    fn a_push_without_a_wrapper_may_be_a_cloudevent() {
        let attributes =
            [("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t"), ("ce-source", "/s")];
        let form = form(&[&METADATA[..], &attributes[..]].concat(), "x");
        assert_eq!(event(&form)["identity"], json!(["cloudevent", "/s", "1"]));
    }

    #[test]
    fn a_cloudevent_in_a_message_is_the_same_fact_with_and_without_the_wrapper() {
        use base64::Engine as _;
        let encode = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
        let told = |form: &Value| {
            let event = event(form);
            let names = ["identity", "delivery_id", "time", "data", "subject"];
            names.map(|name| event[name].clone())
        };
        let attributes = [
            ("ce-specversion", "1.0"),
            ("ce-id", "100%41"),
            ("ce-type", "t"),
            ("ce-source", "//acme/my%20bucket"),
            ("ce-subject", "\"a%2Fb\""),
            ("content-type", "application/json"),
        ];
        let structured = json!({
            "specversion": "1.0", "id": "100%41", "type": "t", "source": "//acme/my%20bucket",
            "subject": "\"a%2Fb\"", "data": {"a": 1},
        });
        let media = [("content-type", "application/cloudevents+json")];
        for (attributes, body) in
            [(&attributes[..], "{\"a\": 1}".to_owned()), (&media, structured.to_string())]
        {
            let named = attributes.iter().map(|(name, text)| ((*name).to_owned(), json!(text)));
            let wrapped = push(&json!({
                "messageId": "7", "publishTime": "2026-01-05T12:00:00Z", "data": encode(&body),
                "attributes": named.collect::<serde_json::Map<String, Value>>(),
            }));
            let unwrapped = form(&[&METADATA[..], attributes].concat(), &body);
            let expected = json!([
                ["cloudevent", "//acme/my%20bucket", "100%41"], "7", "2026-01-05T12:00:00Z",
                {"a": 1}, "\"a%2Fb\"",
            ]);
            assert_eq!(json!(told(&form_of_json(&wrapped))), expected);
            assert_eq!(json!(told(&unwrapped)), expected);
        }
    }
}
