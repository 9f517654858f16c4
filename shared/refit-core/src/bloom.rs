//! A Bloom filter over 128-bit hashes: says "no" for certain and "perhaps" with one error in a hundred.

use serde::{Deserialize, Serialize};

use crate::key::Hash128;
use crate::packed;

/// Bits per entry.
const BITS: usize = 10;
/// Positions per entry: the best number for ten bits.
const POSITIONS: u64 = 7;

/// The filter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Bloom {
    #[serde(with = "packed")]
    bytes: Vec<u8>,
}

impl Bloom {
    /// A filter of these entries.
    #[must_use]
    pub fn of(entries: &[Hash128]) -> Self {
        let mut bytes = vec![0; (entries.len() * BITS).div_ceil(8).max(8)];
        let bits = bytes.len() as u64 * 8;
        for position in entries.iter().flat_map(|entry| positions(*entry, bits)) {
            bytes[(position / 8) as usize] |= 1 << (position % 8);
        }
        Self { bytes }
    }

    /// Whether the entry may be among those it was made of.
    #[must_use]
    pub fn may_hold(&self, entry: Hash128) -> bool {
        let bits = self.bytes.len() as u64 * 8;
        let set = |position: u64| self.bytes[(position / 8) as usize] & (1 << (position % 8)) != 0;
        bits > 0 && positions(entry, bits).all(set)
    }
}

fn positions(entry: Hash128, bits: u64) -> impl Iterator<Item = u64> {
    let low = entry.0 as u64;
    let step = (entry.0 >> 64) as u64 | 1;
    (0..POSITIONS).map(move |at| low.wrapping_add(step.wrapping_mul(at)) % bits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash128;

    #[test]
    fn what_was_put_in_is_found_and_little_else() {
        let entry = |n: usize| hash128([n.to_string().as_str()]);
        let entries: Vec<Hash128> = (0..1000).map(entry).collect();
        let filter = Bloom::of(&entries);
        assert!(entries.iter().all(|entry| filter.may_hold(*entry)));
        let wrong = (1000..11_000).filter(|n| filter.may_hold(entry(*n))).count();
        assert!(wrong < 200, "two in a hundred at the most: {wrong} of 10000");
        let text = serde_json::to_string(&filter).unwrap();
        assert_eq!(serde_json::from_str::<Bloom>(&text).unwrap(), filter);
        assert!(!Bloom::default().may_hold(entry(1)));
    }
}
