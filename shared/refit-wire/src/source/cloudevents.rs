//! CloudEvents 1.0 of any type: over HTTP in binary, structured and batched mode, as plain JSON, and within
//! Pub/Sub messages in binary and structured mode.
//!
//! The library validates the attributes. What it leaves out is done before: values of headers are unquoted and
//! percent-decoded once, names and required attributes are checked, and the data never reaches it, because it
//! takes data of no declared type for JSON.

use std::collections::BTreeMap;

use cloudevents::event::{AttributesReader as _, SpecVersion};
use cloudevents::message::{BinaryDeserializer, BinarySerializer, MessageAttributeValue};
use http::HeaderMap;
use percent_encoding::percent_decode;
use refit_core::event::{Event, Fact, Identity, Message};
use refit_core::time::Timestamp;
use serde_json::Value;

use super::fields::Fields;
use super::payload::{Payload, decode_base64, media_type};
use super::pubsub::PubsubMessage;
use super::{Arrival, Meaning, Rejected, repeated, shown};

/// The media type of one event as JSON.
const STRUCTURED: &str = "application/cloudevents+json";
/// The media type of a list of events as JSON.
const BATCH: &str = "application/cloudevents-batch+json";
/// What the names of attributes begin with where they are among others.
const PREFIX: &str = "ce-";
/// The attribute that names the media type of the data.
const CONTENT_TYPE: &str = "datacontenttype";

/// A CloudEvent, its attributes validated.
#[derive(Debug)]
pub(super) struct CloudEvent {
    /// What makes it unique within its source.
    pub(super) id: String,
    /// Where it happened.
    pub(super) source: String,
    /// What happened.
    pub(super) ty: String,
    /// What it happened to, within the source.
    pub(super) subject: Option<String>,
    /// When.
    pub(super) time: Option<Timestamp>,
    /// The other attributes and the extensions.
    pub(super) attributes: BTreeMap<String, String>,
    /// The data.
    pub(super) data: Payload,
    /// How it came.
    pub(super) route: Route,
}

/// How a CloudEvent came.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// By itself.
    Http,
    /// In the older form for background functions, from which it was made.
    Background,
    /// In a Pub/Sub message.
    Pubsub {
        /// How the message came.
        origin: &'static str,
        /// The delivery of the message.
        delivery: Option<String>,
        /// When the message was published.
        published: Option<Timestamp>,
    },
}

/// Recognises CloudEvents by `ce-specversion`, by their media types, and by the member `specversion`.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let event = match arrival {
        Arrival::Request(delivery) => return in_request(delivery.headers, delivery.body),
        Arrival::Document(document) => match Fields::of(document) {
            Some(fields) if fields.get("specversion").is_some() => structured(fields, Route::Http)?,
            Some(_) | None => return Ok(None),
        },
        Arrival::Pubsub(message) => match in_message(message)? {
            Some(event) => event,
            None => return Ok(None),
        },
        Arrival::Enveloped(inside) => match Fields::of(&inside.document) {
            Some(fields) if fields.get("specversion").is_some() => structured(fields, Route::Http)?,
            Some(_) | None => return Ok(None),
        },
        Arrival::CloudEvent(_) => return Ok(None),
    };
    Ok(Some(Meaning::Holds(Arrival::CloudEvent(event))))
}

fn in_request(headers: &HeaderMap, body: &[u8]) -> Result<Option<Meaning>, Rejected> {
    let content_type = headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    let media = content_type.map(media_type).unwrap_or_default();
    let event = match media.as_str() {
        STRUCTURED => from_json(body, Route::Http)?,
        BATCH => return batch(body).map(Some),
        other if other.starts_with("application/cloudevents") => return Err(unread(other)),
        _ if headers.contains_key("ce-specversion") => {
            let data = Payload::declared(body.to_vec(), content_type)?;
            assemble(in_headers(headers)?, content_type, data, Route::Http)?
        }
        _ => return Ok(None),
    };
    Ok(Some(Meaning::Holds(Arrival::CloudEvent(event))))
}

