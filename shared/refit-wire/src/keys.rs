//! The keys that an issuer of tokens publishes (RFC 7517), and how long they hold.

use std::collections::BTreeMap;

use ::http::HeaderMap;
use ::http::header::CACHE_CONTROL;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use refit_core::time::Span;
use serde_json::Value;

use crate::http::Response;

/// How long keys hold whose issuer does not say.
const LIFE: Span = Span::hours(1);
/// The longest they hold: one that was withdrawn is believed no longer.
const LIFE_MAX: Span = Span::days(1);

/// The keys of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedKeys {
    /// By their ids; at least one.
    pub keys: BTreeMap<String, RsaKey>,
    /// How long they hold.
    pub life: Span,
}

/// A public key of RSA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RsaKey {
    /// Its modulus, the highest byte first.
    pub modulus: Vec<u8>,
    /// Its exponent, likewise.
    pub exponent: Vec<u8>,
}

/// Reads the keys of RSA that have an id; none where there are none, or where the answer is something else.
#[must_use]
pub fn read(response: &Response) -> Option<PublishedKeys> {
    let said = response.json()?;
    let keys: BTreeMap<_, _> = said["keys"].as_array()?.iter().filter_map(key).collect();
    let life = max_age(&response.headers).unwrap_or(LIFE).min(LIFE_MAX);
    (!keys.is_empty()).then_some(PublishedKeys { keys, life })
}

fn key(said: &Value) -> Option<(String, RsaKey)> {
    let id = said["kid"].as_str().filter(|_| said["kty"] == "RSA")?;
    let number = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(said[name].as_str()?).ok();
    Some((id.to_owned(), RsaKey { modulus: number("n")?, exponent: number("e")? }))
}

fn max_age(headers: &HeaderMap) -> Option<Span> {
    let text = headers.get(CACHE_CONTROL)?.to_str().ok()?;
    let seconds = text.split(',').find_map(|part| part.trim().strip_prefix("max-age="));
    Some(Span::secs(seconds?.parse::<u32>().ok()?.into()))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    fn answer(cache: &'static str, body: &'static str) -> Option<PublishedKeys> {
        let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static(cache))]);
        read(&Response { status: 200, headers, body: body.into() })
    }

    #[test]
    fn keys_of_rsa_are_read_and_others_left() {
        let body = r#"{"keys": [{"kty": "EC", "kid": "a"}, {"kty": "RSA", "n": "Aw", "e": "AQAB"},
                       {"kty": "RSA", "kid": "b", "n": "!", "e": "AQAB"},
                       {"kty": "RSA", "kid": "c", "n": "Aw", "e": "AQAB", "alg": "RS256"}]}"#;
        let read = answer("", body).expect("one can be read");
        let key = RsaKey { modulus: vec![3], exponent: vec![1, 0, 1] };
        assert_eq!(read.keys, BTreeMap::from([("c".to_owned(), key)]));
        for none in ["", "[]", "{}", r#"{"keys": {}}"#, r#"{"keys": [{"kty": "EC", "kid": "a"}]}"#]
        {
            assert_eq!(answer("", none), None, "{none}");
        }
    }

    #[test]
    fn keys_hold_for_as_long_as_their_issuer_says_a_day_at_the_most() {
        let body = r#"{"keys": [{"kty": "RSA", "kid": "c", "n": "Aw", "e": "AQAB"}]}"#;
        for (cache, expected) in [
            ("public, max-age=60, must-revalidate", Span::mins(1)),
            ("max-age=0", Span::ZERO),
            ("max-age=4294967295", Span::days(1)),
            ("max-age=4294967296", Span::hours(1)),
            ("no-cache", Span::hours(1)),
        ] {
            assert_eq!(answer(cache, body).map(|read| read.life), Some(expected), "{cache}");
        }
    }
}
