//! SageMaker Model Monitor: `constraint_violations.json`, and what EventBridge tells of the job that wrote it.
//!
//! Three of its checks are about drift; the others are about the quality of the data, and count as no drifted column.
//! The numbers stand in prose, and whether above or below is bad depends on the check: they are kept as they are.

use refit_core::drift::{Detector, DriftReport, Finding, Objective, Verdict};
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, identity};

/// The tool, and the route.
const TOOL: &str = "sagemaker";
/// The member that names the check.
const CHECK: &str = "constraint_check_type";
/// How the words begin with which a job ends that found violations.
const VIOLATED: &str = "CompletedWithViolations";

/// Recognises violations by their members, an empty list by having none beside it, and a job by its name and status.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let Some(violations) = fields.get("violations").and_then(Value::as_array) else {
        return job(carried, fields);
    };
    let is_ours = |violation: &Value| violation.get(CHECK).is_some_and(Value::is_string);
    let is_alone = || fields.names().all(|name| matches!(name, "violations" | "version"));
    if !violations.iter().all(is_ours) || (violations.is_empty() && !is_alone()) {
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
        verdict: match (drifted, read.is_empty()) {
            (true, _) => Verdict::Drift,
            // Data that cannot be relied on says nothing of drift.
            (false, false) => Verdict::Unknown,
            (false, true) => Verdict::Ok,
        },
        objective: (!read.is_empty()).then_some(objective),
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

/// The job of a monitoring schedule, which says that there are violations and not of what: the file does.
fn job(carried: &Carried<'_>, fields: Fields<'_>) -> Result<Option<Understood>, Rejected> {
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (Some(job), Some(status), Some(schedule)) =
        (text("ProcessingJobArn"), text("ProcessingJobStatus"), text("MonitoringScheduleArn"))
    else {
        return Ok(None);
    };
    if !text("ExitMessage").is_some_and(|exit| exit.starts_with(VIOLATED)) {
        return Ok(None);
    }
    let report = DriftReport {
        verdict: Verdict::Possible,
        detector: Detector {
            tool: TOOL.to_owned(),
            monitor: schedule.rsplit('/').next().map(str::to_owned),
            run: Some(job.to_owned()),
            ..Detector::default()
        },
        ..DriftReport::default()
    };
    carried.record(TOOL, identity(["drift", TOOL, job, status]), carried.time, report)
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, filed, form_of_json};
    use super::*;

    fn ended(exit: &str) -> Value {
        let arn = |what: &str| format!("arn:aws:sagemaker:eu-central-1:1:{what}");
        form_of_json(&json!({
            "version": "0", "id": "17", "source": "aws.sagemaker", "time": "2026-01-05T12:00:00Z",
            "detail-type": "SageMaker Processing Job State Change", "detail": {
                "ProcessingJobName": "j", "ProcessingJobArn": arn("processing-job/j"),
                "ProcessingJobStatus": "Completed", "ExitMessage": exit,
                "MonitoringScheduleArn": arn("monitoring-schedule/churn"),
            },
        }))
    }

    #[test]
    fn a_job_says_that_there_are_violations_and_not_of_what() {
        let form = ended("CompletedWithViolations: Job completed successfully with 8 violations.");
        let found = event(&form);
        assert_eq!(found["drift"]["verdict"], "possible");
        assert_eq!(found["drift"]["detector"]["monitor"], "churn");
        let job = "arn:aws:sagemaker:eu-central-1:1:processing-job/j";
        assert_eq!(found["identity"], json!(["drift", "sagemaker", job, "Completed"]));
        for other in ["Completed: Job completed successfully.", ""] {
            assert_eq!(event(&ended(other))["kind"], "message", "{other}");
        }
    }

    #[test]
    fn a_list_without_violations_is_fine_if_it_is_one_of_sagemaker() {
        for none in [json!({"violations": []}), json!({"version": 0.0, "violations": []})] {
            assert_eq!(event(&filed(&none))["drift"]["verdict"], "ok");
        }
        let quality = json!([{"feature_name": "a", "constraint_check_type": "completeness_check"}]);
        let quality = json!({ "violations": quality });
        assert_eq!(event(&filed(&quality))["drift"]["verdict"], "unknown");
    }
}