fn in_message(message: &PubsubMessage) -> Result<Option<CloudEvent>, Rejected> {
    let content_type = message.content_type();
    let media = content_type.map(media_type).unwrap_or_default();
    let route = Route::Pubsub {
        origin: message.origin,
        delivery: message.delivery.clone(),
        published: message.published,
    };
    match media.as_str() {
        STRUCTURED => from_json(&message.data, route).map(Some),
        other if other.starts_with("application/cloudevents") => Err(unread(other)),
        _ if message.attribute("ce-specversion").is_some() => {
            let attributes = message.attributes.iter();
            let named = |(name, value): (&String, &String)| {
                Some((name.strip_prefix(PREFIX)?.to_owned(), value.clone()))
            };
            let data = Payload::declared(message.data.clone(), content_type)?;
            assemble(attributes.filter_map(named).collect(), content_type, data, route).map(Some)
        }
        _ => Ok(None),
    }
}

fn unread(media: &str) -> Rejected {
    Rejected::unsupported(format!(
        "not a form of CloudEvents that is read: media=`{}`",
        shown(media)
    ))
}

/// Each element is a document of its own.
fn batch(body: &[u8]) -> Result<Meaning, Rejected> {
    let wrong = |_| Rejected::malformed("the batch of CloudEvents is not a JSON list");
    serde_json::from_slice(body).map(Meaning::HoldsAll).map_err(wrong)
}

fn from_json(body: &[u8], route: Route) -> Result<CloudEvent, Rejected> {
    let wrong = || Rejected::malformed("the CloudEvent is not a JSON object");
    let document: Value = serde_json::from_slice(body).map_err(|_| wrong())?;
    structured(Fields::of(&document).ok_or_else(wrong)?, route)
}

fn structured(fields: Fields<'_>, route: Route) -> Result<CloudEvent, Rejected> {
    let mut attributes = BTreeMap::new();
    for name in fields.names().filter(|name| !matches!(*name, "data" | "data_base64")) {
        let Some(value) = fields.get(name) else { continue };
        let text = match value {
            Value::String(text) => text.clone(),
            Value::Bool(_) if !is_defined(name) => value.to_string(),
            Value::Number(number) if !is_defined(name) && !number.is_f64() => number.to_string(),
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_) => {
                let reason =
                    format!("a CloudEvents attribute is of a wrong kind: name=`{}`", shown(name));
                return Err(Rejected::malformed(reason));
            }
        };
        attributes.insert(name.to_owned(), text);
    }
    let content_type = attributes.get(CONTENT_TYPE).cloned();
    let data = data_of(fields, content_type.as_deref())?;
    assemble(attributes, content_type.as_deref(), data, route)
}

/// The data of an event that is JSON. A text under a JSON media type is a text: it is not parsed again.
fn data_of(fields: Fields<'_>, content_type: Option<&str>) -> Result<Payload, Rejected> {
    match (fields.get("data"), fields.text("data_base64")?) {
        (Some(_), Some(_)) => Err(Rejected::malformed("the CloudEvent has data twice")),
        (Some(value), None) => Ok(Payload::Json(value.clone())),
        (None, Some(text)) => Payload::declared(decode_base64(text)?, content_type),
        (None, None) => Ok(Payload::Json(Value::Null)),
    }
}

/// The attributes in the headers of a request.
fn in_headers(headers: &HeaderMap) -> Result<BTreeMap<String, String>, Rejected> {
    let mut attributes = BTreeMap::new();
    for (name, value) in headers {
        let Some(name) = name.as_str().strip_prefix(PREFIX) else { continue };
        if attributes.insert(name.to_owned(), decode(value.as_bytes())?).is_some() {
            return Err(repeated(&format!("{PREFIX}{name}")));
        }
    }
    Ok(attributes)
}

/// The value of a header: unquoted, then percent-decoded once, then UTF-8.
fn decode(value: &[u8]) -> Result<String, Rejected> {
    let unquoted = match value {
        [b'"', inner @ .., b'"'] => unescape(inner),
        _ => value.to_vec(),
    };
    let wrong = |_| Rejected::malformed("a header is not UTF-8 once it is decoded");
    String::from_utf8(percent_decode(&unquoted).collect()).map_err(wrong)
}

/// What is between double quotes, where a backslash stands before a character that is meant as it is.
fn unescape(quoted: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter();
    while let Some(byte) = bytes.next() {
        plain.push(if *byte == b'\\' { *bytes.next().unwrap_or(byte) } else { *byte });
    }
    plain
}

