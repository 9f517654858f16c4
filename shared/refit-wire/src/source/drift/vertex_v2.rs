//! Vertex AI Model Monitoring v2: alerts, as `modelMonitors.searchModelMonitoringAlerts` answers with them (`v1beta1`),
//! one by one or the whole answer.
//!
//! Notification channels of v2 say nothing of features: somebody asks for the alerts and sends them on. Who asks again
//! is answered with the same alerts again, which are the same facts. Entries of its log are those of v1.

use refit_core::drift::{
    Detector, Direction, DriftReport, Finding, Objective, Role, Summary, Verdict, Window,
};
use refit_core::event::Event;
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, identity, number_of};

/// The tool, and the route.
const TOOL: &str = "vertex.v2";
/// What the name of a job goes on with after that of its monitor.
const JOBS: &str = "/modelMonitoringJobs/";

/// Recognises an alert by its statistic, its objective and its anomaly, and an answer by its list of alerts.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    if let Some(alerts) = fields.get("modelMonitoringAlerts").and_then(Value::as_array) {
        return answer(carried, alerts).map(Some);
    }
    if !is_alert(fields) {
        return Ok(None);
    }
    Ok(Some(Understood::Record(vec![alert(carried, fields)?])))
}

fn is_alert(fields: Fields<'_>) -> bool {
    let has = |name| fields.get(name).is_some_and(Value::is_string);
    has("statsName") && has("objectiveType") && fields.get("anomaly").is_some_and(Value::is_object)
}

fn answer(carried: &Carried<'_>, alerts: &[Value]) -> Result<Understood, Rejected> {
    if alerts.is_empty() {
        let reason = "an answer without alerts".to_owned();
        return Ok(Understood::Ignore { reason });
    }
    let wrong = || Rejected::malformed("an alert is not an object with an anomaly");
    let read = |value: &Value| {
        let fields = Fields::of(value).filter(|fields| is_alert(*fields)).ok_or_else(wrong)?;
        alert(carried, fields)
    };
    alerts.iter().map(read).collect::<Result<_, _>>().map(Understood::Record)
}

/// An alert is a verdict: what stayed below its threshold makes none.
fn alert(carried: &Carried<'_>, fields: Fields<'_>) -> Result<Event, Rejected> {
    let text =
        |fields: Fields<'_>, name: &str| Ok(fields.text(name)?.unwrap_or_default().to_owned());
    let anomaly = fields.object("anomaly")?.ok_or_else(|| missing("anomaly"))?;
    let job = text(anomaly, "modelMonitoringJob")?;
    let (name, objective) = (text(fields, "statsName")?, text(fields, "objectiveType")?);
    let told = fields.text("alertTime")?.unwrap_or_default();
    if job.is_empty() || told.is_empty() {
        return Err(missing(if job.is_empty() { "modelMonitoringJob" } else { "alertTime" }));
    }
    let tabular = anomaly.object("tabularAnomaly")?;
    let triggered = tabular.map(|tabular| tabular.time("triggerTime")).transpose()?.flatten();
    let time = fields.time("alertTime")?;
    let (monitor, run) = job.split_once(JOBS).unwrap_or((&job, ""));
    let report = DriftReport {
        verdict: Verdict::Drift,
        objective: objective_of(&objective),
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: Some(monitor.to_owned()),
            run: (!run.is_empty()).then(|| run.to_owned()),
            url: tabular
                .map(|tabular| text(tabular, "anomalyUri"))
                .transpose()?
                .filter(|text| !text.is_empty()),
            ..Detector::default()
        },
        window: Window { start: None, end: triggered.or(time) },
        summary: Summary { drifted: Some(1), ..Summary::default() },
        findings: vec![finding(&name, &objective, anomaly, tabular)?],
        ..DriftReport::default()
    };
    let identity = identity(["drift", TOOL, &job, &objective, &name, told]);
    let recorded = carried.record(TOOL, identity, time, report)?;
    match recorded {
        Some(Understood::Record(mut events)) if events.len() == 1 => Ok(events.remove(0)),
        Some(_) | None => Err(Rejected::malformed("an alert is one event")),
    }
}

fn finding(
    name: &str,
    objective: &str,
    anomaly: Fields<'_>,
    tabular: Option<Fields<'_>>,
) -> Result<Finding, Rejected> {
    let condition = tabular.map(|tabular| tabular.object("condition")).transpose()?.flatten();
    let algorithm = anomaly.text("algorithm")?.map(str::to_owned);
    let summary = tabular.map(|tabular| tabular.text("summary")).transpose()?.flatten();
    Ok(Finding {
        name: name.to_owned(),
        role: Some(match objective_of(objective) {
            Some(Objective::PredictionDrift) => Role::Prediction,
            _ => Role::Feature,
        }),
        method: algorithm,
        value: number_of(tabular.and_then(|tabular| tabular.get("anomaly"))),
        threshold: number_of(condition.and_then(|condition| condition.get("threshold"))),
        direction: Some(Direction::Gt),
        drifted: Some(true),
        detail: summary.filter(|text| !text.is_empty()).map(str::to_owned),
        ..Finding::default()
    })
}

