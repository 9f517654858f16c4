//! Tokens of GitHub Apps. GitHub is a fake of ours; the key is made, and every signature checked, by `openssl`.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::Method;
use refit_engine::port::Transport as _;
use refit_platform::auth::Places;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::skip::skipped;
use refit_wire::http::{Auth, Failure, GithubApp, Request, Secret};
use serde_json::{Value, json};
use url::Url;

use crate::alone::new_folder;
use crate::requests::transport;
use crate::web::{Answer, Server};

const KEY: &str = "projects/acme/secrets/github/versions/1";
/// An app's key as GitHub gives it, and as other tools write it.
const FORMS: [&[&str]; 2] = [&["genrsa", "-traditional"], &["genpkey", "-algorithm", "RSA"]];

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    let output = Command::new("openssl").current_dir(folder).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

/// GitHub: numbered tokens for an app, and 401 for the first of them wherever it is shown.
async fn github() -> Server {
    let count = AtomicUsize::new(0);
    Server::start(move |request| {
        if request.starts_with("POST /api/v3/app/installations/42/access_tokens ") {
            let number = count.fetch_add(1, Ordering::Relaxed);
            let body =
                json!({"token": format!("canary-{number}"), "expires_at": "2999-01-01T00:00:00Z"});
            return Answer::response("201 Created", &[], body.to_string());
        }
        match request.contains("Bearer canary-0") {
            true => Answer::response("401 Unauthorized", &[], "{}"),
            false => Answer::ok("{}"),
        }
    })
    .await
}

/// A transport whose secrets are all this one.
async fn with_key(pem: &[u8]) -> HttpTransport {
    let payload = json!({"payload": {"data": BASE64_STANDARD.encode(pem)}}).to_string();
    let manager = Server::start(move |_| Answer::ok(&payload)).await;
    let token = r#"{"access_token":"canary","expires_in":3600,"token_type":"Bearer"}"#;
    let metadata =
        Server::start(move |_| Answer::response("200 OK", &["Metadata-Flavor: Google"], token))
            .await;
    let places = Places {
        metadata: Some(metadata.place.clone()),
        secret_manager: manager.url("/"),
        ..Places::default()
    };
    transport(Options { places, ..Options::default() })
}

fn asks(github: &Server, installation: u32, url: Url) -> Request {
    let app = GithubApp {
        tokens: github.url(&format!("/api/v3/app/installations/{installation}/access_tokens")),
        client_id: "Iv23liAbCd".to_owned(),
        private_key: Secret::Google(KEY.to_owned()),
        repository: "training".to_owned(),
    };
    Request::new(Method::GET, url).auth(Auth::GithubApp(Box::new(app)))
}

async fn refused(transport: &HttpTransport, request: Request) -> String {
    let reply = transport.send(request).await;
    let Err(Failure::NotSent(message)) = reply else { panic!("not NotSent: {reply:?}") };
    assert!(!message.contains("canary") && !message.contains("PRIVATE"), "{message}");
    message
}

/// The claims in a request for a token, if they are signed with the key of the folder.
fn claims(folder: &Path, request: &str) -> Option<Value> {
    let (_, rest) = request.split_once("authorization: Bearer ")?;
    let (text, signature) = rest.lines().next()?.rsplit_once('.')?;
    fs::write(folder.join("text"), text).ok()?;
    fs::write(folder.join("signature"), BASE64_URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let verify = ["dgst", "-sha256", "-verify", "public.pem", "-signature", "signature", "text"];
    let claims = BASE64_URL_SAFE_NO_PAD.decode(text.split_once('.')?.1).ok()?;
    openssl(folder, &verify).then(|| serde_json::from_slice(&claims).ok())?
}

#[tokio::test]
async fn a_github_app_signs_for_a_token_of_its_repository_and_asks_anew_when_it_is_refused() {
    let test = "a_github_app_signs_for_a_token_of_its_repository_and_asks_anew_when_it_is_refused";
    for form in FORMS {
        let folder = new_folder();
        let out = [form, &["-out", "key.pem"]].concat();
        if !openssl(folder.path(), &out)
            || !openssl(folder.path(), &["pkey", "-in", "key.pem", "-pubout", "-out", "public.pem"])
        {
            return skipped(test, "there is no openssl to make a key with");
        }
        let transport = with_key(&fs::read(folder.path().join("key.pem")).unwrap()).await;
        let github = github().await;
        let mut answers = Vec::new();
        for _ in 0..3 {
            let request = asks(&github, 42, github.url("/api/v3/repos/acme/training"));
            answers.push(transport.send(request).await.unwrap().status);
        }
        assert_eq!(answers, [401, 200, 200]);
        let sent = github.requests();
        let (asked, shown): (Vec<_>, Vec<_>) =
            sent.iter().partition(|request| request.starts_with("POST "));
        assert_eq!((asked.len(), shown.len()), (2, 3), "{sent:?}");
        assert!(asked[0].ends_with(r#"{"repositories":["training"]}"#), "{}", asked[0]);
        assert!(shown[2].contains("authorization: Bearer canary-1\r\n"), "{}", shown[2]);
        let claims = claims(folder.path(), asked[0]).expect("signed with the key");
        let seconds = |name: &str| claims[name].as_i64().unwrap();
        assert_eq!((&claims["iss"], seconds("exp") - seconds("iat")), (&json!("Iv23liAbCd"), 540));
    }
}

#[tokio::test]
async fn a_token_of_a_github_app_goes_nowhere_else_and_what_keeps_it_away_is_said() {
    let (github, elsewhere) = (github().await, Server::start(|_| Answer::ok("")).await);
    let transport = with_key(b"canary, and no key").await;
    let told = refused(&transport, asks(&github, 42, elsewhere.url("/"))).await;
    assert!(told.contains("to the server that gives it only"), "{told}");
    let told = refused(&transport, asks(&github, 42, github.url("/"))).await;
    assert!(told.contains("no RSA key in PEM: client_id=`Iv23liAbCd`"), "{told}");
    assert_eq!((github.requests().len(), elsewhere.requests().len()), (0, 0));
}

#[tokio::test]
async fn an_app_that_is_not_installed_is_told_with_the_answer() {
    let test = "an_app_that_is_not_installed_is_told_with_the_answer";
    let folder = new_folder();
    if !openssl(folder.path(), &[FORMS[0], &["-out", "key.pem"]].concat()) {
        return skipped(test, "there is no openssl to make a key with");
    }
    let transport = with_key(&fs::read(folder.path().join("key.pem")).unwrap()).await;
    for (status, body, words) in [
        ("404 Not Found", "{}", "status 404"),
        ("422 Unprocessable Entity", "{}", "status 422"),
        ("201 Created", "{}", "the answer holds none"),
        ("201 Created", r#"{"token":"canary","expires_at":"soon"}"#, "the answer holds none"),
    ] {
        let github = Server::start(move |_| Answer::response(status, &[], body)).await;
        let told = refused(&transport, asks(&github, 42, github.url("/"))).await;
        assert!(told.contains(words) && told.contains("repository=`training`"), "{told}");
    }
}
