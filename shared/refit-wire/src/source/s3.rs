//! Changes of objects in S3: by a notification of the bucket, however many envelopes it came in, and by EventBridge.
//! The same change by any of them is the same fact.
//!
//! Names are form-encoded in notifications and plain in events of EventBridge. What orders the changes of one name is
//! the sequencer; a bucket that says none is told by its version, else by its tag and time.

use percent_encoding::percent_decode_str;
use refit_core::event::{DataRef, Event, Fact, Identity, ObjectChange, ObjectKind};
use refit_core::time::Timestamp;
use serde_json::Value;

use super::fields::Fields;
use super::{Arrival, Meaning, Rejected, Understood, shown};

/// The sender of notifications, as records name it.
const NOTIFICATION: &str = "aws:s3";
/// The sender of events, as EventBridge names it.
const EVENTBRIDGE: &str = "aws.s3";
/// What S3 sends once when notifications are set up.
const TEST: &str = "s3:TestEvent";
/// The major version of notifications that is read; minor ones add members.
const MAJOR: &str = "2.";

/// What happened, in the words of either route.
struct Change<'a> {
    kind: ObjectKind,
    bucket: &'a str,
    name: String,
    /// Absent where versions are off, and where what came into being is the mark of a deletion.
    version: Option<&'a str>,
    tag: Option<&'a str>,
    sequencer: Option<&'a str>,
    size: Option<i64>,
    time: Option<Timestamp>,
}

/// Recognises a record of a notification, an event of EventBridge, and the test of a notification.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Document(document) = arrival else { return Ok(None) };
    let Some(fields) = Fields::of(document) else { return Ok(None) };
    let is = |name: &str, wanted: &str| fields.get(name).and_then(Value::as_str) == Some(wanted);
    if is("Event", TEST) {
        return Ok(Some(ignored("the test S3 sends when notifications are set up")));
    }
    if is("eventSource", NOTIFICATION) {
        return by_notification(fields).map(Some);
    }
    let detail_type = fields.get("detail-type").and_then(Value::as_str);
    match detail_type.filter(|_| is("source", EVENTBRIDGE)) {
        Some(ty) => by_eventbridge(fields, ty).map(Some),
        None => Ok(None),
    }
}

fn by_notification(record: Fields<'_>) -> Result<Meaning, Rejected> {
    let version = record.text("eventVersion")?.unwrap_or_default();
    if !version.starts_with(MAJOR) {
        let version = shown(version);
        let reason = format!("not a version of S3 notifications that is read: version=`{version}`");
        return Err(Rejected::unsupported(reason));
    }
    let name = required(record.text("eventName")?, "eventName")?;
    let name = name.strip_prefix("s3:").unwrap_or(name);
    let Some((kind, is_mark)) = kind_of_notification(name) else {
        return Ok(ignored(&format!("no upload and no deletion: event=`{}`", shown(name))));
    };
    let s3 = required(record.object("s3")?, "s3")?;
    let object = required(s3.object("object")?, "object")?;
    let bucket = required(s3.object("bucket")?, "bucket")?.text("name")?;
    let change = Change {
        kind,
        bucket: required(bucket, "bucket")?,
        name: form_decoded(required(object.text("key")?, "key")?)?,
        version: object.text("versionId")?.filter(|_| !is_mark),
        tag: object.text("eTag")?,
        sequencer: object.text("sequencer")?,
        size: object.int64("size")?,
        time: record.time("eventTime")?,
    };
    change.event("s3.notification", None)
}

/// What happened, and whether what came into being is the mark of a deletion, whose version is no version of data.
fn kind_of_notification(name: &str) -> Option<(ObjectKind, bool)> {
    let (group, detail) = name.split_once(':')?;
    match (group, detail) {
        ("ObjectCreated", _) => Some((ObjectKind::Finalized, false)),
        ("ObjectRemoved" | "LifecycleExpiration", "DeleteMarkerCreated") => {
            Some((ObjectKind::Deleted, true))
        }
        ("ObjectRemoved" | "LifecycleExpiration", _) => Some((ObjectKind::Deleted, false)),
        _ => None,
    }
}

