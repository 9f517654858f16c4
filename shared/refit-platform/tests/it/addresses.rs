//! Addresses that are secrets: where they may lead, and that they show nowhere.

use http::Method;
use refit_engine::port::Transport as _;
use refit_platform::transport::Options;
use refit_wire::http::{Auth, Failure, Reply, Request, Secret};
use serde_json::json;

use crate::alone::{alone, given, passes};
use crate::requests::transport;
use crate::web::{Answer, Server};

fn request(variable: &str, around: (&str, &str), hosts: &[&str]) -> Request {
    let auth = Auth::Url {
        before: around.0.to_owned(),
        secret: Secret::Env(variable.to_owned()),
        after: around.1.to_owned(),
        hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
    };
    let url = "https://hooks.acme.example/".parse().unwrap();
    Request::new(Method::POST, url).json(&json!({"a": 1})).auth(auth)
}

fn refused(reply: Reply) -> String {
    let Err(Failure::NotSent(message)) = reply else { panic!("not NotSent: {reply:?}") };
    assert!(!message.contains("canary"), "{message}");
    message
}

#[tokio::test]
async fn a_secret_address_is_found_and_shown_to_nobody() {
    let server = Server::start(|_| Answer::response("500 Trouble", &[], "x")).await;
    let mut command = alone("addresses::sends", &server.place);
    command.env("REFIT_TEST_URL", format!("http://{}/services/canary", server.place));
    command.env("REFIT_TEST_TOKEN", "7:canary");
    command.env("REFIT_TEST_CLOSED", "http://127.0.0.1:1/canary");
    command.env("REFIT_TEST_WORD", "canary word");
    let passed = tokio::task::spawn_blocking(move || passes(command));
    passed.await.unwrap();
    let requests = server.requests();
    let lines: Vec<&str> = requests.iter().filter_map(|request| request.lines().next()).collect();
    let posted = ["/services/canary", "/bot7:canary/send"].map(|it| format!("POST {it} HTTP/1.1"));
    assert_eq!(lines, posted);
}

#[tokio::test]
#[ignore = "run by a_secret_address_is_found_and_shown_to_nobody, with the secrets"]
async fn sends() {
    let Some(place) = given() else { return };
    let transport = transport(Options::default());
    let hosts = [place.as_str()];
    let whole = transport.send(request("REFIT_TEST_URL", ("", ""), &hosts)).await;
    assert_eq!(whole.unwrap().status, 500);
    let before = format!("http://{place}/bot");
    let part = transport.send(request("REFIT_TEST_TOKEN", (&before, "/send"), &hosts)).await;
    assert_eq!(part.unwrap().status, 500);
    let elsewhere = request("REFIT_TEST_URL", ("", ""), &["hooks.acme.example", ".acme.example"]);
    let message = refused(transport.send(elsewhere).await);
    assert!(message.contains("leads elsewhere"), "{message}");
    let closed = transport.send(request("REFIT_TEST_CLOSED", ("", ""), &["127.0.0.1:1"])).await;
    assert!(refused(closed).contains("host=`127.0.0.1:1`"));
    let word = transport.send(request("REFIT_TEST_WORD", ("", ""), &hosts)).await;
    assert!(refused(word).contains("no address"));
    let part = transport.send(request("REFIT_TEST_WORD", (&before, "/x"), &hosts)).await;
    assert!(refused(part).contains("no address"));
    let missing = transport.send(request("REFIT_TEST_NONE", ("", ""), &hosts)).await;
    assert!(refused(missing).contains("variable=`REFIT_TEST_NONE`"));
}
