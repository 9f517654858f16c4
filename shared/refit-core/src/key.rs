//! Names made from content: run keys, digests and 128-bit hashes.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest, Sha256};

/// A 128-bit hash, written as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hash128(pub u128);

/// The identity under which one attempt of one run is started at a service: `rf-` and 32 hexadecimal digits.
///
/// The attempt is part of it, so a retry can never be taken for the run it follows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey(pub Hash128);

/// Hashes the parts, each with its length before it, so that no two lists of parts hash alike.
#[must_use]
pub fn hash128<'a>(parts: impl IntoIterator<Item = &'a str>) -> Hash128 {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let digest = hasher.finalize();
    let mut half = [0; 16];
    half.copy_from_slice(&digest[..16]);
    Hash128(u128::from_be_bytes(half))
}

/// SHA-256 of the bytes as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

impl RunKey {
    /// The key of attempt `attempt` of the run of `batch`, in an [epoch](crate::state::State::epoch) of a ledger.
    #[must_use]
    pub fn new(epoch: &str, trigger: &str, batch: &str, attempt: u32) -> Self {
        Self(hash128([epoch, trigger, batch, &attempt.to_string()]))
    }

    /// The same 128 bits as a UUID, for services that want one.
    #[must_use]
    pub fn uuid(self) -> String {
        let hex = self.0.to_string();
        let [a, b, c, d, e] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        format!("{a}-{b}-{c}-{d}-{e}")
    }
}

impl fmt::Display for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Hash128 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Hash128 {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let value = digits.then(|| u128::from_str_radix(text, 16).ok()).flatten();
        value.map(Self).ok_or_else(|| format!("not 32 hexadecimal digits: value=`{text}`"))
    }
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rf-{}", self.0)
    }
}

impl fmt::Debug for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for RunKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits =
            text.strip_prefix("rf-").ok_or_else(|| format!("not a run key: key=`{text}`"))?;
        digits.parse().map(Self)
    }
}

crate::serde_as_text!(Hash128, RunKey);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_key_is_legal_wherever_services_want_a_name() {
        let key = RunKey::new("ledger", "churn", "b1.0", 1);
        assert_eq!(key.to_string().len(), 35);
        assert_eq!(key.to_string().parse::<RunKey>(), Ok(key));
        assert_eq!(key.uuid().len(), 36);
        assert_eq!(key.uuid().replace('-', ""), key.to_string()[3..]);
    }

    #[test]
    fn every_part_and_every_boundary_counts() {
        assert_ne!(hash128(["ab", "c"]), hash128(["a", "bc"]));
        assert_ne!(RunKey::new("l", "t", "b", 1), RunKey::new("l", "t", "b", 2));
    }

    #[test]
    fn sha256_is_the_published_one() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(sha256_hex(b""), empty);
    }
}