fn by_eventbridge(event: Fields<'_>, ty: &str) -> Result<Meaning, Rejected> {
    let kind = match ty {
        "Object Created" => ObjectKind::Finalized,
        "Object Deleted" => ObjectKind::Deleted,
        other => {
            let reason = format!("no upload and no deletion: event=`{}`", shown(other));
            return Ok(ignored(&reason));
        }
    };
    let detail = required(event.object("detail")?, "detail")?;
    let object = required(detail.object("object")?, "object")?;
    let bucket = required(detail.object("bucket")?, "bucket")?.text("name")?;
    let is_mark = detail.text("deletion-type")? == Some("Delete Marker Created");
    let change = Change {
        kind,
        bucket: required(bucket, "bucket")?,
        name: required(object.text("key")?, "key")?.to_owned(),
        version: object.text("version-id")?.filter(|_| !is_mark),
        tag: object.text("etag")?,
        sequencer: object.text("sequencer")?,
        size: object.int64("size")?,
        time: event.time("time")?,
    };
    change.event("s3.eventbridge", event.text("id")?)
}

/// A plus is a space, then percent-decoded once.
fn form_decoded(key: &str) -> Result<String, Rejected> {
    let spaced = key.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let wrong = |_| Rejected::malformed("the name of the object is not UTF-8 once it is decoded");
    decoded.map(std::borrow::Cow::into_owned).map_err(wrong)
}

fn ignored(reason: &str) -> Meaning {
    Meaning::Means(Understood::Ignore { reason: reason.to_owned() })
}

/// A part without which it is not known which object it is.
fn required<T>(part: Option<T>, name: &str) -> Result<T, Rejected> {
    part.ok_or_else(|| {
        Rejected::malformed(format!("the event does not name its object: missing=`{name}`"))
    })
}

