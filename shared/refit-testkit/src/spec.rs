//! Published descriptions of REST APIs, to check requests and answers against.

mod discovery;
mod openapi;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use crate::fields::Fields;

/// The description of an API.
#[derive(Clone, Debug)]
pub struct Swagger(Value);

/// What is checked of a request.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// The path, as it is sent.
    pub path: &'a str,
    /// The query, decoded.
    pub query: &'a [(String, String)],
    /// The body, if there is one.
    pub body: Option<&'a Value>,
}

impl Swagger {
    /// Reads a description: Swagger 2.0, OpenAPI 3, or a discovery document of Google.
    ///
    /// # Panics
    /// If the file cannot be read.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = fs::read(path).expect("the description is there");
        let document: Value = serde_json::from_slice(&text).expect("the description is JSON");
        match (document.get("discoveryVersion"), document.get("openapi")) {
            (Some(_), _) => Self(discovery::swagger(&document)),
            (None, Some(_)) => Self(openapi::swagger(&document)),
            (None, None) => Self(document),
        }
    }

    /// What is wrong with a request, one line each; empty if nothing is.
    #[must_use]
    pub fn check_request(&self, asked: Asked<'_>) -> String {
        let mut faults = String::new();
        let Some(operation) = self.operation(asked.method, asked.path) else {
            return format!("no such operation: {} {}\n", asked.method, asked.path);
        };
        let parameters = || operation["parameters"].as_array().into_iter().flatten();
        let of = |place: &'static str| parameters().filter(move |it| it["in"] == place);
        for (name, value) in asked.query {
            match of("query").find(|parameter| parameter["name"] == *name) {
                Some(parameter) => check_text(parameter, value, name, &mut faults),
                None => note(&mut faults, name, "unknown in the query"),
            }
        }
        for parameter in of("query").filter(|parameter| parameter["required"] == true) {
            let name = parameter["name"].as_str().unwrap_or_default();
            if !asked.query.iter().any(|(asked, _)| asked == name) {
                note(&mut faults, name, "missing in the query");
            }
        }
        match (of("body").next(), asked.body) {
            (Some(parameter), Some(body)) => {
                self.check(&parameter["schema"], body, "body", &mut faults)
            }
            (Some(parameter), None) if parameter["required"] == true => {
                note(&mut faults, "body", "missing")
            }
            (None, Some(_)) => note(&mut faults, "body", "not wanted"),
            (_, None) => {}
        }
        faults
    }

    /// What is wrong with the body of an answer.
    #[must_use]
    pub fn check_answer(&self, asked: Asked<'_>, status: u16, body: &Value) -> String {
        let mut faults = String::new();
        let responses = self.operation(asked.method, asked.path).map(|it| &it["responses"]);
        let response = responses.and_then(|all| all.get(status.to_string()).or(all.get("default")));
        match response.and_then(|response| response.get("schema")) {
            Some(schema) => self.check(schema, body, "answer", &mut faults),
            None => note(&mut faults, "answer", "no such operation or status"),
        }
        faults
    }

    /// What is wrong with the fields that are asked for of an answer of success.
    #[must_use]
    pub fn check_fields_asked(&self, asked: Asked<'_>, fields: &Fields) -> String {
        let mut faults = String::new();
        let responses = self.operation(asked.method, asked.path).map(|it| &it["responses"]);
        match responses.and_then(|all| all.get("200").or(all.get("default"))) {
            Some(response) => self.check_named(&response["schema"], fields, "answer", &mut faults),
            None => note(&mut faults, "answer", "no such operation"),
        }
        faults
    }

    fn check_named(&self, schema: &Value, fields: &Fields, at: &str, faults: &mut String) {
        let mut schema = self.resolve(schema);
        while schema["type"] == "array" {
            schema = self.resolve(&schema["items"]);
        }
        for (name, within) in fields.named() {
            let at = format!("{at}.{name}");
            match schema["properties"].get(name) {
                Some(field) => self.check_named(field, within, &at, faults),
                None => note(faults, &at, "unknown field"),
            }
        }
    }

    /// What is wrong with a value of a named type.
    #[must_use]
    pub fn check_value(&self, definition: &str, value: &Value) -> String {
        let mut faults = String::new();
        let schema = &self.0["definitions"][definition];
        assert!(schema.is_object(), "the description has no `{definition}`");
        self.check(schema, value, definition, &mut faults);
        faults
    }

    fn operation(&self, method: &str, path: &str) -> Option<&Value> {
        let method = method.to_lowercase();
        let matching = self.0["paths"].as_object()?.iter().filter(|(template, operations)| {
            fits(template, path) && operations.get(&method).is_some()
        });
        // A fixed segment goes before one that takes anything.
        let (_, operations) = matching.min_by_key(|(template, _)| template.matches('{').count())?;
        operations.get(&method)
    }

    fn check(&self, schema: &Value, value: &Value, at: &str, faults: &mut String) {
        let schema = self.resolve(schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let choices = [&schema["anyOf"], &schema["oneOf"]].into_iter().filter_map(Value::as_array);
        for choices in choices {
            self.check_choice(choices, value, at, faults);
        }
        if let Some(allowed) = schema["enum"].as_array()
            && !allowed.contains(value)
        {
            return note(faults, at, &format!("not one of those allowed: {value}"));
        }
        match schema["type"].as_str() {
            Some("object") => match value.as_object() {
                Some(fields) => self.check_fields(schema, fields, at, faults),
                None => note(faults, at, "not an object"),
            },
            Some("array") => match value.as_array() {
                Some(items) => {
                    for (index, item) in items.iter().enumerate() {
                        self.check(&schema["items"], item, &format!("{at}[{index}]"), faults);
                    }
                }
                None => note(faults, at, "not a list"),
            },
            Some("string") if !value.is_string() => note(faults, at, "not a string"),
            Some("boolean") if !value.is_boolean() => note(faults, at, "not true or false"),
            Some("integer") if !value.is_i64() => note(faults, at, "not a whole number"),
            Some("number") if !value.is_number() => note(faults, at, "not a number"),
            _ => {}
        }
    }

    /// Checks a value that is to be one of several things: the first it is, else what is wrong with the last.
    fn check_choice(&self, choices: &[Value], value: &Value, at: &str, faults: &mut String) {
        let mut found = String::new();
        for choice in choices {
            found.clear();
            self.check(choice, value, at, &mut found);
            if found.is_empty() {
                return;
            }
        }
        faults.push_str(&found);
    }

    fn check_fields(
        &self,
        schema: &Value,
        fields: &Map<String, Value>,
        at: &str,
        faults: &mut String,
    ) {
        let known = schema["properties"].as_object();
        let rest = schema.get("additionalProperties").filter(|rest| **rest != false);
        for (name, value) in fields {
            let at = format!("{at}.{name}");
            match (known.and_then(|known| known.get(name)), rest) {
                (Some(schema), _) | (None, Some(schema)) => self.check(schema, value, &at, faults),
                // An object without properties may hold anything.
                (None, None) if known.is_none() => {}
                (None, None) => note(faults, &at, "unknown field"),
            }
        }
        let required =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !fields.contains_key(*name)) {
            note(faults, &format!("{at}.{name}"), "missing");
        }
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        let name = schema["$ref"].as_str().and_then(|path| path.strip_prefix("#/definitions/"));
        name.map_or(schema, |name| &self.0["definitions"][name])
    }
}

