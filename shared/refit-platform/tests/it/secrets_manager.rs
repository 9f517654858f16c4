//! Secrets of AWS Secrets Manager, against a stand-in for it that others wrote.

use std::sync::Arc;

use http::{HeaderValue, Method};
use refit_engine::port::Transport as _;
use refit_platform::auth::{AwsKey, Places};
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::counterpart::Kind;
use refit_wire::http::{Auth, Failure, Request, Secret};
use serde_json::{Value, json};
use url::Url;

use crate::web::{Answer, Server};

fn transport(endpoint: &Url) -> HttpTransport {
    let key = AwsKey { id: "AKIDEXAMPLE".to_owned(), secret: "canary-of-aws".to_owned() };
    let places =
        Places { aws: Some(key), secrets_manager: Some(endpoint.clone()), ..Places::default() };
    HttpTransport::new(Arc::new(SystemClock), Options { places, ..Options::default() }).unwrap()
}

/// Does something at Secrets Manager, as its owner would.
async fn manage(transport: &HttpTransport, endpoint: &Url, what: &str, body: &Value) -> Value {
    let auth =
        Auth::Aws { service: "secretsmanager".to_owned(), region: "eu-central-1".to_owned() };
    let mut request = Request::new(Method::POST, endpoint.clone()).json(body).auth(auth);
    let target = HeaderValue::try_from(format!("secretsmanager.{what}")).unwrap();
    request.headers.insert("x-amz-target", target);
    let response = transport.send(request).await.unwrap();
    assert_eq!(response.status, 200, "{response:?}");
    response.json().unwrap()
}

#[tokio::test]
async fn a_secret_is_read_once_and_again_when_a_service_refuses_it() {
    let test = "secrets_manager::a_secret_is_read_once_and_again_when_a_service_refuses_it";
    let Some(moto) = Kind::S3.start(test) else { return };
    let endpoint: Url = format!("http://{}/", moto.place()).parse().unwrap();
    let transport = transport(&endpoint);
    let create = json!({ "Name": "refit/kfp", "SecretString": "first\n" });
    let created = manage(&transport, &endpoint, "CreateSecret", &create).await;
    let arn = created["ARN"].as_str().unwrap();
    let target = Server::start(|request| match request.contains("Bearer first\r\n") {
        true => Answer::response("401 Unauthorized", &[], ""),
        false => Answer::ok(""),
    })
    .await;
    let ask = async || {
        let auth = Auth::Bearer(Secret::Aws(arn.to_owned()));
        transport.send(Request::new(Method::GET, target.url("/")).auth(auth)).await
    };
    assert_eq!(ask().await.unwrap().status, 401);
    let put = |text: &str| json!({ "SecretId": arn, "SecretString": text });
    manage(&transport, &endpoint, "PutSecretValue", &put("second")).await;
    assert_eq!(ask().await.unwrap().status, 200, "read again");
    manage(&transport, &endpoint, "PutSecretValue", &put("third")).await;
    assert_eq!(ask().await.unwrap().status, 200);
    assert!(target.requests()[2].contains("Bearer second\r\n"), "kept while it holds");
    let known = transport.secret(&Secret::Aws(arn.to_owned()), Some("second")).await;
    assert_eq!(known.unwrap(), "third", "read again when it did not hold");

    let missing = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:missing-AbCdEf";
    let auth = Auth::Bearer(Secret::Aws(missing.to_owned()));
    let reply = transport.send(Request::new(Method::GET, target.url("/")).auth(auth)).await;
    let Err(Failure::NotSent(message)) = reply else { panic!("not NotSent: {reply:?}") };
    // Amazon answers 400, and the stand-in 404.
    assert!(message.contains("status 4") && message.contains(missing), "{message}");
}
