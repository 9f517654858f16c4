//! Whom to trust: the certificates servers are checked against.

use std::sync::Arc;

use refit_core::error::{Error, ErrorKind};
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
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
    let system = rustls_native_certs::load_native_certs().certs;
    let named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().find(|name| env::var(name).is_some());
    trusted(system, named)
}

/// The roots of the system; those built in, where it has none, as in an image that holds the program alone.
fn trusted(
    system: Vec<CertificateDer<'static>>,
    named: Option<&str>,
) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(system);
    if !roots.is_empty() {
        return Ok(roots);
    }
    // What was asked for is not silently replaced.
    if let Some(name) = named {
        let message =
            format!("no certificate can be read from the place it names: variable=`{name}`");
        return Err(Error::new(ErrorKind::Invalid, message));
    }
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_system_the_roots_built_in_are_trusted() {
        let junk = CertificateDer::from(b"no certificate".to_vec());
        for system in [vec![], vec![junk]] {
            let roots = trusted(system, None).unwrap();
            assert_eq!(roots.roots, webpki_roots::TLS_SERVER_ROOTS);
            // That of Google's own authority, which vouches for its interfaces.
            let has = |name: &[u8]| {
                roots.roots.iter().any(|it| it.subject.windows(name.len()).any(|part| part == name))
            };
            assert!(has(b"GTS Root R1") && !has(b"GTS Root R0"));
        }
    }

    #[test]
    fn those_of_the_system_are_trusted_alone() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let roots = trusted(vec![made.cert.der().clone()], None).unwrap();
        assert_eq!(roots.len(), 1);
    }

    #[test]
    fn those_that_were_asked_for_are_not_replaced() {
        let error = trusted(Vec::new(), Some("SSL_CERT_DIR")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert!(error.to_string().contains("variable=`SSL_CERT_DIR`"), "{error}");
    }
}
