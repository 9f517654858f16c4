//! Points in time and lengths of time, to the millisecond.
//!
//! The core never asks what time it is: every point in time reaches it as an argument, and those that are
//! stored are the store's.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// A length of time in milliseconds, never negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(i64);

/// A UTC day, counted from 1970-01-01.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Day(pub u32);

impl Timestamp {
    /// The earliest time the product uses.
    pub const EPOCH: Self = Self(0);
    /// 9999-12-30T22:00:00Z, the latest time that can be written in every zone.
    pub const MAX: Self = Self(253_402_207_200_000);

    /// A time from milliseconds since the epoch, clamped to the range that can be written.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        Self(millis.clamp(0, Self::MAX.0))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn as_millis(self) -> i64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Span {
        Span::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The UTC day this time lies in.
    #[must_use]
    pub fn day(self) -> Day {
        Day(u32::try_from(self.0 / 86_400_000).unwrap_or(0))
    }

    /// The form used in object names: `20261121T090300.123Z`, which sorts as it counts.
    #[must_use]
    pub fn compact(self) -> String {
        self.written("", "")
    }

    /// Reads the form written by [`Timestamp::compact`].
    #[must_use]
    pub fn parse_compact(text: &str) -> Option<Self> {
        text.parse().ok()
    }

    /// In UTC, with these between the parts of the date and of the time.
    ///
    /// Digit by digit: every name in the ledger is made here, and formatting them was seen in profiles.
    fn written(self, dash: &str, colon: &str) -> String {
        let at = jiff::Timestamp::from_millisecond(self.0).unwrap_or_default();
        let at = jiff::tz::Offset::UTC.to_datetime(at);
        let mut text = String::with_capacity(24);
        for (before, number, digits) in [
            ("", at.year(), 4),
            (dash, at.month().into(), 2),
            (dash, at.day().into(), 2),
            ("T", at.hour().into(), 2),
            (colon, at.minute().into(), 2),
            (colon, at.second().into(), 2),
            (".", at.millisecond(), 3),
        ] {
            text.push_str(before);
            push_digits(&mut text, number.unsigned_abs(), digits);
        }
        text.push('Z');
        text
    }
}

/// Adds the last digits of a number, with zeros before it.
fn push_digits(text: &mut String, number: u16, digits: u32) {
    for place in (0..digits).rev() {
        let digit = number / 10_u16.pow(place) % 10;
        text.push(char::from(b'0' + u8::try_from(digit).unwrap_or(0)));
    }
}

impl std::ops::Add<Span> for Timestamp {
    type Output = Self;
    fn add(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_add(span.0))
    }
}

impl std::ops::Sub<Span> for Timestamp {
    type Output = Self;
    fn sub(self, span: Span) -> Self {
        Self::from_millis(self.0.saturating_sub(span.0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written("-", ":"))
    }
}

impl FromStr for Timestamp {
    type Err = String;

    /// Reads RFC 3339 with any offset; fractions beyond milliseconds are cut.
    fn from_str(text: &str) -> Result<Self, String> {
        let parsed: jiff::Timestamp =
            text.parse().map_err(|_| format!("not an RFC 3339 time: time=`{text}`"))?;
        Ok(Self::from_millis(parsed.as_millisecond()))
    }
}

crate::serde_as_text!(Timestamp);

/// The units a span is written in, largest first.
const UNITS: [(&str, i64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of so many milliseconds; negative counts become zero.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(if millis < 0 { 0 } else { millis })
    }

    /// A span of so many seconds.
    #[must_use]
    pub const fn secs(seconds: i64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// A span of so many minutes.
    #[must_use]
    pub const fn mins(minutes: i64) -> Self {
        Self::secs(minutes.saturating_mul(60))
    }

    /// A span of so many hours.
    #[must_use]
    pub const fn hours(hours: i64) -> Self {
        Self::mins(hours.saturating_mul(60))
    }

    /// A span of so many days of 24 hours.
    #[must_use]
    pub const fn days(days: i64) -> Self {
        Self::hours(days.saturating_mul(24))
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// This span so many times over, saturating.
    #[must_use]
    pub const fn times(self, factor: i64) -> Self {
        Self::from_millis(self.0.saturating_mul(factor))
    }
}

impl std::ops::Add for Span {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0s");
        }
        let mut rest = self.0;
        for (unit, millis) in UNITS {
            if rest / millis > 0 {
                write!(f, "{}{unit}", rest / millis)?;
                rest %= millis;
            }
        }
        Ok(())
    }
}

impl FromStr for Span {
    type Err = String;

    /// Reads `90s`, `5m`, `1h30m`, `2d`, `250ms`: numbers with a unit, each unit once, largest first.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("not a length of time such as 90s, 5m, 1h30m or 2d: value=`{text}`");
        let mut units = UNITS.iter();
        let mut total: i64 = 0;
        let mut rest = text;
        while !rest.is_empty() || text.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).filter(|at| *at > 0);
            let (number, tail) = rest.split_at(digits.ok_or_else(wrong)?);
            let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(end);
            let (_, millis) = units.find(|(name, _)| *name == unit).ok_or_else(wrong)?;
            let count: i64 = number.parse().map_err(|_| wrong())?;
            let part = count.checked_mul(*millis).ok_or_else(wrong)?;
            total = total.checked_add(part).ok_or_else(wrong)?;
            rest = tail;
        }
        Ok(Self(total))
    }
}

crate::serde_as_text!(Span);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_and_read_back_in_both_forms() {
        let time: Timestamp = "2026-11-21T10:03:00.123+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2026-11-21T09:03:00.123Z");
        assert_eq!(time.compact(), "20261121T090300.123Z");
        assert_eq!(Timestamp::parse_compact(&time.compact()), Some(time));
        assert_eq!(Timestamp::parse_compact("20261121"), None);
        assert_eq!(Timestamp::parse_compact("ä0261121T090300.123Z"), None);
    }

    #[test]
    fn times_stay_in_the_range_that_can_be_written() {
        assert_eq!(Timestamp::from_millis(i64::MAX).to_string(), "9999-12-30T22:00:00.000Z");
        assert_eq!(Timestamp::EPOCH - Span::days(1), Timestamp::EPOCH);
        assert_eq!(Timestamp::MAX + Span::days(1), Timestamp::MAX);
    }

    #[test]
    fn spans_are_written_as_they_are_read() {
        for text in ["90s", "5m", "1h30m", "2d", "250ms", "1d1h1m1s1ms", "0s"] {
            let span: Span = text.parse().unwrap();
            let again: Span = span.to_string().parse().unwrap();
            assert_eq!(span, again, "{text}");
        }
        assert_eq!("90s".parse::<Span>().unwrap().to_string(), "1m30s");
    }

    #[test]
    fn spans_that_say_nothing_or_too_much_are_refused() {
        for text in ["", "5", "m", "5 m", "-5m", "1m1h", "5m5m", "5x", "99999999999999999999d"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
        assert!("999999999999d".parse::<Span>().is_err(), "overflow");
    }
}