fn objective_of(text: &str) -> Option<Objective> {
    match text {
        "raw-feature-drift" => Some(Objective::FeatureDrift),
        "prediction-output-drift" => Some(Objective::PredictionDrift),
        "feature-attribution" => Some(Objective::AttributionDrift),
        _ => None,
    }
}

fn missing(name: &str) -> Rejected {
    Rejected::malformed(format!("the alert does not say which it is: missing=`{name}`"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::super::super::tests::{event, form_of_json, push, refusal};
    use super::*;

    fn pushed(document: &Value) -> Value {
        let data = base64::prelude::BASE64_STANDARD.encode(document.to_string());
        form_of_json(&push(&json!({ "messageId": "1", "data": data })))
    }

    fn alert(name: &str, objective: &str) -> Value {
        json!({
            "statsName": name, "objectiveType": objective, "alertTime": "2026-01-05T12:00:00Z",
            "anomaly": {
                "modelMonitoringJob": "projects/p/locations/l/modelMonitors/7/modelMonitoringJobs/9",
                "algorithm": "l_infinity",
                "tabularAnomaly": { "anomaly": 0.4, "condition": { "threshold": 0.3 } },
            },
        })
    }

    #[test]
    fn the_objective_says_what_drifted() {
        for (objective, expected, role) in [
            ("raw-feature-drift", json!("feature_drift"), "feature"),
            ("prediction-output-drift", json!("prediction_drift"), "prediction"),
            ("feature-attribution", json!("attribution_drift"), "feature"),
            ("something-new", Value::Null, "feature"),
        ] {
            let report = event(&pushed(&alert("age", objective)))["drift"].clone();
            assert_eq!((&report["objective"], &report["verdict"]), (&expected, &json!("drift")));
            assert_eq!(report["findings"][0]["role"], role, "{objective}");
        }
    }

    #[test]
    fn an_answer_is_its_alerts_and_one_without_alerts_means_nothing() {
        let alerts = ["age", "fare"].map(|name| alert(name, "raw-feature-drift"));
        let form = pushed(&json!({ "modelMonitoringAlerts": alerts, "totalNumberAlerts": "2" }));
        let names = form["events"].as_array().unwrap().iter();
        let names: Vec<_> = names.map(|event| &event["drift"]["findings"][0]["name"]).collect();
        assert_eq!(names, ["age", "fare"]);
        assert_eq!(pushed(&json!({ "modelMonitoringAlerts": [] }))["outcome"], "ignore");
    }

    #[test]
    fn an_alert_that_does_not_say_which_it_is_is_refused() {
        let mut timeless = alert("age", "raw-feature-drift");
        timeless["alertTime"] = Value::Null;
        let mut jobless = alert("age", "raw-feature-drift");
        jobless["anomaly"]["modelMonitoringJob"] = Value::Null;
        for (alert, name) in [(timeless, "alertTime"), (jobless, "modelMonitoringJob")] {
            let refused = refusal(&pushed(&alert));
            assert!(refused.contains(&format!("missing=`{name}`")), "{refused}");
        }
    }

    /// Google says that the entries of both are the same, and publishes none of v2.
    #[test]
    fn an_entry_of_its_log_is_one_of_v1_and_is_refused_where_it_does_not_say_which_it_is() {
        let entry = |member: &str| {
            json!({
                "insertId": "1", "severity": "WARNING", "timestamp": "2026-01-05T12:00:00Z",
                "jsonPayload": {
                    "@type": "type.googleapis.com/google.cloud.aiplatform.logging.ModelMonitoringAnomaliesLogEntry",
                    "anomalyObjective": "RAW_FEATURE_DRIFT", "endTime": "2026-01-05T11:00:00Z",
                    member: "projects/p/locations/l/modelMonitors/7/modelMonitoringJobs/9",
                    "totalAnomaliesCount": 1,
                    "featureAnomalies": [{"featureDisplayName": "age", "deviation": 0.4, "threshold": 0.3}],
                },
            })
        };
        let form = pushed(&entry("modelDeploymentMonitoringJob"));
        let report = &event(&form)["drift"];
        assert_eq!(
            (&report["verdict"], &report["objective"]),
            (&json!("drift"), &json!("feature_drift"))
        );
        assert_eq!(report["findings"][0]["name"], "age");
        let refused = refusal(&pushed(&entry("modelMonitoringJob")));
        assert_eq!(refused, "400 the entry names no monitoring job or no time");
    }
}
