use std::sync::Mutex;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use hmac::{Hmac, KeyInit as _, Mac as _};
use refit_core::error::Error;
use refit_engine::port::{Created, Page, Store};
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_wire::http::{Reply, Secret};
use serde_json::json;
use sha2::Sha256;
use tower::ServiceExt as _;

use super::*;
use crate::callers::Check;
use crate::environment::{Callers, Oidc};
use crate::function::{Base, checked, events, prompt, told, webhooks};
use crate::oidc::tests::{claims, header, token};
use crate::reports::tests::{Bucket, REPORT, buckets};
use crate::waker::{Nobody, TOLD_WITHIN, Waker};

/// A store and a way out that never answer, and note what they were asked for.
#[derive(Default)]
struct Hanging(Mutex<Vec<&'static str>>);

impl Hanging {
    async fn at<T>(&self, what: &'static str) -> T {
        self.0.lock().unwrap().push(what);
        std::future::pending().await
    }
}

#[async_trait]
impl Store for Hanging {
    async fn get(&self, _: &str) -> Result<Option<Bytes>, Error> {
        panic!("a door reads nothing of the ledger")
    }

    async fn create(&self, _: &str, _: Bytes) -> Result<Created, Error> {
        self.at("append").await
    }

    async fn list(&self, _: &str, _: &str, _: usize) -> Result<Page, Error> {
        panic!("a door lists nothing")
    }

    async fn delete(&self, _: &str) -> Result<(), Error> {
        panic!("a door deletes nothing")
    }
}

#[async_trait]
impl Transport for Hanging {
    async fn send(&self, request: refit_wire::http::Request) -> Reply {
        self.at(if request.url.path() == "/acme/reports/a.json" { "report" } else { "keys" }).await
    }

    async fn secret(&self, _: &Secret, _: Option<&str>) -> Result<String, Error> {
        self.at("secret").await
    }
}

/// What a token must say.
fn oidc() -> Oidc {
    Oidc {
        audience: "https://object.example".to_owned(),
        accounts: std::collections::BTreeMap::new(),
        keys: "https://keys.example/certs".parse().unwrap(),
    }
}

/// The door that waits for this, with what it stands on.
fn door(what: &str, base: &Base, reports: Reports) -> Router {
    let push = |reports| {
        let door = Door::push(base.intake(), Arc::new(Nobody), reports);
        events(&Arc::new(door), &["/"])
    };
    let open = Check::new(Callers::Platform(None), base);
    let routes = match what {
        "append" => checked(push(None), open),
        "report" => checked(push(Some(reports)), open),
        "secret" => {
            let mut secrets = HookSecrets::default();
            secrets.add(Sender::Github, "projects/acme/secrets/hook").unwrap();
            checked(events(&Arc::new(base.hook(&secrets, Arc::new(Nobody))), &["/"]), open)
        }
        _ => checked(push(None), Check::new(Callers::Oidc(oidc()), base)),
    };
    prompt(routes, &base.clock)
}

/// An upload to S3, which is a push of GitHub by its headers where secrets are wanted.
fn delivery(what: &str) -> Request {
    let upload = json!({"Records": [{
        "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
        "eventTime": "2026-01-05T12:00:00.000Z", "s3": {
            "bucket": {"name": "acme"},
            "object": {"key": "reports/a.json", "size": 5, "sequencer": "0A"},
        },
    }]});
    let shown = format!("Bearer {}", token(&header("k1"), &claims()));
    let mut request = Request::post("/").header("authorization", shown);
    if what == "secret" {
        request = request.header("x-github-event", "push").header("x-github-delivery", "1");
        request = request.header("x-hub-signature-256", format!("sha256={}", "0".repeat(64)));
    }
    request.header("content-type", "application/json").body(Body::from(upload.to_string())).unwrap()
}

#[tokio::test]
async fn whatever_a_door_waits_for_its_sender_is_told_in_time_to_come_again() {
    for what in ["append", "report", "secret", "keys"] {
        let hanging = Arc::new(Hanging::default());
        let clock = Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap()));
        let (store, transport) = (Arc::<Hanging>::clone(&hanging), Arc::<Hanging>::clone(&hanging));
        let landed = Arc::<Hanging>::clone(&hanging);
        let reports = Reports::open("s3://acme/reports", buckets(), landed).unwrap();
        let ledger = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        let store: Arc<dyn Store> = if what == "report" { ledger } else { store };
        let base = Base::of_test(store, transport, Arc::<ManualClock>::clone(&clock));
        let mut answer = std::pin::pin!(door(what, &base, reports).oneshot(delivery(what)));
        assert!(futures::poll!(&mut answer).is_pending(), "{what}");
        assert_eq!(*hanging.0.lock().unwrap(), [what]);
        clock.advance(Span::from_millis(RECEIVED_WITHIN.as_millis() - 1));
        assert!(futures::poll!(&mut answer).is_pending(), "{what}");
        clock.advance(Span::from_millis(1));
        assert_eq!(answer.await.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE, "{what}");
    }
}

