//! The store in Cloud Storage, against a server of others that honours `ifGenerationMatch`: the suite over the wire,
//! and what a network in between can do wrong.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Clock, Created, Store, Transport as _};
use refit_platform::clock::SystemClock;
use refit_platform::store::{Folder, GcsStore};
use refit_platform::transport::Options;
use refit_testkit::clock::ManualClock;
use refit_testkit::conformance::{Backend, Traits};
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_testkit::fake::proxy::{Fault, Proxy};
use refit_wire::http::Request;
use serde_json::json;

use crate::requests::transport;

const BUCKET: &str = "ledgers";

/// One server for all tests, each of which has a folder of its own.
static SERVER: OnceLock<Option<Counterpart>> = OnceLock::new();

/// Host and port of the server; none where it is not installed.
async fn server(test: &str) -> Option<&'static str> {
    let server = SERVER.get_or_init(|| Kind::CloudStorage.start(test)).as_ref()?.place();
    let url = format!("http://{server}/storage/v1/b?project=p").parse().unwrap();
    let request = Request::new(Method::POST, url).json(&json!({ "name": BUCKET }));
    let made = transport(Options::default()).send(request).await.unwrap();
    assert!([200, 409].contains(&made.status), "{made:?}");
    Some(server)
}

async fn open(place: &str, server: &str, clock: Arc<dyn Clock>) -> GcsStore {
    let folder = Folder::parse(&format!("{BUCKET}/{place}")).unwrap();
    let transport = Arc::new(transport(Options::default()));
    GcsStore::open(folder, Some(server), clock, transport).await.unwrap()
}

