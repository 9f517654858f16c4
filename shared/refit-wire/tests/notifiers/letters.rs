//! Letters to be told: `one {…}` is a notice with these fields, `storm N` is N of them in one letter.

use refit_core::key::Hash128;
use refit_core::notice::{Letter, Notice};
use serde_json::{Value, json};

/// A notice of a run that failed, with other fields where they are given.
pub(crate) fn notice(fields: &str) -> Notice {
    let mut value = json!({
        "id": "00112233445566778899aabbccddeeff", "kind": "failure", "at": "2026-11-21T09:30:00Z",
        "trigger": "churn", "batch": "b12", "count": 20, "attempt": 2,
        "run": "rf-ffeeddccbbaa99887766554433221100", "service": "vertex",
        "url": "https://console.acme.example/runs/7", "manifest": "manifests/1.jsonl",
        "message": "step <train> failed & ended",
    });
    let fields: Value = serde_json::from_str(fields).unwrap();
    for (name, field) in fields.as_object().unwrap() {
        match field {
            Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
            field => value[name] = field.clone(),
        }
    }
    serde_json::from_value(value).unwrap()
}

pub(crate) fn letter(asked: &str) -> Letter {
    let (word, rest) = asked.split_once(' ').unwrap_or((asked, "{}"));
    let notices: Vec<Notice> = match word {
        "one" => vec![notice(rest)],
        "long" => {
            vec![notice(&json!({ "message": "x".repeat(rest.parse().unwrap()) }).to_string())]
        }
        _ => {
            let count: u128 = rest.parse().unwrap();
            let with = |n: u128| Notice { id: Hash128(n), ..notice("{}") };
            (0..count).map(with).collect()
        }
    };
    let due = notices[0].at;
    Letter { notices, beyond: 0, owner: String::new(), due, tries: 0, message: None }
}

/// The id a letter would have.
pub(crate) fn id(letter: &Letter) -> Hash128 {
    letter.notices[0].id
}
