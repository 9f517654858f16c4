//! Whom to trust: the certificates servers are checked against.

use std::sync::Arc;

use refit_core::error::{Error, ErrorKind};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};

use crate::env;

/// The TLS configuration of every request, with ring as its cryptography.
///
/// # Errors
/// `Invalid` if the environment names roots and none can be read.
pub(super) fn tls() -> Result<ClientConfig, Error> {
    let provider = Arc::new(ring::default_provider());
    let versions =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = versions.expect("ring knows the versions of TLS that rustls has");
    let mut config = builder.with_root_certificates(roots()?).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn roots() -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if !roots.is_empty() {
        return Ok(roots);
    }
    // What was asked for is not silently replaced.
    if let Some(name) =
        ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| env::var(name).is_some())
    {
        let message =
            format!("no certificate can be read from the place it names: variable=`{name}`");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(roots)
}
