//! Vertex AI Model Monitoring v1: entries of the log `model_monitoring_anomaly`, by a sink to Pub/Sub.
//!
//! The job reports as long as the drift lasts, once for every interval. Entries on the progress of the job pass a
//! filter that is too wide; they mean nothing here.

use refit_core::drift::{
    Detector, Direction, DriftReport, Finding, Model, Objective, Role, Summary, Verdict, Window,
};
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, identity, number_of};

/// The tool, and the route.
const TOOL: &str = "vertex.v1";
/// What the type of an entry on drift ends with.
const ANOMALIES: &str = ".ModelMonitoringAnomaliesLogEntry";
/// What the type of an entry on progress ends with.
const PROGRESS: &str = ".ModelMonitoringPipelineLogEntry";

/// Recognises them by the type of `jsonPayload`.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(entry) = carried.plain_fields() else { return Ok(None) };
    let Some(payload) = entry.get("jsonPayload").and_then(Fields::of) else { return Ok(None) };
    match payload.get("@type").and_then(Value::as_str) {
        Some(ty) if ty.ends_with(ANOMALIES) => {}
        Some(ty) if ty.ends_with(PROGRESS) => {
            let reason = "an entry on the progress of a monitoring job, not on drift".to_owned();
            return Ok(Some(Understood::Ignore { reason }));
        }
        Some(_) | None => return Ok(None),
    }
    let text = |name: &str| Ok(payload.text(name)?.unwrap_or_default());
    let (job, model) = (text("modelDeploymentMonitoringJob")?, text("deployedModelId")?);
    let (objective, end) = (text("anomalyObjective")?, text("endTime")?);
    if job.is_empty() || end.is_empty() {
        return Err(Rejected::malformed("the entry names no monitoring job or no time"));
    }
    let window = Window { start: payload.time("startTime")?, end: payload.time("endTime")? };
    let findings = findings(payload.get("featureAnomalies"))?;
    let report = DriftReport {
        verdict: verdict(payload.int64("totalAnomaliesCount")?, &findings),
        objective: objective_of(objective),
        severity: entry.text("severity")?.map(str::to_owned),
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: Some(job.to_owned()),
            run: entry.text("insertId")?.map(str::to_owned),
            ..Detector::default()
        },
        model: Model {
            deployment: (!model.is_empty()).then(|| model.to_owned()),
            ..Model::default()
        },
        window,
        summary: Summary { drifted: Some(findings.len() as u64), ..Summary::default() },
        findings,
        ..DriftReport::default()
    };
    let identity = identity(["drift", TOOL, job, model, objective, end]);
    carried.record(TOOL, identity, window.end, report)
}

fn verdict(count: Option<i64>, findings: &[Finding]) -> Verdict {
    match count {
        Some(count) if count > 0 => Verdict::Drift,
        Some(_) => Verdict::Ok,
        None if findings.is_empty() => Verdict::Unknown,
        None => Verdict::Drift,
    }
}

fn objective_of(text: &str) -> Option<Objective> {
    match text {
        "RAW_FEATURE_SKEW" => Some(Objective::FeatureSkew),
        "RAW_FEATURE_DRIFT" => Some(Objective::FeatureDrift),
        "FEATURE_ATTRIBUTION_SKEW" | "FEATURE_ATTRIBUTION_DRIFT" => {
            Some(Objective::AttributionDrift)
        }
        _ => None,
    }
}

/// Only features beyond their thresholds are listed.
fn findings(anomalies: Option<&Value>) -> Result<Vec<Finding>, Rejected> {
    let anomalies = anomalies.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let finding = |anomaly: &Value| {
        let wrong = || Rejected::malformed("an anomaly is not an object");
        let fields = Fields::of(anomaly).ok_or_else(wrong)?;
        Ok(Finding {
            name: fields.text("featureDisplayName")?.unwrap_or_default().to_owned(),
            role: Some(Role::Feature),
            value: number_of(fields.get("deviation")),
            threshold: number_of(fields.get("threshold")),
            direction: Some(Direction::Gt),
            drifted: Some(true),
            ..Finding::default()
        })
    };
    anomalies.iter().map(finding).collect()
}