/// Makes an event of attributes in whatever way they came.
fn assemble(
    mut attributes: BTreeMap<String, String>,
    content_type: Option<&str>,
    data: Payload,
    route: Route,
) -> Result<CloudEvent, Rejected> {
    attributes.remove(CONTENT_TYPE);
    attributes.extend(content_type.map(|text| (CONTENT_TYPE.to_owned(), text.to_owned())));
    let version = attributes.remove("specversion").unwrap_or_default();
    if version != SpecVersion::V10.as_str() {
        let reason = format!("not CloudEvents 1.0: specversion=`{}`", shown(&version));
        return Err(Rejected::malformed(reason));
    }
    check_names(&attributes)?;
    check_required(&attributes)?;
    let valid = Attributes(&attributes).into_event().map_err(|error| {
        let error = shown(&error.to_string());
        Rejected::malformed(format!("not a valid CloudEvent: error=`{error}`"))
    })?;
    let event = CloudEvent {
        id: valid.id().to_owned(),
        source: valid.source().clone(),
        ty: valid.ty().to_owned(),
        subject: valid.subject().filter(|subject| !subject.is_empty()).map(str::to_owned),
        time: valid.time().map(|time| Timestamp::from_millis(time.timestamp_millis())),
        attributes: attributes
            .into_iter()
            .filter(|(name, _)| {
                !matches!(name.as_str(), "id" | "source" | "type" | "subject" | "time")
            })
            .collect(),
        data,
        route,
    };
    event.refuse_protobuf()?;
    Ok(event)
}

/// Names are lower-case letters and digits, and none is `data`.
fn check_names(attributes: &BTreeMap<String, String>) -> Result<(), Rejected> {
    let legal = |name: &str| {
        let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        letters && !name.is_empty() && name != "data"
    };
    match attributes.keys().find(|name| !legal(name)) {
        Some(name) => {
            let reason = format!("not a name of a CloudEvents attribute: name=`{}`", shown(name));
            Err(Rejected::malformed(reason))
        }
        None => Ok(()),
    }
}

fn check_required(attributes: &BTreeMap<String, String>) -> Result<(), Rejected> {
    let usable = |text: &String| !text.is_empty() && !text.chars().any(char::is_control);
    match ["id", "source", "type"].iter().find(|name| !attributes.get(**name).is_some_and(usable)) {
        Some(name) => {
            let reason = format!("a CloudEvents attribute is missing or unusable: name=`{name}`");
            Err(Rejected::malformed(reason))
        }
        None => Ok(()),
    }
}

/// Whether the specification defines the attribute; such ones are texts in JSON.
fn is_defined(name: &str) -> bool {
    SpecVersion::V10.attribute_names().contains(&name)
}

/// Attributes as the library reads them.
struct Attributes<'a>(&'a BTreeMap<String, String>);

impl BinaryDeserializer for Attributes<'_> {
    fn deserialize_binary<R: Sized, V: BinarySerializer<R>>(
        self,
        visitor: V,
    ) -> cloudevents::message::Result<R> {
        let mut visitor = visitor.set_spec_version(SpecVersion::V10)?;
        for (name, text) in self.0 {
            let value = MessageAttributeValue::String(text.clone());
            visitor = if is_defined(name) {
                visitor.set_attribute(name, value)?
            } else {
                visitor.set_extension(name, value)?
            };
        }
        visitor.end()
    }
}

impl CloudEvent {
    /// An event made from JSON of another form.
    pub(super) fn made(document: &Value, route: Route) -> Result<Self, Rejected> {
        let wrong = || Rejected::malformed("the event is not a JSON object");
        structured(Fields::of(document).ok_or_else(wrong)?, route)
    }

