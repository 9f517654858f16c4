//! Databricks: rows of the table `…_drift_metrics` of a monitor, one or a list of them, as an alert or a job sends
//! them.
//!
//! A row says how far a column moved and not whether that is too far: without a threshold its verdict is unknown.
//! The sender names the statistic and the threshold, as the attributes `refit_statistic` and `refit_threshold` of
//! the message or as members of the row.

use refit_core::drift::{
    Detector, Direction, DriftReport, Finding, Objective, Role, Verdict, Window,
};
use refit_core::time::Timestamp;
use serde_json::{Number, Value};

use super::super::{Rejected, Understood};
use super::{Carried, Fields, lenient_time, number_of};

/// The tool, and the route.
const TOOL: &str = "databricks";
/// The statistics a row may hold: the column, the member within it, and the comparison that means drift.
const STATISTICS: [(&str, Option<&str>, Direction); 8] = [
    ("js_distance", None, Direction::Ge),
    ("ks_test", Some("pvalue"), Direction::Lt),
    ("chi_squared_test", Some("pvalue"), Direction::Lt),
    ("tv_distance", None, Direction::Ge),
    ("l_infinity_distance", None, Direction::Ge),
    ("wasserstein_distance", None, Direction::Ge),
    ("population_stability_index", None, Direction::Ge),
    ("percent_null_delta", None, Direction::Ge),
];

/// Where the sender says what is too far.
const STATISTIC: &str = "refit_statistic";
const THRESHOLD: &str = "refit_threshold";

/// Recognises rows by the members every row has.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let rows: Vec<Fields<'_>> = match carried.document {
        Value::Array(rows) => rows.iter().filter_map(Fields::of).collect(),
        one => carried.plain_fields().map(|_| one).and_then(Fields::of).into_iter().collect(),
    };
    let of_list = carried.document.as_array().map_or(1, Vec::len);
    if rows.is_empty() || rows.len() != of_list || !rows.iter().all(|row| is_row(*row)) {
        return Ok(None);
    }
    let windows = rows.iter().filter_map(|row| window(*row));
    let newest = windows.max_by_key(|window| window.end).unwrap_or_default();
    let of_newest = rows.iter().filter(|row| window(**row).is_none_or(|it| it == newest));
    let told: Vec<Vec<Finding>> = of_newest.map(|row| findings(carried, *row)).collect();
    let verdict = verdict(&told);
    let findings: Vec<Finding> = told.into_iter().flatten().collect();
    let report = DriftReport {
        verdict,
        objective: Some(Objective::FeatureDrift),
        detector: Detector { tool: TOOL.to_owned(), ..Detector::default() },
        window: newest,
        findings,
        ..DriftReport::default()
    };
    carried.tell(TOOL, None, report)
}

fn is_row(row: Fields<'_>) -> bool {
    let is_text = |name: &str| row.get(name).is_some_and(Value::is_string);
    is_text("drift_type") && is_text("column_name") && row.get("window").is_some()
}

fn window(row: Fields<'_>) -> Option<Window> {
    let window = row.get("window").and_then(Fields::of)?;
    let time = |name: &str| -> Option<Timestamp> { lenient_time(window.get(name)?.as_str()?) };
    Some(Window { start: time("start"), end: time("end") })
}

/// One finding for each statistic of a row, the chosen one with its threshold.
fn findings(carried: &Carried<'_>, row: Fields<'_>) -> Vec<Finding> {
    let threshold = threshold(carried, row);
    let text = |name: &str| row.get(name).and_then(Value::as_str).map(str::to_owned);
    let said = |name: &str| text(name).or_else(|| carried.attributes.get(name).cloned());
    let chosen = said(STATISTIC);
    let slice = text("slice_key").zip(text("slice_value"));
    let found = |(name, part, direction): &(&str, Option<&str>, Direction)| {
        let value = match part {
            Some(part) => row.get(name)?.get(part),
            None => row.get(name),
        };
        let value = number_of(value)?;
        let limit = threshold.clone().filter(|_| chosen.as_deref() == Some(*name));
        Some(Finding {
            name: text("column_name").unwrap_or_default(),
            role: Some(if row.get("column_name")? == ":table" {
                Role::Dataset
            } else {
                Role::Feature
            }),
            method: Some((*name).to_owned()),
            statistic: part.map(str::to_owned),
            drifted: limit.as_ref().and_then(|limit| is_beyond(&value, limit, *direction)),
            direction: Some(*direction),
            threshold: limit,
            value: Some(value),
            segment: slice.clone().into_iter().collect(),
            detail: text("drift_type"),
        })
    };
    STATISTICS.iter().filter_map(found).collect()
}

