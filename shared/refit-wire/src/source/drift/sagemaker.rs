//! SageMaker Model Monitor: `constraint_violations.json`.
//!
//! Three of its checks are about drift; the others are about the quality of the data, and count as no drifted column.
//! The numbers stand in prose, and whether above or below is bad depends on the check: they are kept as they are.

use refit_core::drift::{Detector, DriftReport, Finding, Objective, Verdict};
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields};

/// The tool, and the route.
const TOOL: &str = "sagemaker";
/// The member that names the check.
const CHECK: &str = "constraint_check_type";

/// Recognises them by the members of the first violation.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let Some(violations) = fields.get("violations").and_then(Value::as_array) else {
        return Ok(None);
    };
    let is_ours = |violation: &Value| violation.get(CHECK).is_some_and(Value::is_string);
    if violations.is_empty() || !violations.iter().all(is_ours) {
        return Ok(None);
    }
    let read = violations.iter().filter_map(Fields::of).map(finding);
    let read = read.collect::<Result<Vec<(Finding, Objective)>, Rejected>>()?;
    let objectives: Vec<Objective> = read.iter().map(|(_, objective)| *objective).collect();
    let objective = match objectives.first() {
        Some(first) if objectives.iter().all(|objective| objective == first) => *first,
        Some(_) | None => Objective::Mixed,
    };
    let drifted = read.iter().any(|(finding, _)| finding.drifted == Some(true));
    let report = DriftReport {
        // Data that cannot be relied on says nothing of drift.
        verdict: if drifted { Verdict::Drift } else { Verdict::Unknown },
        objective: Some(objective),
        detector: Detector {
            tool: TOOL.to_owned(),
            // A number, or a text.
            version: fields.get("version").map(refit_core::template::text),
            ..Detector::default()
        },
        findings: read.into_iter().map(|(finding, _)| finding).collect(),
        ..DriftReport::default()
    };
    carried.tell(TOOL, None, report)
}

fn finding(violation: Fields<'_>) -> Result<(Finding, Objective), Rejected> {
    let text = |name: &str| violation.text(name).map(|text| text.map(str::to_owned));
    let check = text(CHECK)?.unwrap_or_default();
    let objective = match check.as_str() {
        "baseline_drift_check" => Objective::FeatureDrift,
        "bias_drift_check" => Objective::BiasDrift,
        "feature_attribution_drift_check" => Objective::AttributionDrift,
        _ => Objective::DataQuality,
    };
    let named = text("feature_name")?.or(text("metric_name")?).or(text("label")?);
    let facet = text("facet")?.zip(text("facet_value")?);
    let finding = Finding {
        name: named.unwrap_or_default(),
        method: Some(check),
        drifted: Some(objective != Objective::DataQuality),
        segment: facet.into_iter().collect(),
        detail: text("description")?,
        ..Finding::default()
    };
    Ok((finding, objective))
}
