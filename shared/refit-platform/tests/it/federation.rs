//! Google's tokens for a role of AWS. Google's token service and the service account are one fake of ours, which looks at
//! what it is shown; that the signature is right is tested where it is made, against Google's own library.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::Method;
use refit_core::error::ErrorKind;
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Clock, Transport as _};
use refit_platform::auth::{AwsKey, Places};
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::clock::ManualClock;
use refit_wire::http::{Auth, Failure, Request};
use serde_json::{Value, json};

use crate::web::{Answer, Server};

const CANARY: &str = "canary-4711";
const AUDIENCE: &str =
    "//iam.googleapis.com/projects/42/locations/global/workloadIdentityPools/refit/providers/aws";
const ACCOUNT: &str = "/v1/projects/-/serviceAccounts/refit@acme.iam.gserviceaccount.com";

fn now() -> Timestamp {
    "2026-01-05T12:00:00Z".parse().unwrap()
}

/// Google as far as it takes part: it gives numbered tokens that end in so long, or answers everything with a status.
async fn google(life: Span, refusal: Option<(&'static str, &'static str)>) -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        if let Some((part, status)) = refusal
            && request.contains(part)
        {
            return Answer::response(status, &[], format!("{{\"error\":\"{CANARY}\"}}"));
        }
        let number = count.fetch_add(1, Ordering::Relaxed);
        let token = format!("{CANARY}-{number}");
        let body = if request.starts_with("POST /v1/token ") {
            json!({ "access_token": token, "expires_in": 3600, "token_type": "Bearer" })
        } else if request.contains(":generateAccessToken ") {
            let end = (now() + life).to_string();
            json!({ "accessToken": token, "expireTime": end })
        } else {
            let claims = json!({ "aud": "x", "iat": 1_767_614_400, "exp": 1_767_618_000 });
            let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
            json!({ "token": format!("{CANARY}-{number}.{claims}.sig") })
        };
        Answer::ok(body.to_string())
    })
    .await
}

fn configuration(google: &str) -> Value {
    json!({
        "type": "external_account",
        "audience": AUDIENCE,
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
        "token_url": format!("{google}/v1/token"),
        "service_account_impersonation_url": format!("{google}{ACCOUNT}:generateAccessToken"),
        "credential_source": {
            "environment_id": "aws1",
            "regional_cred_verification_url": "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15",
        },
    })
}

fn options(configuration: &Value) -> Options {
    let key = AwsKey { id: "AKIDEXAMPLE".to_owned(), secret: "canary-of-aws".to_owned() };
    let places = Places {
        federation: Some(configuration.to_string()),
        aws: Some(key),
        aws_region: Some("eu-central-1".to_owned()),
        ..Places::default()
    };
    Options { places, ..Options::default() }
}

fn transport(google: &Server) -> (HttpTransport, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(now()));
    let given: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
    let configuration = configuration(&format!("http://{}", google.place));
    (HttpTransport::new(given, options(&configuration)).unwrap(), clock)
}

fn get(target: &Server) -> Request {
    let auth = Auth::GoogleAccessToken { hosts: vec![target.place.clone()] };
    Request::new(Method::GET, target.url("/")).auth(auth)
}

