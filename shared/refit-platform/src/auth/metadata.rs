//! Google's metadata server, or a stand-in for it.

use std::sync::Arc;

use http::{HeaderValue, Method};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_wire::credential::{self, Given};
use refit_wire::http::{Request, Response};
use url::Url;

use super::refused;
use crate::transport::Client;

/// The name of the server wherever Google runs the process.
const HOST: &str = "metadata.google.internal";
/// The header that both sides must send: no page in a browser can, and no other server does.
const FLAVOR: &str = "metadata-flavor";
/// How long one request may take.
const TIMEOUT: Span = Span::secs(5);

/// The client of a metadata server.
pub(super) struct Metadata {
    client: Client,
    clock: Arc<dyn Clock>,
    account: Url,
}

impl Metadata {
    /// # Errors
    /// `Invalid` if `host` is not a host.
    pub(super) fn new(
        client: Client,
        clock: Arc<dyn Clock>,
        host: Option<&str>,
    ) -> Result<Self, Error> {
        let host = host.unwrap_or(HOST);
        let account =
            format!("http://{host}/computeMetadata/v1/instance/service-accounts/default/");
        match Url::parse(&account) {
            Ok(account) if account.path().starts_with("/computeMetadata/") => {
                Ok(Self { client, clock, account })
            }
            _ => Err(Error::new(
                ErrorKind::Invalid,
                format!("not a host of a metadata server: host=`{host}`"),
            )),
        }
    }

    /// An access token of the default service account.
    pub(super) async fn access_token(&self) -> Result<Given, Error> {
        let response = self.ask(self.url("token")).await?;
        credential::access_token(&response.body).ok_or_else(unreadable)
    }

    /// An ID token of the default service account.
    pub(super) async fn id_token(&self, audience: &str) -> Result<Given, Error> {
        let mut url = self.url("identity");
        url.query_pairs_mut().append_pair("audience", audience).append_pair("format", "full");
        let response = self.ask(url).await?;
        credential::id_token(&response.body, self.clock.now()).ok_or_else(unreadable)
    }

    fn url(&self, path: &str) -> Url {
        self.account.join(path).expect("a path below the account")
    }

    async fn ask(&self, url: Url) -> Result<Response, Error> {
        let mut request = Request::new(Method::GET, url);
        request.headers.insert(FLAVOR, HeaderValue::from_static("Google"));
        let reply = self.client.send(request, None, TIMEOUT).await;
        let response =
            reply.map_err(|failure| trouble(ErrorKind::Unavailable, &failure.to_string()))?;
        if response.headers.get(FLAVOR).is_none_or(|flavor| flavor != "Google") {
            return Err(trouble(ErrorKind::Unavailable, "whoever answers is not one"));
        }
        match response.status {
            200 => Ok(response),
            status => Err(trouble(refused(status), &format!("status=`{status}`"))),
        }
    }
}

fn trouble(kind: ErrorKind, why: &str) -> Error {
    Error::new(kind, format!("no token from the metadata server: {why}"))
}

fn unreadable() -> Error {
    trouble(ErrorKind::Unavailable, "its answer is not a token")
}
