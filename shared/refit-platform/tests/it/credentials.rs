//! Credentials: where they come from, where they go, and where they never show.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::{HeaderName, Method};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Clock, Transport as _};
use refit_platform::auth::Places;
use refit_platform::env;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::skip::skipped;
use refit_wire::http::{Auth, Failure, Reply, Request, Secret};
use refit_wire::pipeline::{self, endpoint::Endpoint};
use serde_json::{Value, json};

use crate::alone::{alone, given, new_folder, passes};
use crate::requests::transport;
use crate::web::{Answer, Server};

const CANARY: &str = "canary-4711";

/// A metadata server whose tokens are numbered.
async fn metadata() -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let body = match request.contains("/identity?") {
            true => id_token(number),
            false => format!(
                r#"{{"access_token":"{CANARY}-{number}","expires_in":3600,"token_type":"Bearer"}}"#
            ),
        };
        Answer::response("200 OK", &["Metadata-Flavor: Google"], body)
    })
    .await
}

fn id_token(number: usize) -> String {
    let claims = format!(r#"{{"aud":"x","iat":1700000000,"exp":4000000000,"n":{number}}}"#);
    format!("{CANARY}.{}.sig", BASE64_URL_SAFE_NO_PAD.encode(claims))
}

fn options(metadata: &Server) -> Options {
    let places = Places { metadata: Some(metadata.place.clone()), ..Places::default() };
    Options { places, ..Options::default() }
}

fn get(server: &Server, auth: Auth) -> Request {
    Request {
        timeout: Some(Span::secs(5)),
        ..Request::new(Method::GET, server.url("/")).auth(auth)
    }
}

fn access(server: &Server) -> Auth {
    Auth::GoogleAccessToken { hosts: vec![server.place.clone()] }
}

fn not_sent(reply: Reply) -> String {
    match reply {
        Err(Failure::NotSent(message)) => {
            assert!(!message.contains("canary"), "{message}");
            message
        }
        other => panic!("not NotSent: {other:?}"),
    }
}

/// The value of a header in each request that came.
fn header(server: &Server, name: &str) -> Vec<String> {
    let value = |request: &String| {
        let line = request
            .lines()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")).map(str::to_owned));
        line.unwrap_or_default()
    };
    server.requests().iter().map(value).collect()
}

#[tokio::test]
async fn an_access_token_comes_from_the_metadata_server_and_goes_to_listed_hosts() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let transport = transport(options(&metadata));
    for _ in 0..3 {
        transport.send(get(&target, access(&target))).await.unwrap();
    }
    assert_eq!(header(&target, "authorization"), vec![format!("Bearer {CANARY}-0"); 3]);
    assert_eq!(header(&metadata, "metadata-flavor"), ["Google"], "asked once");
    let path = "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n";
    assert!(metadata.requests()[0].starts_with(path), "{:?}", metadata.requests());
    assert!(!format!("{transport:?}").contains("canary"), "{transport:?}");
}

#[tokio::test]
async fn a_hundred_requests_at_once_ask_for_one_token() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let transport = transport(options(&metadata));
    let sends = (0..100).map(|_| transport.send(get(&target, access(&target))));
    for reply in futures::future::join_all(sends).await {
        reply.unwrap();
    }
    assert_eq!((metadata.requests().len(), target.requests().len()), (1, 100));
}

#[test]
fn a_hundred_requests_at_once_ask_for_one_token_with_a_key_file() {
    let test = "a_hundred_requests_at_once_ask_for_one_token_with_a_key_file";
    let folder = new_folder();
    let mut openssl = Command::new("openssl");
    openssl.args(["genpkey", "-algorithm", "RSA", "-out"]).arg(folder.path().join("key.pem"));
    if !openssl.output().is_ok_and(|output| output.status.success()) {
        return skipped(test, "there is no openssl to make a key with");
    }
    let mut command = alone("credentials::asks_for_one_token_with_a_key_file", folder.path());
    command.env("GOOGLE_APPLICATION_CREDENTIALS", folder.path().join("account.json"));
    passes(command);
}