/// Somebody who is told when a test says so.
#[derive(Debug, Default)]
struct Sleeper(tokio::sync::Notify);

impl Waker for Sleeper {
    fn wake(&self) {}

    fn told(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(self.0.notified())
    }
}

#[tokio::test]
async fn where_a_process_stands_still_once_it_has_answered_whoever_is_woken_is_told_before() {
    let clock = Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap()));
    let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
    let base =
        Base::of_test(store, Arc::new(Hanging::default()), Arc::<ManualClock>::clone(&clock));
    let sleeper = Arc::new(Sleeper::default());
    let waker: Arc<dyn Waker> = Arc::<Sleeper>::clone(&sleeper);
    let door = Arc::new(Door::push(base.intake(), Arc::clone(&waker), None));
    let router = told(prompt(events(&door, &["/"]), &base.clock), &waker, &base.clock);
    let mut answer = std::pin::pin!(router.clone().oneshot(delivery("append")));
    assert!(futures::poll!(&mut answer).is_pending(), "nobody is told yet");
    sleeper.0.notify_one();
    assert_eq!(answer.await.unwrap().status(), StatusCode::NO_CONTENT);
    let mut slow = std::pin::pin!(router.oneshot(delivery("append")));
    assert!(futures::poll!(&mut slow).is_pending());
    clock.advance(TOLD_WITHIN);
    assert_eq!(slow.await.unwrap().status(), StatusCode::NO_CONTENT, "it is recorded all the same");
}

/// Segments in the inbox.
async fn segments(store: &dyn Store) -> usize {
    store.list("inbox/", "", 100).await.unwrap().entries.len()
}

fn base_in_memory() -> (Base, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap()));
    let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
    let base =
        Base::of_test(store, Arc::new(Hanging::default()), Arc::<ManualClock>::clone(&clock));
    (base, clock)
}

#[tokio::test]
async fn an_upload_is_recorded_once_while_the_report_that_it_is_cannot_be_read() {
    let (base, _) = base_in_memory();
    let bucket = Arc::new(Bucket::default());
    bucket.put("reports/a.json", REPORT);
    *bucket.is_shut.lock().unwrap() = true;
    let reports = bucket.reports();
    let door = Door::push(base.intake(), Arc::new(Nobody), Some(reports));
    let (parts, body) = delivery("report").into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
    let delivery = Delivery { headers: &parts.headers, body: &body };
    for _ in 0..3 {
        let outcome = door.judge(&delivery).await;
        assert_eq!(outcome.status, StatusCode::SERVICE_UNAVAILABLE, "it is to come again");
        assert_eq!(segments(&*base.store).await, 1, "the upload");
    }
    *bucket.is_shut.lock().unwrap() = false;
    assert_eq!(door.judge(&delivery).await.status, StatusCode::NO_CONTENT);
    assert_eq!(segments(&*base.store).await, 2, "the report");
    assert_eq!(door.judge(&delivery).await.status, StatusCode::NO_CONTENT);
    assert_eq!(segments(&*base.store).await, 4, "announced anew, both are recorded anew");
}

