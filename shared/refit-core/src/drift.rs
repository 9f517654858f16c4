//! Drift reports, in one form for every tool: the message `refit.drift/v1`.
//!
//! What a tool does not say is absent here, and what it leaves open is open: a column whose `drifted` is absent is
//! neither drifted nor fine, and the verdict `unknown` is never taken for `ok`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Number, Value};

use crate::time::Timestamp;

/// The form of a report, as its member `schema` says.
pub const SCHEMA: &str = "refit.drift/v1";
/// The CloudEvents `type` of a report.
pub const TYPE: &str = "dev.refit.drift.v1";

/// What one look at a model or its data came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DriftReport {
    /// What the tool concludes.
    pub verdict: Verdict,
    /// What was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub objective: Option<Objective>,
    /// How bad it is, in the tool's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<String>,
    /// What looked.
    pub detector: Detector,
    /// The model.
    #[serde(default, skip_serializing_if = "is_default")]
    pub model: Model,
    /// The time the data is from.
    #[serde(default, skip_serializing_if = "is_default")]
    pub window: Window,
    /// What the data was compared with.
    #[serde(default, skip_serializing_if = "is_default")]
    pub reference: Data,
    /// The data.
    #[serde(default, skip_serializing_if = "is_default")]
    pub current: Data,
    /// All columns together.
    #[serde(default, skip_serializing_if = "is_default")]
    pub summary: Summary,
    /// Single columns, predictions, targets, or conditions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// The tool's own report.
    #[serde(default, skip_serializing_if = "is_default")]
    pub raw: Raw,
    /// What the profiles of refit say beside it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub profile: Value,
}

/// What a tool concludes.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// There is drift.
    Drift,
    /// There may be.
    Possible,
    /// There is none.
    Ok,
    /// There is none any more.
    Resolved,
    /// It cannot be told, which is not the same as none.
    #[default]
    Unknown,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Objective {
    /// Features against earlier data.
    FeatureDrift,
    /// Features against the training data.
    FeatureSkew,
    /// Predictions.
    PredictionDrift,
    /// Targets.
    TargetDrift,
    /// What the features contribute to predictions.
    AttributionDrift,
    /// Bias.
    BiasDrift,
    /// Missing values, types and ranges.
    DataQuality,
    /// How good predictions are.
    Performance,
    /// How good they probably are, without knowing the targets.
    PerformanceEstimated,
    /// Several of these.
    Mixed,
}

/// What looked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Detector {
    /// The tool, such as `evidently`.
    pub tool: String,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The monitor, alert policy or job, by the tool's name for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monitor: Option<String>,
    /// Which of its runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<String>,
    /// Where a person looks at it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A model, as far as the tool names it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Model {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deployment: Option<String>,
    /// The endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
}

/// From when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Window {
    /// The beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<Timestamp>,
    /// The end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<Timestamp>,
}

/// Data that was compared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Data {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

/// All columns together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Summary {
    /// Columns that were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<u64>,
    /// Columns that drifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<u64>,
    /// The share of columns that drifted, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<Number>,
    /// The share from which the tool speaks of drift.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
    /// One number for all of it, in the tool's own terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<Number>,
}

/// One column, prediction, target or condition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Finding {
    /// Its name.
    pub name: String,
    /// What it is to the model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// How it was compared, in the tool's word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// What `value` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistic: Option<String>,
    /// What came of it; absent where it is not a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Number>,
    /// Where it begins to be bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<Number>,
    /// The comparison of `value` with `threshold` that means bad.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Whether it drifted; absent where that cannot be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drifted: Option<bool>,
    /// Which part of the data it is about.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub segment: BTreeMap<String, String>,
    /// More on it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What something is to the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// It goes into the model.
    Feature,
    /// It comes out of it.
    Prediction,
    /// It is what should have come out.
    Target,
    /// It is no column: it is about all of the data, or the condition of a monitor.
    Dataset,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Below the threshold.
    Lt,
    /// At the threshold or below.
    Le,
    /// Above the threshold.
    Gt,
    /// At the threshold or above.
    Ge,
}

/// A tool's own report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Raw {
    /// Its form, such as `evidently.v2`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// Its SHA-256, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where it lies.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

/// Reports that follow one another: of one tool and monitor, on one model and one question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series<'a>(pub [&'a str; 6]);

