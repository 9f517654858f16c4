//! whylogs: what `calculate_drift_scores` answers, an object of columns.
//!
//! The category is the tool's own word, and `POSSIBLE_DRIFT` is neither drift nor none.

use refit_core::drift::{Detector, Direction, DriftReport, Finding, Objective, Role, Verdict};
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, number_of};

/// The tool, and the route.
const TOOL: &str = "whylogs";

/// Recognises them by the members every column has.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let columns: Vec<(&str, Option<Fields<'_>>)> =
        fields.names().map(|name| (name, fields.get(name).and_then(Fields::of))).collect();
    let is_score = |(_, column): &(&str, Option<Fields<'_>>)| {
        column.is_some_and(|it| it.get("algorithm").is_some() && it.get("drift_category").is_some())
    };
    if columns.is_empty() || !columns.iter().all(is_score) {
        return Ok(None);
    }
    let columns = columns.into_iter().filter_map(|(name, column)| Some((name, column?)));
    let judged = columns.map(|(name, column)| finding(name, column));
    let judged = judged.collect::<Result<Vec<(Finding, Verdict)>, Rejected>>()?;
    let verdicts: Vec<Verdict> = judged.iter().map(|(_, verdict)| *verdict).collect();
    let report = DriftReport {
        verdict: worst(&verdicts),
        objective: Some(Objective::FeatureDrift),
        detector: Detector { tool: TOOL.to_owned(), ..Detector::default() },
        findings: judged.into_iter().map(|(finding, _)| finding).collect(),
        ..DriftReport::default()
    };
    carried.record(TOOL, carried.told(TOOL, &report), carried.time, report)
}

/// Drift in any column is drift; what cannot be told of one cannot be told of all.
fn worst(verdicts: &[Verdict]) -> Verdict {
    let order = [Verdict::Drift, Verdict::Unknown, Verdict::Possible];
    let found = order.into_iter().find(|verdict| verdicts.contains(verdict));
    found.unwrap_or(Verdict::Ok)
}

fn finding(name: &str, column: Fields<'_>) -> Result<(Finding, Verdict), Rejected> {
    let algorithm = column.text("algorithm")?.unwrap_or_default();
    let (verdict, drifted) = match column.text("drift_category")?.unwrap_or_default() {
        "DRIFT" => (Verdict::Drift, Some(true)),
        "POSSIBLE_DRIFT" => (Verdict::Possible, None),
        "NO_DRIFT" => (Verdict::Ok, Some(false)),
        _ => (Verdict::Unknown, None),
    };
    let is_p_value = matches!(algorithm, "ks" | "chi-square");
    let statistic = if is_p_value { "pvalue" } else { "statistic" };
    let range = column.object("thresholds")?.and_then(|it| it.get("DRIFT")?.as_array());
    let bound = range.and_then(|range| if is_p_value { range.last() } else { range.first() });
    let finding = Finding {
        name: name.to_owned(),
        role: Some(Role::Feature),
        method: Some(algorithm.to_owned()),
        statistic: Some(statistic.to_owned()),
        value: number_of(column.get(statistic)),
        threshold: number_of(bound.filter(|bound: &&Value| bound.is_number())),
        direction: Some(if is_p_value { Direction::Le } else { Direction::Ge }),
        drifted,
        ..Finding::default()
    };
    Ok((finding, verdict))
}
