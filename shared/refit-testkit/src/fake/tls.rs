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
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])
        .expect("a certificate can be made for a name");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key is a key");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring knows the versions of TLS that rustls has")
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .expect("the key is the certificate's");
    let listener = TcpListener::bind("127.0.0.1:0").expect("this machine can be listened on");
    let port = listener.local_addr().expect("it is bound").port();
    std::thread::spawn(move || serve(&listener, &Arc::new(config), body));
    Vouched { url: format!("https://localhost:{port}/"), certificate: made.cert.pem() }
}

fn serve(listener: &TcpListener, config: &Arc<ServerConfig>, body: &str) {
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    for connection in listener.incoming().flatten() {
        let Ok(session) = ServerConnection::new(Arc::clone(config)) else { return };
        let mut stream = StreamOwned::new(session, connection);
        // Who does not trust the server goes away.
        if stream.read(&mut [0; 4096]).is_ok() {
            let _ = stream.write_all(answer.as_bytes());
        }
    }
}
