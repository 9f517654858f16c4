//! From the parts of a text to its nodes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use granit_parser::{ScalarStyle, StructureStyle};

use super::super::report::Report;
use super::super::scalar::{self, Plain};
use super::tokens::{Stopped, Token, Tokens};
use super::{Document, Entry, Kind, Node, NodeId, Step};

/// Levels of lists and maps at the most.
const DEPTH_MAX: usize = 16;
/// Nodes at the most.
const NODES_MAX: usize = 20_000;

/// Reads a text; none if something stopped that.
pub(super) fn document<'t>(text: &'t str, report: &mut Report<'t>) -> Option<Document<'t>> {
    let document = Document { text, nodes: Vec::new() };
    let mut builder = Builder { document, tokens: Tokens::new(text), report };
    // What stopped it is in the report.
    builder.document().ok()?;
    Some(builder.document)
}

struct Builder<'t, 'r> {
    document: Document<'t>,
    tokens: Tokens<'t>,
    report: &'r mut Report<'t>,
}

/// Where a node stands: its bytes, what it is an entry of, and how deep that is.
struct Place {
    bytes: Range<usize>,
    above: Option<(NodeId, Step)>,
    depth: usize,
}

impl<'t> Builder<'t, '_> {
    fn document(&mut self) -> Result<(), Stopped> {
        loop {
            let (token, bytes) = self.tokens.next(self.report)?;
            let first = self.document.nodes.is_empty();
            match token {
                Token::TextEnd if first => {
                    let cure = "`refit init` writes a first rule file";
                    self.report.refuse(0..0, "the file is empty").cured_by(cure);
                    return Err(Stopped);
                }
                Token::TextEnd => return Ok(()),
                Token::Document if first => {}
                Token::Document => {
                    let message = "a rule file is one document";
                    self.report.refuse(bytes, message).cured_by("remove the `---`");
                    return Err(Stopped);
                }
                token => {
                    self.node(token, Place { bytes, above: None, depth: 0 })?;
                }
            }
        }
    }

    fn node(&mut self, token: Token<'t>, place: Place) -> Result<NodeId, Stopped> {
        self.check_limits(&place)?;
        let depth = place.depth + 1;
        match token {
            Token::Scalar(text, style) => Ok(self.scalar(&text, style, place)),
            Token::List(style) => {
                let id = self.add(Kind::Refused, ScalarStyle::Plain, place);
                self.list(id, depth)?;
                self.point(id, style);
                Ok(id)
            }
            Token::Map(style) => {
                let id = self.add(Kind::Refused, ScalarStyle::Plain, place);
                self.map(id, depth)?;
                self.point(id, style);
                Ok(id)
            }
            Token::Document | Token::End | Token::TextEnd => {
                self.report.refuse(place.bytes, "not YAML: a value is missing");
                Err(Stopped)
            }
        }
    }

    fn check_limits(&mut self, place: &Place) -> Result<(), Stopped> {
        let message = if place.depth > DEPTH_MAX {
            format!("the file is nested more than {DEPTH_MAX} levels deep")
        } else if self.document.nodes.len() >= NODES_MAX {
            format!("the file has more than {NODES_MAX} values")
        } else {
            return Ok(());
        };
        self.report.refuse(place.bytes.clone(), message);
        Err(Stopped)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, place: Place) -> NodeId {
        let meaning = match style {
            ScalarStyle::Plain => scalar::plain(text),
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Plain::Text,
        };
        let kind = match meaning {
            Plain::Null => Kind::Null,
            Plain::Bool(answer) => Kind::Bool(answer),
            Plain::Number(number) => Kind::Number(number),
            Plain::Text => Kind::Text(text.to_owned()),
            Plain::Ambiguous => {
                let message = format!("`{text}` is text to some readers of YAML and not to others");
                let cure =
                    format!("write \"{text}\" if it is text, or another spelling of the value");
                self.report.refuse(place.bytes.clone(), message).cured_by(cure);
                Kind::Refused
            }
        };
        self.add(kind, style, place)
    }

    fn list(&mut self, id: NodeId, depth: usize) -> Result<(), Stopped> {
        let mut items = Vec::new();
        loop {
            let (token, bytes) = self.tokens.next(self.report)?;
            if matches!(token, Token::End) {
                self.end(id, bytes.end, Kind::List(items));
                return Ok(());
            }
            let above = Some((id, Step::Item(items.len())));
            items.push(self.node(token, Place { bytes, above, depth })?);
        }
    }

    fn map(&mut self, id: NodeId, depth: usize) -> Result<(), Stopped> {
        let mut entries = Vec::new();
        let mut names: BTreeMap<Cow<'t, str>, NodeId> = BTreeMap::new();
        loop {
            let (token, bytes) = self.tokens.next(self.report)?;
            if matches!(token, Token::End) {
                self.end(id, bytes.end, Kind::Map(entries));
                return Ok(());
            }
            let (name, text) = self.name(token, bytes, id)?;
            let above = Some((id, Step::Name(text.clone().into_owned())));
            let (token, bytes) = self.tokens.next(self.report)?;
            let value = self.node(token, Place { bytes, above, depth })?;
            self.point_at_name(value, name);
            if let Some(first) = names.get(&text) {
                self.refuse_twice(name, *first, &text);
                continue;
            }
            entries.push(Entry { name, value });
            names.insert(text, name);
        }
    }

    fn name(
        &mut self,
        token: Token<'t>,
        bytes: Range<usize>,
        map: NodeId,
    ) -> Result<(NodeId, Cow<'t, str>), Stopped> {
        let Token::Scalar(text, style) = token else {
            self.report.refuse(bytes, "a name must be text");
            return Err(Stopped);
        };
        if bytes.is_empty() {
            self.report.refuse(bytes, "a name is missing");
            return Err(Stopped);
        }
        let above = Some((map, Step::Name(text.clone().into_owned())));
        let place = Place { bytes, above, depth: 0 };
        self.check_limits(&place)?;
        Ok((self.add(Kind::Text(text.clone().into_owned()), style, place), text))
    }

    fn refuse_twice(&mut self, again: NodeId, first: NodeId, name: &str) {
        let first = self.report.place(self.document.node(first).span.clone());
        let path = self.document.path(again);
        let again = self.document.node(again).span.clone();
        let noted = self.report.refuse(again, format!("`{name}` is set twice"));
        noted.path = path;
        noted.cure = first.map(|it| format!("it is set in line {}: remove one of them", it.line));
    }

    fn add(&mut self, kind: Kind, style: ScalarStyle, place: Place) -> NodeId {
        let Place { bytes: span, above, .. } = place;
        let point = first_line(self.document.text, &span);
        self.document.nodes.push(Node { kind, point, span, style, above });
        NodeId(self.document.nodes.len() - 1)
    }

    fn end(&mut self, id: NodeId, end: usize, kind: Kind) {
        let node = &mut self.document.nodes[id.0];
        node.span.end = end.max(node.span.start);
        node.kind = kind;
    }

    /// Points at a list or map in brackets if it is one line, and else at its first node.
    fn point(&mut self, id: NodeId, style: StructureStyle) {
        let node = self.document.node(id);
        let first = match &node.kind {
            Kind::List(items) => items.first().copied(),
            Kind::Map(entries) => entries.first().map(|entry| entry.name),
            Kind::Null | Kind::Bool(_) | Kind::Number(_) | Kind::Text(_) | Kind::Refused => None,
        };
        let flow = matches!(style, StructureStyle::Flow);
        let point = match first.filter(|_| !flow) {
            Some(first) => self.document.node(first).point.clone(),
            None if self.document.text[node.span.clone()].contains('\n') => node.point.clone(),
            None => node.span.clone(),
        };
        self.document.nodes[id.0].point = point;
    }

    /// Points at the name of what says nothing or takes several lines.
    fn point_at_name(&mut self, value: NodeId, name: NodeId) {
        let node = self.document.node(value);
        let many = match node.kind {
            Kind::List(_) | Kind::Map(_) => node.point != node.span,
            Kind::Null | Kind::Text(_) => node.span.is_empty(),
            Kind::Bool(_) | Kind::Number(_) | Kind::Refused => false,
        };
        if many {
            self.document.nodes[value.0].point = self.document.node(name).point.clone();
        }
    }
}

/// The first line of a stretch of text, without the spaces at its end.
fn first_line(text: &str, span: &Range<usize>) -> Range<usize> {
    let line = text[span.clone()].lines().next().unwrap_or_default();
    span.start..span.start + line.trim_end().len()
}
