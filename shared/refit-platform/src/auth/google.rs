//! Tokens of the service account, or of the person, that the process runs as.

use std::sync::Arc;

use async_trait::async_trait;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Timestamp;
use refit_engine::port::Clock;
use refit_wire::credential::{Given, Token};

use super::cache::Source;
#[cfg(feature = "aws")]
use super::external::External;
use super::metadata::Metadata;
use crate::transport::Client;

/// What an access token is asked for; roles say what it may.
pub(super) const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// What a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// The interfaces of Google.
    Access,
    /// Whoever is this audience.
    Id(String),
}

/// Where Google's tokens come from.
pub(super) struct GoogleTokens {
    clock: Arc<dyn Clock>,
    metadata: Metadata,
    /// Whether a stand-in was named, which then serves everything.
    stand_in: bool,
    #[cfg(feature = "aws")]
    external: Option<External>,
}

impl GoogleTokens {
    /// # Errors
    /// `Invalid` if `stand_in` is not a host.
    pub(super) fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        stand_in: Option<&str>,
    ) -> Result<Self, Error> {
        let metadata = Metadata::new(client, Arc::clone(&clock), stand_in)?;
        Ok(Self {
            clock,
            metadata,
            stand_in: stand_in.is_some(),
            #[cfg(feature = "aws")]
            external: None,
        })
    }

    /// The same, with what AWS vouches for in the place of everything but a stand-in.
    #[cfg(feature = "aws")]
    pub(super) fn with(self, external: Option<External>) -> Self {
        Self { external, ..self }
    }

    /// A token by what AWS vouches for, where the process is to have such.
    #[cfg(feature = "aws")]
    async fn federated(&self, kind: &Kind) -> Option<Result<Given, Error>> {
        match self.external.as_ref().filter(|_| !self.stand_in) {
            Some(external) => Some(external.fetch(kind).await),
            None => None,
        }
    }

    /// There is none without AWS.
    #[cfg(not(feature = "aws"))]
    #[expect(clippy::unused_async, reason = "a build with AWS asks for tokens")]
    async fn federated(&self, _: &Kind) -> Option<Result<Given, Error>> {
        None
    }

    /// Looks for credentials where Google's own tools do: a key file, a person's login, the metadata server.
    ///
    /// Each time anew: what was found keeps its token until 20 seconds before its end, longer than we want it.
    async fn discover(&self) -> Result<Given, Error> {
        let provider = gcp_auth::provider().await.map_err(|error| no_token(&error))?;
        let token = provider.token(&[SCOPE]).await.map_err(|error| no_token(&error))?;
        let end = Timestamp::from_millis(token.expires_at().timestamp_millis());
        Ok((Token::new(token.as_str()), end.since(self.clock.now())))
    }
}

#[async_trait]
impl Source for GoogleTokens {
    type Key = Kind;

    async fn fetch(&self, kind: &Kind) -> Result<Given, Error> {
        if let Some(fetched) = self.federated(kind).await {
            return fetched;
        }
        match kind {
            Kind::Access if self.stand_in => self.metadata.access_token().await,
            Kind::Access => self.discover().await,
            Kind::Id(audience) => self.metadata.id_token(audience).await,
        }
    }
}

fn no_token(error: &gcp_auth::Error) -> Error {
    use gcp_auth::Error as Found;
    // The causes are left out: that of a key file that cannot be read might show what is in it.
    match error {
        Found::NoAuthMethod(..) => Error::new(
            ErrorKind::Unauthorized,
            "no credentials of Google: neither a key file nor a login nor a metadata server, and \
             GCE_METADATA_HOST names no stand-in",
        ),
        Found::Http(what, _)
        | Found::Io(what, _)
        | Found::Json(what, _)
        | Found::Other(what, _)
        | Found::Str(what) => {
            Error::new(ErrorKind::Unavailable, format!("no access token of Google: {what}"))
        }
    }
}
