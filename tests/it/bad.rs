//! What cannot be understood or is not wanted: answered so that it does not come back, and recorded with the reason.

use std::collections::BTreeSet;

use refit_core::event::{Event, Fact};
use refit_core::key::Hash128;
use refit_core::reason::Refusal;
use refit_engine::explain::Verdict;
use refit_engine::layout::INBOX;
use refit_engine::port::Clock as _;
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::kfp::Options;
use refit_wire::sample::read_sample;
use serde_json::{Value, json};

use crate::patience::{call, soon};
use crate::world::{Api, World, upload};

const GENERATION: u64 = 1_767_614_397_000_000;
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";
const MEBIBYTE: usize = 1 << 20;

/// Every event in the inbox, with its id.
fn stored(world: &World) -> Vec<(Hash128, Event)> {
    let folder = world.ledger_folder().join(INBOX);
    let segments = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let events = segments.flat_map(|segment| {
        let name = segment.file_name().into_string().unwrap();
        read_segment(&name, &std::fs::read(segment.path()).unwrap()).unwrap()
    });
    events.map(|event| (event.id(), event)).collect()
}

async fn refusal(world: &World, event: Hash128) -> Refusal {
    match &world.verdicts(event).await[..] {
        [Verdict::Refused { reason, .. }, ..] => *reason,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_understood_is_acknowledged_and_kept_in_quarantine() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let mut disagreeing = upload("churn/a", GENERATION, "m1");
    disagreeing["message"]["attributes"]["bucketId"] = json!("other");
    let mut not_base64 = upload("churn/a", GENERATION, "m1");
    not_base64["message"]["data"] = json!("%%%");
    let bodies: [&[u8]; 8] = [
        b"{\"message\": ",
        b"",
        b"\xff\xfe\x00",
        b"[]",
        b"{\"hello\": \"world\"}",
        deep.as_bytes(),
        &disagreeing.to_string().into_bytes(),
        &not_base64.to_string().into_bytes(),
    ];
    for body in bodies {
        let reply = world.send("content-type: application/json\r\n", body).await;
        let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
        assert_eq!(reply.status, 204, "{shown}: {}", reply.body);
    }
    world.settle().await;
    let quarantined = stored(&world)
        .into_iter()
        .filter(|(_, event)| matches!(event.fact, Fact::Invalid(_)))
        .collect::<Vec<_>>();
    assert_eq!(quarantined.len(), bodies.len(), "each is kept");
    for (id, event) in quarantined {
        let Fact::Invalid(invalid) = event.fact else { unreachable!() };
        assert!(!invalid.reason.is_empty() && invalid.head.len() < 90_000);
        assert_eq!(refusal(&world, id).await, Refusal::Invalid, "{}", invalid.reason);
    }
    assert!(world.runs().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_s3_by_every_route_is_one_run() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let now = SystemClock.now().to_string();
    let notification = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": now, "s3": {
            "bucket": {"name": "acme-data"},
            "object": {"key": "churn/a+b.csv", "size": 7, "eTag": "e", "sequencer": "0A"},
        },
    }]});
    let topic = json!({
        "Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:r:1:t",
        "Message": notification.to_string(), "Timestamp": now,
    });
    let queue = |body: &Value| {
        json!({"Records": [{
            "eventSource": "aws:sqs", "messageId": "1", "body": body.to_string(),
        }]})
    };
    let bridge = json!({
        "id": "1", "detail-type": "Object Created", "source": "aws.s3", "time": now, "detail": {
            "bucket": {"name": "acme-data"},
            "object": {"key": "churn/a b.csv", "size": 7, "etag": "e", "sequencer": "0A"},
        },
    });
    for body in [notification.clone(), topic.clone(), queue(&notification), queue(&topic), bridge] {
        assert_eq!(world.deliver(&body).await.status, 204);
    }
    world.settle().await;
    let identities = stored(&world).into_iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert!(identities.len() <= 2, "the upload, and the rules: {identities:?}");
    let runs = world.runs();
    assert_eq!(runs.len(), 1);
    let members = world.members(&runs[0]).await;
    assert_eq!(members.len(), 1);
    assert_eq!(members[0].uri.as_deref(), Some("s3://acme-data/churn/a b.csv"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_cloud_storage_by_every_route_is_one_run() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let now = SystemClock.now();
    for route in [
        "eventarc-finalized",
        "eventarc-structured",
        "background-finalized",
        "pubsub-finalized",
        "pubsub-unwrapped",
        "pubsub-attributes-only",
    ] {
        let path = format!("{}/../events/gcs/{route}.http", env!("CARGO_MANIFEST_DIR"));
        let sample = read_sample(&std::fs::read_to_string(path).unwrap(), now).unwrap();
        let line = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            format!("{name}: {}\r\n", value.to_str().unwrap())
        };
        let headers: String = sample.headers.iter().map(line).collect();
        assert_eq!(world.send(&headers, &sample.body).await.status, 204, "{route}");
    }
    world.settle().await;
    let events = stored(&world);
    let told = |event: &&(Hash128, Event)| matches!(event.1.fact, Fact::Object(_));
    assert_eq!(events.iter().filter(told).count(), 6, "each is recorded");
    let identities = events.iter().map(|(id, _)| id).collect::<BTreeSet<_>>();
    assert!(identities.len() <= 2, "the upload, and the rules: {identities:?}");
    let runs = world.runs();
    assert_eq!(runs.len(), 1);
    let members = world.members(&runs[0]).await;
    assert_eq!(members.len(), 1);
    let uri = "gs://acme-data/churn/2026-01-05/part-0001.parquet";
    assert_eq!(members[0].uri.as_deref(), Some(uri));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_wanted_is_recorded_with_the_reason() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let change = |field: &str, attribute: &str, to: &str| -> Value {
        let mut body = upload("churn/a", GENERATION, "m1");
        let mut resource = decoded(&body);
        resource[field] = json!(to);
        body["message"]["data"] = json!(encoded(&resource));
        if !attribute.is_empty() {
            body["message"]["attributes"][attribute] = json!(to);
        }
        body
    };
    for (body, wanted) in [
        (change("bucket", "bucketId", "others-data"), Refusal::NoMatch),
        (change("name", "objectId", "sales/a"), Refusal::NoMatch),
        (change("size", "", "0"), Refusal::ZeroBytes),
        (late(change("timeCreated", "eventTime", "2020-01-01T00:00:00Z")), Refusal::Late),
    ] {
        let known: Vec<Hash128> = stored(&world).into_iter().map(|(id, _)| id).collect();
        assert_eq!(world.deliver(&body).await.status, 204);
        world.settle().await;
        let new = stored(&world).into_iter().find(|(id, _)| !known.contains(id));
        let (id, _) = new.expect("it is stored");
        assert_eq!(refusal(&world, id).await, wanted, "{body}");
    }
    assert!(world.runs().is_empty());
}