fn note(faults: &mut String, at: &str, what: &str) {
    let _ = writeln!(faults, "{at}: {what}");
}

/// Checks a value that is written as text, as in a query.
fn check_text(parameter: &Value, text: &str, name: &str, faults: &mut String) {
    let good = match parameter["type"].as_str() {
        Some("integer") => text.parse::<i64>().is_ok(),
        Some("boolean") => matches!(text, "true" | "false"),
        _ => true,
    };
    let allowed = parameter["enum"].as_array();
    if !good || allowed.is_some_and(|allowed| !allowed.iter().any(|value| value == text)) {
        note(faults, name, &format!("of another type, or not allowed: {text}"));
    }
}

/// Whether a path is one of a template such as `/runs/{id}:terminate`.
fn fits(template: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (Some(wanted), Some(given)) if segment_fits(wanted, given) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

fn segment_fits(wanted: &str, given: &str) -> bool {
    let Some((name, end)) = wanted.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return wanted == given;
    };
    let value = given.strip_suffix(end).filter(|value| !name.is_empty() && !value.is_empty());
    value.is_some_and(|value| !value.contains(':'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn swagger() -> Swagger {
        Swagger(json!({
            "paths": {
                "/runs": { "post": {
                    "parameters": [
                        { "name": "run", "in": "body", "required": true,
                          "schema": { "$ref": "#/definitions/Run" } },
                        { "name": "size", "in": "query", "type": "integer" },
                    ],
                    "responses": { "200": { "schema": { "$ref": "#/definitions/Run" } } },
                } },
                "/runs/{id}": { "get": { "responses": {} } },
                "/runs/{id}:end": { "post": { "responses": {} } },
            },
            "definitions": { "Run": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": { "type": "string" },
                    "state": { "type": "string", "enum": ["ON", "OFF"] },
                    "tags": { "type": "object", "additionalProperties": { "type": "string" } },
                    "sizes": { "type": "array", "items": { "type": "integer" } },
                    "spec": { "type": "object" },
                },
            } },
        }))
    }

    fn faults(method: &str, path: &str, query: &[(&str, &str)], body: Option<&Value>) -> String {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let query: Vec<_> = query.iter().map(owned).collect();
        swagger().check_request(Asked { method, path, query: &query, body })
    }

    #[test]
    fn a_request_that_fits_has_no_faults() {
        let body = json!({
            "name": "a", "state": "ON", "tags": {"x": "y"}, "sizes": [1], "spec": {"any": [true]},
        });
        assert_eq!(faults("POST", "/runs", &[("size", "1")], Some(&body)), "");
        assert_eq!(faults("GET", "/runs/7", &[], None), "");
        assert_eq!(faults("POST", "/runs/7:end", &[], None), "");
    }

    #[test]
    fn every_fault_is_named_with_its_place() {
        let body = json!({
            "nam": "a", "state": "on", "tags": {"x": 1}, "sizes": [1, "2"], "spec": [],
        });
        let found = faults("POST", "/runs", &[("size", "x"), ("page", "1")], Some(&body));
        for fault in [
            "size: of another type, or not allowed: x",
            "page: unknown in the query",
            "body.nam: unknown field",
            "body.name: missing",
            "body.state: not one of those allowed: \"on\"",
            "body.tags.x: not a string",
            "body.sizes[1]: not a whole number",
            "body.spec: not an object",
        ] {
            assert!(found.lines().any(|line| line == fault), "{fault}\n---\n{found}");
        }
        assert_eq!(found.lines().count(), 8);
    }

    #[test]
    fn operations_that_do_not_exist_are_faults() {
        for (method, path) in [
            ("GET", "/runs"),
            ("DELETE", "/runs/7"),
            ("GET", "/runs/7:end"),
            ("POST", "/runs/7:stop"),
            ("GET", "/runs/"),
            ("GET", "/runs/7/8"),
        ] {
            assert!(
                faults(method, path, &[], None).contains("no such operation"),
                "{method} {path}"
            );
        }
        assert_eq!(faults("POST", "/runs", &[], None), "body: missing\n");
        assert_eq!(faults("GET", "/runs/7", &[], Some(&json!({}))), "body: not wanted\n");
    }

    #[test]
    fn fields_that_are_asked_for_are_those_of_the_answer() {
        let asked = Asked { method: "POST", path: "/runs", query: &[], body: None };
        let faults = |fields: &str| swagger().check_fields_asked(asked, &Fields::read(fields));
        assert_eq!(faults("name,sizes"), "");
        assert_eq!(
            faults("nam,sizes(x)"),
            "answer.nam: unknown field\nanswer.sizes.x: unknown field\n"
        );
        let other = Asked { path: "/none", ..asked };
        let none = swagger().check_fields_asked(other, &Fields::read("name"));
        assert_eq!(none, "answer: no such operation\n");
    }

    #[test]
    fn answers_and_named_types_are_checked_alike() {
        let asked = Asked { method: "POST", path: "/runs", query: &[], body: None };
        assert_eq!(swagger().check_answer(asked, 200, &json!({"name": "a"})), "");
        assert_eq!(swagger().check_answer(asked, 200, &json!({})), "answer.name: missing\n");
        assert_eq!(swagger().check_value("Run", &json!([])), "Run: not an object\n");
    }
}
