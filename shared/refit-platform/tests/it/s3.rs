//! The store in S3, against a server of others that honours `If-None-Match`: the suite over the wire, and what a
//! network in between can do wrong.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::{Created, Store, Transport as _};
use refit_platform::auth::{AwsKey, Places};
use refit_platform::store::{Folder, S3Place, S3Store};
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::conformance::{Backend, Traits};
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_testkit::fake::proxy::{Fault, Proxy};
use refit_wire::http::{Auth, Request};

use crate::requests::transport;
use crate::web::{Answer, Server};

const BUCKET: &str = "ledgers";
const REGION: &str = "us-east-1";

/// One server for all tests, each of which has a folder of its own.
static SERVER: OnceLock<Option<Counterpart>> = OnceLock::new();

fn signing() -> HttpTransport {
    let key = AwsKey { id: "AKIDEXAMPLE".to_owned(), secret: "canary-4711".to_owned() };
    let places = Places { aws: Some(key), ..Places::default() };
    transport(Options { places, ..Options::default() })
}

/// The server, behind a proxy: of several requests at once it might answer each as if it were alone. None where it is
/// not installed.
async fn server(test: &str) -> Option<Proxy> {
    let server = SERVER.get_or_init(|| Kind::S3.start(test)).as_ref()?;
    let proxy = Proxy::in_turn(server.place());
    let auth = Auth::Aws { service: "s3".to_owned(), region: REGION.to_owned() };
    let url = format!("http://{}/{BUCKET}", proxy.place()).parse().unwrap();
    let made = signing().send(Request::new(Method::PUT, url).auth(auth)).await.unwrap();
    assert!([200, 409].contains(&made.status), "{made:?}");
    Some(proxy)
}

fn open_in(bucket: &str, place: &str, server: &str) -> S3Store {
    let folder = Folder::parse(&format!("{bucket}/{place}")).unwrap();
    let at = S3Place { region: REGION.to_owned(), endpoint: Some(format!("http://{server}")) };
    S3Store::new(folder, &at, Arc::new(signing())).unwrap()
}

fn open(place: &str, server: &str) -> S3Store {
    open_in(BUCKET, place, server)
}

struct S3(Proxy);

#[async_trait]
impl Backend for S3 {
    async fn open(&self, place: &str) -> Arc<dyn Store> {
        Arc::new(open(place, &self.0.place()))
    }

    fn traits(&self) -> Traits {
        // All its times are in whole seconds, that of an object from the begin of the request.
        Traits { slack: Span::secs(2), persistent: true }
    }
}

async fn backend() -> Option<Arc<dyn Backend>> {
    let server = server("s3::suite").await?;
    Some(Arc::new(S3(server)))
}

mod suite {
    refit_testkit::store_conformance!(optional super::backend().await);
}

/// A store whose first requests end as listed, with the proxies before it; none where the server is not installed.
async fn behind(test: &str, faults: &[Fault]) -> Option<([Proxy; 2], S3Store)> {
    let server = server(test).await?;
    let proxy = Proxy::scripted(&server.place(), faults.to_vec());
    let store = open(test, &proxy.place());
    Some(([proxy, server], store))
}

fn kind<T>(answer: Result<T, Error>) -> ErrorKind {
    answer.err().expect("it failed").kind()
}

#[tokio::test]
async fn a_create_that_is_to_be_tried_again_is_neither_won_nor_lost() {
    let refusals = [408, 409, 429, 500, 503];
    let test = "a_create_that_is_to_be_tried_again_is_neither_won_nor_lost";
    let Some(([proxy, _server], store)) = behind(test, &refusals.map(Fault::Refuse)).await else {
        return;
    };
    for requests in 1..=refusals.len() {
        assert_eq!(kind(store.create("log/1", "x".into()).await), ErrorKind::Unavailable);
        assert_eq!(proxy.requests().len(), requests, "one request for one create");
    }
    assert!(matches!(store.create("log/1", "x".into()).await, Ok(Created::Won { .. })));
}

#[tokio::test]
async fn a_create_whose_answer_is_lost_took_effect_and_the_next_one_loses() {
    let test = "a_create_whose_answer_is_lost_took_effect_and_the_next_one_loses";
    let Some(([proxy, _server], store)) = behind(test, &[Fault::LoseAnswer]).await else { return };
    assert_eq!(kind(store.create("log/1", "ours".into()).await), ErrorKind::Unavailable);
    assert_eq!(proxy.requests().len(), 1, "{:?}", proxy.requests());
    assert!(matches!(store.create("log/1", "again".into()).await, Ok(Created::Lost { .. })));
    assert_eq!(store.get("log/1").await.unwrap().as_deref(), Some(&b"ours"[..]));
}

#[tokio::test]
async fn reading_listing_and_deleting_say_that_the_service_cannot_now() {
    let test = "reading_listing_and_deleting_say_that_the_service_cannot_now";
    for fault in [Fault::Refuse(429), Fault::Refuse(503), Fault::LoseRequest, Fault::LoseAnswer] {
        let faults = [Fault::None, fault, fault, fault];
        let Some((_proxies, store)) = behind(test, &faults).await else { return };
        store.create("log/1", "x".into()).await.unwrap();
        assert_eq!(kind(store.get("log/1").await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(kind(store.list("", "", 10).await), ErrorKind::Unavailable, "{fault:?}");
        assert_eq!(kind(store.delete("log/1").await), ErrorKind::Unavailable, "{fault:?}");
        let gone = fault == Fault::LoseAnswer;
        assert_eq!(store.get("log/1").await.unwrap().is_none(), gone, "{fault:?}");
        store.delete("log/1").await.unwrap();
    }
}

#[tokio::test]
async fn a_bucket_that_does_not_exist_is_named_as_the_trouble() {
    let test = "a_bucket_that_does_not_exist_is_named_as_the_trouble";
    let Some(server) = server(test).await else { return };
    let store = open_in("no-such-bucket", "prod", &server.place());
    for error in [
        store.create("log/1", Bytes::new()).await.err(),
        store.get("log/1").await.err(),
        store.list("", "", 10).await.err(),
    ] {
        let error = error.expect("there is no bucket");
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error}");
    }
}

#[tokio::test]
async fn an_object_larger_than_other_answers_may_be_is_read_whole() {
    let test = "an_object_larger_than_other_answers_may_be_is_read_whole";
    let Some(server) = server(test).await else { return };
    let store = open(test, &server.place());
    let body = Bytes::from(vec![b'x'; 6 << 20]);
    store.create("snapshot/1", body.clone()).await.unwrap();
    assert!(store.get("snapshot/1").await.unwrap() == Some(body), "the bytes differ");
}

#[tokio::test]
async fn a_request_is_signed_and_shows_no_secret() {
    let server = Server::start(|_| Answer::ok("")).await;
    let _ = open("prod", &server.place).create("log/1", "x".into()).await;
    let request = server.requests().remove(0);
    let signed = "authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/";
    let headers = "SignedHeaders=accept;host;if-none-match;x-amz-content-sha256;x-amz-date";
    assert!(request.starts_with("PUT /ledgers/prod/log/1 HTTP/1.1\r\n"), "{request}");
    assert!(request.contains(signed) && request.contains(headers), "{request}");
    assert!(!request.contains("canary"), "{request}");
    assert!(!format!("{:?}", signing()).contains("canary"));
}
