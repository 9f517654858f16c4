//! The order of the changes of one object, where its store says it.

use std::cmp::Ordering;
use std::fmt;
use std::num::NonZeroU128;
use std::str::FromStr;

/// The digits one may have.
const DIGITS_MAX: usize = 32;

/// What S3 orders the changes of one object by: hexadecimal digits, of which the shorter ones are padded with zeros on
/// their right. Between objects it says nothing.
///
/// It is written without the zeros at its end, which are no part of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequencer(pub NonZeroU128);

/// Which of two changes of one object was later: by their sequencers where both have one, else by what else is known.
#[must_use]
pub fn order<T: Ord>(one: &(Option<Sequencer>, T), other: &(Option<Sequencer>, T)) -> Ordering {
    match (one.0, other.0) {
        (Some(one), Some(other)) => one.cmp(&other),
        (_, _) => one.1.cmp(&other.1),
    }
}

impl fmt::Display for Sequencer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(format!("{:032X}", self.0).trim_end_matches('0'))
    }
}

impl FromStr for Sequencer {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.len() <= DIGITS_MAX && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let padded = digits.then(|| format!("{text:0<DIGITS_MAX$}"));
        let value = padded.and_then(|padded| u128::from_str_radix(&padded, 16).ok());
        let value = value.and_then(NonZeroU128::new);
        value.map(Self).ok_or_else(|| format!("not a sequencer: value=`{text}`"))
    }
}

crate::serde_as_text!(Sequencer);

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Sequencer> {
        text.parse().ok()
    }

    #[test]
    fn the_shorter_one_is_padded_on_its_right() {
        for (earlier, later) in
            [("0A", "0B"), ("0A", "0A01"), ("9", "A"), ("0F", "1"), ("0a", "0B")]
        {
            assert!(read(earlier).unwrap() < read(later).unwrap(), "{earlier} {later}");
        }
        assert_eq!(read("0A"), read("0a00"));
        assert_eq!(read("0A00").unwrap().to_string(), "0A");
    }

    #[test]
    fn what_is_none_orders_nothing() {
        for text in ["", "0", "000", "0G", "+1", &"1".repeat(33)] {
            assert_eq!(read(text), None, "{text}");
        }
        let (early, late) = (read("0A"), read("0B"));
        assert_eq!(order(&(early, 2), &(late, 1)), Ordering::Less);
        assert_eq!(order(&(early, 2), &(None, 1)), Ordering::Greater);
        assert_eq!(order(&(None, 1), &(late, 1)), Ordering::Equal);
    }
}
