//! What the page of events says of identities, against the identities: each part it names is found in the sample, under a
//! member or a header that the part is known by.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use refit_core::time::Timestamp;
use refit_wire::sample::Sample;
use refit_wire::source::Row;
use serde_json::Value;

/// What a report is that says so itself.
const TOLD: &str = "what it says";
/// What a report in a file is, whose object has a row of its own.
const OF_OBJECT: &str = "that of the object";

/// The parts that the page names, and the members and headers that hold them.
const PARTS: &[(&str, &[&str])] = &[
    ("alarm", &["AlarmArn", "alarmArn", "resources"]),
    ("attempt", &["run_attempt"]),
    ("bucket", &["bucket", "bucketId", "bucketid", "name"]),
    ("comment", &["id"]),
    ("commit after", &["after"]),
    ("commit before", &["before"]),
    ("delivery", &["x-mlflow-delivery-id"]),
    ("end of the window", &["endTime"]),
    ("execution", &["pipelineExecutionArn"]),
    ("generation", &["generation", "objectGeneration", "objectgeneration"]),
    ("id", &["id", "ce-id"]),
    ("incident", &["incident_id"]),
    (
        "job",
        &[
            "x-cloudscheduler-jobname",
            "resources",
            "modelDeploymentMonitoringJob",
            "modelMonitoringJob",
            "ProcessingJobArn",
        ],
    ),
    ("message id", &["messageId", "message_id", "x-goog-pubsub-message-id", "eventId"]),
    ("model", &["deployedModelId"]),
    ("monitor", &["DataDriftId"]),
    ("name", &["name", "key", "objectId", "objectid"]),
    ("objective", &["anomalyObjective", "objectiveType"]),
    ("ref", &["ref"]),
    ("repository", &["full_name"]),
    ("run", &["RunId", "id"]),
    ("scheduled time", &["x-cloudscheduler-scheduletime", "time"]),
    ("sequencer", &["sequencer"]),
    ("source", &["source", "ce-source"]),
    ("state", &["state", "NewStateValue", "value"]),
    ("statistic", &["statsName"]),
    ("status", &["RunStatus", "ProcessingJobStatus", "currentPipelineExecutionStatus"]),
    ("subscription", &["subscription", "x-goog-pubsub-subscription-name"]),
    ("time of the alert", &["alertTime"]),
    ("time of the change", &["StateChangeTime", "timestamp"]),
    ("time of the push", &["pushed_at"]),
    ("topic", &["name", "resource"]),
    ("webhook id", &["webhook-id"]),
];

/// Everything in a sample that has one of these names.
struct Named<'a> {
    names: &'a [&'a str],
    found: Vec<String>,
}

impl Named<'_> {
    fn look(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, it)| self.look(name, it)),
            Value::Array(items) => items.iter().for_each(|item| self.look(name, item)),
            Value::String(text) => {
                self.note(name, text);
                let decoded = BASE64_STANDARD.decode(text).ok();
                let inside = decoded.as_deref().unwrap_or(text.as_bytes());
                if let Ok(inside @ (Value::Object(_) | Value::Array(_))) =
                    serde_json::from_slice(inside)
                {
                    self.look(name, &inside);
                }
            }
            Value::Number(number) => self.note(name, &number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn note(&mut self, name: &str, text: &str) {
        if self.names.contains(&name) {
            self.found.push(text.to_owned());
        }
    }
}

/// What a sample holds under these names.
fn held(sample: &Sample, names: &[&str]) -> Vec<String> {
    let mut named = Named { names, found: Vec::new() };
    for (name, value) in &sample.headers {
        named.note(name.as_str(), value.to_str().unwrap_or_default());
    }
    if let Ok(body) = serde_json::from_slice(&sample.body) {
        named.look("", &body);
    }
    named.found
}

/// Whether a sample's text is the part, encoded as in a form or not, or the same time.
fn is_same(part: &str, text: &str) -> bool {
    let spaced = text.replace('+', " ");
    let is_decoded = percent_decode_str(&spaced).decode_utf8().is_ok_and(|plain| plain == part);
    let instant = |text: &str| text.replace("+0000", "Z").parse::<Timestamp>().ok();
    part == text || is_decoded || instant(part).is_some_and(|time| instant(text) == Some(time))
}

/// The identity of the sample's first event is what its row says.
pub(crate) fn check(row: &Row, sample: &Sample, event: &Value) {
    let told = row.identity.split(';').next().unwrap_or_default();
    let identity: Vec<&str> =
        event["identity"].as_array().unwrap().iter().map(|part| part.as_str().unwrap()).collect();
    if told.starts_with(OF_OBJECT) {
        return;
    }
    if told == TOLD {
        return check_told(row, &identity, event);
    }
    let words: Vec<&str> = told.split(", ").collect();
    let parts = &identity[identity.len() - words.len()..];
    for (word, part) in words.iter().zip(parts) {
        let (sample_of, what) = (row.sample, format!("{word} = {part}"));
        if let Some(literal) = word.strip_prefix('`') {
            assert_eq!(literal.trim_end_matches('`'), *part, "{sample_of}: {what}");
        } else if *word == "kind" {
            assert_eq!(event["kind"], **part, "{sample_of}: {what}");
        } else {
            let known = PARTS.iter().find(|(name, _)| name == word);
            let (_, names) = known.unwrap_or_else(|| panic!("{sample_of}: no such part: {word}"));
            let held = held(sample, names);
            assert!(held.iter().any(|it| is_same(part, it)), "{sample_of}: {what}: {held:?}");
        }
    }
}

/// The digest of what it says and, unless that has a time, the message it came in, or the time it has beside it.
fn check_told(row: &Row, identity: &[&str], event: &Value) {
    let [_, _, digest, rest @ ..] = identity else { panic!("{}: {identity:?}", row.sample) };
    assert!(digest.len() == 64 && rest.len() <= 1, "{}: {identity:?}", row.sample);
    let says_when = event["drift"]["window"]["end"].is_string()
        || event["drift"]["detector"]["run"].is_string();
    let which = rest.first().copied().unwrap_or_default();
    assert_eq!(which.is_empty(), says_when, "{}: {identity:?}", row.sample);
    let is_which = event["delivery_id"] == which || which.parse::<Timestamp>().is_ok();
    assert!(says_when || is_which, "{}: {identity:?}", row.sample);
}