/// `gcp_auth`, which others wrote, reads the file and asks; the server is a fake of ours.
#[tokio::test]
#[ignore = "run by a_hundred_requests_at_once_ask_for_one_token_with_a_key_file, with a file that names a server here"]
async fn asks_for_one_token_with_a_key_file() {
    let Some(folder) = given() else { return };
    let folder = Path::new(&folder);
    let (issuer, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let email = "refit-tick@acme.iam.gserviceaccount.com";
    let account = json!({
        "type": "service_account", "project_id": "acme", "client_email": email,
        "private_key": fs::read_to_string(folder.join("key.pem")).unwrap(),
        "token_uri": issuer.url("/token"),
    });
    fs::write(folder.join("account.json"), account.to_string()).unwrap();
    let transport = transport(Options::default());
    let sends = (0..100).map(|_| transport.send(get(&target, access(&target))));
    for reply in futures::future::join_all(sends).await {
        reply.unwrap();
    }
    assert_eq!(header(&target, "authorization"), vec![format!("Bearer {CANARY}-0"); 100]);
    let [asked] = &issuer.requests()[..] else { panic!("asked once: {:?}", issuer.requests()) };
    assert!(asked.starts_with("POST /token HTTP/1.1\r\n"), "{asked}");
    let (_, assertion) = asked.split_once("&assertion=").unwrap();
    let claims = assertion.split('.').nth(1).unwrap().replace("%3D", "");
    let claims: Value =
        serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    assert_eq!((&claims["iss"], &claims["aud"]), (&json!(email), &json!(issuer.url("/token"))));
    assert_eq!(claims["scope"], "https://www.googleapis.com/auth/cloud-platform");
}

#[tokio::test]
async fn a_host_that_is_not_listed_gets_no_token_and_none_is_asked_for() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let elsewhere = Auth::GoogleAccessToken { hosts: vec![metadata.place.clone()] };
    let message = not_sent(transport(options(&metadata)).send(get(&target, elsewhere)).await);
    assert!(message.contains(&format!("host=`{}`", target.place)), "{message}");
    assert_eq!((metadata.requests().len(), target.requests().len()), (0, 0));
}

#[tokio::test]
async fn what_a_rule_file_may_list_is_what_the_transport_sends_a_token_to() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let endpoint = Endpoint::new(target.url("/").as_str()).unwrap();
    let resolve = |host: &str| {
        let listed = pipeline::auth::Auth::GoogleFor(vec![host.to_owned()]);
        pipeline::auth::Auth::resolve(Some(&listed), &endpoint)
    };
    let refused = resolve(endpoint.host()).unwrap_err();
    assert!(refused.contains(&format!("[\"{}\"]", target.place)), "{refused}");
    let auth = resolve(&target.place).unwrap();
    transport(options(&metadata)).send(get(&target, auth)).await.unwrap();
    assert_eq!(header(&target, "authorization"), [format!("Bearer {CANARY}-0")]);
}

#[tokio::test]
async fn a_redirect_takes_no_credential_along() {
    let (metadata, other) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let location = format!("Location: {}", other.url("/taken"));
    let target = Server::start(move |_| Answer::response("302 Found", &[&location], "")).await;
    let response = transport(options(&metadata)).send(get(&target, access(&target))).await.unwrap();
    assert_eq!((response.status, other.requests().len()), (302, 0));
}

#[tokio::test]
async fn an_id_token_is_asked_for_by_audience() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let transport = transport(options(&metadata));
    for audience in
        ["https://a.example.com/?x=1&y", "https://b.example.com", "https://a.example.com/?x=1&y"]
    {
        let hosts = vec![target.place.clone()];
        let auth = Auth::GoogleIdToken { audience: audience.to_owned(), hosts };
        transport.send(get(&target, auth)).await.unwrap();
    }
    let bearer = |number| format!("Bearer {}", id_token(number));
    assert_eq!(header(&target, "authorization"), [bearer(0), bearer(1), bearer(0)]);
    let path = "/identity?audience=https%3A%2F%2Fa.example.com%2F%3Fx%3D1%26y&format=full HTTP/1.1";
    assert!(metadata.requests()[0].contains(path), "{:?}", metadata.requests());
}