/// An event that tells of long ago, so that it is not the other ones again.
fn late(mut body: Value) -> Value {
    let mut resource = decoded(&body);
    resource["generation"] = json!("7");
    body["message"]["attributes"]["objectGeneration"] = json!("7");
    body["message"]["data"] = json!(encoded(&resource));
    body
}

fn decoded(body: &Value) -> Value {
    use base64::Engine as _;
    let data = body["message"]["data"].as_str().unwrap();
    serde_json::from_slice(&base64::prelude::BASE64_STANDARD.decode(data).unwrap()).unwrap()
}

fn encoded(value: &Value) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(value.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_and_nothing_of_it_is_stored() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let before = stored(&world).len();
    for size in [MEBIBYTE + 1, 3 * MEBIBYTE] {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {size}\r\n\r\n",
            world.object.place
        );
        let answer = refused_body(&world.object.place, &head, size).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{size}: {answer}");
    }
    assert_eq!(stored(&world).len(), before);
    let whole = world.send("", &vec![b' '; MEBIBYTE]).await;
    assert_eq!(whole.status, 204, "as large as may be: {}", whole.body);
}

/// Sends a body that the other side may stop reading, and reads its answer.
async fn refused_body(place: &str, head: &str, size: usize) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let stream = tokio::net::TcpStream::connect(place).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    let head = head.as_bytes().to_vec();
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&head).await;
        let _ = to.write_all(&vec![b'x'; size]).await;
        to
    });
    let mut answer = [0; 12];
    soon("an answer", from.read_exact(&mut answer)).await.unwrap();
    sending.abort();
    format!("{} ", String::from_utf8_lossy(&answer))
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_and_paths_have_nothing() {
    let world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    for (line, status) in [
        ("GET /", 405),
        ("POST /tick", 404),
        ("GET /../../etc/passwd", 404),
        ("GET /healthz", 200),
        ("GET /readyz", 200),
    ] {
        let reply = call(&world.object.place, line, "", b"").await.unwrap();
        assert_eq!(reply.status, status, "{line}");
    }
}
