//! The older forms: reports of metrics, and test suites. Their times have no zone and are taken for UTC.

use refit_core::drift::{Finding, Summary};
use serde_json::{Number, Value};

use super::super::super::{Rejected, Understood};
use super::super::{Carried, Fields, lenient_time, number_of};
use super::{Drifted, record};

/// The name of the test on all columns.
const SHARE: &str = "Share of Drifted Columns";

/// Recognises them by the names of their metrics and tests.
pub(super) fn read(
    carried: &Carried<'_>,
    fields: Fields<'_>,
) -> Result<Option<Understood>, Rejected> {
    let list = |name: &str| fields.get(name).and_then(Value::as_array).map(Vec::as_slice);
    let metrics = list("metrics").unwrap_or_default();
    let result =
        |name: &str| metrics.iter().find(|it| it["metric"] == name).map(|it| &it["result"]);
    let tests = list("tests").unwrap_or_default();
    let time = fields.get("timestamp").and_then(|time| lenient_time(time.as_str()?));
    if let Some(table) = result("DataDriftTable").or_else(|| result("DatasetDriftMetric")) {
        let threshold =
            result("DatasetDriftMetric").and_then(|it| number_of(it.get("drift_share")));
        let found = (table["dataset_drift"].as_bool(), summary(table, threshold), columns(table));
        return record(carried, "evidently.v1", found, time);
    }
    match tests.iter().find(|test| test["name"] == SHARE) {
        Some(test) => record(carried, "evidently.v1.tests", suite(test), time),
        None => Ok(None),
    }
}

fn summary(table: &Value, threshold: Option<Number>) -> Summary {
    Summary {
        columns: table["number_of_columns"].as_u64(),
        drifted: table["number_of_drifted_columns"].as_u64(),
        share: number_of(table.get("share_of_drifted_columns")),
        threshold,
        score: None,
    }
}

fn columns(table: &Value) -> Vec<Finding> {
    let names = ["stattest_name", "drift_score", "stattest_threshold", "drift_detected"];
    findings(&table["drift_by_columns"], names)
}

/// What is said of each column, under the names of its method, value, threshold and verdict.
fn findings(columns: &Value, [method, value, threshold, said]: [&str; 4]) -> Vec<Finding> {
    let finding = |(name, column): (&String, &Value)| {
        let drifted = Drifted {
            column: name,
            method: column[method].as_str(),
            value: number_of(column.get(value)),
            threshold: number_of(column.get(threshold)),
            said: column[said].as_bool(),
        };
        drifted.finding()
    };
    columns.as_object().into_iter().flatten().map(finding).collect()
}

/// A test on all columns, whose numbers are rounded to three places.
fn suite(test: &Value) -> (Option<bool>, Summary, Vec<Finding>) {
    let failed = match test["status"].as_str() {
        Some("FAIL") => Some(true),
        Some("SUCCESS") => Some(false),
        Some(_) | None => None,
    };
    let parameters = &test["parameters"];
    let names = ["stattest", "score", "threshold", "detected"];
    let findings = findings(&parameters["features"], names);
    let drifted = findings.iter().filter(|finding| finding.drifted == Some(true)).count();
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many columns")]
    let share = (drifted as f64 / findings.len() as f64 * 1000.0).round() / 1000.0;
    let summary = Summary {
        columns: Some(findings.len() as u64),
        drifted: Some(drifted as u64),
        share: Number::from_f64(share),
        threshold: number_of(parameters["condition"].get("lt")),
        score: None,
    };
    (failed, summary, findings)
}
