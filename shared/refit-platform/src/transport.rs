//! Requests over HTTP, each sent once.
//!
//! No redirects, no retries, no proxies, no cookies; limits on time and on the size of an answer. Only what certainly
//! never reached the other side is [`Failure::NotSent`]. No error holds a body, a header or a path.

mod allow;
mod client;
mod guard;
mod mail;
mod outbound;
mod roots;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
#[cfg(feature = "gcp")]
use http::{HeaderName, HeaderValue};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::{Clock, Transport};
use refit_wire::credential::Token;
#[cfg(feature = "gcp")]
use refit_wire::http::Auth;
use refit_wire::http::{Failure, Reply, Request, Secret};
use refit_wire::outgoing::Mail;

pub(crate) use self::allow::Allowed;
pub(crate) use self::client::{Client, Clients};
use self::guard::Guard;
pub use self::outbound::Outbound;
use crate::auth::{Credential, Credentials, Places};

/// How long a request may take that does not say so itself, credentials included.
const TIMEOUT: Span = Span::secs(20);
/// An access token for Google's own hosts.
#[cfg(feature = "gcp")]
const GOOGLE_TOKEN: Auth = Auth::GoogleAccessToken { hosts: Vec::new() };
/// Bytes of the body of an answer.
const RESPONSE_BYTES_MAX: usize = 4 << 20;
/// The status of an answer to a credential that does not hold.
const UNAUTHORIZED: u16 = 401;

/// What an operator decides about requests.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Hosts, as `host` or `host:port`, that credentials may be sent to without encryption.
    pub plain_http: Vec<String>,
    /// Where credentials come from.
    pub places: Places,
}

/// The transport over HTTP.
pub struct HttpTransport {
    clock: Arc<dyn Clock>,
    client: Client,
    guard: Guard,
    allowed: Allowed,
    credentials: Credentials,
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport").field("allowed", &self.allowed).finish_non_exhaustive()
    }
}

impl HttpTransport {
    /// A transport. It fetches no credential before a request names one.
    ///
    /// # Errors
    /// `Invalid` if the roots of trust that the environment names cannot be read.
    pub fn new(clock: Arc<dyn Clock>, options: Options) -> Result<Self, Error> {
        Self::guarded(clock, options, Guard::of_system())
    }

    fn guarded(clock: Arc<dyn Clock>, options: Options, guard: Guard) -> Result<Self, Error> {
        let clients = Clients::new(guard)?;
        let credentials = Credentials::new(&clients, Arc::clone(&clock), options.places)?;
        let allowed = Allowed::new(options.plain_http);
        Ok(Self { clock, client: clients.guarded, guard, allowed, credentials })
    }

    /// The header with an access token of Google, for clients that send for themselves.
    ///
    /// # Errors
    /// `Unauthorized` if there is no credential, `Unavailable` if it could not be had now.
    #[cfg(feature = "gcp")]
    pub(crate) async fn google_token(&self) -> Result<(HeaderName, HeaderValue), Error> {
        let late = || Error::new(ErrorKind::Unavailable, "a credential was not had in time");
        let token = within(&*self.clock, TIMEOUT, self.credentials.of(&GOOGLE_TOKEN)).await;
        let token = token.unwrap_or_else(|| Err(late()))?;
        Ok(token.expect("a credential was named").header())
    }

    /// Forgets the access token that Google's own client was refused with.
    #[cfg(feature = "gcp")]
    pub(crate) async fn forget_google_token(&self) {
        if let Ok(Some(token)) = self.credentials.of(&GOOGLE_TOKEN).await {
            self.credentials.forget(&GOOGLE_TOKEN, &token);
        }
    }

    /// Sends one request once, as [`Transport::send`] does, and takes an answer of up to so many bytes.
    pub(crate) async fn send_up_to(&self, request: Request, bytes: usize) -> Reply {
        let limit = request.timeout.unwrap_or(TIMEOUT);
        let end = self.clock.elapsed() + limit;
        self.send_by(request, end, bytes).await
    }

    async fn send_by(&self, mut request: Request, end: Span, bytes: usize) -> Reply {
        self.allowed.check(&request.url, &request.auth).map_err(Failure::NotSent)?;
        let auth = request.auth.clone();
        self.find_address(&mut request, self.left(end)).await?;
        let credential = self.credential(&mut request, self.left(end)).await?;
        // A machine that was suspended meanwhile must not send what its caller has given up.
        let left = self.left(end);
        if left == Span::ZERO {
            return Err(late());
        }
        let reply = self.client.send_up_to(request, credential.as_ref(), left, bytes).await;
        if let (Ok(response), Some(credential)) = (&reply, &credential)
            && response.status == UNAUTHORIZED
        {
            self.credentials.forget(&auth, credential);
        }
        reply
    }

    /// Puts the address that the request names, and that is a secret, in the place of its own.
    async fn find_address(&self, request: &mut Request, limit: Span) -> Result<(), Failure> {
        let address = within(&*self.clock, limit, self.credentials.address(&request.auth)).await;
        let address =
            address.ok_or_else(late)?.map_err(|error| Failure::NotSent(error.to_string()))?;
        let Some(address) = address else { return Ok(()) };
        self.allowed.check_secret(&address, &request.auth).map_err(Failure::NotSent)?;
        request.url = address;
        Ok(())
    }

    /// Has the request signed if it names a signature, and else the credential that it names.
    async fn credential(
        &self,
        request: &mut Request,
        limit: Span,
    ) -> Result<Option<Credential>, Failure> {
        let credential = async {
            self.credentials.sign(request).await?;
            self.credentials.of(&request.auth).await
        };
        let credential = within(&*self.clock, limit, credential).await.ok_or_else(late)?;
        credential.map_err(|error| Failure::NotSent(error.to_string()))
    }

    fn left(&self, end: Span) -> Span {
        Span::from_millis(end.as_millis() - self.clock.elapsed().as_millis())
    }
}

fn late() -> Failure {
    Failure::NotSent("its time was over before it could be sent".to_owned())
}

#[async_trait]
impl Transport for HttpTransport {
    async fn send(&self, request: Request) -> Reply {
        self.send_up_to(request, RESPONSE_BYTES_MAX).await
    }

    async fn mail(&self, mail: Mail) -> Reply {
        let end = self.clock.elapsed() + TIMEOUT;
        let password = match &mail.login {
            Some((_, secret)) => {
                let read = within(&*self.clock, TIMEOUT, self.credentials.password(secret)).await;
                let read = read.ok_or_else(late)?;
                Some(read.map_err(|error| Failure::NotSent(error.to_string()))?)
            }
            None => None,
        };
        let left = self.left(end);
        let handed_in = mail::hand_in(&mail, self.guard, password.as_ref(), left);
        let silent = || format!("no answer in time: host=`{}`", mail.host);
        within(&*self.clock, left, handed_in)
            .await
            .unwrap_or_else(|| Err(Failure::Unclear(silent())))
    }

    async fn secret(&self, secret: &Secret, refused: Option<&str>) -> Result<String, Error> {
        if let Some(refused) = refused {
            self.credentials.forget_secret(secret, &Token::new(refused));
        }
        let read = within(&*self.clock, TIMEOUT, self.credentials.password(secret)).await;
        let late = || Err(Error::new(ErrorKind::Unavailable, "a secret was not read in time"));
        read.unwrap_or_else(late).map(|token| token.as_str().to_owned())
    }
}
