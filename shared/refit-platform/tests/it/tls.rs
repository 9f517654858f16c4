//! Encryption: whom requests trust.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use http::Method;
use refit_core::error::ErrorKind;
use refit_engine::port::Transport as _;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::http::{Failure, Request};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::alone::{alone, given, new_folder, passes};
use crate::requests::transport;

/// Starts a server with a certificate of its own making; tells its URL and the certificate.
fn server() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let certificates = vec![made.cert.der().clone()];
    let config =
        Arc::new(builder.with_no_client_auth().with_single_cert(certificates, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, connection.unwrap());
            // Who does not trust the server goes away.
            if stream.read(&mut [0; 4096]).is_ok() {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecret").unwrap();
            }
        }
    });
    (url, made.cert.pem())
}

fn get(url: &str) -> Request {
    Request::new(Method::GET, url.parse().unwrap())
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_sent_nothing() {
    let (url, _) = server();
    match transport(Options::default()).send(get(&url)).await {
        Err(Failure::NotSent(message)) => assert!(message.contains("certificate"), "{message}"),
        other => panic!("not NotSent: {other:?}"),
    }
}

#[test]
fn a_server_that_the_named_file_vouches_for_is_trusted() {
    let (folder, (url, certificate)) = (new_folder(), server());
    let file = folder.path().join("roots.pem");
    fs::write(&file, certificate).unwrap();
    let mut command = alone("tls::trusts_the_named_file", url);
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
