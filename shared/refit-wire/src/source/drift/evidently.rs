//! Evidently: reports since 0.7 (`evidently.v2`), legacy reports (`evidently.v1`) and legacy test suites
//! (`evidently.v1.tests`).
//!
//! Whether a column drifted is the tool's own word where it says so; else it follows from method and threshold, as
//! long as the method is known: p-values drift below their threshold, distances above it. A report of the newer form
//! says neither before 0.7.16, and then only how many columns drifted is known.

use refit_core::drift::{
    Detector, Direction, DriftReport, Finding, Objective, Role, Summary, Verdict,
};
use serde_json::{Number, Value};

use super::super::{Rejected, Understood};
use super::{Carried, Fields, number_of};

mod legacy;

/// The tool.
const TOOL: &str = "evidently";

/// Methods: the short name, the name they are shown by, and the comparison that means drift.
const METHODS: [(&str, &str, Direction); 20] = [
    ("ks", "K-S p_value", Direction::Le),
    ("cramer_von_mises", "", Direction::Le),
    ("chisquare", "chi-square p_value", Direction::Lt),
    ("z", "Z-test p_value", Direction::Lt),
    ("anderson", "", Direction::Lt),
    ("es", "", Direction::Lt),
    ("fisher_exact", "", Direction::Lt),
    ("g_test", "", Direction::Lt),
    ("mannw", "", Direction::Lt),
    ("t_test", "", Direction::Lt),
    ("empirical_mmd", "", Direction::Lt),
    ("TVD", "Total-Variation-Distance", Direction::Lt),
    ("jensenshannon", "Jensen-Shannon distance", Direction::Ge),
    ("wasserstein", "Wasserstein distance (normed)", Direction::Ge),
    ("psi", "PSI", Direction::Ge),
    ("kl_div", "Kullback-Leibler divergence", Direction::Ge),
    ("hellinger", "Hellinger distance", Direction::Ge),
    ("ed", "Energy-distance", Direction::Gt),
    ("perc_text_content_drift", "", Direction::Gt),
    ("abs_text_content_drift", "", Direction::Gt),
];

/// One metric or test result of a report.
struct Drifted<'a> {
    column: &'a str,
    method: Option<&'a str>,
    value: Option<Number>,
    threshold: Option<Number>,
    said: Said,
}

/// What the tool itself says of a column, or of all of them: what stands later outweighs what stands before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Said {
    /// Nothing.
    Nothing,
    /// There is no drift.
    Calm,
    /// It was tested, and how that ended is neither.
    Open,
    /// There is drift.
    Drifted,
}

/// Recognises each form by the members of its metrics or tests.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let Some(fields) = carried.plain_fields() else { return Ok(None) };
    if let Some(understood) = legacy::read(carried, fields)? {
        return Ok(Some(understood));
    }
    let Some(metrics) = fields.get("metrics").and_then(Value::as_array) else { return Ok(None) };
    let metrics: Vec<Metric<'_>> = metrics.iter().filter_map(Metric::of).collect();
    let columns = metrics.iter().filter(|metric| metric.is("ValueDrift"));
    let dataset = metrics.iter().find(|metric| metric.is("DriftedColumnsCount"));
    let tests = Tests::of(fields.get("tests"));
    let findings: Vec<Finding> =
        columns.filter_map(|metric| metric.drifted(&tests)).map(Drifted::finding).collect();
    if findings.is_empty() && dataset.is_none() {
        return Ok(None);
    }
    let summary = dataset.map(|metric| metric.summary(findings.len())).unwrap_or_default();
    let said = dataset.map_or(Said::Nothing, |metric| tests.on(metric.id));
    record(carried, "evidently.v2", (said, summary, findings), None)
}

/// A report of what was found; the verdict is that on all columns where there is one.
fn record(
    carried: &Carried<'_>,
    origin: &str,
    (said, summary, findings): (Said, Summary, Vec<Finding>),
    time: Option<refit_core::time::Timestamp>,
) -> Result<Option<Understood>, Rejected> {
    let of = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
    let by_share = of(&summary.share).zip(of(&summary.threshold)).map(|(it, most)| it >= most);
    let verdict = match said.or(by_share.or_else(|| any_drifted(&findings))) {
        Some(true) => Verdict::Drift,
        Some(false) => Verdict::Ok,
        None => Verdict::Unknown,
    };
    let report = DriftReport {
        verdict,
        objective: Some(Objective::FeatureDrift),
        detector: Detector { tool: TOOL.to_owned(), ..Detector::default() },
        summary,
        findings,
        ..DriftReport::default()
    };
    carried.tell(origin, time, report)
}