    /// The data, which has to be a JSON object.
    pub(super) fn fields(&self) -> Result<Fields<'_>, Rejected> {
        let fields = match &self.data {
            Payload::Json(value) => Fields::of(value),
            Payload::Text(_) | Payload::Bytes(_) => None,
        };
        fields.ok_or_else(|| Rejected::malformed("the data of the CloudEvent is not a JSON object"))
    }

    /// What the fact is: its source and id.
    pub(super) fn identity(&self) -> Identity {
        Identity(vec!["cloudevent".into(), self.source.clone(), self.id.clone()])
    }

    /// The event as a message, where no source knows its type.
    pub(super) fn plain(&self) -> Meaning {
        let (origin, delivery, published) = match &self.route {
            Route::Http => ("cloudevents.http", None, None),
            Route::Background => ("background", None, None),
            Route::Pubsub { origin, delivery, published } => {
                (*origin, delivery.clone(), *published)
            }
        };
        let mut attributes = self.attributes.clone();
        let data = self.data.clone().into_data(&mut attributes);
        let message = Message {
            source: self.source.clone(),
            id: self.id.clone(),
            ty: self.ty.clone(),
            subject: self.subject.clone(),
            data,
            attributes,
        };
        Meaning::record(Event {
            identity: self.identity(),
            origin: origin.to_owned(),
            time: self.time.or(published),
            delivery,
            replay: None,
            fact: Fact::Message(message),
        })
    }

    /// Events of Google can be had as protobuf, which says nothing without their schemas.
    fn refuse_protobuf(&self) -> Result<(), Rejected> {
        let media = self.attributes.get(CONTENT_TYPE).map(|text| media_type(text));
        if self.ty.starts_with("google.") && media.as_deref() == Some("application/protobuf") {
            let reason = "the data is protobuf: set `eventDataContentType` of the Eventarc trigger to \
                          `application/json`";
            return Err(Rejected::unsupported(reason));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::super::tests::{event, form, form_of_json, push, refusal};
    use super::*;

    /// A binary event with these headers in the place of, or beside, those it needs.
    fn binary(changes: &[(&str, &str)], body: &str) -> Value {
        let mut headers =
            vec![("ce-specversion", "1.0"), ("ce-id", "1"), ("ce-type", "t"), ("ce-source", "/s")];
        headers.retain(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
        headers.extend(changes);
        form(&headers, body)
    }

    /// A structured event with these members in the place of, or beside, those it needs.
    fn structured(changes: &Value) -> Value {
        let mut event = json!({"specversion": "1.0", "id": "1", "type": "t", "source": "/s"});
        for (name, value) in changes.as_object().unwrap() {
            event[name] = value.clone();
        }
        form(&[("content-type", STRUCTURED)], &event.to_string())
    }

    #[test]
    fn values_of_headers_are_unquoted_and_decoded_once() {
        let cases = [
            ("Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
            ("%2541", "%41"),
            ("100%", "100%"),
            ("%zz%4", "%zz%4"),
            ("%61bc", "abc"),
            ("\"a \\\"b\\\" \\\\c\"", "a \"b\" \\c"),
            ("\"%22\"", "\""),
            ("\"", "\""),
            ("März", "März"),
        ];
        for (header, subject) in cases {
            let form = binary(&[("ce-subject", header)], "");
            assert_eq!(event(&form)["subject"], subject, "{header}");
        }
    }

    #[test]
    fn headers_that_are_not_utf8_are_refused() {
        for header in ["%C0%A0", "%ff", "a%E2%82"] {
            let refused = refusal(&binary(&[("ce-subject", header)], ""));
            assert!(refused.starts_with("400 a header is not UTF-8"), "{header}: {refused}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("ce-subject", HeaderValue::from_bytes(b"\xe4").unwrap());
        assert!(in_headers(&headers).is_err());
    }

    #[test]
    fn attributes_that_break_the_specification_are_refused() {
        let cases = [
            ("ce-specversion", "0.3", "specversion=`0.3`"),
            ("ce-specversion", "%0a", "specversion=`\\n`"),
            ("ce-id", "", "name=`id`"),
            ("ce-source", "", "name=`source`"),
            ("ce-source", "/s%00", "name=`source`"),
            ("ce-type", "", "name=`type`"),
            ("ce-time", "yesterday", "time"),
            ("ce-dataschema", "relative", "url"),
            ("ce-under_score", "x", "name=`under_score`"),
            ("ce-", "x", "name=``"),
            ("ce-data", "x", "name=`data`"),
        ];
        for (name, value, expected) in cases {
            let form = binary(&[(name, value)], "");
            assert!(refusal(&form).contains(expected), "{name}: {value}: {form}");
        }
    }

    #[test]
    fn a_repeated_header_is_refused() {
        let form = binary(&[("ce-x", "1"), ("ce-x", "2")], "");
        assert_eq!(refusal(&form), "400 a header is repeated: name=`ce-x`");
    }

    #[test]
    fn times_are_of_any_offset_and_may_be_encoded_without_need() {
        let form = binary(&[("ce-time", "2018-04-05T05%3A56%3A24%2B02:00")], "");
        assert_eq!(event(&form)["time"], "2018-04-05T03:56:24Z");
        assert_eq!(event(&binary(&[], ""))["time"], "RECEIVED_AT", "a time is never invented");
    }

    #[test]
    fn the_media_type_of_binary_data_is_that_of_the_request() {
        let headers = [("content-type", "Application/JSON"), ("ce-datacontenttype", "text/plain")];
        let form = binary(&headers, "{\"a\": 1}");
        assert_eq!(event(&form)["data"], json!({"a": 1}));
        assert_eq!(event(&form)["attributes"]["datacontenttype"], "Application/JSON");
        let broken = binary(&headers[..1], "{");
        assert_eq!(refusal(&broken), "400 the data is declared as JSON and is not");
        assert_eq!(event(&binary(&[], "{\"a\": 1}"))["data_text"], "{\"a\": 1}", "none declared");
    }

    #[test]
    fn members_of_structured_events_have_the_kinds_of_the_specification() {
        let form = structured(&json!({
            "subject": null, "time": null, "flag": true, "count": 5, "far": i64::MAX, "text": "x",
        }));
        let attributes =
            json!({"flag": "true", "count": "5", "far": i64::MAX.to_string(), "text": "x"});
        assert_eq!(event(&form)["attributes"], attributes);
        for changes in [
            json!({"id": 5}),
            json!({"time": 5}),
            json!({"share": 0.5}),
            json!({"list": []}),
            json!({"Name": "x"}),
            json!({"id": null}),
            json!({"data": 1, "data_base64": "AA=="}),
            json!({"data_base64": "~"}),
            json!({"data_base64": 5}),
            json!({"datacontenttype": "application/json", "data_base64": "ew=="}),
        ] {
            assert!(refusal(&structured(&changes)).starts_with("400 "), "{changes}");
        }
    }

    #[test]
    fn data_is_json_where_it_is_said_to_be() {
        let base64 = "eyAieHl6IjogMTIzIH0=";
        let cases = [
            (json!({"data": {"a": 1}}), "data", json!({"a": 1})),
            (json!({"data": "{\"a\": 1}"}), "data_text", json!("{\"a\": 1}")),
            (json!({"data": []}), "data", json!([])),
            (json!({"data_base64": base64}), "data_text", json!("{ \"xyz\": 123 }")),
            (
                json!({"data_base64": base64, "datacontenttype": "a/b+json"}),
                "data",
                json!({"xyz": 123}),
            ),
            (json!({"data_base64": "/w=="}), "data_base64", json!("/w==")),
            (json!({"data": "<a/>", "datacontenttype": "text/xml"}), "data_text", json!("<a/>")),
        ];
        for (changes, name, expected) in cases {
            assert_eq!(event(&structured(&changes))[name], expected, "{changes}");
        }
    }

    #[test]
    fn forms_of_cloudevents_that_are_not_read_are_named() {
        for media in ["application/cloudevents+avro", "application/cloudevents"] {
            let refused = refusal(&form(&[("content-type", media)], "{}"));
            assert!(refused.starts_with("415 not a form of CloudEvents"), "{refused}");
            let message = json!({"messageId": "1", "attributes": {"content-type": media}});
            assert_eq!(refusal(&form_of_json(&push(&message))), refused);
        }
        let form = form(&[("content-type", BATCH)], "{}");
        assert_eq!(refusal(&form), "400 the batch of CloudEvents is not a JSON list");
    }

    #[test]
    fn protobuf_is_refused_where_google_can_be_asked_for_json() {
        let protobuf = ("content-type", "Application/Protobuf");
        let refused =
            refusal(&binary(&[protobuf, ("ce-type", "google.cloud.audit.log.v1.written")], "x"));
        assert!(
            refused.starts_with("415 ") && refused.contains("eventDataContentType"),
            "{refused}"
        );
        assert_eq!(event(&binary(&[protobuf], "x"))["data_text"], "x", "of others it is kept");
    }

    #[test]
    fn attributes_in_messages_are_not_encoded() {
        let attributes = json!({
            "ce-specversion": "1.0", "ce-id": "100%41", "ce-type": "t", "ce-source": "/s",
            "Content-Type": "text/plain", "other": "x",
        });
        let message = json!({
            "messageId": "7", "publishTime": "2026-01-05T12:00:00Z", "attributes": attributes, "data": "e30=",
        });
        let form = form_of_json(&push(&message));
        let expected = json!({
            "kind": "cloudevent", "origin": "pubsub.push", "delivery_id": "7",
            "time": "2026-01-05T12:00:00Z", "identity": ["cloudevent", "/s", "100%41"],
            "type": "t", "source": "/s", "attributes": {"datacontenttype": "text/plain"},
            "data_text": "{}",
        });
        assert_eq!(event(&form), &expected);
    }
}