/// The credentials that came, without their scheme.
fn shown(target: &Server) -> Vec<String> {
    let requests = target.requests();
    let lines = requests.iter().filter_map(|request| {
        request.lines().find_map(|line| line.strip_prefix("authorization: Bearer "))
    });
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn who_aws_says_it_is_acts_as_a_service_account_and_shows_no_key() {
    let (google, target) =
        (google(Span::mins(20), None).await, Server::start(|_| Answer::ok("")).await);
    let (transport, _) = transport(&google);
    let sends = (0..20).map(|_| transport.send(get(&target)));
    for reply in futures::future::join_all(sends).await {
        reply.unwrap();
    }
    assert_eq!(shown(&target), vec![format!("{CANARY}-1"); 20], "one token for all");
    let requests = google.requests();
    let [exchange, account] = &requests[..] else { panic!("{requests:#?}") };
    assert!(account.starts_with(&format!("POST {ACCOUNT}:generateAccessToken ")), "{account}");
    assert!(account.contains(&format!("authorization: Bearer {CANARY}-0\r\n")), "{account}");
    let form = exchange.split_once("\r\n\r\n").unwrap().1;
    let form: Vec<(String, String)> =
        url::form_urlencoded::parse(form.as_bytes()).into_owned().collect();
    let of = |name: &str| &form.iter().find(|(known, _)| known == name).unwrap().1;
    assert_eq!(of("grant_type"), "urn:ietf:params:oauth:grant-type:token-exchange");
    assert_eq!(of("subject_token_type"), "urn:ietf:params:aws:token-type:aws4_request");
    assert_eq!(of("audience"), AUDIENCE);
    let pair = format!("x={}", of("subject_token"));
    let (_, subject) = url::form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    let subject: Value = serde_json::from_str(&subject).unwrap();
    assert_eq!(
        subject["url"],
        "https://sts.eu-central-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    );
    assert!(!requests.concat().contains("canary-of-aws"), "the key stays here");
    assert!(!format!("{transport:?}").contains("canary"), "{transport:?}");
}

#[tokio::test]
async fn a_token_is_exchanged_anew_before_its_end_and_when_it_is_refused() {
    let google = google(Span::mins(20), None).await;
    let target = Server::start(|request| match request.contains(&format!("{CANARY}-3")) {
        true => Answer::response("401 Unauthorized", &[], ""),
        false => Answer::ok(""),
    })
    .await;
    let (transport, clock) = transport(&google);
    let mut statuses = Vec::new();
    for minutes in [0, 14, 2, 0] {
        clock.advance(Span::mins(minutes));
        statuses.push(transport.send(get(&target)).await.unwrap().status);
    }
    assert_eq!(statuses, [200, 200, 401, 200]);
    let expected = [1, 1, 3, 5].map(|number| format!("{CANARY}-{number}"));
    assert_eq!(shown(&target), expected);
}

#[tokio::test]
async fn an_id_token_comes_from_the_service_account() {
    let (google, target) =
        (google(Span::mins(20), None).await, Server::start(|_| Answer::ok("")).await);
    let (transport, _) = transport(&google);
    let (audience, hosts) = ("https://tick.example/?a&b".to_owned(), vec![target.place.clone()]);
    let auth = Auth::GoogleIdToken { audience, hosts };
    transport.send(Request::new(Method::GET, target.url("/")).auth(auth)).await.unwrap();
    let account = &google.requests()[1];
    assert!(account.starts_with(&format!("POST {ACCOUNT}:generateIdToken ")), "{account}");
    assert!(
        account.ends_with(r#"{"audience":"https://tick.example/?a&b","includeEmail":true}"#),
        "{account}"
    );
    assert!(shown(&target)[0].starts_with(&format!("{CANARY}-1.")), "{:?}", shown(&target));
}

#[tokio::test]
async fn a_refusal_means_not_sent_and_is_told_without_what_was_shown_or_said() {
    for (part, status, words) in [
        ("/v1/token", "400 Bad Request", "no token from Google's token service: status=`400`"),
        ("/v1/token", "503 Unavailable", "status=`503`"),
        (
            ":generateAccessToken",
            "403 Forbidden",
            "no token from the service account: status=`403`",
        ),
        ("/v1/token", "200 OK", "is not a token"),
        ("/v1/token", "302 Found", "status=`302`"),
    ] {
        let google = google(Span::mins(20), Some((part, status))).await;
        let target = Server::start(|_| Answer::ok("")).await;
        let (transport, _) = transport(&google);
        let reply = transport.send(get(&target)).await;
        let Err(Failure::NotSent(message)) = reply else { panic!("not NotSent: {reply:?}") };
        assert!(message.contains(words) && !message.contains("canary"), "{message}");
        assert_eq!(target.requests(), [""; 0]);
    }
}

#[tokio::test]
async fn a_configuration_that_leads_elsewhere_is_refused_before_anything_is_sent() {
    let good = configuration("https://sts.googleapis.com");
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(now()));
    HttpTransport::new(Arc::clone(&clock), options(&good)).unwrap();
    for (pointer, value, words) in [
        ("/token_url", "https://evil.example/v1/token", "sent to Google"),
        ("/service_account_impersonation_url", "https://evil.example/x", "sent to Google"),
        (
            "/credential_source/regional_cred_verification_url",
            "https://evil.example/",
            "not that of AWS",
        ),
        ("/credential_source/environment_id", "azure1", "`aws1`"),
        ("/type", "service_account", "external_account"),
    ] {
        let mut configuration = good.clone();
        *configuration.pointer_mut(pointer).unwrap() = json!(value);
        let error = HttpTransport::new(Arc::clone(&clock), options(&configuration)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{pointer}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