/// Whether any drifted; none where that is open, as it is where nothing was looked at.
fn any_drifted(findings: &[Finding]) -> Option<bool> {
    match findings.iter().any(|finding| finding.drifted == Some(true)) {
        true => Some(true),
        false => {
            let is_told = |finding: &Finding| finding.drifted.is_some();
            (!findings.is_empty() && findings.iter().all(is_told)).then_some(false)
        }
    }
}

/// A metric of the newer form.
struct Metric<'a> {
    id: &'a str,
    /// Such as `ValueDrift(column=age)`.
    name: &'a str,
    config: Option<Fields<'a>>,
    value: Option<&'a Value>,
}

impl<'a> Metric<'a> {
    fn of(metric: &'a Value) -> Option<Self> {
        let fields = Fields::of(metric)?;
        let name = fields.get("metric_name").or_else(|| fields.get("metric_id"))?.as_str()?;
        let id = fields.get("id")?.as_str()?;
        Some(Self {
            id,
            name,
            config: fields.get("config").and_then(Fields::of),
            value: fields.get("value"),
        })
    }

    fn is(&self, kind: &str) -> bool {
        self.name.split('(').next() == Some(kind)
    }

    /// A setting, of which the oldest reports show some in the name only.
    fn setting(&self, name: &str) -> Option<&'a str> {
        let configured = self.config.and_then(|config| config.get(name)?.as_str());
        let (_, shown) = self.name.split_once('(')?;
        let parts = shown.trim_end_matches(')').split(',');
        let named = || parts.filter_map(|part| part.split_once('=')).find(|(it, _)| *it == name);
        configured.or_else(|| named().map(|(_, value)| value))
    }

    fn drifted(&self, tests: &Tests<'_>) -> Option<Drifted<'a>> {
        Some(Drifted {
            column: self.setting("column")?,
            method: self.setting("method"),
            value: number_of(self.value),
            threshold: self.config.and_then(|config| number_of(config.get("threshold"))),
            said: tests.on(self.id),
        })
    }

    fn summary(&self, columns: usize) -> Summary {
        let value = self.value.and_then(Fields::of);
        let count = value.and_then(|value| value.get("count")?.as_f64());
        let configured = self.config.and_then(|config| number_of(config.get("drift_share")));
        let shown = || Number::from_f64(self.setting("drift_share")?.parse().ok()?);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a count of columns is small and never negative"
        )]
        let drifted = count.filter(|count| *count >= 0.0).map(|count| count as u64);
        Summary {
            columns: (columns > 0).then_some(columns as u64),
            drifted,
            share: value.and_then(|value| number_of(value.get("share"))),
            threshold: configured.or_else(shown),
            score: None,
        }
    }
}

/// The tests of a report of the newer form.
struct Tests<'a>(&'a [Value]);

impl<'a> Tests<'a> {
    fn of(tests: Option<&'a Value>) -> Self {
        Self(tests.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default())
    }

    /// What the tests on a metric say together: one that failed is enough, and all have to succeed.
    fn on(&self, metric: &str) -> Said {
        let of = |test: &&Value| test["metric_config"]["metric_id"] == metric;
        let said = self.0.iter().filter(of).map(|test| Said::by_status(&test["status"]));
        said.max().unwrap_or(Said::Nothing)
    }
}

impl Said {
    /// By the status of a test.
    fn by_status(status: &Value) -> Self {
        match status.as_str() {
            Some("FAIL") => Self::Drifted,
            Some("SUCCESS") => Self::Calm,
            Some(_) | None => Self::Open,
        }
    }

    /// By a word on whether there is drift.
    fn by_word(word: &Value) -> Self {
        match word.as_bool() {
            Some(true) => Self::Drifted,
            Some(false) => Self::Calm,
            None => Self::Nothing,
        }
    }

    /// The tool's own word, or what follows from numbers, which is never calm where a test left it open.
    fn or(self, derived: Option<bool>) -> Option<bool> {
        match self {
            Self::Nothing => derived,
            Self::Calm => Some(false),
            Self::Open => derived.filter(|drifted| *drifted),
            Self::Drifted => Some(true),
        }
    }
}

