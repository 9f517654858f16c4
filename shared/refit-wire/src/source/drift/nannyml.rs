//! NannyML: results as records, one for every chunk, columns named `{column}_{method}_{value, alert, …}`.
//!
//! The newest chunk of the analysed data decides; what every chunk found is kept, by its key. Times have no zone and
//! are taken for UTC.

use refit_core::drift::{
    Detector, Direction, DriftReport, Finding, Objective, Role, Verdict, Window,
};
use serde_json::{Number, Value};

use super::super::{Rejected, Understood};
use super::{Carried, Fields, lenient_time, number_of};

/// The tool, and the route.
const TOOL: &str = "nannyml";
/// The methods, none of which is the end of another.
const METHODS: [&str; 6] =
    ["kolmogorov_smirnov", "jensen_shannon", "wasserstein", "hellinger", "l_infinity", "chi2"];

/// Recognises them by the members every chunk has.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(records) = carried.document.as_array() else { return Ok(None) };
    let records: Vec<Value> = records.iter().map(flat).collect();
    let is_chunk =
        |record: &Value| record.get("chunk_key").is_some() && record.get("chunk_period").is_some();
    if records.is_empty() || !records.iter().all(is_chunk) {
        return Ok(None);
    }
    let chunks: Vec<Fields<'_>> = records.iter().filter_map(Fields::of).collect();
    let analysed = |chunk: &Fields<'_>| {
        chunk.get("chunk_period").and_then(Value::as_str).is_some_and(|it| it == "analysis")
    };
    let chunks: Vec<Fields<'_>> = chunks.into_iter().filter(analysed).collect();
    let (Some(first), Some(last)) = (chunks.first(), chunks.last()) else {
        let reason = "no data was analysed".to_owned();
        return Ok(Some(Understood::Ignore { reason }));
    };
    let window =
        Window { start: time(*first, "chunk_start_date"), end: time(*last, "chunk_end_date") };
    let found = chunks.iter().flat_map(|chunk| findings(*chunk));
    let findings_of_all: Vec<Finding> = found.collect();
    let univariate = findings_of_all.iter().all(|finding| finding.method.is_some());
    let report = DriftReport {
        verdict: verdict(&findings(*last)),
        objective: univariate.then_some(Objective::FeatureDrift),
        detector: Detector { tool: TOOL.to_owned(), ..Detector::default() },
        window,
        findings: findings_of_all,
        ..DriftReport::default()
    };
    carried.tell(TOOL, None, report)
}

/// A record whose columns have several levels, which are written as a tuple of Python, `('age', 'chi2', 'alert')`, with
/// the names that those of one level have. The levels of a chunk repeat its name.
fn flat(record: &Value) -> Value {
    let Some(members) = record.as_object() else { return record.clone() };
    let levels = |name: &str| {
        let inside = name.strip_prefix("('")?.strip_suffix("')")?;
        let mut levels: Vec<&str> = inside.split("', '").collect();
        levels.dedup();
        Some(levels.join("_"))
    };
    let named = |(name, value): (&String, &Value)| {
        (levels(name).unwrap_or_else(|| name.clone()), value.clone())
    };
    Value::Object(members.iter().map(named).collect())
}

fn verdict(findings: &[Finding]) -> Verdict {
    let drifted = |wanted| move |finding: &Finding| finding.drifted == wanted;
    match findings.iter().any(drifted(Some(true))) {
        true => Verdict::Drift,
        false if findings.is_empty() || findings.iter().any(drifted(None)) => Verdict::Unknown,
        false => Verdict::Ok,
    }
}

fn time(chunk: Fields<'_>, name: &str) -> Option<refit_core::time::Timestamp> {
    lenient_time(chunk.get(name)?.as_str()?)
}

/// One finding for every column that ends in `_alert`.
fn findings(chunk: Fields<'_>) -> Vec<Finding> {
    let key = chunk.get("chunk_key").and_then(Value::as_str).unwrap_or_default();
    let heads = chunk.names().filter_map(|name| name.strip_suffix("_alert"));
    heads.map(|head| finding(chunk, key, head)).collect()
}

fn finding(chunk: Fields<'_>, key: &str, head: &str) -> Finding {
    let of = |what: &str| number_of(chunk.get(&format!("{head}_{what}")));
    let (value, upper, lower) = (of("value"), of("upper_threshold"), of("lower_threshold"));
    let below = |value: &Option<Number>, bound: &Option<Number>| {
        value.as_ref().and_then(Number::as_f64) < bound.as_ref().and_then(Number::as_f64)
    };
    let (threshold, direction) = match (upper, lower) {
        (_, Some(lower)) if below(&value, &Some(lower.clone())) => (Some(lower), Direction::Lt),
        (Some(upper), _) => (Some(upper), Direction::Gt),
        (None, lower) => (lower, Direction::Lt),
    };
    let (column, method) = split(head);
    Finding {
        name: column.to_owned(),
        role: method.map(|_| Role::Feature),
        method: method.map(str::to_owned),
        direction: threshold.as_ref().map(|_| direction),
        value,
        threshold,
        drifted: chunk.get(&format!("{head}_alert")).and_then(Value::as_bool),
        segment: [("chunk".to_owned(), key.to_owned())].into(),
        ..Finding::default()
    }
}

/// Columns may have underscores of their own.
fn split(head: &str) -> (&str, Option<&'static str>) {
    let found = METHODS.iter().find_map(|method| {
        let column = head.strip_suffix(method)?.strip_suffix('_')?;
        Some((column, Some(*method)))
    });
    found.unwrap_or((head, None))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, form_of_json};

    #[test]
    fn columns_of_several_levels_are_the_same_report() {
        let plain = json!([{
            "chunk_key": "1", "chunk_period": "analysis", "chunk_end_date": "2026-01-05 00:00:00",
            "net_income_chi2_value": 3.5, "net_income_chi2_alert": true,
        }]);
        let levels = json!([{
            "('chunk', 'chunk', 'key')": "1", "('chunk', 'chunk', 'period')": "analysis",
            "('chunk', 'chunk', 'end_date')": "2026-01-05 00:00:00",
            "('net_income', 'chi2', 'value')": 3.5, "('net_income', 'chi2', 'alert')": true,
        }]);
        assert_eq!(form_of_json(&levels), form_of_json(&plain));
        assert_eq!(event(&form_of_json(&levels))["drift"]["findings"][0]["name"], "net_income");
    }
}