#[tokio::test]
async fn what_no_segment_has_room_for_is_poison_and_a_sender_that_waits_hears_that_it_is_too_large()
{
    let (base, _) = base_in_memory();
    // Written out, each number is longer.
    let body = format!("{{\"action\": \"x\", \"pad\": [{}0]}}", "1e2,".repeat(200_000));
    assert!(body.len() < BODY_BYTES_MAX);
    let mac = Hmac::<Sha256>::new_from_slice(b"secret").unwrap();
    let signature = mac.chain_update(&body).finalize().into_bytes();
    let signature: Vec<String> = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    let webhook = Request::post("/")
        .header("x-github-event", "release")
        .header("x-github-delivery", "1")
        .header("x-hub-signature-256", format!("sha256={}", signature.concat()))
        .header("content-type", "application/json");
    let mut secrets = HookSecrets::default();
    secrets.add(Sender::Github, "secret").unwrap();
    let hook = base.hook(&secrets, Arc::new(Nobody));
    let event = Request::post("/")
        .header("ce-specversion", "1.0")
        .header("ce-id", "1")
        .header("ce-type", "t")
        .header("ce-source", "/s")
        .header("content-type", "application/json");
    let push = Door::push(base.intake(), Arc::new(Nobody), None);
    for (door, request, status, kept) in [
        (hook, webhook, StatusCode::PAYLOAD_TOO_LARGE, 0),
        (push, event, StatusCode::NO_CONTENT, 1),
    ] {
        let request = request.body(()).unwrap();
        let delivery = Delivery { headers: request.headers(), body: body.as_bytes() };
        let outcome = door.judge(&delivery).await;
        assert_eq!(outcome.status, status, "{outcome:?}");
        assert_eq!(segments(&*base.store).await, kept, "{outcome:?}");
    }
}

/// Event Grid signs nothing, and has no token of Google: a gateway that has one may hand it on.
#[tokio::test]
async fn a_sender_that_asks_whether_it_may_send_is_let_in_nowhere_by_that_and_nothing_is_recorded()
{
    let (base, _) = base_in_memory();
    let mut secrets = HookSecrets::default();
    secrets.add(Sender::Github, "secret").unwrap();
    let push = |callers| {
        let door = Arc::new(Door::push(base.intake(), Arc::new(Nobody), None));
        checked(events(&door, &["/"]), Check::new(callers, &base))
    };
    let hook = webhooks(&Arc::new(base.hook(&secrets, Arc::new(Nobody))), &["/"]);
    let (open, shut) = (push(Callers::Platform(None)), push(Callers::Oidc(oidc())));
    let event = json!([{
        "id": "1", "topic": "/subscriptions/s", "eventTime": "2026-01-05T12:00:00Z",
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "512d38b6", "validationUrl": "https://eventgrid.example/"},
    }]);
    for (door, allowed, validated) in [(open, 200, 200), (shut, 401, 401), (hook, 405, 401)] {
        let asking = Request::options("/").header("webhook-request-origin", "eventgrid.azure.net");
        let answer = door.clone().oneshot(asking.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status(), allowed);
        let origin = answer.headers().get("webhook-allowed-origin");
        assert_eq!(origin.is_some(), allowed == 200, "{origin:?}");
        let asking = Request::post("/").header("aeg-event-type", "SubscriptionValidation");
        let asking = asking.header("content-type", "application/json");
        let answer = door.oneshot(asking.body(Body::from(event.to_string())).unwrap()).await;
        let (head, body) = answer.unwrap().into_parts();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap();
        assert_eq!(head.status, validated);
        let told: Option<serde_json::Value> = serde_json::from_slice(&body).ok();
        let code = (validated == 200).then(|| json!({"validationResponse": "512d38b6"}));
        assert_eq!(told, code);
    }
    assert_eq!(segments(&*base.store).await, 0);
}
