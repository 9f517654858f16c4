//! Changes of objects in Cloud Storage: by Eventarc, by a notification of the bucket through Pub/Sub, and in the
//! older form for background functions. The same change by any of them is the same fact.
//!
//! An overwrite is two events: the new generation is finalized, and the old one is deleted or archived. The
//! beginning of an upload to a zonal bucket is ignored; it is finalized later.

use percent_encoding::percent_decode_str;
use refit_core::event::{DataRef, Event, Fact, Identity, ObjectChange, ObjectKind};
use refit_core::time::Timestamp;
use serde_json::Value;

use super::cloudevents::{CloudEvent, Route};
use super::fields::Fields;
use super::pubsub::PubsubMessage;
use super::{Arrival, Meaning, Rejected, Understood};

/// What happened, as CloudEvents and as notifications spell it.
const KINDS: [(&str, &str, ObjectKind); 4] = [
    ("google.cloud.storage.object.v1.finalized", "OBJECT_FINALIZE", ObjectKind::Finalized),
    ("google.cloud.storage.object.v1.deleted", "OBJECT_DELETE", ObjectKind::Deleted),
    ("google.cloud.storage.object.v1.archived", "OBJECT_ARCHIVE", ObjectKind::Archived),
    (
        "google.cloud.storage.object.v1.metadataUpdated",
        "OBJECT_METADATA_UPDATE",
        ObjectKind::MetadataUpdated,
    ),
];

/// What a change is, in the words of whichever route.
struct Change<'a> {
    kind: ObjectKind,
    bucket: &'a str,
    name: &'a str,
    generation: i64,
    /// What is known of the object beside its name.
    resource: Option<Fields<'a>>,
    /// What tells two updates of metadata apart where the metageneration is not known.
    instant: Option<&'a str>,
}

/// Recognises CloudEvents by their type, and notifications by their attributes.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    match arrival {
        Arrival::CloudEvent(event) => {
            let kind = KINDS.iter().find(|(ty, ..)| *ty == event.ty);
            kind.map(|(_, _, kind)| by_eventarc(event, *kind)).transpose()
        }
        Arrival::Pubsub(message) => by_notification(message),
        Arrival::Request(_) | Arrival::Document(_) | Arrival::Enveloped(_) => Ok(None),
    }
}

fn by_eventarc(event: &CloudEvent, kind: ObjectKind) -> Result<Meaning, Rejected> {
    let resource = event.fields()?;
    let text = |name| Ok(resource.text(name)?.filter(|text| !text.is_empty()));
    let (bucket, name) = (required(text("bucket")?, "bucket")?, required(text("name")?, "name")?);
    let source = format!("//storage.googleapis.com/projects/_/buckets/{bucket}");
    let extension = event.attributes.get("bucket").is_none_or(|text| text == bucket);
    agree(event.source == source && extension, "bucket")?;
    agree(event.subject.as_deref().is_none_or(|subject| is_subject(subject, name)), "name")?;
    let generation = required(resource.int64("generation")?, "generation")?;
    let change = Change { kind, bucket, name, generation, resource: Some(resource), instant: None };
    let (origin, delivery) = match &event.route {
        Route::Http => ("gcs.eventarc", Some(&event.id)),
        Route::Background => ("gcs.gcf", Some(&event.id)),
        Route::Pubsub { delivery, .. } => ("gcs.pubsub", delivery.as_ref()),
    };
    Ok(Meaning::record(Event {
        identity: change.identity()?,
        origin: origin.to_owned(),
        time: event.time,
        delivery: delivery.cloned(),
        replay: None,
        fact: Fact::Object(ObjectChange {
            kind,
            object: change.object()?,
            overwrote: None,
            overwritten_by: None,
        }),
    }))
}

/// An object as a listing of its bucket has it, as the event that it was finalized.
pub(crate) fn listed(bucket: &str, resource: &Value) -> Result<Event, Rejected> {
    let wrong = || Rejected::malformed("what is listed is not a JSON object");
    let resource = Fields::of(resource).ok_or_else(wrong)?;
    let name = required(resource.text("name")?.filter(|name| !name.is_empty()), "name")?;
    let generation = required(resource.int64("generation")?, "generation")?;
    let kind = ObjectKind::Finalized;
    let change = Change { kind, bucket, name, generation, resource: Some(resource), instant: None };
    let object = change.object()?;
    Ok(Event {
        identity: change.identity()?,
        origin: "gcs.listing".to_owned(),
        time: object.created,
        delivery: None,
        replay: None,
        fact: Fact::Object(ObjectChange { kind, object, overwrote: None, overwritten_by: None }),
    })
}