impl Drifted<'_> {
    /// The tool's own word, or what follows from a method that is known.
    fn finding(self) -> Finding {
        let Drifted { column, method, value, threshold, said } = self;
        let known = method.and_then(|method| {
            METHODS.iter().find(|(id, shown, _)| *id == method || *shown == method)
        });
        let direction = known.map(|(_, _, direction)| *direction);
        let of = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
        let derived =
            of(&value).zip(of(&threshold)).zip(direction).map(|((value, bound), it)| match it {
                Direction::Lt => value < bound,
                Direction::Le => value <= bound,
                Direction::Gt => value > bound,
                Direction::Ge => value >= bound,
            });
        Finding {
            name: column.to_owned(),
            role: Some(Role::Feature),
            method: known.map(|(id, ..)| *id).or(method).map(str::to_owned),
            value,
            threshold,
            direction,
            drifted: said.or(derived),
            ..Finding::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, filed};
    use super::*;

    fn verdict(report: &Value) -> Value {
        event(&filed(report))["drift"]["verdict"].clone()
    }

    #[test]
    fn a_count_of_columns_without_a_share_or_a_threshold_says_nothing() {
        let counted = |value: Value, config: Value| {
            let metric = json!({
                "id": "1", "metric_name": "DriftedColumnsCount()", "config": config, "value": value,
            });
            verdict(&json!({"metrics": [metric], "tests": []}))
        };
        let share = json!({"count": 1.0, "share": 0.1});
        assert_eq!(counted(share.clone(), json!({"drift_share": 0.5})), "ok");
        assert_eq!(counted(share, json!({})), "unknown", "no threshold");
        assert_eq!(counted(json!({"count": 1.0}), json!({"drift_share": 0.5})), "unknown");
    }

    #[test]
    fn one_failed_test_on_a_metric_is_enough_and_all_have_to_succeed() {
        let tested = |statuses: &[&str], share: f64| {
            let metric = json!({
                "id": "1", "metric_name": "DriftedColumnsCount()", "config": {"drift_share": 0.5},
                "value": {"count": 1.0, "share": share},
            });
            let test = |status| json!({"metric_config": {"metric_id": "1"}, "status": status});
            let tests: Vec<Value> = statuses.iter().map(test).collect();
            verdict(&json!({"metrics": [metric], "tests": tests}))
        };
        for (statuses, share, expected) in [
            (&["SUCCESS", "FAIL"][..], 0.1, "drift"),
            (&["SUCCESS", "SUCCESS"], 0.1, "ok"),
            (&["SUCCESS"], 0.9, "ok"),
            (&["SUCCESS", "ERROR"], 0.1, "unknown"),
            (&["WARNING"], 0.1, "unknown"),
            (&["WARNING"], 0.9, "drift"),
            (&["ERROR", "FAIL"], 0.1, "drift"),
            (&[], 0.1, "ok"),
        ] {
            assert_eq!(tested(statuses, share), expected, "{statuses:?} {share}");
        }
    }

    #[test]
    fn a_legacy_report_without_a_result_says_nothing() {
        let table = |result: Value| {
            verdict(&json!({"metrics": [{"metric": "DataDriftTable", "result": result}]}))
        };
        assert_eq!(table(json!({"dataset_drift": false})), "ok");
        assert_eq!(table(json!({})), "unknown");
    }

    #[test]
    fn a_legacy_suite_may_test_its_columns_alone() {
        let test = |status: &str, parameters: Value| json!({"name": "Drift per Column", "status": status, "parameters": parameters});
        let column = |name: &str, detected: bool| {
            json!({
                "stattest": "PSI", "score": 0.1, "threshold": 0.1, "detected": detected,
                "column_name": name,
            })
        };
        let (calm, other) =
            (test("SUCCESS", column("age", false)), test("SUCCESS", column("b", false)));
        let drifted = test("FAIL", column("income", true));
        let broken = test("ERROR", json!({}));
        assert_eq!(verdict(&json!({"tests": [calm, other]})), "ok");
        assert_eq!(verdict(&json!({"tests": [calm, broken]})), "unknown");
        assert_eq!(verdict(&json!({"tests": [calm, broken, drifted]})), "drift");
        let form = filed(&json!({"tests": [calm, drifted]}));
        let findings = &event(&form)["drift"]["findings"];
        assert_eq!(findings[0]["name"], "age");
        assert_eq!(
            (&findings[1]["name"], &findings[1]["method"]),
            (&json!("income"), &json!("psi"))
        );
        assert_eq!(findings[1]["drifted"], true);
        assert_eq!(event(&form)["origin"], "evidently.v1.tests");
    }

    #[test]
    fn a_legacy_test_that_could_not_be_made_says_nothing() {
        let test = |status: &str| {
            let test =
                json!({"name": "Share of Drifted Columns", "status": status, "parameters": {}});
            verdict(&json!({"tests": [test]}))
        };
        assert_eq!(test("SUCCESS"), "ok");
        assert_eq!(test("ERROR"), "unknown");
    }
}
