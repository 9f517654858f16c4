//! What a bucket publishes of a change: a notification through a Pub/Sub push subscription.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest as _, Md5};
use refit_core::time::Timestamp;
use serde_json::{Value, json};

use super::standing::{Notice, Object, Stat};

/// What was read of a file.
pub(super) struct Checksums {
    md5: String,
    crc32c: String,
}

impl Checksums {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let (mut md5, mut crc32c) = (Md5::new(), 0);
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = file.read(&mut buffer)?;
            if read == 0 {
                let encode = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
                return Ok(Self {
                    md5: encode(&md5.finalize()),
                    crc32c: encode(&u32::to_be_bytes(crc32c)),
                });
            }
            md5.update(&buffer[..read]);
            crc32c = crc32c::crc32c_append(crc32c, &buffer[..read]);
        }
    }
}

/// A new generation of an object, as a bucket notifies of it.
pub(super) fn finalized(
    notice: &Notice,
    stat: &Stat,
    checksums: &Checksums,
    message: &Message<'_>,
) -> Value {
    let (generation, time) = (stat.generation.to_string(), time(stat));
    let resource = resource(&notice.object, stat, checksums);
    let mut attributes = attributes(notice, "OBJECT_FINALIZE", &generation, &time);
    attributes["payloadFormat"] = json!("JSON_API_V1");
    if let Some(before) = notice.before {
        attributes["overwroteGeneration"] = json!(before.to_string());
    }
    message.push(&attributes, &resource.to_string())
}

/// An object, as a bucket describes it.
pub(super) fn resource(object: &Object, stat: &Stat, checksums: &Checksums) -> Value {
    let (bucket, name) = object.parts();
    let (generation, time) = (stat.generation.to_string(), time(stat));
    json!({
        "kind": "storage#object",
        "id": format!("{bucket}/{name}/{generation}"),
        "name": name,
        "bucket": bucket,
        "generation": generation,
        "metageneration": "1",
        "timeCreated": time,
        "updated": time,
        "storageClass": "STANDARD",
        "size": stat.bytes.to_string(),
        "md5Hash": checksums.md5,
        "crc32c": checksums.crc32c,
    })
}

/// An object that is gone, as a bucket notifies of it.
pub(super) fn deleted(notice: &Notice, generation: i64, message: &Message<'_>) -> Value {
    let time = message.published.to_string();
    let mut attributes = attributes(notice, "OBJECT_DELETE", &generation.to_string(), &time);
    attributes["payloadFormat"] = json!("NONE");
    message.push(&attributes, "")
}

fn attributes(notice: &Notice, event: &str, generation: &str, time: &str) -> Value {
    let (bucket, name) = notice.object.parts();
    json!({
        "notificationConfig": format!("projects/_/buckets/{bucket}/notificationConfigs/1"),
        "eventType": event,
        "bucketId": bucket,
        "objectId": name,
        "objectGeneration": generation,
        "eventTime": time,
    })
}

/// What a push adds to a notification.
pub(super) struct Message<'a> {
    /// Another one with every try.
    pub(super) id: &'a str,
    pub(super) published: Timestamp,
}

impl Message<'_> {
    fn push(&self, attributes: &Value, data: &str) -> Value {
        let (id, published) = (self.id, self.published);
        let mut message = json!({
            "attributes": attributes,
            "messageId": id, "message_id": id,
            "publishTime": published, "publish_time": published,
        });
        if !data.is_empty() {
            message["data"] = json!(BASE64_STANDARD.encode(data));
        }
        json!({ "message": message, "subscription": "projects/refit-dev/subscriptions/object" })
    }
}

fn time(stat: &Stat) -> String {
    Timestamp::from_millis(stat.generation / 1000).to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;
    use refit_core::event::{Event, Fact, ObjectKind};
    use refit_wire::source::{Delivery, Understood, understand};

    use super::super::standing::Object;
    use super::*;

    fn heard(body: &Value) -> Event {
        let body = body.to_string();
        let headers = HeaderMap::new();
        let delivery = Delivery { headers: &headers, body: body.as_bytes() };
        let Ok(Understood::Record(events)) = understand(&delivery) else { panic!("{body}") };
        events.into_iter().next().unwrap()
    }

    #[test]
    fn the_object_door_understands_what_is_announced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        std::fs::write(&path, "123456789").unwrap();
        let checksums = Checksums::of(&path).unwrap();
        // The published check values of both algorithms for these nine digits.
        assert_eq!(checksums.md5, "JfnnlDI7RTiF9RgfG2JNCw==");
        assert_eq!(checksums.crc32c, "4waSgw==");

        let object = Object("uploads/in/é 1.csv".to_owned());
        let stat = Stat { inode: 1, bytes: 9, modified_ns: 1, generation: 1_700_000_000_123_456 };
        let notice = Notice { object, now: Some(stat), before: Some(7) };
        let message = Message { id: "m1", published: Timestamp::from_millis(1_700_000_001_000) };
        let event = heard(&finalized(&notice, &stat, &checksums, &message));
        let Fact::Object(change) = &event.fact else { panic!("{event:?}") };
        assert_eq!(change.kind, ObjectKind::Finalized);
        assert_eq!(change.object.uri(), "gs://uploads/in/é 1.csv");
        assert_eq!(change.object.generation.as_deref(), Some("1700000000123456"));
        assert_eq!(change.object.size, Some(9));
        assert_eq!(change.overwrote.as_deref(), Some("7"));
        assert_eq!(change.object.created, Some(Timestamp::from_millis(1_700_000_000_123)));

        let gone = heard(&deleted(&notice, 7, &message));
        let Fact::Object(change) = &gone.fact else { panic!("{gone:?}") };
        assert_eq!(
            (change.kind, change.object.generation.as_deref()),
            (ObjectKind::Deleted, Some("7"))
        );
    }
}
