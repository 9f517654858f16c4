//! Partial answers, as the services of Google give them to requests with `fields`.

use std::collections::BTreeMap;

use refit_wire::http::{Reply, Request};
use serde_json::{Map, Value};

/// What of an answer is asked for: fields by name, each with what is asked for within it; all of it where there are
/// none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields(BTreeMap<String, Self>);

impl Fields {
    /// Reads `a,b/c,d(e,f)`.
    ///
    /// # Panics
    /// If it is not of that form.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let mut rest = text;
        let fields = list(&mut rest);
        assert!(rest.is_empty(), "something follows: {rest}");
        fields
    }

    /// The fields that are named, each with those within it.
    pub fn named(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().map(|(name, within)| (name.as_str(), within))
    }

    /// What a value has of them; of a list, what each of its items has.
    #[must_use]
    pub fn of(&self, value: &Value) -> Value {
        match value {
            _ if self.0.is_empty() => value.clone(),
            Value::Array(items) => items.iter().map(|item| self.of(item)).collect(),
            Value::Object(all) => {
                let part = |(name, within): (&str, &Self)| {
                    Some((name.to_owned(), within.of(all.get(name)?)))
                };
                Value::Object(self.named().filter_map(part).collect::<Map<_, _>>())
            }
            other => other.clone(),
        }
    }
}

fn list(rest: &mut &str) -> Fields {
    let mut fields = BTreeMap::new();
    loop {
        let (name, within) = field(rest);
        assert!(fields.insert(name.clone(), within).is_none(), "named twice: {name}");
        match rest.strip_prefix(',') {
            Some(next) => *rest = next,
            None => return Fields(fields),
        }
    }
}

fn field(rest: &mut &str) -> (String, Fields) {
    let end = rest.find([',', '/', '(', ')']).unwrap_or(rest.len());
    let (name, after) = rest.split_at(end);
    assert!(!name.is_empty(), "no name: {rest}");
    *rest = after;
    let within = if let Some(next) = after.strip_prefix('/') {
        *rest = next;
        Fields(BTreeMap::from([field(rest)]))
    } else if let Some(next) = after.strip_prefix('(') {
        *rest = next;
        let within = list(rest);
        *rest = rest.strip_prefix(')').expect("what was opened is closed");
        within
    } else {
        Fields::default()
    };
    (name.to_owned(), within)
}

/// The fields a request asks for, where it does.
#[must_use]
pub fn asked(request: &Request) -> Option<Fields> {
    let fields = request.url.query_pairs().find(|(name, _)| name == "fields");
    fields.map(|(_, fields)| Fields::read(&fields))
}

/// The answer with what was asked for only. Errors are answered whole.
///
/// # Errors
/// The failure, where that is the answer.
pub fn partial(request: &Request, reply: Reply) -> Reply {
    let mut response = reply?;
    if let Some(fields) = asked(request)
        && response.is_success()
        && let Some(body) = response.json()
    {
        response.body = fields.of(&body).to_string().into();
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_asked_for_is_given_and_nothing_else() {
        let value = json!({
            "name": "n",
            "error": { "code": 1, "details": [1] },
            "runs": [{ "id": 1, "spec": { "image": "i", "env": [{ "name": "K", "value": "v" }] } }],
            "next": "t",
        });
        let of = |fields: &str| Fields::read(fields).of(&value);
        assert_eq!(of("name,none"), json!({ "name": "n" }));
        assert_eq!(of("error(code),next"), json!({ "error": { "code": 1 }, "next": "t" }));
        let env = json!({ "env": [{ "name": "K" }] });
        assert_eq!(of("runs(id,spec/env/name)"), json!({ "runs": [{ "id": 1, "spec": env }] }));
        assert_eq!(of("error"), json!({ "error": { "code": 1, "details": [1] } }));
    }
}
