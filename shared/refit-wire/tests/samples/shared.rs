//! Samples beside the repository, each with the normal form it is expected to have.

use std::fs;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::time::Timestamp;
use refit_testkit::shared::shared_data;
use refit_wire::normal_form::normal_form;
use refit_wire::source::{Delivery, understand};
use serde_json::{Value, json};

/// The folders of samples that the sources there are understand.
const FOLDERS: [&str; 5] = ["gcs/", "pubsub/", "cloudevents/", "scheduler/", "drift/"];

/// A request as it is kept there, and what is expected of it.
pub(crate) struct Shared {
    pub(crate) id: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    expect: Value,
}

/// The samples of the sources there are; none where the folder is absent, which is said.
#[expect(clippy::print_stdout, reason = "a skipped test says so")]
pub(crate) fn samples(test: &str) -> Vec<Shared> {
    let Some(folder) = shared_data("events-samples") else {
        println!("skipped: {test}: there is no folder events-samples");
        return vec![];
    };
    let index: Value = read_json(&folder.join("index.json"));
    let all = index["samples"].as_array().unwrap().iter();
    let ours = all.filter(|sample| {
        let id = sample["id"].as_str().unwrap();
        FOLDERS.iter().any(|folder| id.starts_with(folder))
    });
    ours.map(|sample| shared(&folder, sample)).collect()
}

fn shared(folder: &Path, sample: &Value) -> Shared {
    let path = |member: &str| folder.join(sample[member].as_str().unwrap());
    // A document comes without headers of its own.
    let is_document = sample["transport"] == "document";
    let headers = if is_document { json!({}) } else { read_json(&path("headers")) };
    let header = |(name, value): (&String, &Value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
    };
    Shared {
        id: sample["id"].as_str().unwrap().to_owned(),
        headers: headers.as_object().unwrap().iter().map(header).collect(),
        body: fs::read(path(if is_document { "payload" } else { "body" })).unwrap(),
        expect: sample["expect"].clone(),
    }
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Everything expected of an event is so; what is not spoken of may be anything.
fn check_event(id: &str, expected: &Value, event: &Value) {
    for (name, value) in expected.as_object().unwrap() {
        let found = &event[name];
        let instant = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
        match (name.as_str(), instant(value)) {
            ("time", Some(time)) => assert_eq!(instant(found), Some(time), "{id}: {name}"),
            ("drift", _) => check_report(id, value, found),
            (_, _) => assert_eq!(found, value, "{id}: {name}"),
        }
    }
}

/// Everything expected of a report is so; findings are as many, and times may have another form.
fn check_report(id: &str, expected: &Value, found: &Value) {
    let instant = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    match (expected, found) {
        (Value::Object(members), _) => {
            members.iter().for_each(|(name, value)| match name.as_str() {
                "findings_count" => {
                    assert_eq!(&json!(found["findings"].as_array().unwrap().len()), value)
                }
                // The index has a word of its own for what a report calls the method.
                "kind" => check_report(id, value, &found["method"]),
                _ => check_report(id, value, &found[name]),
            })
        }
        (Value::Array(expected), Value::Array(found)) => {
            assert_eq!(expected.len(), found.len(), "{id}: {found:?}");
            // Where columns are an object's members they have no order.
            for value in expected {
                let named = found.iter().find(|found| found["name"] == value["name"]);
                check_report(id, value, named.unwrap_or_else(|| panic!("{id}: {value}")));
            }
        }
        (_, _) if instant(expected).is_some() => {
            assert_eq!(instant(found), instant(expected), "{id}");
        }
        (_, _) => assert_eq!(found, expected, "{id}"),
    }
}

#[test]
fn every_shared_sample_has_the_normal_form_expected_of_it() {
    for sample in samples("every_shared_sample_has_the_normal_form_expected_of_it") {
        let Shared { id, headers, body, expect } = sample;
        let form = normal_form(&understand(&Delivery { headers: &headers, body: &body }));
        assert_eq!(form["outcome"], expect["outcome"], "{id}: {form}");
        if let Some(status) = expect.get("suggested_status") {
            assert_eq!(&form["suggested_status"], status, "{id}");
        }
        let events = form["events"].as_array().unwrap();
        let expected = expect["events"].as_array().unwrap();
        assert_eq!(events.len(), expected.len(), "{id}");
        for (expected, event) in expected.iter().zip(events) {
            check_event(&id, expected, event);
        }
    }
}
