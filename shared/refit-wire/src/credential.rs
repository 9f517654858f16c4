//! Answers of those who give credentials: metadata servers, token services, stores of secrets.
//!
//! Whoever answers may be out of order, or somebody else. What is read here holds for a bounded time, and nothing shows it:
//! of an answer that gives nothing, nothing is told either.

use std::fmt;
use std::sync::Arc;

use ::http::HeaderValue;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use refit_core::time::{Span, Timestamp};
use serde_json::Value;

/// The longest a token holds that says until when.
const LIFE_MAX: Span = Span::hours(1);
/// How long such a token, which is fresh, is taken to hold whatever the machine's clock says.
const LIFE_MIN: Span = Span::mins(1);
/// The longest an access token holds that says for how long.
const ACCESS_LIFE_MAX: Span = Span::hours(12);

/// A token or a secret. It can be compared and sent, and is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

/// A token, and how long it holds from the moment it was asked for.
pub type Given = (Token, Span);

impl Token {
    /// A token; white space around it, as files and secret stores add it, is cut.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().into())
    }

    /// The token itself, for where it is sent.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that a header can hold: another could never be sent, nor be refused and asked for anew.
    fn of_header(text: &str) -> Option<Self> {
        let token = Self::new(text);
        let is_fit = !token.0.is_empty() && HeaderValue::from_str(&token.0).is_ok();
        is_fit.then_some(token)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// An access token of OAuth (RFC 6749, section 5.1), as Google's metadata server and its token service give it.
#[must_use]
pub fn access_token(body: &[u8]) -> Option<Given> {
    let said = json(body)?;
    let life = Span::secs(said["expires_in"].as_i64()?).min(ACCESS_LIFE_MAX);
    Some((Token::of_header(said["access_token"].as_str()?)?, life))
}

/// An ID token, as Google's metadata server gives it: nothing but the token.
#[must_use]
pub fn id_token(body: &[u8], now: Timestamp) -> Option<Given> {
    let text = str::from_utf8(body).ok()?;
    Some((Token::of_header(text)?, life_of_id_token(text, now)?))
}

/// An access token of a service account (`generateAccessToken` of Google's IAM Credentials).
#[must_use]
pub fn access_token_of_account(body: &[u8], now: Timestamp) -> Option<Given> {
    let said = json(body)?;
    let life = until(said["expireTime"].as_str()?, now)?;
    Some((Token::of_header(said["accessToken"].as_str()?)?, life))
}

/// An ID token of a service account (`generateIdToken` of Google's IAM Credentials).
#[must_use]
pub fn id_token_of_account(body: &[u8], now: Timestamp) -> Option<Given> {
    id_token(json(body)?["token"].as_str()?.as_bytes(), now)
}

/// A token of a GitHub App where it is installed.
#[must_use]
pub fn token_of_app(body: &[u8], now: Timestamp) -> Option<Given> {
    let said = json(body)?;
    let life = until(said["expires_at"].as_str()?, now)?;
    Some((Token::of_header(said["token"].as_str()?)?, life))
}

/// A secret in Secret Manager of Google, which may have lines.
#[must_use]
pub fn secret_of_google(body: &[u8]) -> Option<Token> {
    let bytes = BASE64_STANDARD.decode(json(body)?["payload"]["data"].as_str()?).ok()?;
    String::from_utf8(bytes).ok().map(|text| Token::new(&text))
}

/// A secret in Secrets Manager of AWS, which may have lines.
#[must_use]
pub fn secret_of_aws(body: &[u8]) -> Option<Token> {
    json(body)?["SecretString"].as_str().map(Token::new)
}

fn json(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok()
}

/// How much longer a token holds that ends at a time. The machine's clock may be wrong: no longer than such tokens are made
/// for, and, as it was handed out just now, at least a little.
fn until(end: &str, now: Timestamp) -> Option<Span> {
    let end: Timestamp = end.parse().ok()?;
    Some(end.since(now).min(LIFE_MAX).max(LIFE_MIN))
}

/// The same of an ID token, which says as well when it was made.
fn life_of_id_token(token: &str, now: Timestamp) -> Option<Span> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims = json(&claims)?;
    let (made, end) = (claims["iat"].as_i64()?, claims["exp"].as_i64()?);
    let left = Timestamp::from_millis(end.saturating_mul(1000)).since(now);
    let whole = Span::secs(end.saturating_sub(made)).min(LIFE_MAX);
    Some(left.min(whole).max(LIFE_MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: &str = "2026-01-05T12:00:00Z";

    fn noon() -> Timestamp {
        NOON.parse().expect("a time")
    }

    fn given(token: &str, life: Span) -> Option<Given> {
        Some((Token::new(token), life))
    }

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_holds_for_as_long_as_it_says_within_reason() {
        let access = |life: i64| format!(r#"{{"access_token":" t\n","expires_in":{life}}}"#);
        for (life, expected) in [
            (3599, Span::secs(3599)),
            (9, Span::secs(9)),
            (-9, Span::ZERO),
            (i64::MAX, Span::hours(12)),
        ] {
            assert_eq!(access_token(access(life).as_bytes()), given("t", expected), "{life}");
        }
        for (end, expected) in [
            ("2026-01-05T12:30:00Z", Span::mins(30)),
            ("2026-01-05T11:00:00Z", Span::mins(1)),
            ("2999-01-01T00:00:00Z", Span::hours(1)),
        ] {
            let account = format!(r#"{{"accessToken":"t","expireTime":"{end}"}}"#);
            let found = access_token_of_account(account.as_bytes(), noon());
            assert_eq!(found, given("t", expected), "{end}");
            let app = format!(r#"{{"token":"t","expires_at":"{end}"}}"#);
            assert_eq!(token_of_app(app.as_bytes(), noon()), given("t", expected), "{end}");
        }
    }

    #[test]
    fn an_id_token_holds_until_its_end_within_reason() {
        let hour = jwt(r#"{"iat":1700000000,"exp":1700003600,"aud":"x"}"#);
        let long = jwt(r#"{"iat":0,"exp":9223372036854775807}"#);
        for (token, now, expected) in [
            (&hour, 1_700_000_000, Span::hours(1)),
            (&hour, 1_700_003_000, Span::mins(10)),
            (&hour, 1_600_000_000, Span::hours(1)),
            (&hour, 1_700_003_599, Span::mins(1)),
            (&hour, 1_800_000_000, Span::mins(1)),
            (&long, 1_700_000_000, Span::hours(1)),
        ] {
            let now = Timestamp::from_millis(now * 1000);
            assert_eq!(id_token(token.as_bytes(), now), given(token, expected), "at {now}");
            let account = format!(r#"{{"token":"{token}"}}"#);
            assert_eq!(id_token_of_account(account.as_bytes(), now), given(token, expected));
        }
        for claims in ["{}", "[]", r#"{"exp":"x","iat":1}"#] {
            assert_eq!(id_token(jwt(claims).as_bytes(), noon()), None, "{claims}");
        }
        for text in ["", "abc", "a.b.c"] {
            assert_eq!(id_token(text.as_bytes(), noon()), None, "{text}");
        }
    }

    #[test]
    fn what_could_never_be_sent_is_no_token() {
        for token in ["", " ", "a\\nb", "\\u0000", "\\u007f"] {
            let body = format!(r#"{{"access_token":"{token}","expires_in":9}}"#);
            assert_eq!(access_token(body.as_bytes()), None, "{token}");
        }
        assert_eq!(access_token(br#"["t", 9]"#), None);
    }

    #[test]
    fn a_secret_is_text_of_any_form() {
        let google = |bytes: &[u8]| {
            let body = format!(r#"{{"payload":{{"data":"{}"}}}}"#, BASE64_STANDARD.encode(bytes));
            secret_of_google(body.as_bytes())
        };
        assert_eq!(google(b"one\ntwo\n"), Some(Token::new("one\ntwo")));
        assert_eq!(google(b"\xff"), None);
        assert_eq!(secret_of_aws(br#"{"SecretString":"s"}"#), Some(Token::new("s")));
        assert_eq!(secret_of_aws(br#"{"SecretBinary":"cw=="}"#), None);
        assert_eq!(format!("{:?}", Token::new("canary")), "Token(…)");
    }
}