fn threshold(carried: &Carried<'_>, row: Fields<'_>) -> Option<Number> {
    let sent = carried.attributes.get(THRESHOLD).and_then(|text| text.parse().ok());
    number_of(row.get(THRESHOLD)).or_else(|| sent.and_then(Number::from_f64))
}

fn is_beyond(value: &Number, limit: &Number, direction: Direction) -> Option<bool> {
    let (value, limit) = (value.as_f64()?, limit.as_f64()?);
    Some(match direction {
        Direction::Lt => value < limit,
        Direction::Le => value <= limit,
        Direction::Gt => value > limit,
        Direction::Ge => value >= limit,
    })
}

/// Drift of one row is drift of all. A row that has no threshold, or lacks the statistic, leaves open whether all is well.
fn verdict(rows: &[Vec<Finding>]) -> Verdict {
    let said = |row: &[Finding], wanted| row.iter().any(|finding| finding.drifted == Some(wanted));
    match rows.iter().any(|row| said(row, true)) {
        true => Verdict::Drift,
        false if rows.iter().all(|row| said(row, false)) => Verdict::Ok,
        false => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, filed, form_of_json};
    use super::*;

    fn row(column: &str, day: u32, distance: f64) -> Value {
        json!({
            "window": {"start": format!("2026-01-0{day}T00:00:00Z"), "end": format!("2026-01-0{}T00:00:00Z", day + 1)},
            "granularity": "1 day", "column_name": column, "drift_type": "BASELINE",
            "slice_key": "country", "slice_value": "de", "js_distance": distance,
            "ks_test": {"statistic": 0.4, "pvalue": 0.001},
        })
    }

    #[test]
    fn a_row_without_a_threshold_says_nothing() {
        let form = form_of_json(&row("age", 4, 0.9));
        let report = &event(&form)["drift"];
        assert_eq!(report["verdict"], "unknown");
        assert_eq!(report["window"]["end"], "2026-01-05T00:00:00.000Z");
        assert_eq!(report["findings"][0]["segment"]["country"], "de");
        assert_eq!(report["findings"][1]["value"], 0.001);
        assert_eq!(event(&form)["time"], "2026-01-05T00:00:00Z");
    }

    #[test]
    fn the_senders_threshold_decides_for_its_statistic_alone() {
        let judged = |statistic: &str, threshold: f64| {
            let mut row = row("age", 4, 0.2);
            row["refit_statistic"] = json!(statistic);
            row["refit_threshold"] = json!(threshold);
            event(&form_of_json(&row))["drift"]["verdict"].clone()
        };
        assert_eq!(judged("js_distance", 0.2), "drift");
        assert_eq!(judged("js_distance", 0.3), "ok");
        assert_eq!(judged("ks_test", 0.05), "drift");
        assert_eq!(judged("ks_test", 0.0001), "ok");
        assert_eq!(judged("tv_distance", 0.1), "unknown", "the row does not hold it");
    }

    #[test]
    fn a_row_that_lacks_its_statistic_is_no_row_that_is_well() {
        let judged = |distances: &[Option<f64>]| {
            let row = |(index, distance): (usize, &Option<f64>)| {
                let mut row = row(&format!("c{index}"), 4, 0.0);
                (row["js_distance"], row["refit_statistic"]) =
                    (json!(distance), "js_distance".into());
                row["refit_threshold"] = json!(0.2);
                row
            };
            let rows: Vec<Value> = distances.iter().enumerate().map(row).collect();
            event(&form_of_json(&json!(rows)))["drift"]["verdict"].clone()
        };
        assert_eq!(judged(&[Some(0.1), Some(0.1)]), "ok");
        assert_eq!(judged(&[Some(0.1), None]), "unknown");
        assert_eq!(judged(&[Some(0.9), None]), "drift");
    }

    #[test]
    fn a_row_without_a_threshold_is_no_row_that_is_well() {
        let judged = |distance: f64| {
            let mut rows = json!([row("age", 4, distance), row("income", 4, 0.9)]);
            rows[0]["refit_statistic"] = json!("js_distance");
            rows[0]["refit_threshold"] = json!(0.2);
            event(&filed(&rows))["drift"]["verdict"].clone()
        };
        assert_eq!(judged(0.1), "unknown");
        assert_eq!(judged(0.3), "drift");
    }

    #[test]
    fn of_several_rows_the_newest_window_counts() {
        let rows = json!([row("age", 3, 0.9), row("age", 4, 0.1), row("income", 4, 0.2)]);
        let form = form_of_json(&rows);
        let findings = event(&form)["drift"]["findings"].as_array().unwrap().clone();
        let names: Vec<&Value> = findings.iter().map(|finding| &finding["name"]).collect();
        assert_eq!(names, ["age", "age", "income", "income"]);
    }
}
