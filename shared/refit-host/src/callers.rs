//! Who may call.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;

use crate::environment::{Accounts, Callers};
use crate::function::Base;
use crate::oidc::{Refused, Tokens, admit_verified};

/// What a caller has to show.
#[derive(Clone)]
pub struct Check(Kind);

#[derive(Clone)]
enum Kind {
    /// Nothing: somebody else has looked, or looks.
    Nothing,
    /// A token the platform has verified, of an account that is listed.
    Verified(Arc<Accounts>),
    /// A token.
    Token(Arc<Tokens>),
    /// That it is on the same machine.
    Loopback,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Nothing => "Nothing",
            Kind::Verified(_) => "Verified",
            Kind::Token(_) => "Token",
            Kind::Loopback => "Loopback",
        })
    }
}

impl Check {
    /// What the environment says.
    #[must_use]
    pub fn new(callers: Callers, base: &Base) -> Self {
        Self(match callers {
            Callers::Platform(None) => Kind::Nothing,
            Callers::Platform(Some(accounts)) => Kind::Verified(Arc::new(accounts)),
            Callers::None => Kind::Loopback,
            Callers::Oidc(settings) => {
                let (transport, clock) = (Arc::clone(&base.transport), Arc::clone(&base.clock));
                Kind::Token(Arc::new(Tokens::new(settings, transport, clock)))
            }
        })
    }

    /// The same for webhooks, whose senders have no tokens: they sign.
    #[must_use]
    pub fn of_webhooks(&self) -> Self {
        match &self.0 {
            Kind::Verified(_) | Kind::Token(_) => Self(Kind::Nothing),
            Kind::Nothing | Kind::Loopback => self.clone(),
        }
    }

    /// Lets a request through if its caller is whom the environment says.
    ///
    /// Where the platform has verified the caller, nothing is left to verify, as Cloud Run replaces the signature of the
    /// token; whose it is may still decide which path it may call. Where nobody has, the process listens on loopback
    /// only; a browser that was talked into calling it is turned away by the name of the host it asked for, or by that of
    /// the page that has it call.
    pub(crate) async fn pass(&self, request: Request, next: Next) -> Response {
        let refused = match &self.0 {
            Kind::Nothing => None,
            Kind::Loopback => (!is_loopback(&request) || is_of_a_page(&request)).then_some((
                StatusCode::FORBIDDEN,
                "this process answers callers on the same machine only",
            )),
            Kind::Verified(accounts) => {
                admit_verified(accounts, request.headers(), request.uri().path()).err().map(answer)
            }
            Kind::Token(tokens) => {
                let verified = tokens.verify(request.headers(), request.uri().path()).await;
                verified.err().map(answer)
            }
        };
        match refused {
            None => next.run(request).await,
            Some((status, reason)) => {
                tracing::warn!(status_code = status.as_u16(), reason, "a caller was not let in");
                (status, reason).into_response()
            }
        }
    }
}

fn answer(refused: Refused) -> (StatusCode, &'static str) {
    match refused {
        Refused::Unknown(reason) => (StatusCode::UNAUTHORIZED, reason),
        Refused::NotAllowed => (StatusCode::FORBIDDEN, "this account may not call this"),
        Refused::Unavailable => {
            (StatusCode::SERVICE_UNAVAILABLE, "the keys of the issuer are not known now")
        }
    }
}

fn is_loopback(request: &Request) -> bool {
    let header = request.headers().get(http::header::HOST).and_then(|host| host.to_str().ok());
    let authority = header.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    let Some(authority) = authority.and_then(|text| text.parse::<http::uri::Authority>().ok())
    else {
        return true;
    };
    is_local(authority.host())
}

/// Whether a page of another host has a browser call: browsers say so, and nobody else does.
fn is_of_a_page(request: &Request) -> bool {
    let Some(origin) = request.headers().get(http::header::ORIGIN) else { return false };
    let uri = origin.to_str().ok().and_then(|text| text.parse::<http::Uri>().ok());
    !uri.and_then(|uri| uri.host().map(is_local)).unwrap_or(false)
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]")
}

#[cfg(test)]
mod tests;
