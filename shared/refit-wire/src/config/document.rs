//! A YAML text as a tree of nodes that know where they stand.
//!
//! Narrower than YAML, so that a file means one thing to every reader and costs little to read: one document, no
//! anchors, aliases, tags or directives, names that are text and stand once, and no scalars that some readers
//! take for numbers and others for text.

mod build;
mod tokens;

use std::ops::Range;

use granit_parser::ScalarStyle;
use serde_json::Number;

use super::report::Report;
use super::scalar;

/// Bytes of a file at the most.
const FILE_BYTES_MAX: usize = 256 * 1024;

/// A text and its nodes.
#[derive(Debug)]
pub(super) struct Document<'t> {
    text: &'t str,
    nodes: Vec<Node>,
}

/// Which node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(pub(super) usize);

/// A scalar, a list or a map.
#[derive(Debug)]
pub(super) struct Node {
    /// What it is.
    pub(super) kind: Kind,
    /// Where to point at: itself, or its name where it takes several lines or says nothing.
    pub(super) point: Range<usize>,
    span: Range<usize>,
    style: ScalarStyle,
    above: Option<(NodeId, Step)>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// Nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// Any other scalar.
    Text(String),
    /// A list.
    List(Vec<NodeId>),
    /// A map, in the order of the file.
    Map(Vec<Entry>),
    /// Something that was refused already.
    Refused,
}

/// A name and what stands under it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// The name: text.
    pub(super) name: NodeId,
    /// The value.
    pub(super) value: NodeId,
}

#[derive(Clone, Debug)]
enum Step {
    Name(String),
    Item(usize),
}

impl<'t> Document<'t> {
    /// Reads a text, or says what stops it from being read; smaller mistakes are noted in the report as well.
    pub(super) fn read(text: &'t str, report: &mut Report<'t>) -> Option<Self> {
        if text.len() > FILE_BYTES_MAX {
            report.refuse(0..0, "the file is larger than 256 KiB");
            return None;
        }
        build::document(text, report)
    }

    /// The outermost node.
    pub(super) fn root(&self) -> NodeId {
        NodeId(0)
    }

    /// A node.
    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// The text of a name or another scalar that is text.
    pub(super) fn text_of(&self, id: NodeId) -> Option<&str> {
        match &self.node(id).kind {
            Kind::Text(text) => Some(text),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Refused => None,
        }
    }

    /// A scalar as it is written.
    pub(super) fn source_of(&self, id: NodeId) -> &str {
        &self.text[self.node(id).span.clone()]
    }

    /// The entries of a map; none of anything else.
    pub(super) fn entries(&self, id: NodeId) -> &[Entry] {
        match &self.node(id).kind {
            Kind::Map(entries) => entries,
            Kind::Null
            | Kind::Bool(_)
            | Kind::Number(_)
            | Kind::Text(_)
            | Kind::List(_)
            | Kind::Refused => &[],
        }
    }

    /// The names in a map.
    pub(super) fn names(&self, id: NodeId) -> impl Iterator<Item = &str> {
        self.entries(id).iter().filter_map(|entry| self.text_of(entry.name))
    }

    /// The entry of that name.
    pub(super) fn entry(&self, id: NodeId, name: &str) -> Option<Entry> {
        let named = |entry: &&Entry| self.text_of(entry.name) == Some(name);
        self.entries(id).iter().find(named).copied()
    }

    /// Where a node stands by name, such as `triggers.churn.on[0]`.
    pub(super) fn path(&self, id: NodeId) -> String {
        let mut steps = Vec::new();
        let mut above = &self.node(id).above;
        while let Some((parent, step)) = above {
            steps.push(match step {
                Step::Name(name) => format!(".{name}"),
                Step::Item(index) => format!("[{index}]"),
            });
            above = &self.node(*parent).above;
        }
        steps.reverse();
        steps.concat().trim_start_matches('.').to_owned()
    }

    /// The word that stands `offset` bytes into the text of a scalar.
    pub(super) fn word(&self, id: NodeId, offset: usize) -> Range<usize> {
        let node = self.node(id);
        let Some(text) = self.text_of(id) else {
            return node.point.clone();
        };
        let source = self.source_of(id);
        match scalar::source_offset(source, node.style, text, offset) {
            Some(found) => {
                let start = node.span.start + found;
                let rest = &source[found..];
                let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
                start..start + end.unwrap_or(rest.len())
            }
            None => node.point.start..node.point.start,
        }
    }
}
