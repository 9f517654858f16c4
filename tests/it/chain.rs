//! The whole chain on parts that others wrote: an upload to Cloud Storage's stand-in, which announces it itself, by
//! two routes; Google's own Pub/Sub in memory; a push, which Google's server does not make and this test does; `object`,
//! which publishes a wake; `tick`; a run. The ledger lies in another bucket of the same storage.
//!
//! The pipeline service is a fake of ours that really starts shadow runs if it is asked twice.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use base64::prelude::*;
use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_platform::subscription::{Flow, PubSubSubscription, Pulled, Subscription as _};
use refit_platform::transport::{HttpTransport, Options as Ways};
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_testkit::fake::client;
use refit_testkit::fake::kfp::{Kfp, Options};
use serde_json::json;
use tokio::task::JoinHandle;

use crate::cloud::{make_bucket, post};
use crate::ground::{Ground, LEDGERS};
use crate::patience::{call, soon};
use crate::world::{Api, World};

/// The bucket of data.
const DATA: &str = "acme-data";
const UPLOADS: &str = "t0";
const WAKES: &str = "t1";

/// Messages that were delivered, and whether each was taken.
type Pushed = Arc<Mutex<Vec<(String, u16)>>>;

/// Pushes what a subscription holds to a place, as Pub/Sub does: what is not taken comes again.
struct Pusher {
    pushed: Pushed,
    pushing: JoinHandle<()>,
}

impl Drop for Pusher {
    fn drop(&mut self) {
        self.pushing.abort();
    }
}

impl Pusher {
    async fn start(server: &str, subscription: &str, place: &str) -> Self {
        let name = format!("projects/refit/subscriptions/{subscription}");
        let flow = Flow { messages: 100, bytes: 1 << 24, lease: Span::secs(60) };
        let transport = HttpTransport::new(Arc::new(SystemClock), Ways::default());
        let transport = Arc::new(transport.unwrap());
        let opened = PubSubSubscription::open(&name, Some(server), flow, &transport);
        let mut subscription = opened.await.unwrap();
        let (pushed, place) = (Pushed::default(), place.to_owned());
        let seen = Arc::clone(&pushed);
        let pushing = tokio::spawn(async move {
            while let Some(pulled) = subscription.next().await {
                push(&place, pulled.unwrap(), &seen).await;
            }
        });
        Self { pushed, pushing }
    }

    fn pushed(&self) -> Vec<(String, u16)> {
        self.pushed.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many messages were taken.
    async fn taken(&self, count: usize) {
        let taken = async {
            while self.pushed().iter().filter(|(_, status)| *status == 204).count() < count {
                SystemClock.sleep(Span::from_millis(20)).await;
            }
        };
        soon("the messages are taken", taken).await;
    }
}

/// Sends a message in the wrapper that is documented for pushes.
async fn push(place: &str, pulled: Pulled, seen: &Pushed) {
    let message = &pulled.message;
    let published = message.published.map(|time| time.to_string());
    let body = json!({
        "message": {
            "attributes": message.attributes, "data": BASE64_STANDARD.encode(&message.data),
            "messageId": message.id, "message_id": message.id,
            "publishTime": published, "publish_time": published,
        },
        "subscription": message.subscription,
    });
    let json = "content-type: application/json\r\n";
    let reply = client::call(place, "POST /", json, body.to_string().as_bytes()).await;
    let status = reply.map_or(0, |reply| reply.status);
    let entry = (pulled.message.id.clone(), status);
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(entry);
    match status {
        200..300 => pulled.acknowledge(),
        _ => pulled.give_back(),
    }
}

/// The servers of others; none where one is not installed, which is said.
fn servers(test: &str) -> Option<(Counterpart, Counterpart)> {
    let messages = Kind::PubSub.start(test)?;
    let storage = Kind::announcing(test, messages.place(), ("refit", UPLOADS), DATA)?;
    Some((messages, storage))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_announced_twice_makes_one_run() {
    let test = "chain::an_upload_that_is_announced_twice_makes_one_run";
    let Some((messages, storage)) = servers(test) else { return };
    for bucket in [DATA, LEDGERS] {
        make_bucket(storage.place(), bucket).await;
    }
    // The second route, beside that of the server's own options.
    let topic = format!("//pubsub.googleapis.com/projects/refit/topics/{UPLOADS}");
    let notification = json!({
        "topic": topic, "event_types": ["OBJECT_FINALIZE"], "payload_format": "JSON_API_V1",
    });
    let target = format!("/storage/v1/b/{DATA}/notificationConfigs");
    assert_eq!(post(storage.place(), &target, &notification).await, 201);

    let mut ground = Ground::bucket(storage.place(), storage.place(), "prod").await;
    ground.variables.extend([
        ("PUBSUB_EMULATOR_HOST", messages.place().to_owned()),
        ("REFIT_WAKE", format!("projects/refit/topics/{WAKES}")),
    ]);
    let world =
        World::on(ground, Kfp::start(Options { looks: Some(2), ..Options::default() })).await;
    let rules = world.rules(Api::V2beta1, "", "batch: { quiet: 1s, max_wait: 5m }");
    assert!(world.apply(&rules).await.ok);
    let uploads = Pusher::start(messages.place(), "s0", &world.object.place).await;
    let tick = &world.tick.as_ref().expect("tick runs").place;
    let wakes = Pusher::start(messages.place(), "s1", tick).await;

    let target = "/upload/storage/v1/b/acme-data/o?uploadType=media&name=churn%2Fpart-1.parquet";
    let (line, text) = (format!("POST {target}"), "content-type: text/plain\r\n");
    let uploaded = call(storage.place(), &line, text, b"1,2\n").await.unwrap();
    assert_eq!(uploaded.status, 200);
    uploads.taken(2).await;
    let ids: BTreeSet<String> = uploads.pushed().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), 2, "one upload, two messages: {:?}", uploads.pushed());
    wakes.taken(1).await;
    // Nobody asks for a pass: the wake is all there is.
    let started = async {
        while world.kfp.runs().is_empty() {
            SystemClock.sleep(Span::from_millis(50)).await;
        }
    };
    soon("the run starts", started).await;

    let report = world.settle().await;
    assert_eq!((report.events, report.accepted, report.runs), (3, 1, 1), "and the rules");
    let runs = world.runs();
    let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
    let members = world.members(run).await;
    let [member] = &members[..] else { panic!("not one member: {members:#?}") };
    assert_eq!(member.uri.as_deref(), Some("gs://acme-data/churn/part-1.parquet"));
    assert_eq!(member.generation.as_deref(), uploaded.json()["generation"].as_str());
    assert_eq!(member.size, Some(4));
}
