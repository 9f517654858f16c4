//! Diagnostics as people read them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use refit_core::diagnostics::{Diagnostic, Severity};

/// Renders diagnostics of a text: what, where, the line in question, and the likely cure.
///
/// Whatever may be a secret is blanked out.
#[must_use]
pub fn render(file_name: &str, text: &str, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let text = without_secrets(text, diagnostics);
    let mut rendered = String::new();
    for diagnostic in diagnostics {
        rendered.push_str(&renderer.render(&[group(file_name, &text, diagnostic)]));
        rendered.push_str("\n\n");
    }
    rendered
}

fn group<'a>(file_name: &'a str, text: &'a str, diagnostic: &'a Diagnostic) -> Group<'a> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let place = &diagnostic.place;
    let start = text[..place.bytes.start].rfind('\n').map_or(0, |newline| newline + 1);
    let rest = &text[place.bytes.end..];
    let end = rest.find('\n').map_or(text.len(), |newline| place.bytes.end + newline);
    let bytes = place.bytes.start - start..place.bytes.end - start;
    let snippet = Snippet::source(&text[start..end])
        .path(file_name)
        .line_start(place.line)
        .annotation(AnnotationKind::Primary.span(bytes));
    let group = level.primary_title(diagnostic.message.as_str()).element(snippet);
    match &diagnostic.cure {
        Some(cure) => group.element(Level::HELP.message(cure.as_str())),
        None => group,
    }
}

fn without_secrets(text: &str, diagnostics: &[Diagnostic]) -> String {
    let mut text = text.to_owned();
    for secret in diagnostics.iter().filter(|diagnostic| diagnostic.secret) {
        let bytes = secret.place.bytes.clone();
        let blank = "*".repeat(bytes.len());
        text.replace_range(bytes, &blank);
    }
    text
}