#[tokio::test]
async fn a_refused_token_is_fetched_anew_for_the_next_request_and_nothing_is_sent_again() {
    let metadata = metadata().await;
    let target = Server::start(|request| match request.contains(&format!("{CANARY}-0")) {
        true => Answer::response("401 Unauthorized", &[], ""),
        false => Answer::ok(""),
    })
    .await;
    let transport = transport(options(&metadata));
    let mut statuses = Vec::new();
    for _ in 0..3 {
        statuses.push(transport.send(get(&target, access(&target))).await.unwrap().status);
    }
    assert_eq!(statuses, [401, 200, 200]);
    assert_eq!((metadata.requests().len(), target.requests().len()), (2, 3));
}

#[tokio::test]
async fn a_metadata_server_in_trouble_means_not_sent() {
    let token = format!(r#"{{"access_token":"{CANARY}","expires_in":3600}}"#);
    let flavor = "Metadata-Flavor: Google";
    let location = "Location: http://127.0.0.1:1/";
    let target = Server::start(|_| Answer::ok("")).await;
    for (status, headers, body, words) in [
        ("200 OK", &[][..], &*token, "whoever answers is not one"),
        ("200 OK", &["Metadata-Flavor: Other"], &token, "whoever answers is not one"),
        ("302 Found", &[flavor, location], &token, "status=`302`"),
        ("404 Not Found", &[flavor], &token, "status=`404`"),
        ("503 Unavailable", &[flavor], &token, "status=`503`"),
        ("200 OK", &[flavor], r#"{"access_token":"canary""#, "its answer is not a token"),
        (
            "200 OK",
            &[flavor],
            r#"{"access_token":"canary\n1","expires_in":9}"#,
            "its answer is not a token",
        ),
        ("200 OK", &[flavor], r#"{"access_token":"","expires_in":9}"#, "its answer is not a token"),
    ] {
        let (headers, body) = (headers.to_vec(), body.to_owned());
        let metadata = Server::start(move |_| Answer::response(status, &headers, &body)).await;
        let message =
            not_sent(transport(options(&metadata)).send(get(&target, access(&target))).await);
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(target.requests(), [""; 0]);
}

#[tokio::test]
async fn a_slow_metadata_server_does_not_hold_a_request_beyond_its_time() {
    let metadata = Server::start(|_| Answer::Hang(Vec::new())).await;
    let target = Server::start(|_| Answer::ok("")).await;
    let request =
        Request { timeout: Some(Span::from_millis(200)), ..get(&target, access(&target)) };
    let message = not_sent(transport(options(&metadata)).send(request).await);
    assert!(message.contains("time was over"), "{message}");
    assert_eq!(target.requests(), [""; 0]);
}

/// A clock of a machine that sleeps for three seconds whenever it is looked at.
#[derive(Default)]
struct Drowsy(AtomicI64);

#[async_trait]
impl Clock for Drowsy {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH
    }

    fn elapsed(&self) -> Span {
        Span::secs(self.0.fetch_add(3, Ordering::Relaxed))
    }

    async fn sleep(&self, _: Span) {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_its_caller_gave_up_while_the_machine_slept_is_not_sent() {
    let target = Server::start(|_| Answer::ok("")).await;
    let transport = HttpTransport::new(Arc::new(Drowsy::default()), Options::default()).unwrap();
    for (seconds, sent) in [(4, false), (6, false), (9, false), (10, true)] {
        let auth = Auth::Bearer(Secret::Env("PATH".to_owned()));
        let request = Request { timeout: Some(Span::secs(seconds)), ..get(&target, auth) };
        match transport.send(request).await {
            Ok(_) if sent => {}
            reply => {
                assert!(!sent && not_sent(reply).contains("time was over"), "{seconds} seconds")
            }
        }
    }
    assert_eq!(target.requests().len(), 1);
}

#[tokio::test]
async fn secrets_of_the_environment_are_sent_in_the_header_that_is_named() {
    let target = Server::start(|_| Answer::ok("")).await;
    let transport = transport(Options::default());
    let (secret, value) = (Secret::Env("PATH".to_owned()), env::var("PATH").unwrap());
    let mut request = get(&target, Auth::Bearer(secret.clone()));
    request.headers.insert("authorization", "Bearer of its own".parse().unwrap());
    transport.send(request).await.unwrap();
    let header_name = HeaderName::from_static("x-api-key");
    transport.send(get(&target, Auth::Header(header_name, secret))).await.unwrap();
    assert_eq!(header(&target, "authorization"), [format!("Bearer {value}"), String::new()]);
    assert_eq!(target.requests()[0].matches("authorization").count(), 1, "the named one alone");
    assert_eq!(header(&target, "x-api-key"), [String::new(), value]);
    let missing = Auth::Bearer(Secret::Env("REFIT_NO_SUCH_VARIABLE".to_owned()));
    let message = not_sent(transport.send(get(&target, missing)).await);
    assert!(message.contains("variable=`REFIT_NO_SUCH_VARIABLE`"), "{message}");
}

const VERSION: &str = "projects/acme/secrets/kfp/versions/3";

async fn secret_manager(status: &'static str, payload: &[u8]) -> Server {
    let body =
        format!(r#"{{"name":"x","payload":{{"data":"{}"}}}}"#, BASE64_STANDARD.encode(payload));
    Server::start(move |_| Answer::response(status, &[], &body)).await
}

fn with_secrets(metadata: &Server, manager: &Server) -> Options {
    let places = Places {
        metadata: Some(metadata.place.clone()),
        secret_manager: manager.url("/"),
        ..Places::default()
    };
    Options { places, ..Options::default() }
}

#[tokio::test]
async fn a_secret_of_secret_manager_is_read_once_and_sent() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let manager = secret_manager("200 OK", b"s3cret/+=\n").await;
    let transport = transport(with_secrets(&metadata, &manager));
    for _ in 0..2 {
        transport
            .send(get(&target, Auth::Bearer(Secret::Google(VERSION.to_owned()))))
            .await
            .unwrap();
    }
    assert_eq!(header(&target, "authorization"), ["Bearer s3cret/+=", "Bearer s3cret/+="]);
    assert_eq!(header(&manager, "authorization"), [format!("Bearer {CANARY}-0")]);
    let path = format!("GET /v1/{VERSION}:access HTTP/1.1\r\n");
    assert!(manager.requests()[0].starts_with(&path), "{:?}", manager.requests());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_means_not_sent() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    for (status, payload, name, words) in [
        ("403 Forbidden", &b"canary"[..], VERSION, "status 403"),
        ("404 Not Found", b"canary", VERSION, "status 404"),
        ("500 Trouble", b"canary", VERSION, "status 500"),
        ("200 OK", b"canary\xff", VERSION, "not text"),
        ("200 OK", b"canary\nsecond", VERSION, "characters that no header may"),
        ("200 OK", b"canary", "projects/acme/secrets/kfp", "not a name of a version"),
        ("200 OK", b"canary", "projects/acme/secrets/../versions/3", "not a name of a version"),
        ("200 OK", b"canary", "projects/acme/secrets/kfp/versions/3?x", "not a name of a version"),
    ] {
        let manager = secret_manager(status, payload).await;
        let auth = Auth::Bearer(Secret::Google(name.to_owned()));
        let message =
            not_sent(transport(with_secrets(&metadata, &manager)).send(get(&target, auth)).await);
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(target.requests(), [""; 0]);
}

#[tokio::test]
async fn an_access_token_is_not_sent_in_clear_to_a_secret_manager_elsewhere() {
    let (metadata, target) = (metadata().await, Server::start(|_| Answer::ok("")).await);
    let secret_manager = "http://secrets.example.com/".parse().unwrap();
    let places =
        Places { metadata: Some(metadata.place.clone()), secret_manager, ..Places::default() };
    let auth = Auth::Bearer(Secret::Google(VERSION.to_owned()));
    let message = not_sent(
        transport(Options { places, ..Options::default() }).send(get(&target, auth)).await,
    );
    assert!(message.contains("without encryption"), "{message}");
    assert_eq!(metadata.requests(), [""; 0]);
}
