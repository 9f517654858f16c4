//! Alarms of CloudWatch: through a topic of SNS, by EventBridge, or as the invocation of a function. The same change
//! of state by any of them is the same fact.
//!
//! Only an alarm that goes off is drift; one that has too little data says nothing. The dimensions of the metrics of
//! SageMaker say which monitor and endpoint it is about.

use std::collections::BTreeMap;

use refit_core::drift::{Detector, Direction, DriftReport, Finding, Model, Role, Verdict};
use refit_core::time::Timestamp;
use serde_json::{Number, Value};

use super::super::{Rejected, Understood, shown};
use super::{Carried, Fields, identity, number_of};

/// The tool, and the route.
const TOOL: &str = "aws.cloudwatch";
/// What EventBridge calls the change of an alarm's state; alarms that are edited or deleted come by the same route.
const STATE_CHANGE: &str = "CloudWatch Alarm State Change";
/// What CloudWatch publishes where a value is infinite.
const INFINITE: f64 = 2.0e108;

/// An alarm in any of the three forms.
struct Alarm<'a> {
    name: &'a str,
    arn: Option<&'a str>,
    state: &'a str,
    changed: &'a str,
    reason: Option<&'a str>,
    condition: Condition,
}

/// What is compared with what.
#[derive(Default)]
struct Condition {
    metric: Option<String>,
    dimensions: BTreeMap<String, String>,
    value: Option<Number>,
    threshold: Option<Number>,
    direction: Option<Direction>,
}

/// Recognises them by the members of each form.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let is_text = |name: &str| fields.get(name).is_some_and(Value::is_string);
    let alarm = if is_text("AlarmName") && is_text("NewStateValue") {
        published(fields)?
    } else if fields.get("source").and_then(Value::as_str) == Some(TOOL) {
        let other = fields.text("detail-type")?.filter(|kind| *kind != STATE_CHANGE);
        if let Some(other) = other {
            let reason = format!("no alarm has changed its state: detail-type=`{}`", shown(other));
            return Ok(Some(Understood::Ignore { reason }));
        }
        match fields.get("alarmData").or_else(|| fields.get("detail")).and_then(Fields::of) {
            Some(detail) if detail.get("alarmName").is_some() => changed(fields, detail)?,
            Some(_) | None => return Ok(None),
        }
    } else {
        return Ok(None);
    };
    record(carried, fields, alarm)
}

