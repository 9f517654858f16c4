//! whylogs: what `calculate_drift_scores` answers, an object of columns.
//!
//! The category is the tool's own word, and `POSSIBLE_DRIFT` is neither drift nor none.

use refit_core::drift::{Detector, Direction, DriftReport, Finding, Objective, Role, Verdict};
use serde_json::Value;

use super::super::{Rejected, Understood};
use super::{Carried, Fields, number_of};

/// The tool, and the route.
const TOOL: &str = "whylogs";
/// The member that says how far a column drifted.
const CATEGORY: &str = "drift_category";

/// Recognises them by the members of the columns; one that could not be scored is null, or has no category.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    let columns: Vec<(&str, Option<&Value>)> =
        fields.names().map(|name| (name, fields.get(name))).collect();
    let is_column = |(_, column): &(&str, Option<&Value>)| {
        column.is_none_or(|it| it["algorithm"].is_string() && it.get(CATEGORY).is_some())
    };
    let is_scored =
        |(_, column): &(&str, Option<&Value>)| column.is_some_and(|it| it[CATEGORY].is_string());
    if !columns.iter().all(is_column) || !columns.iter().any(is_scored) {
        return Ok(None);
    }
    let judged = columns.iter().map(|(name, column)| match column.and_then(Fields::of) {
        Some(column) => finding(name, column),
        None => Ok((unscored(name), Verdict::Unknown)),
    });
    let judged = judged.collect::<Result<Vec<(Finding, Verdict)>, Rejected>>()?;
    let verdicts: Vec<Verdict> = judged.iter().map(|(_, verdict)| *verdict).collect();
    let report = DriftReport {
        verdict: worst(&verdicts),
        objective: Some(Objective::FeatureDrift),
        detector: Detector { tool: TOOL.to_owned(), ..Detector::default() },
        findings: judged.into_iter().map(|(finding, _)| finding).collect(),
        ..DriftReport::default()
    };
    carried.tell(TOOL, None, report)
}

/// Drift in any column is drift; what cannot be told of one cannot be told of all.
fn worst(verdicts: &[Verdict]) -> Verdict {
    let order = [Verdict::Drift, Verdict::Unknown, Verdict::Possible];
    let found = order.into_iter().find(|verdict| verdicts.contains(verdict));
    found.unwrap_or(Verdict::Ok)
}

fn unscored(name: &str) -> Finding {
    Finding { name: name.to_owned(), role: Some(Role::Feature), ..Finding::default() }
}

fn finding(name: &str, column: Fields<'_>) -> Result<(Finding, Verdict), Rejected> {
    let algorithm = column.text("algorithm")?.unwrap_or_default();
    let (verdict, drifted) = match column.text(CATEGORY)?.unwrap_or_default() {
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
        method: Some(algorithm.to_owned()),
        statistic: Some(statistic.to_owned()),
        value: number_of(column.get(statistic)),
        threshold: number_of(bound.filter(|bound: &&Value| bound.is_number())),
        direction: Some(if is_p_value { Direction::Le } else { Direction::Ge }),
        drifted,
        ..unscored(name)
    };
    Ok((finding, verdict))
}
