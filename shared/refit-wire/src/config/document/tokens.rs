//! The parts of a YAML text, as far as a rule file may have them.

use std::borrow::Cow;
use std::ops::Range;

use granit_parser::{
    ErrorKind, Event, Parser, ScalarStyle, ScanError, Span, StrInput, StructureStyle, options,
};

use super::super::report::Report;

const ANCHORS: &str = "anchors and aliases are not allowed";

/// Reading ended early; why is in the report.
pub(super) struct Stopped;

/// A part of a text.
#[derive(Debug)]
pub(super) enum Token<'t> {
    /// A document begins.
    Document,
    /// A scalar.
    Scalar(Cow<'t, str>, ScalarStyle),
    /// A list begins, in brackets or not.
    List(StructureStyle),
    /// A map begins, in brackets or not.
    Map(StructureStyle),
    /// The innermost list or map ends.
    End,
    /// The text ends.
    TextEnd,
}

/// The parts of a text, one after another.
pub(super) struct Tokens<'t>(Parser<'t, StrInput<'t>>);

impl<'t> Tokens<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let options = options! { disallow_directives: true, emit_comments: false };
        Self(Parser::new_from_str_with_options(text, options))
    }

    /// The next part and its bytes.
    pub(super) fn next(
        &mut self,
        report: &mut Report<'t>,
    ) -> Result<(Token<'t>, Range<usize>), Stopped> {
        loop {
            let (event, span) = match self.0.next() {
                Some(Ok(found)) => found,
                Some(Err(error)) => {
                    refuse(report, &error);
                    return Err(Stopped);
                }
                None => return Ok((Token::TextEnd, 0..0)),
            };
            refuse_tag(report, &event, &span);
            if let Some(token) = token(event, &bytes(&span), report)? {
                return Ok((token, bytes(&span)));
            }
        }
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "whatever else there is has no place in a rule file"
)]
fn token<'t>(
    event: Event<'t>,
    at: &Range<usize>,
    report: &mut Report<'t>,
) -> Result<Option<Token<'t>>, Stopped> {
    let (token, anchor) = match event {
        Event::StreamStart | Event::DocumentEnd => return Ok(None),
        Event::StreamEnd => (Token::TextEnd, 0),
        Event::DocumentStart(..) => (Token::Document, 0),
        Event::Scalar(text, style, anchor, _) => (Token::Scalar(text, style), anchor),
        Event::SequenceStart(style, anchor, _) => (Token::List(style), anchor),
        Event::MappingStart(style, anchor, _) => (Token::Map(style), anchor),
        Event::SequenceEnd | Event::MappingEnd => (Token::End, 0),
        _ => {
            report.refuse(at.clone(), ANCHORS);
            return Err(Stopped);
        }
    };
    if anchor != 0 {
        report.refuse(at.clone(), ANCHORS);
    }
    Ok(Some(token))
}

fn refuse_tag(report: &mut Report<'_>, event: &Event<'_>, span: &Span) {
    if let Some(tag) = event.tag() {
        let start = span.tag_start().and_then(|mark| mark.byte_offset());
        let at = start.map_or(bytes(span), |start| start..bytes(span).start.max(start));
        let message = format!("tags are not allowed: tag=`{tag}`");
        report.refuse(at, message).cured_by("write the value without it");
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "every other error has the parser's words")]
fn refuse(report: &mut Report<'_>, error: &ScanError) {
    let at = error.marker().byte_offset().unwrap_or(0);
    let message = match error.kind() {
        ErrorKind::UnknownAnchor => ANCHORS.to_owned(),
        ErrorKind::DirectiveDisallowed => "directives are not allowed".to_owned(),
        _ => format!("not YAML: {}", error.info()),
    };
    report.refuse(at..at, message).cure = cure_of(error.kind()).map(str::to_owned);
}

/// The likely cause of a mistake that is found behind it.
#[expect(clippy::wildcard_enum_match_arm, reason = "every other error has no likely cause")]
fn cure_of(kind: &ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::MappingValueNotAllowed => "a text with `: ` in it needs quotes",
        ErrorKind::ExpectedFlowMappingSeparator
        | ErrorKind::ExpectedFlowSequenceSeparator
        | ErrorKind::InvalidColonPlacement => {
            "a bracket is not closed, or a text with a bracket in it needs quotes"
        }
        ErrorKind::InvalidQuotedScalarIndent | ErrorKind::UnclosedQuotedScalar => {
            "a quote is not closed"
        }
        ErrorKind::ExpectedBlockMappingKey | ErrorKind::InvalidIndentation => {
            "indent it as its neighbours are"
        }
        ErrorKind::TabInBlockIndentation | ErrorKind::TabInIndentation => "indent with spaces",
        ErrorKind::UnexpectedCharacter { .. } => "a text that begins with it needs quotes",
        _ => return None,
    })
}

fn bytes(span: &Span) -> Range<usize> {
    span.byte_range().unwrap_or_default()
}