impl DriftReport {
    /// Whether it is about the model, deployment, endpoint or monitor of this name; of a path, its last part will do.
    #[must_use]
    pub fn is_about(&self, name: &str) -> bool {
        let Model { name: model, version: _, deployment, endpoint } = &self.model;
        let named = [model, deployment, endpoint, &self.detector.monitor];
        let is_it = |named: &String| {
            named == name || named.rsplit_once('/').is_some_and(|(_, last)| last == name)
        };
        named.into_iter().flatten().any(is_it)
    }

    /// The share of columns that drifted: as stated, or by their numbers. Findings are not counted: many tools list
    /// only those that drifted.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let Summary { columns, drifted, share, .. } = &self.summary;
        let stated = share.as_ref().and_then(Number::as_f64);
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many columns")]
        let ratio = |drifted: u64, columns: u64| drifted as f64 / columns as f64;
        let counted = || {
            let columns = columns.filter(|columns| *columns > 0)?;
            Some(ratio((*drifted)?, columns))
        };
        stated.or_else(counted)
    }

    /// What reports have in common that follow one another.
    #[must_use]
    pub fn series(&self) -> Series<'_> {
        Series([
            &self.detector.tool,
            text_of(&self.detector.monitor),
            text_of(&self.model.name),
            text_of(&self.model.deployment),
            text_of(&self.model.endpoint),
            self.objective.map_or("", Objective::text),
        ])
    }

    /// What an operator would call it: the monitor or model, and the tool.
    #[must_use]
    pub fn name(&self) -> String {
        let names = [&self.model.name, &self.detector.monitor, &self.model.deployment];
        let subject = names.into_iter().flatten().next();
        subject.map_or_else(
            || self.detector.tool.clone(),
            |subject| format!("{}#{subject}", self.detector.tool),
        )
    }
}

fn text_of(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or_default()
}

impl Verdict {
    /// Its name in a report.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Drift => "drift",
            Self::Possible => "possible",
            Self::Ok => "ok",
            Self::Resolved => "resolved",
            Self::Unknown => "unknown",
        }
    }
}

impl Objective {
    /// Its name in a report.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::FeatureDrift => "feature_drift",
            Self::FeatureSkew => "feature_skew",
            Self::PredictionDrift => "prediction_drift",
            Self::TargetDrift => "target_drift",
            Self::AttributionDrift => "attribution_drift",
            Self::BiasDrift => "bias_drift",
            Self::DataQuality => "data_quality",
            Self::Performance => "performance",
            Self::PerformanceEstimated => "performance_estimated",
            Self::Mixed => "mixed",
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn report(value: Value) -> DriftReport {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn a_share_is_stated_and_never_guessed() {
        let stated = report(json!({
            "verdict": "drift", "detector": {"tool": "t"},
            "summary": {"share": 0.25, "columns": 2, "drifted": 2},
        }));
        assert_eq!(stated.share(), Some(0.25));
        let summed = report(json!({
            "verdict": "drift", "detector": {"tool": "t"}, "summary": {"columns": 4, "drifted": 3},
        }));
        assert_eq!(summed.share(), Some(0.75));
        let listed = report(json!({
            "verdict": "drift", "detector": {"tool": "t"},
            "findings": [{"name": "a", "drifted": true}], "summary": {"columns": 0, "drifted": 0},
        }));
        assert_eq!(listed.share(), None, "what is not listed may not have drifted");
    }

    #[test]
    fn a_report_is_about_what_it_names() {
        let report = report(json!({
            "verdict": "drift", "detector": {"tool": "t", "monitor": "projects/p/monitors/m1"},
            "model": {"name": "churn", "deployment": "77"},
        }));
        for name in ["churn", "77", "m1", "projects/p/monitors/m1"] {
            assert!(report.is_about(name), "{name}");
        }
        for name in ["chur", "t", "", "monitors/m1"] {
            assert!(!report.is_about(name), "{name}");
        }
    }

    #[test]
    fn every_verdict_and_objective_is_called_what_it_is_written_as() {
        for verdict in
            [Verdict::Drift, Verdict::Possible, Verdict::Ok, Verdict::Resolved, Verdict::Unknown]
        {
            assert_eq!(json!(verdict), verdict.text());
        }
        for objective in [
            Objective::FeatureDrift,
            Objective::FeatureSkew,
            Objective::PredictionDrift,
            Objective::TargetDrift,
            Objective::AttributionDrift,
            Objective::BiasDrift,
            Objective::DataQuality,
            Objective::Performance,
            Objective::PerformanceEstimated,
            Objective::Mixed,
        ] {
            assert_eq!(json!(objective), objective.text());
        }
    }
}
