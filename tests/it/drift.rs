//! `drift` as a process: reports of two tools, as Pub/Sub pushes them or as they land in a bucket, become one run.

use refit_core::event::{Event, Fact};
use refit_engine::layout;
use refit_engine::port::Clock as _;
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_wire::sample::{Sample, read_sample};

use crate::patience::call;
use crate::world::World;

/// A trigger on drift of one model.
const ON: &str = "on: { objects: { bucket: acme-data, prefix: churn/ } }";
const DRIFT: &str = "on: { drift: { model: churn } }";

/// A sample of `events/drift`, changed so.
fn sample(name: &str, changes: &[(&str, &str)]) -> Sample {
    let path = format!("{}/../events/drift/{name}.http", env!("CARGO_MANIFEST_DIR"));
    let mut text = std::fs::read_to_string(path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    read_sample(&text, SystemClock.now()).unwrap()
}

async fn post(place: &str, sample: &Sample) -> u16 {
    let headers = sample.headers.iter();
    let headers: String =
        headers.map(|(name, value)| format!("{name}: {}\r\n", value.to_str().unwrap())).collect();
    call(place, "POST /", &headers, &sample.body).await.unwrap().status
}

/// Every event in the inbox.
async fn stored(world: &World) -> Vec<Event> {
    let store = world.ledger.store();
    let mut events = Vec::new();
    for entry in store.list(layout::INBOX, "", 1000).await.unwrap().entries {
        let body = store.get(&entry.name).await.unwrap().unwrap();
        events.extend(read_segment(&entry.name, &body).unwrap());
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_drift_make_one_run_and_what_is_not_drift_makes_none() {
    let world = World::new(Kfp::start(Options { looks: Some(2), ..Options::default() })).await;
    let rules = world.rules(crate::world::Api::V2beta1, "", "batch: { quiet: 1s, max_wait: 5m }");
    assert!(rules.contains(ON));
    assert!(world.apply(&rules.replace(ON, DRIFT)).await.ok);
    let drift = world.drift(&[]).await;

    let fine = sample("native-pubsub", &[]);
    let drifted = [
        ("\"verdict\": \"ok\"", "\"verdict\": \"drift\""),
        ("\"drifted\": 0, \"share\": 0.0", "\"drifted\": 2, \"share\": 0.67"),
        ("\"01a2\"", "\"01a3\""),
    ];
    let drifted = sample("native-pubsub", &drifted);
    let untold = [("\"verdict\": \"ok\"", "\"verdict\": \"unknown\""), ("\"01a2\"", "\"01a4\"")];
    let untold = sample("native-pubsub", &untold);
    let incident = sample("monitoring-open", &[]);
    // Twice each, as Pub/Sub may deliver them.
    for sample in [&fine, &drifted, &untold, &incident].repeat(2) {
        assert_eq!(post(&drift.place, sample).await, 204);
    }
    let report = world.settle().await;
    assert_eq!((report.events, report.accepted, report.runs), (9, 2, 1), "and the rules");
    let runs = world.runs();
    let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
    assert_eq!(world.members(run).await.len(), 2, "the report and the incident");
    let mut tools = Vec::new();
    for event in stored(&world).await {
        if let Fact::Drift(report) = event.fact {
            tools.push(report.detector.tool);
        }
    }
    tools.sort();
    tools.dedup();
    assert_eq!(tools.len(), 2, "{tools:?}");
}

/// Reports as files, in Cloud Storage's stand-in, which others wrote.
#[cfg(feature = "gcp")]
mod landing {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use refit_testkit::counterpart::Kind;
    use refit_testkit::fake::proxy::{Fault, Proxy};
    use serde_json::{Value, json};

    use super::*;
    use crate::cloud::make_bucket;
    use crate::ground::{Ground, LEDGERS};
    use crate::world::{Api, JSON};

    const MONITORING: &str = "acme-monitoring";

    /// A report of Evidently that tells of drift.
    fn report() -> Vec<u8> {
        let changes = [
            ("\"count\": 1.0", "\"count\": 2.0"),
            ("\"share\": 0.3333333333333333", "\"share\": 0.6666666666666666"),
        ];
        let sample = sample("evidently-report", &changes);
        let push: Value = serde_json::from_slice(&sample.body).unwrap();
        BASE64_STANDARD.decode(push["message"]["data"].as_str().unwrap()).unwrap()
    }

    /// Uploads a file that says which model it is of, and answers with what the server has of it.
    async fn put(server: &str, name: &str, content: &[u8]) -> Value {
        let resource = json!({"name": name, "metadata": {"refit_model": "churn"}}).to_string();
        let part = |media: &str| format!("--b\r\ncontent-type: {media}\r\n\r\n");
        let (first, second) = (part("application/json"), part("application/octet-stream"));
        let head = format!("{first}{resource}\r\n{second}");
        let body = [head.as_bytes(), content, b"\r\n--b--\r\n"].concat();
        let line = format!("POST /upload/storage/v1/b/{MONITORING}/o?uploadType=multipart");
        let media = "content-type: multipart/related; boundary=b\r\n";
        let reply = call(server, &line, media, &body).await.unwrap();
        assert_eq!(reply.status, 200);
        reply.json()
    }

    /// Announces what the server has, by Pub/Sub.
    async fn announce(place: &str, resource: &Value, delivery: &str) -> u16 {
        let text = |name: &str| resource[name].as_str().unwrap();
        let push = json!({
            "message": {
                "attributes": {
                    "eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1",
                    "bucketId": text("bucket"), "objectId": text("name"),
                    "objectGeneration": text("generation"), "eventTime": text("timeCreated"),
                },
                "data": BASE64_STANDARD.encode(resource.to_string()),
                "messageId": delivery, "publishTime": text("timeCreated"),
            },
            "subscription": "projects/acme/subscriptions/refit-drift",
        });
        call(place, "POST /", JSON, push.to_string().as_bytes()).await.unwrap().status
    }

    /// Announces it by Eventarc.
    async fn announce_as_cloudevent(place: &str, resource: &Value) -> u16 {
        let text = |name: &str| resource[name].as_str().unwrap();
        let headers = format!(
            "{JSON}ce-specversion: 1.0\r\nce-id: 1\r\n\
             ce-type: google.cloud.storage.object.v1.finalized\r\n\
             ce-source: //storage.googleapis.com/projects/_/buckets/{}\r\n\
             ce-subject: objects/{}\r\nce-time: {}\r\n",
            text("bucket"),
            text("name"),
            text("timeCreated")
        );
        let body = resource.to_string();
        call(place, "POST /", &headers, body.as_bytes()).await.unwrap().status
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_report_that_lands_in_a_bucket_makes_one_run_by_whatever_route_it_is_announced() {
        let test = "drift::landing::a_report_that_lands_in_a_bucket_makes_one_run_by_whatever_route_it_is_announced";
        let Some(storage) = Kind::CloudStorage.start(test) else { return };
        let server = storage.place();
        for bucket in [MONITORING, LEDGERS] {
            make_bucket(server, bucket).await;
        }
        let ground = Ground::bucket(server, server, "prod").await;
        let kfp = Kfp::start(Options { looks: Some(2), ..Options::default() });
        let world = World::on(ground, kfp).await;
        let rules = world.rules(Api::V2beta1, "", "batch: { quiet: 1s, max_wait: 5m }");
        assert!(world.apply(&rules.replace(ON, DRIFT)).await.ok);
        // The first upload is recorded, and the report that it is cannot be read at first.
        let proxy = Proxy::scripted(server, [Fault::None, Fault::Refuse(503)]);
        let place = proxy.place();
        let variables = [
            ("REFIT_REPORTS", "gs://acme-monitoring/reports"),
            ("STORAGE_EMULATOR_HOST", place.as_str()),
        ];
        let drift = world.drift(&variables).await;

        let landed = put(server, "reports/churn/2026-01-05.json", &report()).await;
        let elsewhere = put(server, "scratch/2026-01-05.json", &report()).await;
        let notes = put(server, "reports/notes.txt", b"all is well").await;
        let broken = put(server, "reports/broken.json", b"{\"metrics\": [1]}").await;
        assert_eq!(announce(&drift.place, &landed, "1").await, 503);
        assert_eq!(stored(&world).await.len(), 2, "the rules and the upload");
        for (resource, delivery) in
            [(&landed, "1"), (&landed, "2"), (&elsewhere, "3"), (&notes, "4"), (&broken, "5")]
        {
            assert_eq!(announce(&drift.place, resource, delivery).await, 204, "{resource}");
        }
        assert_eq!(announce_as_cloudevent(&drift.place, &landed).await, 204);

        let report = world.settle().await;
        assert_eq!((report.accepted, report.runs), (1, 1));
        let runs = world.runs();
        let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
        assert_eq!(world.members(run).await.len(), 1, "the report");
        let reports = stored(&world).await.into_iter().filter_map(|event| match event.fact {
            Fact::Drift(report) => Some((event.identity, *report)),
            _ => None,
        });
        let reports: Vec<_> = reports.collect();
        assert_eq!(reports.len(), 3, "as often as it was announced");
        assert!(reports.iter().all(|(identity, _)| identity == &reports[0].0), "{reports:#?}");
        let uri = "gs://acme-monitoring/reports/churn/2026-01-05.json";
        assert_eq!(reports[0].1.raw.place.as_deref(), Some(uri));
        assert_eq!(reports[0].1.model.name.as_deref(), Some("churn"));
    }
}
