//! Callers that prove who they are by an ID token: RS256, whom it is for, who issued it, until when, and whose it is.
//!
//! A signature alone proves that somebody has an account at the issuer. Keys are kept for as long as the issuer says, a day
//! at the most; a key that is not known is looked for again once a minute at most, and where the issuer cannot be reached the keys
//! that were known hold for another hour. A token that Cloud Run has stripped of its signature is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Once};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method};
use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error as TokenError, ErrorKind as TokenErrorKind};
use jsonwebtoken::signature::{Error as SignatureError, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, Validation, decode, decode_header};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Clock, Transport};
use refit_wire::http::Request;
use refit_wire::keys::{self, PublishedKeys, RsaKey};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::environment::{Accounts, Oidc};

/// Who issues tokens, in both spellings.
const ISSUERS: [&str; 2] = ["https://accounts.google.com", "accounts.google.com"];
/// How far clocks may be apart.
const LEEWAY: Span = Span::secs(60);
/// How long keys hold beyond that where the issuer cannot be reached.
const STALE: Span = Span::hours(1);
/// How long to wait before keys are fetched again.
const PAUSE: Span = Span::mins(1);
/// How long fetching them may take: a caller waits for it.
const FETCHED_WITHIN: Span = Span::secs(2);
/// Where a caller of Cloud Run may show its token in place of the usual header: Cloud Run looks at this one alone then.
const SERVERLESS: &str = "x-serverless-authorization";
/// What Cloud Run leaves in the place of a signature.
const STRIPPED: &str = "SIGNATURE_REMOVED_BY_GOOGLE";
/// Characters of a token.
const TOKEN_MAX: usize = 8 * 1024;

/// Verifies tokens.
pub struct Tokens {
    settings: Oidc,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    keys: Mutex<Keys>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Keys of the issuer, by their ids.
#[derive(Default)]
struct Keys {
    known: BTreeMap<String, DecodingKey>,
    until: Option<Timestamp>,
    asked: Option<Timestamp>,
}

/// What a token says that is asked for.
#[derive(Deserialize)]
struct Claims {
    exp: i64,
    #[serde(flatten)]
    account: Account,
}

/// Whose a token is.
#[derive(Deserialize)]
struct Account {
    email: Option<String>,
    #[serde(default)]
    email_verified: bool,
}

/// Why a caller is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Nobody knows who it is, with the reason.
    Unknown(&'static str),
    /// It is somebody who may not call this.
    NotAllowed,
    /// It cannot be told now.
    Unavailable,
}

impl Tokens {
    /// Verifies by these settings. Keys are fetched when the first token comes.
    pub fn new(settings: Oidc, transport: Arc<dyn Transport>, clock: Arc<dyn Clock>) -> Self {
        install();
        Self { settings, transport, clock, keys: Mutex::default() }
    }

    /// Whether a caller with these headers may call this path.
    ///
    /// # Errors
    /// Why not.
    pub async fn verify(&self, headers: &HeaderMap, path: &str) -> Result<(), Refused> {
        let token = token_of(headers)?;
        let header = decode_header(token).map_err(|_| Refused::Unknown("not a token"))?;
        if header.alg != Algorithm::RS256 {
            return Err(Refused::Unknown("the token is not signed with RS256"));
        }
        let kid = header.kid.ok_or(Refused::Unknown("the token names no key"))?;
        let key = self.key(&kid).await?;
        let claims = decode::<Claims>(token, &key, &self.validation());
        let claims = claims.map_err(|error| Refused::Unknown(why(&error)))?.claims;
        let expires = Timestamp::from_millis(claims.exp.saturating_mul(1000));
        if expires + LEEWAY < self.clock.now() {
            return Err(Refused::Unknown("the token has expired"));
        }
        let email = claims.account.verified();
        let email = email.ok_or(Refused::Unknown("the token names no verified account"))?;
        allowed(&self.settings.accounts, email, path)
    }

    /// The time is compared by the clock of the process, which tests can set.
    fn validation(&self) -> Validation {
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[&self.settings.audience]);
        validation.set_issuer(&ISSUERS);
        validation.set_required_spec_claims(&["exp", "aud", "iss"]);
        validation.validate_exp = false;
        validation
    }

    async fn key(&self, kid: &str) -> Result<DecodingKey, Refused> {
        let mut keys = self.keys.lock().await;
        let now = self.clock.now();
        let is_fresh = keys.until.is_some_and(|until| now <= until);
        let may_ask = keys.asked.is_none_or(|asked| asked + PAUSE <= now || now < asked);
        let is_wanted = !is_fresh || !keys.known.contains_key(kid);
        if is_wanted && may_ask {
            keys.asked = Some(now);
            if let Some(published) = self.fetch().await {
                let known = published.keys.into_iter().map(|(kid, key)| (kid, readied(&key)));
                (keys.known, keys.until) = (known.collect(), Some(now + published.life));
            }
        }
        match keys.until {
            Some(until) if now <= until + STALE => {
                let unknown = Refused::Unknown("the token is signed with a key nobody knows");
                keys.known.get(kid).cloned().ok_or(unknown)
            }
            Some(_) | None => Err(Refused::Unavailable),
        }
    }

