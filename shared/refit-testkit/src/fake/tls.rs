//! A server that speaks TLS with a certificate of its own making, and says the same to everybody.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Where it is, and what vouches for it.
#[derive(Clone, Debug)]
pub struct Vouched {
    /// `https://localhost:PORT/`.
    pub url: String,
    /// Its certificate, as PEM.
    pub certificate: String,
}

/// Starts the server, which answers 200 and `body`, and goes on until the process ends.
///
/// # Panics
/// If no certificate can be made, or nothing can listen on this machine.
#[must_use]
pub fn vouched(body: &'static str) -> Vouched {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap();
    let certificates = vec![made.cert.der().clone()];
    let config = builder.with_no_client_auth().with_single_cert(certificates, key).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    std::thread::spawn(move || serve(&listener, &Arc::new(config), body));
    Vouched { url, certificate: made.cert.pem() }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, body: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for connection in listener.incoming() {
        let session = ServerConnection::new(Arc::clone(config)).unwrap();
        let mut stream = StreamOwned::new(session, connection.unwrap());
        // Who does not trust the server goes away.
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}
