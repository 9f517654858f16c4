//! Incidents of Cloud Monitoring, schema 1.2: by a notification channel of type Pub/Sub, or by a webhook.
//!
//! An incident that opens and one that closes are two facts, and only the first is drift. The user labels of the
//! alert policy say which model it is about, as `refit_model`. The message that tests a channel means nothing.

use refit_core::drift::{Detector, Direction, DriftReport, Finding, Model, Role, Verdict, Window};
use refit_core::time::Timestamp;
use serde_json::Number;

use super::super::{Rejected, Understood, shown};
use super::{Carried, Fields, identity};

/// The tool, and the route.
const TOOL: &str = "gcp.monitoring";
/// The user label of an alert policy that names the model.
const MODEL_LABEL: &str = "refit_model";

/// Recognises them by the members `incident` and `version`.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let Some(incident) = fields.get("incident").and_then(Fields::of) else { return Ok(None) };
    let Some(version) = fields.text("version")? else { return Ok(None) };
    if version.eq_ignore_ascii_case("test") {
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
    let window = Window { start: time(incident, "started_at")?, end: time(incident, "ended_at")? };
    let time = if verdict == Verdict::Drift { window.start } else { window.end };
    let report = report(incident, verdict, window)?;
    carried.record(TOOL, identity(["incident", TOOL, id, &state]), time, report)
}

fn report(incident: Fields<'_>, verdict: Verdict, window: Window) -> Result<DriftReport, Rejected> {
    let text = |name: &str| Ok(incident.text(name)?.map(str::to_owned));
    let labels = incident.object("policy_user_labels")?;
    let model = labels.map(|labels| labels.text(MODEL_LABEL)).transpose()?.flatten();
    Ok(DriftReport {
        verdict,
        severity: text("severity")?.filter(|text| !text.eq_ignore_ascii_case("no severity")),
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: text("policy_name")?,
            url: text("url")?,
            ..Detector::default()
        },
        model: Model { name: model.map(str::to_owned), ..Model::default() },
        window,
        findings: finding(incident, verdict)?.into_iter().collect(),
        ..DriftReport::default()
    })
}

/// The condition of the policy, with the labels of its time series. It is no column, whatever it is called.
fn finding(incident: Fields<'_>, verdict: Verdict) -> Result<Option<Finding>, Rejected> {
    let Some(name) = incident.text("condition_name")? else { return Ok(None) };
    let metric = incident.object("metric")?;
    let segment = metric.map(|metric| metric.texts("labels")).transpose()?.unwrap_or_default();
    let condition = incident.object("condition")?;
    let threshold =
        condition.map(|condition| condition.object("conditionThreshold")).transpose()?;
    let comparison = threshold.flatten().map(|it| it.text("comparison")).transpose()?.flatten();
    let queried = || segment.get("value").and_then(|text| number(text));
    let observed = incident.text("observed_value")?.and_then(number);
    Ok(Some(Finding {
        name: name.to_owned(),
        role: Some(Role::Dataset),
        statistic: metric.map(|metric| metric.text("type")).transpose()?.flatten().map(Into::into),
        value: observed.or_else(queried),
        threshold: incident.text("threshold_value")?.and_then(number),
        direction: comparison.and_then(direction),
        drifted: Some(verdict == Verdict::Drift),
        detail: incident.text("summary")?.map(str::to_owned),
        segment,
        ..Finding::default()
    }))
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

/// Numbers are written as texts.
fn number(text: &str) -> Option<Number> {
    Number::from_f64(text.parse().ok()?)
}

/// Seconds since 1970.
fn time(incident: Fields<'_>, name: &str) -> Result<Option<Timestamp>, Rejected> {
    let seconds = incident.int64(name)?;
    Ok(seconds.map(|seconds| Timestamp::from_millis(seconds.saturating_mul(1000))))
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
    fn incidents_that_are_broken_say_how() {
        let cases = [
            (json!({"state": null}), "400 the incident has no `state`"),
            (json!({"incident_id": ""}), "400 the incident has no `incident_id`"),
            (
                json!({"state": "acknowledged"}),
                "400 an incident is neither open nor closed: state=`acknowledged`",
            ),
            (json!({"started_at": "today"}), "400 a member is not an integer: name=`started_at`"),
        ];
        for (members, expected) in cases {
            assert_eq!(refusal(&incident(members.clone())), expected, "{members}");
        }
    }
}