/// Whether a subject names the object. Not every sender percent-encodes it, and it was decoded on arrival.
fn is_subject(subject: &str, name: &str) -> bool {
    let Some(object) = subject.strip_prefix("objects/") else { return false };
    object == name || percent_decode_str(name).decode_utf8().is_ok_and(|decoded| decoded == object)
}

/// The attributes say what happened; the payload may be partial or missing.
fn by_notification(message: &PubsubMessage) -> Result<Option<Meaning>, Rejected> {
    let attributes = ["eventType", "bucketId", "objectId"]
        .map(|name| message.attribute(name).filter(|text| !text.is_empty()));
    let [Some(event_type), Some(bucket), Some(name)] = attributes else { return Ok(None) };
    if event_type == "OBJECT_INITIALIZE" {
        let reason = "the upload has only begun; the object is finalized later".to_owned();
        return Ok(Some(Meaning::Means(Understood::Ignore { reason })));
    }
    let Some((_, _, kind)) = KINDS.iter().find(|(_, name, _)| *name == event_type) else {
        return Ok(None);
    };
    let payload = payload(message)?;
    let resource = payload.as_ref().and_then(Fields::of);
    let generation = required(integer(message, "objectGeneration")?, "generation")?;
    if let Some(resource) = resource {
        agree(resource.text("bucket")?.is_none_or(|text| text == bucket), "bucket")?;
        agree(resource.text("name")?.is_none_or(|text| text == name), "name")?;
        agree(resource.int64("generation")?.is_none_or(|at| at == generation), "generation")?;
    }
    let instant = message.attribute("eventTime");
    let change = Change { kind: *kind, bucket, name, generation, resource, instant };
    Ok(Some(Meaning::record(Event {
        identity: change.identity()?,
        origin: "gcs.pubsub".to_owned(),
        time: instant.map(time).transpose()?.or(message.published),
        delivery: message.delivery.clone(),
        replay: None,
        fact: Fact::Object(ObjectChange {
            kind: *kind,
            object: change.object()?,
            overwrote: integer(message, "overwroteGeneration")?.map(|at| at.to_string()),
            overwritten_by: integer(message, "overwrittenByGeneration")?.map(|at| at.to_string()),
        }),
    })))
}

/// What the notification says of the object beside its name; nothing where it was asked for no payload.
fn payload(message: &PubsubMessage) -> Result<Option<Value>, Rejected> {
    if message.data.is_empty() || message.attribute("payloadFormat") == Some("NONE") {
        return Ok(None);
    }
    let payload: Option<Value> = serde_json::from_slice(&message.data).ok();
    let wrong = || Rejected::malformed("the payload of the notification is not a JSON object");
    payload.filter(Value::is_object).map(Some).ok_or_else(wrong)
}

fn integer(message: &PubsubMessage, name: &str) -> Result<Option<i64>, Rejected> {
    let wrong = |_| Rejected::malformed(format!("an attribute is not an integer: name=`{name}`"));
    message.attribute(name).map(|text| text.parse().map_err(wrong)).transpose()
}

fn time(text: &str) -> Result<Timestamp, Rejected> {
    text.parse().map_err(|_| Rejected::malformed("an attribute is not a time: name=`eventTime`"))
}

/// A part without which it is not known which object it is.
fn required<T>(part: Option<T>, name: &str) -> Result<T, Rejected> {
    part.ok_or_else(|| {
        Rejected::malformed(format!("the event does not name its object: missing=`{name}`"))
    })
}

/// Whoever filters by one of the two must be able to rely on the other.
fn agree(agree: bool, name: &str) -> Result<(), Rejected> {
    let wrong = || Rejected::malformed(format!("attributes and data disagree: about=`{name}`"));
    agree.then_some(()).ok_or_else(wrong)
}

