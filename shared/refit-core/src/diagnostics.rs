//! What is wrong with a text a person wrote: where, why, and what would mend it.

use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// One thing that is wrong, or that is probably not meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Diagnostic {
    /// Whether the text can be used nevertheless.
    pub severity: Severity,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// Where in the text.
    pub place: Place,
    /// Where by name, such as `triggers.churn.batch.quiet`; empty for the whole text.
    pub path: String,
    /// What would probably mend it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cure: Option<String>,
    /// Whether what stands there may be a secret, and must not be shown.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// The text is refused.
    Error,
    /// The text is used as it stands.
    Warning,
}

/// A stretch of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its bytes.
    pub bytes: Range<usize>,
    /// The line it begins in, counted from 1.
    pub line: usize,
    /// The character of that line it begins with, counted from 1.
    pub column: usize,
}

impl Place {
    /// The place of these bytes of `text`; bytes that are not there, or not whole characters, are left out.
    #[must_use]
    pub fn new(text: &str, bytes: Range<usize>) -> Self {
        let start = text.floor_char_boundary(bytes.start);
        let end = text.floor_char_boundary(bytes.end).max(start);
        let before = &text[..start];
        let line = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            bytes: start..end,
            line: before.matches('\n').count() + 1,
            column: before[line..].chars().count() + 1,
        }
    }
}

impl Diagnostic {
    /// Adds what would probably mend it.
    pub fn cured_by(&mut self, cure: impl Into<String>) -> &mut Self {
        self.cure = Some(cure.into());
        self
    }

    /// Whether the text is refused because of it.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let Place { line, column, .. } = self.place;
        write!(f, "{line}:{column}: {severity}: {}", self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_lines_and_characters_from_one() {
        let text = "a: ü\nbü: c\n";
        let place = |bytes| {
            let place = Place::new(text, bytes);
            (place.bytes, place.line, place.column)
        };
        assert_eq!(place(0..1), (0..1, 1, 1));
        assert_eq!(place(3..5), (3..5, 1, 4));
        assert_eq!(place(11..12), (11..12, 2, 5));
        assert_eq!(place(4..5), (3..5, 1, 4), "half a character is the whole of it");
        assert_eq!(place(12..99), (12..13, 2, 6));
        assert_eq!(place(99..99), (13..13, 3, 1));
    }
}
