//! Incidents of Cloud Monitoring, schema 1.2: by a notification channel of type Pub/Sub, or by a webhook.
//!
//! An incident that opens and one that closes are two facts, and only the first is drift. The user labels of the
//! alert policy say which model it is about, as `refit_model`. The message that tests a channel means nothing.

use std::collections::BTreeMap;

use refit_core::drift::{Detector, Direction, DriftReport, Finding, Model, Role, Verdict, Window};
use refit_core::time::Timestamp;
use serde_json::Number;

use super::super::{Rejected, Understood, shown};
use super::{Carried, Fields, identity, number_of};

/// The tool, and the route.
const TOOL: &str = "gcp.monitoring";
/// The user label of an alert policy that names the model.
const MODEL_LABEL: &str = "refit_model";

/// Recognises them by the members `incident` and `version`. Which incident it is and its state have to be right; of
/// everything else, what is not as it should be is not there.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let Some(incident) = fields.get("incident").and_then(Fields::of) else { return Ok(None) };
    let Some(version) = fields.get("version") else { return Ok(None) };
    if version.as_str().is_some_and(|version| version.eq_ignore_ascii_case("test")) {
        let reason = "the test of a notification channel".to_owned();
        return Ok(Some(Understood::Ignore { reason }));
    }
    let id = required(incident.text("incident_id")?, "incident_id")?;
    let state = required(incident.text("state")?, "state")?.to_ascii_lowercase();
    let verdict = match state.as_str() {
        "open" => Verdict::Drift,
        "closed" => Verdict::Resolved,
        other => {
            let reason =
                format!("an incident is neither open nor closed: state=`{}`", shown(other));
            return Err(Rejected::malformed(reason));
        }
    };
    let window = Window { start: time(incident, "started_at"), end: time(incident, "ended_at") };
    let time = if verdict == Verdict::Drift { window.start } else { window.end };
    let report = report(incident, verdict, window);
    carried.record(TOOL, identity(["incident", TOOL, id, &state]), time.or(carried.time), report)
}

fn report(incident: Fields<'_>, verdict: Verdict, window: Window) -> DriftReport {
    let labels = object(incident, "policy_user_labels");
    DriftReport {
        verdict,
        severity: text(incident, "severity").filter(|it| !it.eq_ignore_ascii_case("no severity")),
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: text(incident, "policy_name"),
            url: text(incident, "url"),
            ..Detector::default()
        },
        model: Model {
            name: labels.and_then(|labels| text(labels, MODEL_LABEL)),
            ..Model::default()
        },
        window,
        findings: finding(incident, verdict).into_iter().collect(),
        ..DriftReport::default()
    }
}

/// The condition of the policy, with the labels of its time series. It is no column, whatever it is called.
fn finding(incident: Fields<'_>, verdict: Verdict) -> Option<Finding> {
    let name = text(incident, "condition_name")?;
    let metric = object(incident, "metric");
    let segment = metric.and_then(|metric| object(metric, "labels")).map(texts).unwrap_or_default();
    let threshold =
        object(incident, "condition").and_then(|condition| object(condition, "conditionThreshold"));
    let comparison = threshold.and_then(|threshold| text(threshold, "comparison"));
    let queried = || segment.get("value").and_then(|text| number(text));
    Some(Finding {
        name,
        role: Some(Role::Dataset),
        statistic: metric.and_then(|metric| text(metric, "type")),
        value: number_in(incident, "observed_value").or_else(queried),
        threshold: number_in(incident, "threshold_value"),
        direction: comparison.as_deref().and_then(direction),
        drifted: Some(verdict == Verdict::Drift),
        detail: text(incident, "summary"),
        segment,
        ..Finding::default()
    })
}

fn object<'a>(fields: Fields<'a>, name: &str) -> Option<Fields<'a>> {
    fields.get(name).and_then(Fields::of)
}

fn text(fields: Fields<'_>, name: &str) -> Option<String> {
    fields.get(name)?.as_str().map(str::to_owned)
}

fn texts(labels: Fields<'_>) -> BTreeMap<String, String> {
    labels.names().filter_map(|name| Some((name.to_owned(), text(labels, name)?))).collect()
}