impl Change<'_> {
    /// The same by every route. An update of metadata keeps the generation, so it needs one part more.
    fn identity(&self) -> Result<Identity, Rejected> {
        let generation = self.generation.to_string();
        let mut parts: Vec<String> =
            ["gs", self.bucket, self.name, &generation, self.kind.name()].map(str::to_owned).into();
        match self.kind {
            ObjectKind::Finalized | ObjectKind::Deleted | ObjectKind::Archived => {}
            ObjectKind::MetadataUpdated => {
                let version = self.metageneration()?.or_else(|| self.instant.map(str::to_owned));
                parts.push(required(version, "metageneration")?);
            }
        }
        Ok(Identity(parts))
    }

    fn metageneration(&self) -> Result<Option<String>, Rejected> {
        let version = self.resource.map(|resource| resource.int64("metageneration")).transpose()?;
        Ok(version.flatten().map(|version| version.to_string()))
    }

    fn object(&self) -> Result<DataRef, Rejected> {
        let object = DataRef {
            scheme: "gs".to_owned(),
            bucket: self.bucket.to_owned(),
            name: self.name.to_owned(),
            generation: Some(self.generation.to_string()),
            metageneration: self.metageneration()?,
            ..DataRef::default()
        };
        let Some(resource) = self.resource else { return Ok(object) };
        let md5 = resource.text("md5Hash")?.map(|hash| format!("md5:{hash}"));
        let crc32c = resource.text("crc32c")?.map(|hash| format!("crc32c:{hash}"));
        let size = resource.int64("size")?.map(u64::try_from).transpose();
        Ok(DataRef {
            size: size.map_err(|_| Rejected::malformed("the size of the object is negative"))?,
            checksum: md5.or(crc32c),
            created: resource.time("timeCreated")?,
            content_type: resource.text("contentType")?.map(str::to_owned),
            metadata: resource.texts("metadata")?,
            ..object
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::super::tests::{event, form, form_of_json, push, refusal};
    use super::*;

    /// A CloudEvent of an upload, with these members of its data and these of its attributes.
    fn eventarc(data: &Value, attributes: &Value) -> Value {
        let mut resource = json!({"bucket": "b", "name": "in/a", "generation": "12"});
        let mut event = json!({
            "specversion": "1.0", "id": "1", "type": KINDS[0].0, "subject": "objects/in/a",
            "source": "//storage.googleapis.com/projects/_/buckets/b",
        });
        for (name, value) in data.as_object().unwrap() {
            resource[name] = value.clone();
        }
        for (name, value) in attributes.as_object().unwrap() {
            event[name] = value.clone();
        }
        event["data"] = resource;
        form_of_json(&event)
    }

    /// A notification of an upload, with these attributes and this payload.
    fn notified(attributes: &Value, payload: &str) -> Value {
        let mut all = json!({
            "eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": "in/a", "objectGeneration": "12",
        });
        for (name, value) in attributes.as_object().unwrap() {
            all[name] = value.clone();
        }
        let data = base64::engine::general_purpose::STANDARD.encode(payload);
        form_of_json(&push(&json!({"messageId": "7", "attributes": all, "data": data})))
    }

    #[test]
    fn numbers_are_numbers_or_texts() {
        let texts = json!({"generation": "12", "metageneration": "1", "size": "352"});
        let numbers = json!({"generation": 12, "metageneration": 1, "size": 352});
        let [texts, numbers] = [texts, numbers].map(|data| eventarc(&data, &json!({})));
        assert_eq!(texts, numbers);
        let object = json!({
            "bucket": "b", "name": "in/a", "version": "12", "metageneration": "1", "size": 352,
        });
        assert_eq!(event(&texts)["object"], object);
    }

    #[test]
    fn an_event_that_does_not_name_its_object_is_refused() {
        let cases = [
            (json!({"bucket": ""}), "400 the event does not name its object: missing=`bucket`"),
            (json!({"name": null}), "400 the event does not name its object: missing=`name`"),
            (
                json!({"generation": null}),
                "400 the event does not name its object: missing=`generation`",
            ),
            (json!({"generation": "latest"}), "400 a member is not an integer: name=`generation`"),
            (json!({"generation": 1.5}), "400 a member is not an integer: name=`generation`"),
            (json!({"size": -1}), "400 the size of the object is negative"),
            (json!({"size": "big"}), "400 a member is not an integer: name=`size`"),
            (
                json!({"timeCreated": "today"}),
                "400 a member is not an RFC 3339 time: name=`timeCreated`",
            ),
            (
                json!({"metadata": {"a": 1}}),
                "400 a member is not an object of texts: name=`metadata`",
            ),
        ];
        for (data, expected) in cases {
            assert_eq!(refusal(&eventarc(&data, &json!({}))), expected, "{data}");
        }
    }

    #[test]
    fn attributes_and_data_must_speak_of_the_same_object() {
        let source = |bucket: &str| format!("//storage.googleapis.com/projects/_/buckets/{bucket}");
        let cases = [
            (json!({"source": source("other")}), "bucket"),
            (json!({"source": "/elsewhere"}), "bucket"),
            (json!({"bucket": "other"}), "bucket"),
            (json!({"subject": "objects/in/b"}), "name"),
            (json!({"subject": "in/a"}), "name"),
        ];
        for (attributes, about) in cases {
            let expected = format!("400 attributes and data disagree: about=`{about}`");
            assert_eq!(refusal(&eventarc(&json!({}), &attributes)), expected, "{attributes}");
        }
        let payloads = [
            (r#"{"bucket": "other"}"#, "bucket"),
            (r#"{"name": "in/b"}"#, "name"),
            (r#"{"generation": "13"}"#, "generation"),
        ];
        for (payload, about) in payloads {
            let expected = format!("400 attributes and data disagree: about=`{about}`");
            assert_eq!(refusal(&notified(&json!({}), payload)), expected, "{payload}");
        }
    }

    #[test]
    fn a_subject_may_be_missing_or_decoded_once_more_than_the_name() {
        for (name, subject) in [
            ("in/a", json!(null)),
            ("100%41.csv", json!("objects/100%41.csv")),
            ("100%41.csv", json!("objects/100A.csv")),
        ] {
            let form = eventarc(&json!({"name": name}), &json!({"subject": subject}));
            assert_eq!(event(&form)["object"]["name"], name);
        }
    }

    #[test]
    fn a_payload_may_be_partial_and_must_be_json() {
        let partial = notified(&json!({}), r#"{"size": "352", "metageneration": "1"}"#);
        assert_eq!(event(&partial)["object"]["size"], 352);
        assert_eq!(event(&notified(&json!({}), ""))["object"].get("size"), None);
        let none = notified(&json!({"payloadFormat": "NONE"}), "whatever");
        assert_eq!(event(&none)["object"].get("size"), None);
        let expected = "400 the payload of the notification is not a JSON object";
        assert_eq!(refusal(&notified(&json!({}), "whatever")), expected);
        assert_eq!(refusal(&notified(&json!({}), "[]")), expected);
    }

    #[test]
    fn attributes_of_notifications_must_be_readable() {
        let cases = [
            (
                json!({"objectGeneration": "x"}),
                "400 an attribute is not an integer: name=`objectGeneration`",
            ),
            (json!({"eventTime": "today"}), "400 an attribute is not a time: name=`eventTime`"),
            (
                json!({"overwroteGeneration": ""}),
                "400 an attribute is not an integer: name=`overwroteGeneration`",
            ),
        ];
        for (attributes, expected) in cases {
            assert_eq!(refusal(&notified(&attributes, "")), expected, "{attributes}");
        }
    }

    #[test]
    fn updates_of_metadata_are_told_apart() {
        let update = json!({"type": KINDS[3].0});
        let updated = |data: Value| eventarc(&data, &update);
        let [one, two] = [1, 2]
            .map(|version| event(&updated(json!({"metageneration": version})))["identity"].clone());
        assert_ne!(one, two);
        assert!(refusal(&updated(json!({}))).ends_with("missing=`metageneration`"));
        let attributes =
            json!({"eventType": "OBJECT_METADATA_UPDATE", "eventTime": "2026-01-05T12:00:00Z"});
        let full = notified(&attributes, r#"{"metageneration": "1"}"#);
        assert_eq!(event(&full)["identity"], one, "the same by both routes");
        let bare = notified(&attributes, "");
        assert_eq!(event(&bare)["identity"][5], "2026-01-05T12:00:00Z");
    }

    #[test]
    fn notifications_of_other_kinds_are_ignored_or_messages() {
        let begun = notified(&json!({"eventType": "OBJECT_INITIALIZE"}), "");
        assert_eq!(begun["outcome"], "ignore");
        for attributes in [json!({"eventType": "OBJECT_RENAMED"}), json!({"objectId": ""})] {
            assert_eq!(event(&notified(&attributes, ""))["kind"], "message", "{attributes}");
        }
    }

    #[test]
    fn a_notification_needs_no_subscription() {
        let attributes = json!({
            "eventType": "OBJECT_DELETE", "bucketId": "b", "objectId": "in/a", "objectGeneration": "12",
        });
        let form = form_of_json(&json!({"message": {"attributes": attributes}}));
        assert_eq!(event(&form)["kind"], "object.deleted");
    }

    #[test]
    fn a_storage_event_of_another_type_is_any_cloudevent() {
        let audit =
            eventarc(&json!({}), &json!({"type": "google.cloud.storage.object.v1.renamed"}));
        assert_eq!(event(&audit)["kind"], "cloudevent");
        let binary = form(
            &[
                ("ce-specversion", "1.0"),
                ("ce-type", KINDS[0].0),
                ("ce-id", "1"),
                ("ce-source", "/s"),
            ],
            "",
        );
        assert_eq!(refusal(&binary), "400 the data of the CloudEvent is not a JSON object");
    }
}
