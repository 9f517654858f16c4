//! Scalars: what an unquoted one means, and where its characters stand in the file.

use granit_parser::ScalarStyle;
use serde_json::Number;

/// What an unquoted scalar means.
#[derive(Debug, PartialEq)]
pub(super) enum Plain {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Text.
    Text,
    /// Text to some readers of YAML, a number, an answer or nothing to others.
    Ambiguous,
}

/// What an unquoted scalar means: as in JSON, where anything else is text.
///
/// `yes`, `no`, `on` and `off` are text, as since YAML 1.2.
pub(super) fn plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" => return Plain::Null,
        "true" => return Plain::Bool(true),
        "false" => return Plain::Bool(false),
        _ => {}
    }
    match serde_json::from_str::<Number>(text) {
        Ok(number) if is_exact(text, &number) => Plain::Number(number),
        Ok(_) => Plain::Ambiguous,
        Err(_) if is_ambiguous(text) => Plain::Ambiguous,
        Err(_) => Plain::Text,
    }
}

/// Whether a whole number is kept whole, and a number is finite.
fn is_exact(text: &str, number: &Number) -> bool {
    let whole = !text.contains(['.', 'e', 'E']);
    number.as_f64().is_some_and(f64::is_finite) && (!whole || !number.is_f64())
}

fn is_ambiguous(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let unsigned = lower.strip_prefix(['-', '+']).unwrap_or(&lower);
    let begins = unsigned.starts_with(|c: char| c.is_ascii_digit())
        || unsigned
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let based = ["0x", "0o"].iter().find_map(|base| unsigned.strip_prefix(base));
    let digits = based.is_some_and(|rest| {
        !rest.is_empty() && rest.chars().all(|c| c.is_ascii_hexdigit() || c == '_')
    });
    let bare: String = unsigned.chars().filter(|c| *c != '_').collect();
    let number = begins && bare.parse::<f64>().is_ok();
    matches!(lower.as_str(), "true" | "false" | "null")
        || matches!(unsigned, ".inf" | ".nan")
        || number
        || digits
}

/// Where the byte `offset` of the text of a scalar stands in its source; none where the source has escapes.
///
/// Line breaks, indentation and folds all read as runs of space, on either side.
pub(super) fn source_offset(
    source: &str,
    style: ScalarStyle,
    text: &str,
    offset: usize,
) -> Option<usize> {
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let (mut there, mut here) = (usize::from(quoted), 0);
    while here < offset {
        let (a, b) = (source[there..].chars().next()?, text.get(here..)?.chars().next()?);
        if a.is_whitespace() && b.is_whitespace() {
            there += space(&source[there..]);
            here += space(&text[here..]);
            continue;
        }
        if a != b || (a == '\\' && style == ScalarStyle::DoubleQuoted) {
            return None;
        }
        let doubled = a == '\'' && style == ScalarStyle::SingleQuoted;
        there += a.len_utf8() + usize::from(doubled);
        here += b.len_utf8();
    }
    Some(there)
}

fn space(text: &str) -> usize {
    text.len() - text.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unquoted_scalars_mean_what_they_mean_in_json() {
        for text in ["0", "-7", "0.1", "1e-4", "1.5E3", "18446744073709551615"] {
            assert!(matches!(plain(text), Plain::Number(_)), "{text}");
        }
        for text in ["yes", "no", "on", "off", "1.2.3", "5m", "2026-01-31", "a", "-", "1d_a", "e5"]
        {
            assert_eq!(plain(text), Plain::Text, "{text}");
        }
        for text in [
            "010",
            "0x1F",
            "0o17",
            "1_000",
            "+1",
            ".5",
            "5.",
            "True",
            "NULL",
            ".inf",
            "-.INF",
            ".NaN",
            "18446744073709551616",
            "1e999",
        ] {
            assert_eq!(plain(text), Plain::Ambiguous, "{text}");
        }
        assert_eq!(plain("~"), Plain::Null);
        assert_eq!(plain("true"), Plain::Bool(true));
    }

    #[test]
    fn characters_are_found_in_every_style_without_escapes() {
        let cases = [
            (ScalarStyle::Plain, "a b", "a b"),
            (ScalarStyle::Plain, "a\n  b", "a b"),
            (ScalarStyle::SingleQuoted, "'it''s b'", "it's b"),
            (ScalarStyle::DoubleQuoted, "\"x b\"", "x b"),
            (ScalarStyle::Literal, "x &&\n      b\n", "x &&\nb\n"),
            (ScalarStyle::Literal, "x\r\n        b\r\n", "x\n  b\n"),
            (ScalarStyle::Folded, "x\n    b\n\n    c", "x b\nc"),
        ];
        for (style, source, text) in cases {
            let at = source_offset(source, style, text, text.find('b').unwrap());
            assert_eq!(at, source.find('b'), "{source:?}");
        }
        assert_eq!(source_offset("\"\\x61 b\"", ScalarStyle::DoubleQuoted, "a b", 2), None);
    }
}
