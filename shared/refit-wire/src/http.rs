//! Requests and responses as values. Credentials are named in a request, never in it.

use std::fmt;

use ::http::{HeaderMap, HeaderName, HeaderValue, Method};
use bytes::Bytes;
use refit_core::time::Span;
use serde_json::Value;
use url::Url;

/// A request to be sent once, without redirects, within the time-out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The URL.
    pub url: Url,
    /// Headers, the credentials not among them.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// The credential to add.
    pub auth: Auth,
    /// How long it may take; the caller's own limit where absent.
    pub timeout: Option<Span>,
}

/// The credential a request is sent with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Auth {
    /// None.
    #[default]
    None,
    /// An OAuth access token of the function's service account, for the hosts of Google and those listed.
    GoogleAccessToken {
        /// Hosts the rule file allows beside Google's own.
        hosts: Vec<String>,
    },
    /// An ID token of the function's service account, for the host it is for and those listed.
    GoogleIdToken {
        /// Whom it is for.
        audience: String,
        /// Hosts the rule file allows beside that of the audience.
        hosts: Vec<String>,
    },
    /// A signature of AWS (version 4) over the whole request, by the role of the function.
    Aws {
        /// The service, as AWS names it.
        service: String,
        /// The region.
        region: String,
    },
    /// `Authorization: Bearer` with a secret.
    Bearer(Secret),
    /// `Authorization` with a scheme of the service's own, and a secret.
    Scheme(&'static str, Secret),
    /// A header with a secret.
    Header(HeaderName, Secret),
    /// A token of a GitHub App, for the server that gives it.
    GithubApp(Box<GithubApp>),
    /// An address that is a secret, or has one in it: it takes the place of the request's URL.
    Url {
        /// What stands before the secret.
        before: String,
        /// The secret.
        secret: Secret,
        /// What stands after it.
        after: String,
        /// The hosts it may lead to, as `host` or `host:port`; all below a domain that begins with a dot.
        hosts: Vec<String>,
    },
}

/// A GitHub App where it is installed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GithubApp {
    /// Where its tokens are asked for: `…/app/installations/ID/access_tokens` of the server they are for.
    pub tokens: Url,
    /// Its client id, or its id.
    pub client_id: String,
    /// Its private key, in PEM.
    pub private_key: Secret,
    /// The repository its tokens are for, without the owner.
    pub repository: String,
}

/// Where a secret is kept; never the secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Secret {
    /// In an environment variable of the function.
    Env(String),
    /// In Secret Manager of Google, by the name of its version.
    Google(String),
    /// In Secrets Manager of AWS, by its ARN.
    Aws(String),
}

/// A response, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// Why there is no response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing reached the other side, for certain: the connection was refused, or the request was not allowed.
    NotSent(String),
    /// The other side may or may not have acted: a time-out, a reset, an answer cut short.
    Unclear(String),
}

/// What came of a request.
pub type Reply = Result<Response, Failure>;

impl Request {
    /// A request without a body.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        let headers = HeaderMap::from_iter([(
            ::http::header::ACCEPT,
            HeaderValue::from_static("application/json"),
        )]);
        Self { method, url, headers, body: Bytes::new(), auth: Auth::None, timeout: None }
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        let json = HeaderValue::from_static("application/json");
        self.headers.insert(::http::header::CONTENT_TYPE, json);
        self.body = Bytes::from(body.to_string());
        self
    }

    /// The same request with a credential.
    #[must_use]
    pub fn auth(self, auth: Auth) -> Self {
        Self { auth, ..self }
    }
}

impl Response {
    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The body as JSON, if it is.
    #[must_use]
    pub fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The seconds of `Retry-After`, if it names seconds.
    #[must_use]
    pub fn retry_after(&self) -> Option<Span> {
        let text = self.headers.get(::http::header::RETRY_AFTER)?.to_str().ok()?;
        text.trim().parse().ok().map(Span::secs)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(message) | Self::Unclear(message) => f.write_str(message),
        }
    }
}
