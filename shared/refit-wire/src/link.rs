//! Links by which a person approves or rejects what is asked for a version, without a command line.
//!
//! A link says which request for a version of which ledger it answers, in whose name, and until when; an HMAC over that is made with a
//! secret that those who make links and the door of webhooks share. It is a secret itself: whoever has it can answer
//! once. A statement by a link has the identity of its request and person, so of several answers the first counts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use refit_core::key::{Hash128, hash128};
use refit_core::promotion::Stage;
use refit_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// The header in which the door of links hands on what a link says.
pub const HEADER: &str = "x-refit-link";
/// The path at which links are answered.
pub const PATH: &str = "/approve";
/// Bytes of a secret that links are signed with, at the least.
pub const KEY_BYTES_MIN: usize = 32;

/// What the signed bytes begin with, so that no other signature with the same secret is one of a link.
const CONTEXT: &str = "refit.link.v2.";

/// What a link says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// The ledger it is of, by [`ledger_at`].
    pub ledger: Hash128,
    /// The model.
    pub model: String,
    /// The registry's name of the version.
    pub version: String,
    /// The stage that is asked for.
    pub stage: Stage,
    /// The request, counted from 1.
    pub request: u32,
    /// In whose name it answers.
    pub person: String,
    /// How long it holds.
    pub until: Timestamp,
}

/// The parts of a link, of which nothing is verified.
pub(crate) struct Parts {
    pub(crate) link: Link,
    pub(crate) signed: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl Link {
    /// The text of the link, signed; none where no such key can be.
    #[must_use]
    pub fn token(&self, key: &[u8]) -> Option<String> {
        let said = URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).ok()?);
        let mac =
            Hmac::<Sha256>::new_from_slice(key).ok().filter(|_| key.len() >= KEY_BYTES_MIN)?;
        let signature = mac.chain_update(CONTEXT).chain_update(&said).finalize().into_bytes();
        Some(format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// What a request says that the door of links hands on. Its signature is another's business to verify.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        parts(headers).map(|parts| parts.link)
    }
}

/// How links name a ledger, by the URI of its folder: who makes links and who takes answers know it, and it shows in no
/// address.
#[must_use]
pub fn ledger_at(root: &str) -> Hash128 {
    hash128(["link", root])
}

pub(crate) fn parts(headers: &HeaderMap) -> Option<Parts> {
    let (said, signature) = headers.get(HEADER)?.to_str().ok()?.split_once('.')?;
    let link = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(said).ok()?).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    Some(Parts { link, signed: format!("{CONTEXT}{said}").into_bytes(), signature })
}