struct Gcs(&'static str);

#[async_trait]
impl Backend for Gcs {
    async fn open(&self, place: &str) -> Arc<dyn Store> {
        Arc::new(open(place, self.0, Arc::new(SystemClock)).await)
    }

    fn traits(&self) -> Traits {
        // What is not the time of an object is the date of an answer, in whole seconds.
        Traits { slack: Span::secs(1), persistent: true }
    }
}

async fn backend() -> Option<Arc<dyn Backend>> {
    let server = server("gcs::suite").await?;
    Some(Arc::new(Gcs(server)))
}

mod suite {
    refit_testkit::store_conformance!(optional super::backend().await);
}

/// A store behind a proxy whose first requests end as listed; none where the server is not installed.
async fn behind(test: &str, faults: &[Fault]) -> Option<(Proxy, GcsStore)> {
    let server = server(test).await?;
    let proxy = Proxy::scripted(server, faults.to_vec());
    let store = open(test, &proxy.place(), Arc::new(SystemClock)).await;
    Some((proxy, store))
}

fn kind<T>(answer: Result<T, Error>) -> ErrorKind {
    answer.err().expect("it failed").kind()
}

fn is_won(created: &Result<Created, Error>) -> bool {
    matches!(created, Ok(Created::Won { .. }))
}

fn is_lost(created: &Result<Created, Error>) -> bool {
    matches!(created, Ok(Created::Lost { .. }))
}

#[tokio::test]
async fn a_refused_create_did_nothing_and_is_not_repeated_by_the_client() {
    let refusals = [408, 429, 500, 502, 503, 504];
    let test = "a_refused_create_did_nothing_and_is_not_repeated_by_the_client";
    let Some((proxy, store)) = behind(test, &refusals.map(Fault::Refuse)).await else { return };
    for (requests, status) in (1..).zip(refusals) {
        let error = store.create("log/1", "ours".into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains(&format!("status=`{status}`")), "{error}");
        assert_eq!(proxy.requests().len(), requests, "one request for one create");
    }
    assert_eq!(store.get("log/1").await.unwrap(), None);
    assert!(is_won(&store.create("log/1", "ours".into()).await));
}

#[tokio::test]
async fn a_missing_permission_is_no_outage() {
    let test = "a_missing_permission_is_no_outage";
    let faults = [401, 403, 403, 403, 401].map(Fault::Refuse);
    let Some((_proxy, store)) = behind(test, &faults).await else { return };
    assert_eq!(kind(store.create("log/1", "x".into()).await), ErrorKind::Unauthorized);
    assert_eq!(kind(store.create("log/1", "x".into()).await), ErrorKind::Unauthorized);
    assert_eq!(kind(store.get("log/1").await), ErrorKind::Unauthorized);
    assert_eq!(kind(store.delete("log/1").await), ErrorKind::Unauthorized);
    assert_eq!(kind(store.list("", "", 10).await), ErrorKind::Unauthorized);
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_took_effect_and_the_next_one_loses() {
    let test = "a_create_whose_answer_is_lost_took_effect_and_the_next_one_loses";
    let Some((proxy, store)) = behind(test, &[Fault::LoseAnswer]).await else { return };
    assert_eq!(kind(store.create("log/1", "ours".into()).await), ErrorKind::Unavailable);
    assert_eq!(proxy.requests().len(), 1, "{:?}", proxy.requests());
    assert!(is_lost(&store.create("log/1", "ours again".into()).await));
    assert_eq!(store.get("log/1").await.unwrap().as_deref(), Some(&b"ours"[..]));
}

#[tokio::test]
async fn a_create_whose_request_is_lost_did_nothing_and_the_next_one_wins() {
    let test = "a_create_whose_request_is_lost_did_nothing_and_the_next_one_wins";
    let Some((proxy, store)) = behind(test, &[Fault::LoseRequest]).await else { return };
    assert_eq!(kind(store.create("log/1", "ours".into()).await), ErrorKind::Unavailable);
    assert_eq!(proxy.requests().len(), 1, "{:?}", proxy.requests());
    assert!(is_won(&store.create("log/1", "ours".into()).await));
}

#[tokio::test]
async fn a_call_that_hangs_ends_in_time_and_its_outcome_is_unknown() {
    let test = "a_call_that_hangs_ends_in_time_and_its_outcome_is_unknown";
    let Some(server) = server(test).await else { return };
    let proxy = Proxy::scripted(server, [Fault::Hold, Fault::Hold]);
    let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
    let store = open(test, &proxy.place(), Arc::<ManualClock>::clone(&clock)).await;
    let late = async {
        for held in 1..=2 {
            proxy.held(held).await;
            clock.advance(Span::secs(20));
        }
    };
    let calls = async {
        let created = store.create("log/1", "ours".into()).await;
        (created, store.get("log/1").await)
    };
    let ((created, read), ()) = futures::join!(calls, late);
    let error = created.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("no answer in time"), "{error}");
    assert_eq!(kind(read), ErrorKind::Unavailable);
    assert!(is_lost(&store.create("log/1", "ours".into()).await), "it had taken effect");
}

#[tokio::test]
async fn reading_listing_and_deleting_say_that_the_service_cannot_now() {
    let test = "reading_listing_and_deleting_say_that_the_service_cannot_now";
    for fault in [Fault::Refuse(429), Fault::Refuse(503), Fault::LoseRequest, Fault::LoseAnswer] {
        let faults = [Fault::None, fault, fault, fault];
        let Some((proxy, store)) = behind(test, &faults).await else { return };
        store.create("log/1", "x".into()).await.unwrap();
        assert_eq!(kind(store.get("log/1").await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(kind(store.list("", "", 10).await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(kind(store.delete("log/1").await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(proxy.requests().len(), 4, "{:?}", proxy.requests());
        let gone = fault == Fault::LoseAnswer;
        assert_eq!(store.get("log/1").await.unwrap().is_none(), gone, "{fault:?}");
        store.delete("log/1").await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named_as_the_trouble() {
    let test = "a_bucket_that_does_not_exist_is_named_as_the_trouble";
    let Some(server) = server(test).await else { return };
    let folder = Folder::parse("no-such-bucket/prod").unwrap();
    let transport = Arc::new(transport(Options::default()));
    let store =
        GcsStore::open(folder, Some(server), Arc::new(SystemClock), transport).await.unwrap();
    for error in
        [store.create("log/1", Bytes::new()).await.err(), store.list("", "", 10).await.err()]
    {
        let error = error.expect("there is no bucket");
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
        assert!(error.to_string().contains("no such bucket"), "{error}");
    }
}

#[tokio::test]
async fn nobody_listens_is_said() {
    let store = open("x", "127.0.0.1:1", Arc::new(SystemClock)).await;
    for error in [
        store.create("log/1", Bytes::new()).await.err(),
        store.get("log/1").await.err(),
        store.list("", "", 10).await.err(),
        store.delete("log/1").await.err(),
    ] {
        assert_eq!(error.expect("nobody listens").kind(), ErrorKind::Unavailable);
    }
}
