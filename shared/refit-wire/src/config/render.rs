//! Diagnostics as people read them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use refit_core::diagnostics::{Diagnostic, Severity};

/// Diagnostics that are rendered at the most: each repeats its line, which may be the whole file.
const SHOWN_MAX: usize = 50;

/// Renders diagnostics of a text: what, where, the line in question, and the likely cure; of very many, the first.
///
/// Whatever may be a secret is blanked out.
#[must_use]
pub fn render(file_name: &str, text: &str, diagnostics: &[Diagnostic], colour: bool) -> String {
    let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
    let text = without_secrets(text, diagnostics);
    let mut rendered = String::new();
    for diagnostic in diagnostics.iter().take(SHOWN_MAX) {
        rendered.push_str(&renderer.render(&[group(file_name, &text, diagnostic)]));
        rendered.push_str("\n\n");
    }
    if let Some(more) = diagnostics.len().checked_sub(SHOWN_MAX).filter(|more| *more > 0) {
        rendered.push_str(&format!("and {more} more\n\n"));
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

#[cfg(test)]
mod tests {
    use super::super::read;
    use super::*;

    #[test]
    fn of_very_many_the_first_are_shown() {
        let text = format!("triggers: {{ {}a: 1 }}\n", "a: 1, ".repeat(5000));
        let shown = render("refit.yaml", &text, &read(&text).1, false);
        assert!(shown.len() < 2 * SHOWN_MAX * text.len(), "{}", shown.len());
        assert!(shown.contains("\n\nand "), "{}", &shown[shown.len() - 100..]);
    }
}