/// As a topic has it.
fn published(fields: Fields<'_>) -> Result<Alarm<'_>, Rejected> {
    let trigger = fields.object("Trigger")?;
    let condition = trigger.map(|trigger| {
        let text = |name: &str| trigger.text(name).map(|text| text.unwrap_or_default());
        Ok(Condition {
            metric: trigger.text("MetricName")?.map(str::to_owned),
            dimensions: listed(trigger.get("Dimensions")),
            value: None,
            threshold: number_of(trigger.get("Threshold")),
            direction: direction(text("ComparisonOperator")?),
        })
    });
    Ok(Alarm {
        name: required(fields.text("AlarmName")?, "AlarmName")?,
        arn: fields.text("AlarmArn")?,
        state: required(fields.text("NewStateValue")?, "NewStateValue")?,
        changed: required(fields.text("StateChangeTime")?, "StateChangeTime")?,
        reason: fields.text("NewStateReason")?,
        condition: condition.transpose()?.unwrap_or_default(),
    })
}

/// As EventBridge and invocations have it.
fn changed<'a>(fields: Fields<'a>, detail: Fields<'a>) -> Result<Alarm<'a>, Rejected> {
    let state = required(detail.object("state")?, "state")?;
    let resource = fields.get("resources").and_then(|all| all.get(0)).and_then(Value::as_str);
    let metric = detail.get("configuration").and_then(|it| it.get("metrics")?.get(0));
    let metric = metric.and_then(|it| it.get("metricStat")?.get("metric")).and_then(Fields::of);
    let reasons: Value = match state.text("reasonData")? {
        Some(text) => serde_json::from_str(text).unwrap_or_default(),
        None => Value::Null,
    };
    let newest = reasons["recentDatapoints"].as_array().and_then(|points| points.last());
    let named = |name: &str| metric.and_then(|metric| metric.get(name));
    Ok(Alarm {
        name: required(detail.text("alarmName")?, "alarmName")?,
        arn: fields.text("alarmArn")?.or(resource),
        state: required(state.text("value")?, "value")?,
        changed: required(state.text("timestamp")?, "timestamp")?,
        reason: state.text("reason")?,
        condition: Condition {
            metric: named("name").and_then(Value::as_str).map(str::to_owned),
            dimensions: mapped(named("dimensions")),
            value: finite(number_of(newest)),
            threshold: number_of(reasons.get("threshold")),
            direction: None,
        },
    })
}

fn record(
    carried: &Carried<'_>,
    fields: Fields<'_>,
    alarm: Alarm<'_>,
) -> Result<Option<Understood>, Rejected> {
    let verdict = match alarm.state {
        "ALARM" => Verdict::Drift,
        "OK" => Verdict::Resolved,
        "INSUFFICIENT_DATA" => Verdict::Unknown,
        other => {
            let reason = format!("an alarm is in no known state: state=`{}`", shown(other));
            return Err(Rejected::malformed(reason));
        }
    };
    let time = time(alarm.changed)?;
    let named = |name: &str| alarm.condition.dimensions.get(name).cloned();
    let report = DriftReport {
        verdict,
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: named("MonitoringSchedule").or_else(|| Some(alarm.name.to_owned())),
            ..Detector::default()
        },
        model: Model { endpoint: named("Endpoint"), ..Model::default() },
        findings: vec![Finding {
            name: alarm.condition.metric.unwrap_or_else(|| alarm.name.to_owned()),
            role: Some(Role::Dataset),
            value: alarm.condition.value,
            threshold: alarm.condition.threshold,
            direction: alarm.condition.direction,
            drifted: match verdict {
                Verdict::Drift => Some(true),
                Verdict::Ok | Verdict::Resolved => Some(false),
                Verdict::Possible | Verdict::Unknown => None,
            },
            segment: alarm.condition.dimensions,
            detail: alarm.reason.map(str::to_owned),
            ..Finding::default()
        }],
        ..DriftReport::default()
    };
    let which = alarm.arn.unwrap_or(alarm.name);
    let identity = identity(["alarm", TOOL, which, &text_of(time), alarm.state]);
    let own = fields.get("id").and_then(Value::as_str).map(str::to_owned);
    let carried = Carried { delivery: carried.delivery.clone().or(own), ..carried.clone() };
    carried.record(TOOL, identity, Some(time), report)
}

/// The time with its milliseconds, whatever way it was written in.
fn text_of(time: Timestamp) -> String {
    time.to_string()
}

/// The zone is written without its colon.
fn time(text: &str) -> Result<Timestamp, Rejected> {
    let spelled = text.strip_suffix("+0000").map(|local| format!("{local}Z"));
    let wrong = |_| Rejected::malformed("the alarm names no time at which it changed");
    spelled.as_deref().unwrap_or(text).parse().map_err(wrong)
}

fn finite(value: Option<Number>) -> Option<Number> {
    value.filter(|value| value.as_f64().is_some_and(|value| value.abs() < INFINITE))
}

fn direction(operator: &str) -> Option<Direction> {
    match operator {
        "GreaterThanThreshold" => Some(Direction::Gt),
        "GreaterThanOrEqualToThreshold" => Some(Direction::Ge),
        "LessThanThreshold" => Some(Direction::Lt),
        "LessThanOrEqualToThreshold" => Some(Direction::Le),
        _ => None,
    }
}

/// Dimensions as a list of names and values.
fn listed(dimensions: Option<&Value>) -> BTreeMap<String, String> {
    let text = |pair: &Value, name: &str| Some(pair.get(name)?.as_str()?.to_owned());
    let pairs = dimensions.and_then(Value::as_array).into_iter().flatten();
    pairs.filter_map(|pair| Some((text(pair, "name")?, text(pair, "value")?))).collect()
}

