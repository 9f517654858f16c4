//! Expressions: compiled, and evaluated over events and members.

use std::collections::BTreeMap;

use refit_core::expression::{Expression, Scope};
use refit_core::scope::{EACH_VARIABLES, OBJECT_AND_DRIFT_VARIABLES};
use serde_json::{Value, json};

use super::{Outcome, Target, texts};

pub(super) const EXPRESSIONS: Target =
    Target { name: "expressions", about: "CEL, compiled and evaluated", seeds, give };

/// What stands for the content of an event.
const CANARY: &str = "canary-of-an-event";
/// Expressions of every kind there is.
const SOURCES: &[&str] = &[
    "object.size > 0 && !object.name.contains('/_tmp/')",
    "object.name.split('/')[1]",
    "object.size + 1",
    "has(object.metadata.team) && object.metadata.team == 'ml'",
    "object.?metadata.?owner.orValue('nobody')",
    "object.name.matches('^churn/[0-9]+/')",
    "object.name.split('/').exists(part, part == '2026')",
    "int(object.name.split('/')[1]) % 2 == 0",
    "drift.findings.filter(f, f.score > 0.5).map(f, f.feature).size() >= 2",
    "[1, 2, 3].all(a, [1, 2].exists(b, a == b)) ? 'yes' : \"no\"",
    "{'a': 1, 'b': [2u, 3.5, null, b'x']}.a in [1, 2]",
    "timestamp(event.time) - duration('1h') < timestamp('2026-01-01T00:00:00Z')",
    "event.data.rows.map(r, r * 2).filter(r, r > 10)",
    "'x' + string(batch.count) + \"\\u00e9\" + r'\\d'",
    "batch.uris[0].lowerAscii().endsWith('.csv') || size(batch.prefix) > 3",
    "-(1 - -2) * 3 / 4 % 5 != 6 && !(true || false)",
    "9223372036854775807 + 1",
    "event.attributes['a-b'].charAt(0).replace('a', 'b').substring(0, 1)",
];

fn seeds() -> Vec<Vec<u8>> {
    let wrong = texts("shared/refit-wire/src/config/tests/wrong", "expressions.txt");
    let lines = wrong.iter().flat_map(|text| text.lines()).filter_map(|line| {
        let (_, source) = line.split_once("when: ").or_else(|| line.split_once("${"))?;
        Some(source.trim_matches(['"', '\'', ' ', '}']).as_bytes().to_vec())
    });
    SOURCES.iter().map(|source| source.as_bytes().to_vec()).chain(lines).collect()
}

fn scopes() -> [BTreeMap<&'static str, Value>; 2] {
    let rows: Vec<i64> = (0..100).collect();
    [
        BTreeMap::from([
            (
                "event",
                json!({
                    "type": "t", "source": "/s", "id": "1", "subject": "a/b", "time": "2026-11-21T19:00:00Z",
                    "attributes": { "a-b": "c" }, "data": { "rows": rows, "deep": [[[[{}]]]] },
                }),
            ),
            (
                "object",
                json!({
                    "bucket": "b", "name": "churn/2026/a.parquet", "size": 12, "generation": "7",
                    "metadata": { "team": CANARY }, "uri": "gs://b/churn/2026/a.parquet",
                }),
            ),
            ("drift", json!({ "findings": [{ "feature": "f", "score": 0.7 }], "verdict": true })),
        ]),
        BTreeMap::from([
            (
                "batch",
                json!({ "count": 3, "uris": ["gs://b/A.csv", "gs://b/b.csv"], "prefix": "gs://b/" }),
            ),
            ("run", json!({ "key": "rf-0" })),
            ("trigger", json!({ "name": "t" })),
            ("member", json!({ "uri": "gs://b/A.csv", "size": u64::MAX })),
        ]),
    ]
}

fn give(input: &[u8]) -> Outcome {
    let source = String::from_utf8_lossy(input);
    let [events, runs] = scopes();
    let mut said = Vec::new();
    let mut is_understood = false;
    for (variables, values) in [(OBJECT_AND_DRIFT_VARIABLES, events), (EACH_VARIABLES, runs)] {
        let scope = Scope::new(values).expect("the scope is small");
        match Expression::compile(&source, variables) {
            Ok(expression) => {
                is_understood = true;
                assert_eq!(expression.source(), source);
                let _ = expression.mismatch(&scope);
                let value = expression.eval(&scope);
                check_words(value.as_ref().err());
                said.push(value.map_or_else(|why| why, |value| sort(&value).to_owned()));
            }
            Err(error) => {
                assert!(source.is_char_boundary(error.offset), "{error:?}");
                said.push(error.message);
            }
        }
    }
    let said = said.join("; ");
    if is_understood { Outcome::Understood(said) } else { Outcome::Refused(said) }
}

/// What goes wrong is said without what the values hold.
fn check_words(said: Option<&String>) {
    let canary = said.filter(|said| said.contains(CANARY));
    assert_eq!(canary, None, "a value is repeated");
}

fn sort(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "list",
        Value::Object(_) => "map",
    }
}
