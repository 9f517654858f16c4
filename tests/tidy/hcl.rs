//! Terraform files, parsed.

use hcl::structure::Body;

use crate::sources::Source;

/// A block with its labels, such as `resource "google_pubsub_topic" "dead"`.
pub(crate) struct Block {
    /// The folder it lies in: the module.
    pub(crate) module: String,
    /// What it is: `resource`, `variable`, `locals` and so on.
    pub(crate) what: String,
    pub(crate) labels: Vec<String>,
    pub(crate) body: Body,
}

impl Block {
    /// The kind of a resource.
    pub(crate) fn kind(&self) -> &str {
        self.labels.first().map_or("", String::as_str)
    }

    /// Its name: the last label.
    pub(crate) fn name(&self) -> &str {
        self.labels.last().map_or("", String::as_str)
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        format!("{}: {}", self.module, self.labels.join("."))
    }

    /// The text of an attribute, on one line; empty if it has none of that name.
    pub(crate) fn text(&self, key: &str) -> String {
        text(&self.body, key)
    }

    /// Everything in it, on one line.
    pub(crate) fn whole(&self) -> String {
        one_line(&hcl::format::to_string(&self.body).unwrap_or_default())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        child(&self.body, key).is_some()
    }
}

/// The text of an attribute, on one line; empty if there is none of that name.
pub(crate) fn text(body: &Body, key: &str) -> String {
    let found = body.attributes().find(|attribute| attribute.key() == key);
    let text = found.and_then(|it| hcl::format::to_string(it.expr()).ok());
    one_line(&text.unwrap_or_default())
}

/// A block within, also one that is made only sometimes.
pub(crate) fn child<'body>(body: &'body Body, key: &str) -> Option<&'body Body> {
    let is_it = |block: &&hcl::Block| {
        block.identifier() == key
            || (block.identifier() == "dynamic"
                && block.labels().first().is_some_and(|label| label.as_str() == key))
    };
    let found = body.blocks().find(is_it)?;
    match found.identifier() {
        "dynamic" => child(found.body(), "content"),
        _ => Some(found.body()),
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Every block of every Terraform file.
pub(crate) fn blocks(sources: &[Source]) -> Vec<Block> {
    let files = sources.iter().filter(|source| source.ends_with(".tf"));
    files.flat_map(of_file).collect()
}

/// The resources among them.
pub(crate) fn resources(sources: &[Source]) -> Vec<Block> {
    blocks(sources).into_iter().filter(|block| block.what == "resource").collect()
}

fn of_file(source: &Source) -> Vec<Block> {
    let body: Body = hcl::parse(&source.text).unwrap_or_else(|e| panic!("{}: {e}", source.path));
    let module = source.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let blocks = body.into_blocks().map(|block| Block {
        module: module.to_owned(),
        what: block.identifier().to_owned(),
        labels: block.labels().iter().map(|label| label.as_str().to_owned()).collect(),
        body: block.body,
    });
    blocks.collect()
}
