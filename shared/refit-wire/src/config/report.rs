//! What was found wrong so far.

use std::collections::BTreeSet;
use std::ops::Range;

use refit_core::diagnostics::{Diagnostic, Place, Severity};
use serde::de::DeserializeOwned;

use super::Mention;
use super::document::{Document, NodeId};
use super::likely::is_meant;
use super::shape::{self, Misfit, Reader};

/// Diagnostics at the most; what comes after is left out.
const DIAGNOSTICS_MAX: usize = 200;

/// The diagnostics of a text.
#[derive(Debug)]
pub(super) struct Report<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
    left_out: Option<Diagnostic>,
}

/// The diagnostics of a text whose nodes are known.
#[derive(Debug)]
pub(super) struct Notes<'d> {
    /// The nodes.
    pub(super) document: &'d Document<'d>,
    report: Report<'d>,
    secrets: BTreeSet<NodeId>,
}

impl<'t> Report<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, found: Vec::new(), left_out: None }
    }

    /// Notes something about these bytes.
    pub(super) fn note(
        &mut self,
        severity: Severity,
        bytes: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let place = self.place(bytes);
        let is_left_out = place.is_none();
        let diagnostic = Diagnostic {
            severity,
            message: message.into(),
            place: place.unwrap_or_default(),
            path: String::new(),
            cure: None,
            secret: false,
        };
        if is_left_out {
            return self.left_out.insert(diagnostic);
        }
        self.found.push(diagnostic);
        self.found.last_mut().expect("it was just put there")
    }

    /// Where these bytes stand; none once everything more is left out. Finding it takes a walk through the text, and there
    /// may be as many mistakes as bytes.
    pub(super) fn place(&self, bytes: Range<usize>) -> Option<Place> {
        (self.found.len() < DIAGNOSTICS_MAX).then(|| Place::new(self.text, bytes))
    }

    /// Notes an error in these bytes.
    pub(super) fn refuse(
        &mut self,
        bytes: Range<usize>,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        self.note(Severity::Error, bytes, message)
    }

    /// Every diagnostic, in the order of the text.
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        if self.left_out.is_some() {
            let message = format!("more than {DIAGNOSTICS_MAX} mistakes; the others are left out");
            let end = self.text.len();
            self.left_out = None;
            self.found.pop();
            self.refuse(end..end, message);
        }
        self.found.sort_by_key(|found| (found.place.bytes.start, found.severity));
        self.found
    }
}

impl<'d> Notes<'d> {
    pub(super) fn new(document: &'d Document<'d>, report: Report<'d>) -> Self {
        Self { document, report, secrets: BTreeSet::new() }
    }

    /// The names of places of secrets among what was read, once each.
    pub(super) fn secrets(&self) -> Vec<Mention> {
        let mention = |at: &NodeId| {
            let (text, path) = (self.document.text_of(*at)?.to_owned(), self.document.path(*at));
            let place = Place::new(self.report.text, self.document.node(*at).point.clone());
            Some(Mention { text, place, path })
        };
        self.secrets.iter().filter_map(mention).collect()
    }

    /// Every diagnostic, in the order of the text.
    pub(super) fn finish(self) -> Vec<Diagnostic> {
        self.report.finish()
    }

    /// Reads a node as a `T`; whatever does not fit is noted.
    pub(super) fn read<T: DeserializeOwned>(&mut self, at: NodeId) -> Option<T> {
        self.read_without(at, &[], |reader| T::deserialize(reader))
    }

    /// Reads a map as if the entries of these names were not there; whatever does not fit is noted.
    pub(super) fn read_without<T>(
        &mut self,
        at: NodeId,
        names: &'static [&'static str],
        read: impl FnOnce(Reader<'d, '_>) -> Result<T, Misfit>,
    ) -> Option<T> {
        let (read, seen) = shape::read(self.document, at, names, read);
        self.secrets.extend(seen.secrets);
        for fault in seen.faults {
            let secret =
                fault.secret || self.document.text_of(fault.at).is_some_and(holds_password);
            let noted = self.refuse(fault.at, fault.message);
            noted.cure = fault.cure;
            noted.secret = secret;
        }
        read
    }

    /// Notes that a map has no `name`, unless that is what another of its names is probably meant to be.
    pub(super) fn refuse_missing(&mut self, at: NodeId, name: &str, cure: impl Into<String>) {
        if !is_meant(name, self.document.names(at)) {
            self.refuse(at, format!("`{name}` is missing")).cured_by(cure);
        }
    }

    /// Notes an error at a node.
    pub(super) fn refuse(&mut self, at: NodeId, message: impl Into<String>) -> &mut Diagnostic {
        self.note(Severity::Error, at, message)
    }

    /// Notes at a node what is probably not meant.
    pub(super) fn warn(&mut self, at: NodeId, message: impl Into<String>) -> &mut Diagnostic {
        self.note(Severity::Warning, at, message)
    }

    /// Notes an error at the word that stands `offset` bytes into the text of a scalar.
    pub(super) fn refuse_word(
        &mut self,
        at: NodeId,
        offset: usize,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let noted = self.report.note(Severity::Error, self.document.word(at, offset), message);
        noted.path = self.document.path(at);
        noted
    }

    fn note(
        &mut self,
        severity: Severity,
        at: NodeId,
        message: impl Into<String>,
    ) -> &mut Diagnostic {
        let point = self.document.node(at).point.clone();
        let noted = self.report.note(severity, point, message);
        noted.path = self.document.path(at);
        noted
    }
}

/// Whether a text is a URL with a user in it.
fn holds_password(text: &str) -> bool {
    let host = text.split_once("://").and_then(|(_, rest)| rest.split('/').next());
    host.is_some_and(|host| host.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_looked_for_in_the_text() {
        let mut report = Report::new("a: b\n");
        for _ in 0..DIAGNOSTICS_MAX {
            assert_eq!(report.refuse(3..4, "wrong").place.column, 4);
        }
        assert_eq!(report.refuse(3..4, "wrong").place, Place::default());
        assert_eq!(report.place(3..4), None);
        assert_eq!(report.finish().len(), DIAGNOSTICS_MAX);
    }
}