    async fn fetch(&self) -> Option<PublishedKeys> {
        let request = Request::new(Method::GET, self.settings.keys.clone());
        let request = Request { timeout: Some(FETCHED_WITHIN), ..request };
        match self.transport.send(request).await {
            Ok(response) if response.is_success() => keys::read(&response),
            Ok(response) => {
                tracing::warn!(status = response.status, "the keys of the issuer were refused");
                None
            }
            Err(failure) => {
                tracing::warn!(%failure, "the keys of the issuer could not be fetched");
                None
            }
        }
    }
}

impl Account {
    fn verified(&self) -> Option<&str> {
        self.email.as_deref().filter(|_| self.email_verified)
    }
}

/// Whether the caller of a token that Cloud Run has verified may call this path. Cloud Run has taken the signature off,
/// so nothing can be verified here, and nothing but whose it is is read. A token that still has one is not by way of
/// Cloud Run; one without proves nothing where IAM lets in whom it does not know.
///
/// # Errors
/// `Unknown` where the signature is still there, and `NotAllowed` where no listed account is named.
pub(crate) fn admit_verified(
    accounts: &Accounts,
    headers: &HeaderMap,
    path: &str,
) -> Result<(), Refused> {
    let account = account_of(headers)?;
    allowed(accounts, account.verified().ok_or(Refused::NotAllowed)?, path)
}

/// The header that Cloud Run leaves alone where there is another may say anything.
fn account_of(headers: &HeaderMap) -> Result<Account, Refused> {
    let name = if headers.contains_key(SERVERLESS) { SERVERLESS } else { "authorization" };
    let mut shown = headers.get_all(name).iter();
    let token = shown.next().filter(|_| shown.next().is_none()).and_then(bearer);
    let mut parts = token.ok_or(Refused::NotAllowed)?.splitn(3, '.').skip(1);
    let (claims, signature) = parts.next().zip(parts.next()).ok_or(Refused::NotAllowed)?;
    if signature != STRIPPED {
        return Err(Refused::Unknown(
            "Cloud Run has not verified the token: use REFIT_CALLERS=oidc",
        ));
    }
    let claims = URL_SAFE_NO_PAD.decode(claims).map_err(|_| Refused::NotAllowed)?;
    serde_json::from_slice(&claims).map_err(|_| Refused::NotAllowed)
}

fn allowed(accounts: &Accounts, email: &str, path: &str) -> Result<(), Refused> {
    let is_listed = accounts.get(path).is_some_and(|all| all.contains(email));
    is_listed.then_some(()).ok_or(Refused::NotAllowed)
}

fn readied(key: &RsaKey) -> DecodingKey {
    DecodingKey::from_rsa_raw_components(&key.modulus, &key.exponent)
}

fn token_of(headers: &HeaderMap) -> Result<&str, Refused> {
    let header = headers.get(http::header::AUTHORIZATION);
    let header = header.ok_or(Refused::Unknown("there is no token"))?;
    bearer(header).ok_or(Refused::Unknown("not a token"))
}

fn bearer(header: &HeaderValue) -> Option<&str> {
    let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
    let token = scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())?;
    Some(token).filter(|token| token.len() <= TOKEN_MAX)
}

/// What is wrong with a token, never what it holds.
fn why(error: &TokenError) -> &'static str {
    match error.kind() {
        TokenErrorKind::InvalidSignature => "the signature of the token does not hold",
        TokenErrorKind::InvalidAudience => "the token is for somebody else",
        TokenErrorKind::InvalidIssuer => "the token is from somebody else",
        TokenErrorKind::MissingRequiredClaim(_) => "the token lacks what it must say",
        _ => "the token cannot be read",
    }
}

/// RS256 by the library that encrypts the connections, so that there is no second one.
struct Rs256(DecodingKey);

impl Verifier<Vec<u8>> for Rs256 {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), SignatureError> {
        let DecodingKeyKind::RsaModulusExponent { n, e } = self.0.kind() else {
            return Err(SignatureError::new());
        };
        let key = RsaPublicKeyComponents { n, e };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature)
            .map_err(|_| SignatureError::new())
    }
}

impl JwtVerifier for Rs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

/// Tells the library how to verify; it is told once for the process.
fn install() {
    static ONCE: Once = Once::new();
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: |_, _| Err(TokenErrorKind::InvalidAlgorithm.into()),
        verifier_factory: |algorithm, key| match algorithm {
            Algorithm::RS256 => Ok(Box::new(Rs256(key.clone()))),
            _ => Err(TokenErrorKind::InvalidAlgorithm.into()),
        },
        key_utils: KeyUtils::new_unimplemented(),
    };
    ONCE.call_once(|| {
        // Another one in place would be another part of this process, which there is not.
        let _ = PROVIDER.install_default();
    });
}

#[cfg(test)]
pub(crate) mod tests;
