//! The HTTP client below the transport and the sources of credentials.

use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_wire::address::place;
use refit_wire::http::{Failure, Reply, Request, Response};
use reqwest::ClientBuilder;
use reqwest::redirect::Policy;
use rustls::ClientConfig;

use super::guard::Guard;
use super::{RESPONSE_BYTES_MAX, roots};
use crate::auth::Credential;
use crate::clock::duration;

/// How long making a connection may take.
const CONNECT_TIMEOUT: Span = Span::secs(5);

/// Sends requests once, with limits.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    reads: reqwest::Client,
    /// Keeps no connection: what is sent on one the server just closed may be sent again below us.
    writes: reqwest::Client,
}

/// The clients of a transport.
#[derive(Debug)]
pub(crate) struct Clients {
    /// Sends what rules ask for; a name that leads to a metadata server leads nowhere.
    pub(crate) guarded: Client,
    /// Asks for credentials, which come from there.
    pub(crate) open: Client,
}

impl Clients {
    /// # Errors
    /// `Invalid` if the roots of trust that the environment names cannot be read.
    pub(super) fn new(guard: Guard) -> Result<Self, Error> {
        let tls = roots::tls()?;
        let guarded = Client::new(&tls, |builder| builder.dns_resolver(guard))?;
        Ok(Self { guarded, open: Client::new(&tls, |builder| builder)? })
    }
}

impl Client {
    fn new(
        tls: &ClientConfig,
        resolving: impl Fn(ClientBuilder) -> ClientBuilder,
    ) -> Result<Self, Error> {
        let builder = || {
            #[expect(clippy::disallowed_methods, reason = "this is where clients are built")]
            let builder = reqwest::Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .connect_timeout(duration(CONNECT_TIMEOUT))
                .redirect(Policy::none())
                .retry(reqwest::retry::never())
                .referer(false)
                .no_proxy()
                .user_agent(concat!("refit/", env!("CARGO_PKG_VERSION")));
            resolving(builder)
        };
        let build = |builder: ClientBuilder| {
            let failed = |error| {
                Error::new(ErrorKind::Internal, "no HTTP client can be made").because(error)
            };
            builder.build().map_err(failed)
        };
        Ok(Self { reads: build(builder())?, writes: build(builder().pool_max_idle_per_host(0))? })
    }

    /// Sends a request, within the limit.
    pub(crate) async fn send(
        &self,
        request: Request,
        credential: Option<&Credential>,
        limit: Span,
    ) -> Reply {
        self.send_up_to(request, credential, limit, RESPONSE_BYTES_MAX).await
    }

    /// Sends a request, within the limit, and takes an answer of up to so many bytes.
    pub(crate) async fn send_up_to(
        &self,
        request: Request,
        credential: Option<&Credential>,
        limit: Span,
        bytes: usize,
    ) -> Reply {
        let place = place(&request.url);
        let sent = self.prepare(request, credential, limit).send().await;
        let response = sent.map_err(|error| failure(&place, &error))?;
        receive(response, bytes)
            .await
            .map_err(|why| Failure::Unclear(format!("{why}: host=`{place}`")))
    }

    fn prepare(
        &self,
        request: Request,
        credential: Option<&Credential>,
        limit: Span,
    ) -> reqwest::RequestBuilder {
        let safe = [Method::GET, Method::HEAD].contains(&request.method);
        let client = if safe { &self.reads } else { &self.writes };
        let mut headers = request.headers;
        if let Some((name, value)) = credential.map(Credential::header) {
            headers.insert(name, value);
        }
        if request.body.is_empty()
            && [Method::POST, Method::PUT, Method::PATCH].contains(&request.method)
        {
            // Google's interfaces answer 411 to one that does not say so.
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let builder = client.request(request.method, request.url).headers(headers);
        builder.body(request.body).timeout(duration(limit))
    }
}

/// What the failure of a request means.
fn failure(place: &str, error: &reqwest::Error) -> Failure {
    if error.is_connect() || error.is_builder() {
        return Failure::NotSent(format!("no connection, {}: host=`{place}`", cause(error)));
    }
    if error.is_timeout() {
        return Failure::Unclear(format!("no answer in time: host=`{place}`"));
    }
    Failure::Unclear(format!("no answer, {}: host=`{place}`", cause(error)))
}

/// The innermost cause: the outer ones name the URL.
fn cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn receive(mut response: reqwest::Response, bytes: usize) -> Result<Response, String> {
    let mut body = Vec::new();
    let status = response.status().as_u16();
    let headers = std::mem::take(response.headers_mut());
    while let Some(chunk) = response.chunk().await.map_err(|error| cut_short(&error))? {
        if body.len() + chunk.len() > bytes {
            return Err(format!("the answer is larger than {bytes} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response { status, headers, body: body.into() })
}

fn cut_short(error: &reqwest::Error) -> String {
    match error.is_timeout() {
        true => "the answer did not end in time".to_owned(),
        false => format!("the answer was cut short, {}", cause(error)),
    }
}
