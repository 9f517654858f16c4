//! Google's own clients, given our credentials and the stand-ins we are told of.

use std::fmt;
use std::sync::Arc;

use google_cloud_auth::credentials::{
    CacheableResource, Credentials, CredentialsProvider, EntityTag, anonymous,
};
use google_cloud_auth::errors::CredentialsError;
use http::{Extensions, HeaderMap};
use refit_core::error::{Error, ErrorKind};
use url::Url;

use crate::transport::HttpTransport;

/// The part of Google's cloud that everybody uses.
const UNIVERSE: &str = "googleapis.com";

/// The access tokens of the process.
struct Tokens {
    transport: Arc<HttpTransport>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl CredentialsProvider for Tokens {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let header = self.transport.google_token().await;
        let (name, value) = header.map_err(|error| {
            let may_pass = error.kind() == ErrorKind::Unavailable;
            CredentialsError::from_source(may_pass, error)
        })?;
        let data = HeaderMap::from_iter([(name, value)]);
        Ok(CacheableResource::New { entity_tag: EntityTag::new(), data })
    }

    async fn universe_domain(&self) -> Option<String> {
        Some(UNIVERSE.to_owned())
    }
}

/// What a client shows: our tokens, and nothing to a stand-in.
pub(crate) fn credentials(stand_in: Option<&str>, transport: &Arc<HttpTransport>) -> Credentials {
    // The clients take the provider of cryptography that the process has; a second one is refused, and is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match stand_in {
        Some(_) => anonymous::Builder::new().build(),
        None => Tokens { transport: Arc::clone(transport) }.into(),
    }
}

/// Where a service is: at the stand-in, given as `host:port` or a URL, else where Google has it.
///
/// # Errors
/// `Invalid` if the stand-in is no such thing.
pub(crate) fn endpoint(stand_in: Option<&str>, googles: &str) -> Result<Url, Error> {
    let text = match stand_in {
        Some(stand_in) if !stand_in.contains("://") => format!("http://{stand_in}"),
        Some(stand_in) => stand_in.to_owned(),
        None => googles.to_owned(),
    };
    let url = Url::parse(&text).ok().filter(|url| {
        ["http", "https"].contains(&url.scheme()) && url.has_host() && url.query().is_none()
    });
    let wrong = || format!("not a server that stands in for Google's: address=`{text}`");
    url.ok_or_else(|| Error::new(ErrorKind::Invalid, wrong()))
}

/// Says that there is no client.
pub(crate) fn no_client(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let message = "no client of Google can be made; one needs the roots of trust of the machine";
    Error::new(ErrorKind::Invalid, message).because(error)
}

/// Says that there is no token.
pub(crate) fn no_token(doing: &str, error: google_cloud_gax::error::Error) -> Error {
    let source = std::error::Error::source(&error);
    let may_pass = source
        .and_then(|source| source.downcast_ref::<CredentialsError>())
        .is_some_and(CredentialsError::is_transient);
    let kind = if may_pass { ErrorKind::Unavailable } else { ErrorKind::Unauthorized };
    Error::new(kind, format!("cannot {doing}")).because(error)
}

#[cfg(test)]
mod tests {
    use refit_testkit::fake::metadata::Metadata;

    use super::*;
    use crate::auth::Places;
    use crate::clock::SystemClock;
    use crate::transport::Options;

    #[tokio::test]
    async fn googles_clients_show_the_token_of_the_process_which_is_kept_until_it_is_refused() {
        let metadata = Metadata::start();
        let places = Places { metadata: Some(metadata.place()), ..Places::default() };
        let options = Options { places, ..Options::default() };
        let transport = Arc::new(HttpTransport::new(Arc::new(SystemClock), options).unwrap());
        let credentials = credentials(None, &transport);
        for (refused, given) in [(false, 1), (false, 1), (true, 2)] {
            if refused {
                transport.forget_google_token().await;
            }
            let headers = credentials.headers(Extensions::new()).await.unwrap();
            let CacheableResource::New { data, .. } = headers else { panic!("no headers") };
            let header = data["authorization"].to_str().unwrap();
            assert!(header.starts_with(&format!("Bearer {}", Metadata::CANARY)), "{header}");
            assert!(!format!("{credentials:?} {data:?}").contains(Metadata::CANARY), "shown");
            assert_eq!(metadata.given(), given);
        }
    }

    #[test]
    fn a_stand_in_is_a_host_or_a_url() {
        for (stand_in, url) in [
            (None, "https://storage.googleapis.com/"),
            (Some("127.0.0.1:9000"), "http://127.0.0.1:9000/"),
            (Some("localhost:9000"), "http://localhost:9000/"),
            (Some("https://gcs.example.com"), "https://gcs.example.com/"),
        ] {
            let endpoint = endpoint(stand_in, "https://storage.googleapis.com").unwrap();
            assert_eq!(endpoint.as_str(), url);
        }
        for wrong in ["ftp://host", "http://", "a b", "http://host/?x"] {
            assert_eq!(
                endpoint(Some(wrong), "").unwrap_err().kind(),
                ErrorKind::Invalid,
                "{wrong}"
            );
        }
    }
}
