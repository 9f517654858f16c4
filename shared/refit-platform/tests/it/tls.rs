//! Encryption: whom requests trust.

use std::fs;
use std::sync::Arc;

use http::Method;
use refit_core::error::ErrorKind;
use refit_engine::port::Transport as _;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::fake::tls::vouched;
use refit_wire::http::{Failure, Request};

use crate::alone::{alone, given, new_folder, passes};
use crate::requests::transport;

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_sent_nothing() {
    let server = vouched("secret");
    match transport(Options::default()).send(get(&server.url)).await {
        Err(Failure::NotSent(message)) => assert!(message.contains("certificate"), "{message}"),
        other => panic!("not NotSent: {other:?}"),
    }
}

#[test]
fn a_server_that_the_named_file_vouches_for_is_trusted() {
    let (folder, server) = (new_folder(), vouched("secret"));
    let file = folder.path().join("roots.pem");
    fs::write(&file, server.certificate).unwrap();
    let mut command = alone("tls::trusts_the_named_file", server.url);
    command.env("SSL_CERT_FILE", file).env_remove("SSL_CERT_DIR");
    passes(command);
}

#[tokio::test]
#[ignore = "run by a_server_that_the_named_file_vouches_for_is_trusted, with SSL_CERT_FILE"]
async fn trusts_the_named_file() {
    let Some(url) = given() else { return };
    let response = transport(Options::default()).send(get(&url)).await.unwrap();
    assert_eq!(&*response.body, b"secret");
}

#[test]
fn roots_that_are_named_but_cannot_be_read_are_an_error() {
    let mut command = alone("tls::misses_the_named_file", "");
    command.env("SSL_CERT_FILE", "/no/such/file").env_remove("SSL_CERT_DIR");
    passes(command);
}

#[test]
#[ignore = "run by roots_that_are_named_but_cannot_be_read_are_an_error, with SSL_CERT_FILE"]
fn misses_the_named_file() {
    if given().is_some() {
        let error = HttpTransport::new(Arc::new(SystemClock), Options::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("variable=`SSL_CERT_FILE`"), "{error}");
    }
}
