//! Samples beside the repository, each with the normal form it is expected to have.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::time::Timestamp;
use refit_testkit::shared::shared_data;
use refit_wire::normal_form::{normal_form, normal_invocation};
use refit_wire::source::{Delivery, Invocation, Secrets, Sender, understand, understand_report};
use serde_json::{Value, json};

/// The secret the webhooks among them are signed with.
const SECRET: &str = "refit-test-secret";
/// A test vector, which is signed with another secret and has no normal form; the unit tests have it.
const VECTOR: &str = "scm/github-signature-vector";

/// Of these it expects the identity that the headers give, which no signature covers.
const UNSIGNED: [&str; 2] = ["scm/github-push", "scm/github-workflow-run-completed"];

/// A sample as it is kept there, and what is expected of it.
pub(crate) struct Shared {
    pub(crate) id: String,
    /// The headers of a request; what arrives otherwise has none.
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    transport: String,
    expect: Value,
}

/// The samples; none where the folder is absent, which is said.
pub(crate) fn samples(test: &str) -> Vec<Shared> {
    let Some(folder) = shared_data(test, "events-samples") else { return vec![] };
    let index: Value = read_json(&folder.join("index.json"));
    let all = index["samples"].as_array().unwrap().iter();
    let ours = all.filter(|sample| sample["id"] != VECTOR);
    ours.map(|sample| shared(&folder, sample)).collect()
}

fn shared(folder: &Path, sample: &Value) -> Shared {
    let path = |member: &str| folder.join(sample[member].as_str().unwrap());
    // Neither a document nor an invocation comes with headers.
    let is_request = sample["transport"] == "http";
    let headers = if is_request { read_json(&path("headers")) } else { json!({}) };
    let header = |(name, value): (&String, &Value)| {
        let name: HeaderName = name.parse().unwrap();
        (name, HeaderValue::from_str(value.as_str().unwrap()).unwrap())
    };
    Shared {
        id: sample["id"].as_str().unwrap().to_owned(),
        headers: headers.as_object().unwrap().iter().map(header).collect(),
        body: fs::read(path(if is_request { "body" } else { "payload" })).unwrap(),
        transport: sample["transport"].as_str().unwrap().to_owned(),
        expect: sample["expect"].clone(),
    }
}

/// What a sample means by the way it takes: a webhook only if its signature holds.
fn form_of(sample: &Shared) -> Value {
    let delivery = Delivery { headers: &sample.headers, body: &sample.body };
    let json = || serde_json::from_slice(&sample.body).unwrap();
    match sample.transport.as_str() {
        "lambda" => normal_invocation(&Invocation::of(&json())),
        "document" => normal_form(&understand_report(&json())),
        _ => {
            let mut secrets = Secrets::default();
            let short = Sender::ALL.iter().filter(|sender| **sender != Sender::Link);
            short.for_each(|sender| secrets.add(*sender, SECRET).unwrap());
            let verified = Sender::of(&sample.headers).map(|_| secrets.verify(&delivery, None));
            let understood =
                verified.unwrap_or(Ok(Sender::Github)).and_then(|_| understand(&delivery));
            normal_form(&understood)
        }
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
            ("identity", _) if UNSIGNED.contains(&id) => assert_ne!(found, value, "{id}"),
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
        let form = form_of(&sample);
        let Shared { id, expect, .. } = sample;
        assert_eq!(form["outcome"], expect["outcome"], "{id}: {form}");
        for name in ["suggested_status", "ignored", "batchItemFailures"] {
            if let Some(expected) = expect.get(name) {
                assert_eq!(&form[name], expected, "{id}: {name}");
            }
        }
        let events = form["events"].as_array().unwrap();
        let expected = expect["events"].as_array().unwrap();
        assert_eq!(events.len(), expected.len(), "{id}: {form}");
        for (expected, event) in expected.iter().zip(events) {
            check_event(&id, expected, event);
        }
    }
}

#[test]
fn one_change_of_an_object_in_s3_is_one_fact_by_every_route() {
    let samples = samples("one_change_of_an_object_in_s3_is_one_fact_by_every_route");
    let routes = [
        "aws/s3-notification-versioned",
        "aws/sqs-batch-s3-test-and-poison",
        "aws/sqs-sns-s3-nested",
    ];
    let ours = samples.iter().filter(|sample| routes.contains(&sample.id.as_str()));
    let identities: BTreeSet<String> =
        ours.map(|sample| form_of(sample)["events"][0]["identity"].to_string()).collect();
    assert!(samples.is_empty() || identities.len() == 1, "{identities:?}");
}
