//! Paths and bodies with names in braces, and pointers into answers.

use std::collections::BTreeMap;

use refit_core::run::ExternalRun;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::pipeline::Launch;
use crate::pipeline::endpoint::Endpoint;

/// A path below the endpoint, and a query behind it; names in braces stand for values, each within its segment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", rename = "HttpPath")]
pub struct Path(String);

/// A place in an answer, as a JSON pointer (RFC 6901); empty for the whole.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", rename = "HttpPointer")]
pub struct Pointer(String);

/// What names in braces stand for.
pub(super) struct Values<'a>(BTreeMap<&'a str, Value>);

/// A text between names, or a name.
enum Part<'a> {
    Text(&'a str),
    Name(&'a str),
}

impl TryFrom<String> for Path {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let (path, query) = text.split_once('?').unwrap_or((&text, ""));
        let dots = path.split('/').any(|segment| [".", ".."].contains(&segment));
        let fragile = text.contains(['#', '\\', ' ']) || query.contains('?');
        parts(&text)?;
        match path.starts_with('/') && !path.starts_with("//") && !dots && !fragile {
            true => Ok(Self(text)),
            false => Err(format!(
                "a path begins with one `/` and stays below the endpoint: path=`{text}`"
            )),
        }
    }
}

impl TryFrom<String> for Pointer {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        match text.is_empty() || text.starts_with('/') {
            true => Ok(Self(text)),
            false => Err(format!("a JSON pointer begins with `/`: pointer=`{text}`")),
        }
    }
}

impl Path {
    /// The names in it.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        names(&self.0)
    }

    /// The URL below an endpoint; every segment and every value of the query is encoded.
    pub(super) fn below(&self, endpoint: &Endpoint, values: &Values<'_>) -> Url {
        let (path, query) = self.0.split_once('?').unwrap_or((&self.0, ""));
        let segments: Vec<String> =
            path.split('/').skip(1).map(|segment| values.segment(segment)).collect();
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let mut url = endpoint.at(&segments);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            url.query_pairs_mut().append_pair(&values.text(name), &values.text(value));
        }
        url
    }
}

impl Pointer {
    /// What is there.
    pub(super) fn of<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        answer.pointer(&self.0)
    }

    /// The text or number that is there, as text.
    pub(super) fn text(&self, answer: &Value) -> Option<String> {
        match self.of(answer)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }
}

impl<'a> Values<'a> {
    pub(super) fn of_start(launch: &Launch<'_>, with: &'a BTreeMap<String, String>) -> Self {
        let with = with.iter().map(|(name, value)| (name.as_str(), json!(value)));
        let own = [
            ("key", json!(launch.key)),
            ("batch", json!(launch.batch)),
            ("trigger", json!(launch.trigger)),
            ("parameters", launch.parameters.clone()),
        ];
        Self(with.chain(own).collect())
    }

    pub(super) fn of_run(run: &ExternalRun) -> Self {
        Self(BTreeMap::from([("run", json!(run.id))]))
    }

    fn text(&self, template: &str) -> String {
        let text = |part: &Part<'_>| match part {
            Part::Text(text) => (*text).to_owned(),
            Part::Name(name) => match self.0.get(name) {
                Some(Value::String(text)) => text.clone(),
                Some(value) => value.to_string(),
                None => String::new(),
            },
        };
        parts(template).unwrap_or_default().iter().map(text).collect()
    }

    /// A segment of a path. A value of dots would lead up, so it is marked as what it is not.
    fn segment(&self, template: &str) -> String {
        let text = self.text(template);
        match [".", ".."].contains(&text.as_str()) {
            true => format!("{text}-"),
            false => text,
        }
    }
}

/// The body with values in place of names.
pub(super) fn body(template: &Value, values: &Values<'_>) -> Value {
    match template {
        Value::String(text) => match parts(text).unwrap_or_default().as_slice() {
            [Part::Name(name)] => values.0.get(name).cloned().unwrap_or_default(),
            _ => json!(values.text(text)),
        },
        Value::Array(items) => items.iter().map(|item| body(item, values)).collect(),
        Value::Object(fields) => {
            let filled = |(name, item): (&String, &Value)| (name.clone(), body(item, values));
            Value::Object(fields.iter().map(filled).collect::<Map<_, _>>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => template.clone(),
    }
}

/// Checks the braces of a body.
pub(super) fn check_body(template: &Value) -> Result<(), String> {
    match template {
        Value::String(text) => parts(text).map(|_| ()),
        Value::Array(items) => items.iter().try_for_each(check_body),
        Value::Object(fields) => fields.values().try_for_each(check_body),
        Value::Null | Value::Bool(_) | Value::Number(_) => Ok(()),
    }
}

/// The names in a body.
pub(super) fn names_of(template: &Value) -> Vec<&str> {
    match template {
        Value::String(text) => names(text).collect(),
        Value::Array(items) => items.iter().flat_map(names_of).collect(),
        Value::Object(fields) => fields.values().flat_map(names_of).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    parts(text).unwrap_or_default().into_iter().filter_map(|part| match part {
        Part::Name(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// Splits a text at its names in braces.
fn parts(text: &str) -> Result<Vec<Part<'_>>, String> {
    let wrong = || format!("names stand in braces, such as `{{key}}`: text=`{text}`");
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let mut found = Vec::new();
    let mut pieces = text.split('{');
    let first = pieces.next().unwrap_or_default();
    found.extend((!first.is_empty()).then_some(Part::Text(first)));
    for piece in pieces {
        let (name, rest) = piece.split_once('}').ok_or_else(wrong)?;
        if name.is_empty() || !name.chars().all(plain) {
            return Err(wrong());
        }
        found.push(Part::Name(name));
        found.extend((!rest.is_empty()).then_some(Part::Text(rest)));
    }
    let stray = found.iter().any(|part| matches!(part, Part::Text(text) if text.contains('}')));
    if stray { Err(wrong()) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_never_leaves_its_segment() {
        let endpoint = Endpoint::new("https://trainer.acme.example/api").unwrap();
        let path = Path::try_from("/runs/{run}/end?by={run}&x=1".to_owned()).unwrap();
        for (run, wanted) in [
            ("7", "https://trainer.acme.example/api/runs/7/end?by=7&x=1"),
            (
                "../a?b#c",
                "https://trainer.acme.example/api/runs/..%2Fa%3Fb%23c/end?by=..%2Fa%3Fb%23c&x=1",
            ),
            ("..", "https://trainer.acme.example/api/runs/..-/end?by=..&x=1"),
        ] {
            let run = ExternalRun { id: run.to_owned(), url: None };
            assert_eq!(path.below(&endpoint, &Values::of_run(&run)).as_str(), wanted);
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        for bad in [
            "runs",
            "//evil.example/x",
            "/../x",
            "/a/./b",
            "/a#b",
            "/a\\b",
            "/{Key}",
            "/{key",
            "/key}",
            "/{}",
        ] {
            assert!(Path::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