fn direction(comparison: &str) -> Option<Direction> {
    match comparison {
        "COMPARISON_GT" => Some(Direction::Gt),
        "COMPARISON_GE" => Some(Direction::Ge),
        "COMPARISON_LT" => Some(Direction::Lt),
        "COMPARISON_LE" => Some(Direction::Le),
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    Number::from_f64(text.parse().ok()?)
}

/// Numbers are written as texts, mostly.
fn number_in(fields: Fields<'_>, name: &str) -> Option<Number> {
    number_of(fields.get(name)).or_else(|| number(fields.get(name)?.as_str()?))
}

/// Seconds since 1970, perhaps with a fraction.
fn time(incident: Fields<'_>, name: &str) -> Option<Timestamp> {
    let seconds = number_in(incident, name)?.as_f64()?;
    #[expect(clippy::cast_possible_truncation, reason = "what is out of range is its end")]
    let millis = (seconds * 1000.0).round() as i64;
    Some(Timestamp::from_millis(millis))
}

fn required<'a>(text: Option<&'a str>, name: &str) -> Result<&'a str, Rejected> {
    let missing = || Rejected::malformed(format!("the incident has no `{name}`"));
    text.filter(|text| !text.is_empty()).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::tests::{event, form_of_json, refusal};

    fn incident(members: Value) -> Value {
        let mut incident = json!({
            "incident_id": "0.x", "state": "open", "started_at": 1_577_840_461, "ended_at": null,
            "policy_name": "churn-drift", "condition_name": "feature drift",
        });
        let Value::Object(members) = members else { panic!("members are wanted") };
        for (name, value) in members {
            incident[name] = value;
        }
        form_of_json(&json!({"version": "1.2", "incident": incident}))
    }

    #[test]
    fn an_incident_opens_and_closes_as_two_facts() {
        let open = incident(json!({}));
        let closed = incident(json!({"state": "CLOSED", "ended_at": 1_577_877_071}));
        let said = |form: &Value| {
            let event = event(form);
            (event["identity"][3].clone(), event["time"].clone(), event["drift"]["verdict"].clone())
        };
        assert_eq!(said(&open), (json!("open"), json!("2020-01-01T01:01:01Z"), json!("drift")));
        let expected = (json!("closed"), json!("2020-01-01T11:11:11Z"), json!("resolved"));
        assert_eq!(said(&closed), expected);
    }

    #[test]
    fn a_test_of_the_channel_means_nothing() {
        let test = json!({
            "version": "test",
            "incident": {"incident_id": "12345", "state": "OPEN", "documentation": "Test"},
        });
        assert_eq!(form_of_json(&test)["outcome"], "ignore");
    }

    #[test]
    fn the_value_of_a_query_stands_among_the_labels() {
        let queried = incident(json!({
            "metric": {"type": "__missing__", "labels": {"value": "0.42", "feature": "age"}},
            "policy_user_labels": {"refit_model": "churn"},
        }));
        let drift = &event(&queried)["drift"];
        assert_eq!(drift["findings"][0]["value"], 0.42);
        assert_eq!(drift["findings"][0]["segment"]["feature"], "age");
        assert_eq!(drift["model"]["name"], "churn");
        assert_eq!(drift["findings"][0].get("threshold"), None);
    }

    #[test]
    fn details_that_are_not_as_they_should_be_keep_no_incident_from_being_drift() {
        let odd = incident(json!({
            "started_at": 1_577_840_461.25, "ended_at": "later", "severity": 5, "summary": [],
            "observed_value": 0.835, "threshold_value": "much", "policy_user_labels": "x",
            "condition": {"conditionThreshold": {"comparison": 5}},
            "metric": {"type": "t", "labels": {"feature": null, "n": 5, "country": "de"}},
        }));
        assert_eq!(event(&odd)["time"], "2020-01-01T01:01:01.250Z");
        let drift = &event(&odd)["drift"];
        assert_eq!(drift["verdict"], "drift");
        assert_eq!(drift["findings"][0]["value"], 0.835);
        assert_eq!(drift["findings"][0].get("threshold"), None);
        assert_eq!(drift["findings"][0]["segment"], json!({"country": "de"}));
        let timeless = incident(json!({"started_at": null}));
        assert_eq!(event(&timeless)["time"], "RECEIVED_AT");
        let mut numbered: Value = json!({"version": 1.2});
        numbered["incident"] = json!({"incident_id": "0.x", "state": "open"});
        assert_eq!(event(&form_of_json(&numbered))["drift"]["verdict"], "drift");
    }

    #[test]
    fn incidents_that_are_broken_say_how() {
        let cases = [
            (json!({"state": null}), "400 the incident has no `state`"),
            (json!({"incident_id": ""}), "400 the incident has no `incident_id`"),
            (
                json!({"state": "acknowledged"}),
                "400 an incident is neither open nor closed: state=`acknowledged`",
            ),
        ];
        for (members, expected) in cases {
            assert_eq!(refusal(&incident(members.clone())), expected, "{members}");
        }
    }
}
