//! The older forms: reports of metrics, and test suites. Their times have no zone and are taken for UTC.

use refit_core::drift::{Finding, Summary};
use serde_json::{Number, Value};

use super::super::super::{Rejected, Understood};
use super::super::{Carried, Fields, lenient_time, number_of};
use super::{Drifted, Said, record};

/// The name of the test on all columns.
const SHARE: &str = "Share of Drifted Columns";
/// The name of the tests on one column each.
const COLUMN: &str = "Drift per Column";
/// What a test calls method, value, threshold and verdict of a column.
const TESTED: [&str; 4] = ["stattest", "score", "threshold", "detected"];

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
        let said = Said::by_word(&table["dataset_drift"]);
        let found = (said, summary(table, threshold), columns(table));
        return record(carried, "evidently.v1", found, time);
    }
    let each: Vec<Finding> = tests.iter().filter(|test| test["name"] == COLUMN).map(one).collect();
    let found = match tests.iter().find(|test| test["name"] == SHARE) {
        Some(test) => suite(test),
        None if !each.is_empty() => (Said::Nothing, counted(&each), each),
        None => return Ok(None),
    };
    record(carried, "evidently.v1.tests", found, time)
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
fn findings(columns: &Value, names: [&str; 4]) -> Vec<Finding> {
    let columns = columns.as_object().into_iter().flatten();
    columns.map(|(name, column)| finding(name, column, names)).collect()
}

fn finding(name: &str, column: &Value, [method, value, threshold, said]: [&str; 4]) -> Finding {
    let drifted = Drifted {
        column: name,
        method: column[method].as_str(),
        value: number_of(column.get(value)),
        threshold: number_of(column.get(threshold)),
        said: Said::by_word(&column[said]),
    };
    drifted.finding()
}

/// A test on one column; one that could not be made names none.
fn one(test: &Value) -> Finding {
    let column = &test["parameters"];
    finding(column["column_name"].as_str().unwrap_or(COLUMN), column, TESTED)
}

/// A test on all columns, whose numbers are rounded to three places.
fn suite(test: &Value) -> (Said, Summary, Vec<Finding>) {
    let parameters = &test["parameters"];
    let findings = findings(&parameters["features"], TESTED);
    let counted = counted(&findings);
    #[expect(clippy::cast_precision_loss, reason = "nobody has so many columns")]
    let share = counted
        .drifted
        .zip(counted.columns)
        .map(|(drifted, all)| (drifted as f64 / all as f64 * 1000.0).round() / 1000.0);
    let summary = Summary {
        share: share.and_then(Number::from_f64),
        threshold: number_of(parameters["condition"].get("lt")),
        ..counted
    };
    (Said::by_status(&test["status"]), summary, findings)
}

/// How many columns there are, and how many drifted.
fn counted(findings: &[Finding]) -> Summary {
    let drifted = findings.iter().filter(|finding| finding.drifted == Some(true)).count();
    Summary {
        columns: Some(findings.len() as u64),
        drifted: Some(drifted as u64),
        ..Summary::default()
    }
}
