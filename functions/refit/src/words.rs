//! Times, counts and lists as people read them.

use refit_core::time::{Span, Timestamp};

/// A length of time, as exact as anybody wants to know.
pub(crate) fn about(span: Span) -> String {
    let unit = match span.as_millis() {
        86_400_000.. => Span::hours(1),
        3_600_000.. => Span::mins(1),
        _ => Span::secs(1),
    };
    Span::from_millis(span.as_millis() / unit.as_millis() * unit.as_millis()).to_string()
}

/// How far from now a time is.
pub(crate) fn ago(now: Timestamp, at: Timestamp) -> String {
    match at > now {
        true => format!("in {}", about(at.since(now))),
        false => format!("{} ago", about(now.since(at))),
    }
}

/// So many of something, in words.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        _ => format!("{number} {many}"),
    }
}

/// The text, or a dash for none.
pub(crate) fn or_dash(text: Option<impl ToString>) -> String {
    text.map_or_else(|| "-".to_owned(), |text| text.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_are_cut_to_what_matters() {
        for (span, text) in [
            ("250ms", "0s"),
            ("59s900ms", "59s"),
            ("3m7s9ms", "3m7s"),
            ("2h3m4s", "2h3m"),
            ("3d4h5m", "3d4h"),
        ] {
            assert_eq!(about(span.parse().unwrap()), text);
        }
    }

    #[test]
    fn a_time_is_told_from_now() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        assert_eq!(ago(now, now - Span::mins(3)), "3m ago");
        assert_eq!(ago(now, now + Span::hours(2)), "in 2h");
    }
}
