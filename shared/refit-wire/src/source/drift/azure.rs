//! Azure Machine Learning by Event Grid: `DatasetDriftDetected` of dataset monitors (v1), and runs that failed
//! because a threshold was crossed (v2), in the schema of Event Grid or as CloudEvents.

use refit_core::drift::{Detector, DriftReport, Objective, Summary, Verdict, Window};
use refit_core::time::Timestamp;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, identity, number_of};

/// The event of dataset monitors.
const DETECTED: &str = "Microsoft.MachineLearningServices.DatasetDriftDetected";
/// The event of runs.
const RUN: &str = "Microsoft.MachineLearningServices.RunStatusChanged";
/// The tag of a run of a model monitor that crossed a threshold.
const BREACHED: &str = "azureml_modelmonitor_threshold_breached";

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
    let Some(ty) = ty.filter(|ty| [DETECTED, RUN].contains(ty)) else { return Ok(None) };
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

/// The tags are spelled in two ways in the documentation.
fn breached(carried: &Carried<'_>, event: &Event<'_>) -> Result<Option<Understood>, Rejected> {
    let tags = event.data.get("RunTags").or_else(|| event.data.get("runTags"));
    let breached = tags.and_then(Fields::of).and_then(|tags| tags.get(BREACHED)).is_some();
    if !breached {
        let reason = "a run that crossed no threshold".to_owned();
        return Ok(Some(Understood::Ignore { reason }));
    }
    let text = |names: [&str; 2]| {
        let found = event.data.text(names[0])?;
        Ok(found
            .map_or_else(|| event.data.text(names[1]), |text| Ok(Some(text)))?
            .map(str::to_owned))
    };
    let Some(run) = text(["RunId", "runId"])? else {
        return Err(Rejected::malformed("the event names no run"));
    };
    let report = DriftReport {
        verdict: Verdict::Drift,
        detector: Detector {
            tool: "azureml.v2".to_owned(),
            monitor: text(["ExperimentName", "experimentName"])?,
            run: Some(run.clone()),
            ..Detector::default()
        },
        ..DriftReport::default()
    };
    carried.record("azureml.v2", identity(["drift", "azureml.v2", &run]), event.time, report)
}
