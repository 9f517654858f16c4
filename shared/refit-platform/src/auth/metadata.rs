//! Google's metadata server, or a stand-in for it.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, Method};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::Clock;
use refit_wire::http::{Request, Response};
use serde::Deserialize;
use url::Url;

use super::token::Token;
use crate::transport::Client;

/// The name of the server wherever Google runs the process.
const HOST: &str = "metadata.google.internal";
/// The header that both sides must send: no page in a browser can, and no other server does.
const FLAVOR: &str = "metadata-flavor";
/// How long one request may take.
const TIMEOUT: Span = Span::secs(5);
/// How long a fresh token is taken to hold whatever the machine's clock says.
const LIFE_MIN: Span = Span::mins(1);

/// The client of a metadata server.
pub(super) struct Metadata {
    client: Client,
    clock: Arc<dyn Clock>,
    account: Url,
}

#[derive(Deserialize)]
struct AccessToken {
    access_token: String,
    expires_in: i64,
}

#[derive(Deserialize)]
struct Claims {
    exp: i64,
    iat: i64,
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
    pub(super) async fn access_token(&self) -> Result<(Token, Span), Error> {
        let response = self.ask(self.url("token")).await?;
        let token: AccessToken =
            serde_json::from_slice(&response.body).map_err(|_| unreadable())?;
        Ok((Token::new(&token.access_token), Span::secs(token.expires_in)))
    }

    /// An ID token of the default service account.
    pub(super) async fn id_token(&self, audience: &str) -> Result<(Token, Span), Error> {
        let mut url = self.url("identity");
        url.query_pairs_mut().append_pair("audience", audience).append_pair("format", "full");
        let response = self.ask(url).await?;
        let text = str::from_utf8(&response.body).map_err(|_| unreadable())?;
        let life = life(text, self.clock.now()).ok_or_else(unreadable)?;
        Ok((Token::new(text), life))
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
            status @ 400..500 => {
                Err(trouble(ErrorKind::Unauthorized, &format!("status=`{status}`")))
            }
            status => Err(trouble(ErrorKind::Unavailable, &format!("status=`{status}`"))),
        }
    }
}

fn trouble(kind: ErrorKind, why: &str) -> Error {
    Error::new(kind, format!("no token from the metadata server: {why}"))
}

fn unreadable() -> Error {
    trouble(ErrorKind::Unavailable, "its answer is not a token")
}

/// How much longer an ID token holds. The machine's clock may be wrong: no longer than it was made for, and, as it was
/// handed out just now, at least a little.
pub(super) fn life(token: &str, now: Timestamp) -> Option<Span> {
    let payload = BASE64_URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    let left = Timestamp::from_millis(claims.exp.saturating_mul(1000)).since(now);
    Some(left.min(Span::secs(claims.exp.saturating_sub(claims.iat))).max(LIFE_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_token_holds_until_its_end_within_reason() {
        let token = |claims: &str| format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
        let hour = token(r#"{"iat":1700000000,"exp":1700003600,"aud":"x"}"#);
        for (now, expected) in [
            (1_700_000_000, Span::secs(3600)),
            (1_700_003_000, Span::secs(600)),
            (1_600_000_000, Span::secs(3600)),
            (1_700_003_599, Span::secs(60)),
            (1_800_000_000, Span::secs(60)),
        ] {
            assert_eq!(life(&hour, Timestamp::from_millis(now * 1000)), Some(expected), "at {now}");
        }
        for text in
            ["", "abc", "a.b.c", &token("{}"), &token("[]"), &token(r#"{"exp":"x","iat":1}"#)]
        {
            assert_eq!(life(text, Timestamp::EPOCH), None, "{text}");
        }
    }
}
