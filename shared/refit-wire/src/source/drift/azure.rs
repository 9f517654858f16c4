//! Azure Machine Learning by Event Grid: `DatasetDriftDetected` of dataset monitors (v1), and runs that failed
//! because a threshold was crossed (v2), in the schema of Event Grid or as CloudEvents.

use refit_core::drift::{Detector, DriftReport, Objective, Summary, Verdict, Window};
use refit_core::time::Timestamp;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, identity, number_of};
use crate::handshake::VALIDATION;

/// The event of dataset monitors.
const DETECTED: &str = "Microsoft.MachineLearningServices.DatasetDriftDetected";
/// The event of runs.
const RUN: &str = "Microsoft.MachineLearningServices.RunStatusChanged";
/// The tag of a run of a model monitor that looked at thresholds, and what it says where one was crossed.
const BREACHED: (&str, &str) =
    ("azureml_modelmonitor_threshold_breached", "violating metric thresholds");
/// The status of such a run.
const FAILED: &str = "Failed";

/// An event in either schema.
struct Event<'a> {
    ty: &'a str,
    id: Option<&'a str>,
    time: Option<Timestamp>,
    data: Fields<'a>,
}

/// Recognises them by their type.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(event) = event(carried)? else { return Ok(None) };
    let envelope = Carried {
        document: carried.document,
        event: carried.event,
        identity: None,
        time: event.time,
        delivery: carried.delivery.clone().or_else(|| event.id.map(str::to_owned)),
        attributes: carried.attributes.clone(),
    };
    match event.ty {
        DETECTED => detected(&envelope, &event),
        RUN => breached(&envelope, &event),
        VALIDATION => {
            let reason = "the question of Event Grid whether its events are wanted".to_owned();
            Ok(Some(Understood::Ignore { reason }))
        }
        _ => Ok(None),
    }
}

fn event<'a>(carried: &'a Carried<'_>) -> Result<Option<Event<'a>>, Rejected> {
    let Some(fields) = Fields::of(carried.document) else { return Ok(None) };
    if let Some(event) = carried.event {
        let found = Event { ty: &event.ty, id: Some(&event.id), time: event.time, data: fields };
        return Ok(Some(found));
    }
    let ty = fields.get("eventType").and_then(|ty| ty.as_str());
    let Some(ty) = ty.filter(|ty| [DETECTED, RUN, VALIDATION].contains(ty)) else {
        return Ok(None);
    };
    let missing = || Rejected::malformed("the event has no `data`");
    let data = fields.object("data")?.ok_or_else(missing)?;
    Ok(Some(Event { ty, id: fields.text("id")?, time: fields.time("eventTime")?, data }))
}

fn detected(carried: &Carried<'_>, event: &Event<'_>) -> Result<Option<Understood>, Rejected> {
    let text = |name: &str| Ok(event.data.text(name)?.map(str::to_owned));
    let (monitor, run) = (text("DataDriftId")?, text("RunId")?);
    let (Some(monitor), Some(run)) = (monitor, run) else {
        return Err(Rejected::malformed("the event names no monitor or no run"));
    };
    let window = Window { start: event.data.time("StartTime")?, end: event.data.time("EndTime")? };
    let report = DriftReport {
        verdict: Verdict::Drift,
        objective: Some(Objective::FeatureDrift),
        detector: Detector {
            tool: "azureml.v1".to_owned(),
            monitor: text("DataDriftName")?.or_else(|| Some(monitor.clone())),
            run: Some(run.clone()),
            ..Detector::default()
        },
        window,
        summary: Summary {
            score: number_of(event.data.get("DriftCoefficient")),
            ..Summary::default()
        },
        ..DriftReport::default()
    };
    let identity = identity(["drift", "azureml.v1", &monitor, &run]);
    carried.record("azureml.v1", identity, event.time, report)
}

/// Members are spelled in two ways in the documentation. The tag stays when the run is completed after all, and its words
/// may be others one day: only a run that failed by them is drift, and nothing here says that all is well.
fn breached(carried: &Carried<'_>, event: &Event<'_>) -> Result<Option<Understood>, Rejected> {
    let tags = event.data.get("RunTags").or_else(|| event.data.get("runTags"));
    let Some(said) = tags.and_then(Fields::of).and_then(|tags| tags.get(BREACHED.0)) else {
        let reason = "a run that crossed no threshold".to_owned();
        return Ok(Some(Understood::Ignore { reason }));
    };
    let text = |names: [&str; 2]| {
        let found = event.data.text(names[0])?;
        Ok(found
            .map_or_else(|| event.data.text(names[1]), |text| Ok(Some(text)))?
            .map(str::to_owned))
    };
    let Some(run) = text(["RunId", "runId"])? else {
        return Err(Rejected::malformed("the event names no run"));
    };
    let status = text(["RunStatus", "runStatus"])?.unwrap_or_default();
    let is_crossed = said.as_str().is_some_and(|text| text.contains(BREACHED.1));
    let is_drift = status == FAILED && is_crossed;
    let report = DriftReport {
        verdict: if is_drift { Verdict::Drift } else { Verdict::Unknown },
        detector: Detector {
            tool: "azureml.v2".to_owned(),
            monitor: text(["ExperimentName", "experimentName"])?,
            run: Some(run.clone()),
            ..Detector::default()
        },
        ..DriftReport::default()
    };
    let identity = identity(["drift", "azureml.v2", &run, &status]);
    carried.record("azureml.v2", identity, event.time, report)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::tests::{event, form_of_json};
    use super::*;

    const WORDS: &str =
        "m_signal has failed due to one or more features violating metric thresholds";

    fn changed(status: &str, tags: &Value) -> Value {
        let event = json!({
            "topic": "/subscriptions/s", "eventType": RUN, "eventTime": "2026-01-05T12:00:00Z", "id": "1",
            "data": {"runId": "m_1", "runStatus": status, "runTags": tags},
        });
        form_of_json(&json!([event]))
    }

    #[test]
    fn only_a_run_that_failed_by_its_thresholds_is_drift() {
        let mut identities = std::collections::BTreeSet::new();
        for (status, said, expected) in [
            ("Failed", json!(WORDS), "drift"),
            ("Failed", json!("was not looked at"), "unknown"),
            ("Failed", json!(""), "unknown"),
            ("Failed", json!(true), "unknown"),
            ("Completed", json!(WORDS), "unknown"),
            ("Running", json!(WORDS), "unknown"),
        ] {
            let form = changed(status, &json!({BREACHED.0: said}));
            assert_eq!(event(&form)["drift"]["verdict"], expected, "{status}: {said}");
            identities.insert(event(&form)["identity"].to_string());
        }
        assert_eq!(identities.len(), 3, "a run that fails after all is news: {identities:?}");
        assert_eq!(changed("Failed", &json!({"other": WORDS}))["outcome"], "ignore");
    }
}