impl Change<'_> {
    fn event(self, origin: &str, delivery: Option<&str>) -> Result<Meaning, Rejected> {
        let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let size = self.size.map(u64::try_from).transpose();
        let wrong = |_| Rejected::malformed("the size of the object is negative");
        let object = DataRef {
            scheme: "s3".to_owned(),
            bucket: self.bucket.to_owned(),
            name: self.name.clone(),
            generation: some(self.version),
            size: size.map_err(wrong)?,
            checksum: some(self.tag).map(|tag| format!("etag:{}", tag.trim_matches('"'))),
            created: self.time.filter(|_| self.kind == ObjectKind::Finalized),
            sequencer: self.sequencer.and_then(|text| text.parse().ok()),
            ..DataRef::default()
        };
        Ok(Meaning::record(Event {
            identity: self.identity()?,
            origin: origin.to_owned(),
            time: self.time,
            delivery: delivery.map(str::to_owned),
            replay: None,
            fact: Fact::Object(ObjectChange {
                kind: self.kind,
                object,
                overwrote: None,
                overwritten_by: None,
            }),
        }))
    }

    /// The same by every route; times differ from one to the next, so they are the last resort.
    fn identity(&self) -> Result<Identity, Rejected> {
        if self.bucket.is_empty() || self.name.is_empty() {
            let missing = if self.bucket.is_empty() { "bucket" } else { "key" };
            return required(None, missing);
        }
        let some = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let tagged = || {
            let (tag, time) = (some(self.tag)?, self.time?);
            Some(format!("{}@{time}", tag.trim_matches('"')))
        };
        let which = some(self.sequencer).or_else(|| some(self.version)).or_else(tagged);
        let which = required(which, "sequencer")?;
        let parts = ["s3", self.bucket, &self.name, &which, self.kind.name()];
        Ok(Identity(parts.map(str::to_owned).to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, form_of_json, refusal};
    use super::*;

    /// A notification with these members of its object, as this event.
    fn notified(name: &str, members: Value) -> Value {
        let mut object = json!({"key": "in/a.csv", "size": 5, "eTag": "e", "sequencer": "0A"});
        let Value::Object(members) = members else { panic!("members are wanted") };
        for (name, value) in members {
            object[name] = value;
        }
        json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
            "eventTime": "2026-01-05T12:00:00.000Z", "s3": {"bucket": {"name": "b"}, "object": object},
        }]})
    }

    fn bridged(ty: &str, detail: Value) -> Value {
        let mut event = json!({
            "version": "0", "id": "17", "detail-type": ty, "source": "aws.s3",
            "time": "2026-01-05T12:00:01Z",
            "detail": {
                "bucket": {"name": "b"},
                "object": {"key": "in/a.csv", "size": 5, "etag": "e", "sequencer": "0A"},
            },
        });
        let Value::Object(members) = detail else { panic!("members are wanted") };
        for (name, value) in members {
            event["detail"][name] = value;
        }
        event
    }

    fn identity(body: &Value) -> Value {
        event(&form_of_json(body))["identity"].clone()
    }

    #[test]
    fn an_upload_is_the_same_fact_by_either_route() {
        let expected = json!(["s3", "b", "in/a.csv", "0A", "object.finalized"]);
        for name in ["ObjectCreated:Put", "s3:ObjectCreated:CompleteMultipartUpload"] {
            assert_eq!(identity(&notified(name, json!({}))), expected, "{name}");
        }
        assert_eq!(identity(&bridged("Object Created", json!({}))), expected);
    }

    #[test]
    fn names_are_form_encoded_in_notifications_alone() {
        let name = |body: &Value| event(&form_of_json(body))["object"]["name"].clone();
        let key = json!({"key": "M%C3%A4rz+1%2B1%252B.csv"});
        assert_eq!(name(&notified("ObjectCreated:Put", key)), "März 1+1%2B.csv");
        let plain = json!({"object": {"key": "a+b%20c", "sequencer": "1"}});
        assert_eq!(name(&bridged("Object Created", plain)), "a+b%20c");
        let overlong = form_of_json(&notified("ObjectCreated:Put", json!({"key": "%C0%A0"})));
        assert_eq!(
            refusal(&overlong),
            "400 the name of the object is not UTF-8 once it is decoded"
        );
    }

    #[test]
    fn without_a_sequencer_the_version_tells_and_then_the_tag() {
        let which = |members| identity(&notified("ObjectCreated:Put", members))[3].clone();
        assert_eq!(which(json!({"sequencer": null, "versionId": "v"})), "v");
        let tagged = which(json!({"sequencer": "", "versionId": ""}));
        assert_eq!(tagged, "e@2026-01-05T12:00:00.000Z");
        let none = notified("ObjectCreated:Put", json!({"sequencer": null, "eTag": null}));
        let expected = "400 the event does not name its object: missing=`sequencer`";
        assert_eq!(refusal(&form_of_json(&none)), expected);
    }

    #[test]
    fn the_mark_of_a_deletion_is_no_version_of_data() {
        let version = |body: &Value| {
            let form = form_of_json(body);
            let event = event(&form);
            assert_eq!(event["kind"], "object.deleted");
            event["object"]["version"].clone()
        };
        let members = json!({"versionId": "v"});
        assert_eq!(version(&notified("ObjectRemoved:Delete", members.clone())), "v");
        let marked = notified("ObjectRemoved:DeleteMarkerCreated", members);
        assert_eq!(version(&marked), Value::Null);
        let object = json!({"key": "a", "version-id": "v", "sequencer": "1"});
        let marked = json!({"deletion-type": "Delete Marker Created", "object": object});
        assert_eq!(version(&bridged("Object Deleted", marked)), Value::Null);
    }

    #[test]
    fn what_neither_uploads_nor_deletes_means_nothing() {
        for body in [
            notified("ObjectTagging:Put", json!({})),
            notified("ObjectRestore:Completed", json!({})),
            bridged("Object Tags Added", json!({})),
            json!({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}),
        ] {
            assert_eq!(form_of_json(&body)["outcome"], "ignore", "{body}");
        }
    }

    #[test]
    fn notifications_that_are_broken_say_how() {
        let broken = |change: fn(&mut Value)| {
            let mut body = notified("ObjectCreated:Put", json!({}));
            change(&mut body["Records"][0]);
            refusal(&form_of_json(&body))
        };
        let missing =
            |name: &str| format!("400 the event does not name its object: missing=`{name}`");
        assert_eq!(broken(|it| it["s3"] = Value::Null), missing("s3"));
        assert_eq!(broken(|it| it["s3"]["bucket"]["name"] = json!("")), missing("bucket"));
        assert_eq!(broken(|it| it["s3"]["object"]["key"] = json!("")), missing("key"));
        assert_eq!(
            broken(|it| it["eventVersion"] = json!("3.0")),
            "415 not a version of S3 notifications that is read: version=`3.0`"
        );
        assert_eq!(
            broken(|it| it["s3"]["object"]["size"] = json!(-1)),
            "400 the size of the object is negative"
        );
    }
}