/// Dimensions as an object.
fn mapped(dimensions: Option<&Value>) -> BTreeMap<String, String> {
    let pairs = dimensions.and_then(Value::as_object).into_iter().flatten();
    pairs.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

fn required<T>(part: Option<T>, name: &str) -> Result<T, Rejected> {
    part.ok_or_else(|| Rejected::malformed(format!("the alarm has no `{name}`")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, form_of_json, refusal};
    use super::*;

    const ARN: &str = "arn:aws:cloudwatch:r:1:alarm:churn-drift";
    const CHANGED: &str = "2026-01-05T12:00:00.123+0000";

    fn published(state: &str) -> Value {
        json!({
            "AlarmName": "churn-drift", "AlarmArn": ARN, "NewStateValue": state,
            "StateChangeTime": CHANGED, "Trigger": {
                "MetricName": "feature_baseline_drift_age", "Threshold": 0.2,
                "ComparisonOperator": "GreaterThanThreshold",
                "Dimensions": [
                    {"name": "Endpoint", "value": "churn"},
                    {"name": "MonitoringSchedule", "value": "churn-data"},
                ],
            },
        })
    }

    fn detail(state: &str) -> Value {
        let reasons = json!({"recentDatapoints": [0.1, 0.35], "threshold": 0.2}).to_string();
        json!({
            "alarmName": "churn-drift",
            "state": {"value": state, "timestamp": CHANGED, "reasonData": reasons},
            "configuration": {"metrics": [{"metricStat": {"metric": {
                "name": "feature_baseline_drift_age", "dimensions": {"Endpoint": "churn"},
            }}}]},
        })
    }

    fn bridged(state: &str) -> Value {
        json!({
            "id": "9", "source": TOOL, "detail-type": "CloudWatch Alarm State Change",
            "time": "2026-01-05T12:00:00Z", "resources": [ARN], "detail": detail(state),
        })
    }

    #[test]
    fn a_change_of_state_is_the_same_fact_by_every_route() {
        let invoked = json!({"source": TOOL, "alarmArn": ARN, "alarmData": detail("ALARM")});
        let expected = json!(["alarm", TOOL, ARN, "2026-01-05T12:00:00.123Z", "ALARM"]);
        for body in [published("ALARM"), bridged("ALARM"), invoked] {
            let form = form_of_json(&body);
            let event = event(&form);
            assert_eq!(event["identity"], expected, "{body}");
            assert_eq!(event["drift"]["verdict"], "drift");
            assert_eq!(event["drift"]["model"]["endpoint"], "churn");
            assert_eq!(event["drift"]["findings"][0]["name"], "feature_baseline_drift_age");
            assert_eq!(event["drift"]["findings"][0]["threshold"], 0.2);
        }
        let form = form_of_json(&bridged("ALARM"));
        assert_eq!(event(&form)["drift"]["findings"][0]["value"], 0.35);
        assert_eq!(event(&form)["delivery_id"], "9");
    }

    #[test]
    fn only_an_alarm_that_goes_off_is_drift() {
        for (state, verdict) in [("OK", "resolved"), ("INSUFFICIENT_DATA", "unknown")] {
            let form = form_of_json(&published(state));
            assert_eq!(event(&form)["drift"]["verdict"], verdict);
            let drifted = &event(&form)["drift"]["findings"][0]["drifted"];
            assert_eq!(*drifted, if state == "OK" { json!(false) } else { Value::Null });
        }
    }

    #[test]
    fn an_alarm_of_which_something_else_changed_has_not_gone_off() {
        let mut edited = bridged("ALARM");
        edited["detail-type"] = json!("CloudWatch Alarm Configuration Change");
        edited["detail"]["operation"] = json!("update");
        let form = form_of_json(&edited);
        assert_eq!(form["outcome"], "ignore", "{form}");
        assert!(form["reason"].as_str().unwrap().contains("Configuration Change"), "{form}");
    }

    #[test]
    fn alarms_that_are_broken_say_how() {
        let broken = |name: &str, value: Value| {
            let mut body = published("ALARM");
            body[name] = value;
            refusal(&form_of_json(&body))
        };
        assert_eq!(
            broken("NewStateValue", json!("BUSY")),
            "400 an alarm is in no known state: state=`BUSY`"
        );
        assert_eq!(
            broken("StateChangeTime", Value::Null),
            "400 the alarm has no `StateChangeTime`"
        );
        assert_eq!(
            broken("StateChangeTime", json!("now")),
            "400 the alarm names no time at which it changed"
        );
    }

    #[test]
    fn infinity_is_no_number() {
        assert_eq!(finite(Number::from_f64(2.348_543e108)), None);
        assert_eq!(finite(Number::from_f64(-2.348_543e108)), None);
        assert_eq!(finite(Number::from_f64(0.5)), Number::from_f64(0.5));
    }
}
