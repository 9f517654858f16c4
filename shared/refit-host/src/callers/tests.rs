use std::collections::{BTreeMap, BTreeSet};

use axum::Router;
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use refit_core::timing::Timing;
use refit_engine::port::Clock;
use refit_engine::reconcile::Reconciler;
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_wire::source::Sender;
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

use super::*;
use crate::driver::Driver;
use crate::environment::Oidc;
use crate::function::all;
use crate::hooks::HookSecrets;
use crate::intake::Door;
use crate::oidc::tests::{PUSHER, World, claims, header, token};
use crate::waker::Nobody;

const PINGER: &str = "ping@acme.iam.gserviceaccount.com";

fn accounts() -> Accounts {
    let only = |account: &str| BTreeSet::from([account.to_owned()]);
    BTreeMap::from([("/".to_owned(), only(PUSHER)), ("/tick".to_owned(), only(PINGER))])
}

/// A ledger in memory, and the ports of this world.
fn base(world: &Arc<World>, clock: Arc<dyn Clock>) -> Base {
    let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
    Base::of_test(store, Arc::<World>::clone(world), clock)
}

/// Every door of one process, before which callers are checked like this.
fn doors(world: &Arc<World>, callers: Callers) -> (Router, watch::Sender<bool>) {
    let base = base(world, Arc::new(SystemClock));
    let (stop, stopped) = watch::channel(false);
    let reconciler = Reconciler::new(base.parts(Timing::default()));
    let (driver, _) = Driver::start(reconciler, Arc::clone(&base.clock), None, stopped);
    let mut secrets = HookSecrets::default();
    secrets.add(Sender::Github, "a-secret").unwrap();
    let push = Arc::new(Door::push(base.intake(), Arc::new(Nobody), None));
    let hook = Arc::new(base.hook(&secrets, Arc::new(Nobody)));
    let check = Check::new(callers, &self::base(world, Arc::<World>::clone(world)));
    (all((&push, &hook), Some(&driver), &check, &base.clock), stop)
}

fn oidc() -> Callers {
    Callers::Oidc(Oidc {
        audience: "https://object.example".to_owned(),
        accounts: accounts(),
        keys: "https://keys.example/certs".parse().unwrap(),
    })
}

async fn status(doors: &Router, path: &str, headers: &[(&str, String)]) -> u16 {
    let mut request = Request::post(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = doors.clone().oneshot(request.body(Body::from("{}")).unwrap()).await;
    response.unwrap().status().as_u16()
}

fn of(account: &str) -> Value {
    let mut claims = claims();
    claims["email"] = json!(account);
    claims
}

fn signed(account: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {}", token(&header("k1"), &of(account))))
}

/// A token as Cloud Run hands it on.
fn stripped(name: &'static str, claims: &Value) -> (&'static str, String) {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let (head, claims) = (part(&header("k1")), part(claims));
    (name, format!("Bearer {head}.{claims}.SIGNATURE_REMOVED_BY_GOOGLE"))
}

/// What anybody can write down.
fn forged(account: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer x.{}.x", URL_SAFE_NO_PAD.encode(of(account).to_string())))
}

#[tokio::test]
async fn a_token_opens_the_paths_its_account_is_listed_for() {
    let world = World::new(vec![Some(("k1", "max-age=3600"))]);
    let (doors, _stop) = doors(&world, oidc());
    for path in ["/", "/object", "/drift", "/tick"] {
        assert_eq!(status(&doors, path, &[]).await, 401, "{path}");
        let pusher = status(&doors, path, &[signed(PUSHER)]).await;
        assert_eq!(pusher, if path == "/" { 204 } else { 403 }, "{path}");
        let pinger = status(&doors, path, &[signed(PINGER)]).await;
        assert_eq!(pinger, if path == "/tick" { 204 } else { 403 }, "{path}");
    }
    assert_eq!(status(&doors, "/", &[stripped("authorization", &of(PUSHER))]).await, 401);
    let webhook = [("x-github-event", "push".to_owned())];
    assert_eq!(status(&doors, "/hook", &webhook).await, 401, "webhooks sign instead");
    let away = World::new(vec![None]);
    let (doors, _stop) = self::doors(&away, oidc());
    assert_eq!(status(&doors, "/", &[signed(PUSHER)]).await, 503, "nobody knows the keys");
}

#[tokio::test]
async fn whom_the_platform_verified_may_call_the_paths_it_is_listed_for() {
    let world = World::new(Vec::new());
    let (doors, _stop) = doors(&world, Callers::Platform(Some(accounts())));
    let plain = |account: &str| stripped("authorization", &of(account));
    let serverless = |account: &str| stripped("x-serverless-authorization", &of(account));
    let mut unverified = of(PUSHER);
    unverified["email_verified"] = json!(false);
    for (path, headers, wanted) in [
        ("/", vec![plain(PUSHER)], 204),
        ("/", vec![serverless(PUSHER)], 204),
        ("/", vec![plain(PINGER)], 403),
        ("/tick", vec![plain(PINGER)], 204),
        ("/tick", vec![plain(PUSHER)], 403),
        ("/object", vec![plain(PUSHER)], 403),
        ("/tick", vec![plain(PINGER), serverless(PUSHER)], 403),
        ("/tick", vec![plain(PINGER), plain(PUSHER)], 403),
        ("/", vec![stripped("authorization", &unverified)], 403),
        ("/", vec![("authorization", "Bearer x.y.SIGNATURE_REMOVED_BY_GOOGLE".to_owned())], 403),
        ("/", vec![("authorization", "Bearer x.y".to_owned())], 403),
        ("/", vec![signed(PUSHER)], 401),
        ("/tick", vec![forged(PINGER)], 401),
        ("/", vec![], 403),
    ] {
        assert_eq!(status(&doors, path, &headers).await, wanted, "{path} {headers:?}");
    }
    let (doors, _stop) = self::doors(&world, Callers::Platform(None));
    assert_eq!(status(&doors, "/", &[]).await, 204, "IAM alone decides");
}

#[test]
fn a_page_of_another_host_cannot_reach_a_process_on_loopback() {
    let of = |host: &str| {
        is_loopback(&Request::builder().header("host", host).body(Body::empty()).unwrap())
    };
    assert!(of("127.0.0.1:8377") && of("localhost") && of("[::1]:8377"));
    assert!(!of("rebound.example:8377") && !of("127.0.0.1.example"));
    let by = |origin: &str| {
        is_of_a_page(&Request::builder().header("origin", origin).body(Body::empty()).unwrap())
    };
    assert!(by("https://evil.example") && by("null") && by("https://localhost.example"));
    assert!(!by("http://localhost:8377") && !by("http://127.0.0.1") && !by("http://[::1]:8377"));
    assert!(!is_of_a_page(&Request::builder().body(Body::empty()).unwrap()), "no browser");
}
