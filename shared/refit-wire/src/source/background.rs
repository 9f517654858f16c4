//! The older form of events for background functions of Google Cloud: a context and data. It is turned into the
//! CloudEvent it stands for, by the mapping that Google's own frameworks use.

use serde_json::{Value, json};

use super::cloudevents::{CloudEvent, Route};
use super::fields::Fields;
use super::pubsub::{PUBLISHED, PUBSUB};
use super::{Arrival, Meaning, Rejected};

/// Types of the older form, and the CloudEvents they stand for.
const TYPES: [(&str, &str); 6] = [
    ("google.pubsub.topic.publish", PUBLISHED),
    ("providers/cloud.pubsub/eventTypes/topic.publish", PUBLISHED),
    ("google.storage.object.finalize", "google.cloud.storage.object.v1.finalized"),
    ("google.storage.object.delete", "google.cloud.storage.object.v1.deleted"),
    ("google.storage.object.archive", "google.cloud.storage.object.v1.archived"),
    ("google.storage.object.metadataUpdate", "google.cloud.storage.object.v1.metadataUpdated"),
];

/// Recognises them by a known `eventType`, within `context` or beside `data`.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Document(document) = arrival else { return Ok(None) };
    let Some(fields) = Fields::of(document) else { return Ok(None) };
    let context = fields.get("context").and_then(Fields::of).unwrap_or(fields);
    let named = context.get("eventType").and_then(Value::as_str);
    let mapped = TYPES.iter().find(|(older, _)| named == Some(older));
    let Some((_, ty)) = mapped else { return Ok(None) };
    let resource = match context.get("resource").and_then(Fields::of) {
        Some(resource) => resource.text("name")?,
        None => context.text("resource")?,
    };
    let resource = resource.ok_or_else(|| Rejected::malformed("the event names no resource"))?;
    let data = fields.get("data").unwrap_or(&Value::Null);
    let made =
        if *ty == PUBLISHED { message(context, resource, data) } else { object(resource, data) };
    let event = with_context(made, context, ty);
    Ok(Some(Meaning::Holds(Arrival::CloudEvent(CloudEvent::made(&event, Route::Background)?))))
}

/// The members of the CloudEvent that are the same for every type.
fn with_context(mut event: Value, context: Fields<'_>, ty: &str) -> Value {
    event["specversion"] = json!("1.0");
    event["type"] = json!(ty);
    event["id"] = json!(context.get("eventId"));
    event["time"] = json!(context.get("timestamp"));
    event["datacontenttype"] = json!("application/json");
    event
}

fn message(context: Fields<'_>, topic: &str, data: &Value) -> Value {
    let mut message = data.clone();
    if let Some(members) = message.as_object_mut() {
        members.insert("messageId".to_owned(), json!(context.get("eventId")));
        members.insert("publishTime".to_owned(), json!(context.get("timestamp")));
    }
    json!({
        "source": format!("{PUBSUB}{topic}"),
        "data": {"message": message},
    })
}

/// The name of the resource holds bucket and object, and sometimes the generation.
fn object(resource: &str, data: &Value) -> Value {
    let (bucket, object) = resource.split_once("/objects/").unwrap_or((resource, ""));
    let generation = Fields::of(data).and_then(|fields| fields.int64("generation").ok().flatten());
    let suffix = generation.map(|generation| format!("#{generation}")).unwrap_or_default();
    let object = object.strip_suffix(&suffix).unwrap_or(object);
    json!({
        "source": format!("//storage.googleapis.com/{bucket}"),
        "subject": format!("objects/{object}"),
        "data": data,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, form_of_json, refusal};
    use super::*;

    fn upload(resource: &Value, generation: &Value) -> Value {
        form_of_json(&json!({
            "context": {
                "eventId": "1", "timestamp": "2026-01-05T12:00:00Z", "resource": resource,
                "eventType": "google.storage.object.finalize",
            },
            "data": {"bucket": "b", "name": "in/a#1", "generation": generation},
        }))
    }

    #[test]
    fn the_name_of_the_resource_may_end_in_the_generation() {
        let expected = json!(["gs", "b", "in/a#1", "12", "object.finalized"]);
        let resource = "projects/_/buckets/b/objects/in/a#1";
        for resource in
            [json!({"name": resource}), json!({"name": format!("{resource}#12")}), json!(resource)]
        {
            for generation in [json!("12"), json!(12)] {
                let form = upload(&resource, &generation);
                assert_eq!(event(&form)["identity"], expected, "{resource}");
            }
        }
        let other = upload(&json!("projects/_/buckets/b/objects/in/a#13"), &json!("12"));
        assert_eq!(refusal(&other), "400 attributes and data disagree: about=`name`");
    }

    #[test]
    fn what_the_older_form_leaves_out_is_named() {
        let ty = "google.pubsub.topic.publish";
        let cases = [
            (json!({"eventType": ty}), "400 the event names no resource"),
            (
                json!({"eventType": ty, "resource": "t", "eventId": "1"}),
                "400 the push has no message",
            ),
            (
                json!({"eventType": ty, "resource": "t", "data": {}}),
                "400 a CloudEvents attribute is missing or unusable: name=`id`",
            ),
            (
                json!({"eventType": ty, "resource": "t", "eventId": "1", "data": "x"}),
                "400 a member is not an object: name=`message`",
            ),
            (
                json!({"eventType": ty, "resource": {"name": 5}}),
                "400 a member is not a text: name=`name`",
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(refusal(&form_of_json(&body)), expected, "{body}");
        }
    }

    #[test]
    fn other_types_of_the_older_form_are_not_known() {
        let body =
            json!({"eventType": "providers/firebase.auth/eventTypes/user.create", "resource": "p"});
        assert!(refusal(&form_of_json(&body)).contains("of no known kind"));
    }
}
