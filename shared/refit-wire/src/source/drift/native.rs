//! The form of our own: `refit.drift/v1`, as a CloudEvent of type `dev.refit.drift.v1`, in a Pub/Sub message or alone.
//!
//! A CloudEvent is a fact by its source and id. What comes without one is a fact by what it says, as long as it says
//! of which run or which time it speaks; else by its message.

use refit_core::drift::{DriftReport, SCHEMA};
use refit_core::event::Identity;
use serde_json::Value;

use super::super::{Rejected, Understood, shown};
use super::{Carried, Fields, digest, identity, unnamed};

/// What the member `schema` begins with, whatever the version.
const ANY_VERSION: &str = "refit.drift/";

/// Recognises the CloudEvent by its type, and anything else by the member `schema`.
pub(super) fn read(carried: &Carried<'_>) -> Result<Option<Understood>, Rejected> {
    let is_typed = carried.own_event().is_some();
    let schema = Fields::of(carried.document).and_then(|fields| fields.get("schema"));
    let schema = schema.and_then(Value::as_str);
    match schema {
        _ if carried.event.is_some() && !is_typed => return Ok(None),
        Some(SCHEMA) => {}
        Some(other) if other.starts_with(ANY_VERSION) || is_typed => {
            let other = shown(other);
            let reason = format!("not a version of drift reports that is read: schema=`{other}`");
            return Err(Rejected::unsupported(reason));
        }
        Some(_) | None => return Ok(None),
    }
    let report = carried.named(parse(carried)?);
    let identity = fact(carried, &report)?;
    let time = match carried.event {
        Some(event) => event.time.or(carried.time),
        None => report.window.end.or(carried.time),
    };
    carried.record("refit.drift", identity, time, report)
}

fn parse(carried: &Carried<'_>) -> Result<DriftReport, Rejected> {
    let document = without_nulls(carried.document);
    let report: DriftReport = serde_path_to_error::deserialize(document).map_err(|error| {
        let at = shown(&error.path().to_string());
        let what = "a member of the drift report is missing or not of its kind";
        Rejected::malformed(format!("{what}: at=`{at}`"))
    })?;
    if report.detector.tool.is_empty() {
        return Err(Rejected::malformed("the drift report names no tool: at=`detector.tool`"));
    }
    Ok(report)
}

/// A member that is null is absent.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter(|(_, value)| !value.is_null());
            Value::Object(kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn fact(carried: &Carried<'_>, report: &DriftReport) -> Result<Identity, Rejected> {
    let says_which = report.detector.run.is_some() || report.window.end.is_some();
    match (&carried.identity, says_which) {
        (Some(identity), _) if carried.event.is_some() => Ok(identity.clone()),
        (_, true) => Ok(identity(["drift", &report.detector.tool, &digest(report)])),
        (Some(identity), false) => Ok(identity.clone()),
        (None, false) => {
            Err(unnamed("add `detector.run` or `window.end`, or send it as a CloudEvent"))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use refit_core::drift::TYPE;

    use super::super::super::tests::{event, form, form_of_json, push, refusal};
    use super::*;

    fn report(members: Value) -> Value {
        let mut report =
            json!({"schema": SCHEMA, "verdict": "drift", "detector": {"tool": "t", "run": "1"}});
        let Value::Object(members) = members else { panic!("members are wanted") };
        for (name, value) in members {
            report[name] = value;
        }
        report
    }

    fn pushed(id: &str, report: &Value) -> Value {
        use base64::Engine as _;
        let data = base64::engine::general_purpose::STANDARD.encode(report.to_string());
        form_of_json(&push(&json!({"messageId": id, "data": data})))
    }

    fn cloud_event(data: &Value) -> Value {
        form(
            &[
                ("ce-specversion", "1.0"),
                ("ce-id", "7"),
                ("ce-source", "/monitors/m"),
                ("ce-type", TYPE),
                ("ce-subject", "churn"),
                ("content-type", "application/json"),
            ],
            &data.to_string(),
        )
    }

    #[test]
    fn a_report_is_a_fact_by_its_event_by_what_it_says_or_by_its_message() {
        let by_event = cloud_event(&report(json!({})));
        assert_eq!(event(&by_event)["identity"], json!(["cloudevent", "/monitors/m", "7"]));
        let told = report(json!({"window": {"end": "2026-01-05T00:00:00Z"}}));
        let identity = |form: &Value| event(form)["identity"].clone();
        assert_eq!(identity(&pushed("1", &told)), identity(&pushed("2", &told)));
        assert_eq!(identity(&pushed("1", &told)), identity(&form_of_json(&told)));
        let other = report(json!({"window": {"end": "2026-01-06T00:00:00Z"}}));
        assert_ne!(identity(&pushed("1", &told)), identity(&pushed("1", &other)));
        let bare = report(json!({"detector": {"tool": "t"}}));
        assert_ne!(identity(&pushed("1", &bare)), identity(&pushed("2", &bare)));
        assert!(refusal(&form_of_json(&bare)).starts_with("400 nothing says which report it is"));
    }

    #[test]
    fn nulls_are_absent_and_the_subject_names_what_the_report_does_not() {
        let nulls = report(json!({
            "severity": null, "model": {"name": null}, "summary": null, "window": null,
            "findings": [{"name": "age", "value": null, "drifted": null}],
        }));
        let form = cloud_event(&nulls);
        assert_eq!(event(&form)["drift"]["model"], json!({"name": "churn"}));
        assert_eq!(event(&form)["drift"]["findings"], json!([{"name": "age"}]));
        let named = report(json!({"detector": {"tool": "t", "monitor": "m"}}));
        assert_eq!(event(&cloud_event(&named))["drift"].get("model"), None);
    }

    #[test]
    fn reports_that_are_broken_say_how() {
        let at = |name: &str| {
            format!("400 a member of the drift report is missing or not of its kind: at=`{name}`")
        };
        let cases = [
            (json!({"verdict": "fine"}), at("verdict")),
            (json!({"verdict": null}), at(".")),
            (json!({"detector": {"version": "1"}}), at("detector")),
            (json!({"findings": [{"name": "a"}, {"name": 5}]}), at("findings[1].name")),
            (json!({"findings": [{"name": "a", "value": "NaN"}]}), at("findings[0].value")),
            (json!({"window": {"end": "yesterday"}}), at("window.end")),
            (
                json!({"detector": {"tool": ""}}),
                "400 the drift report names no tool: at=`detector.tool`".to_owned(),
            ),
            (
                json!({"schema": "refit.drift/v2"}),
                "415 not a version of drift reports that is read: schema=`refit.drift/v2`"
                    .to_owned(),
            ),
        ];
        for (members, expected) in cases {
            assert_eq!(refusal(&cloud_event(&report(members.clone()))), expected, "{members}");
        }
        assert_eq!(refusal(&cloud_event(&json!({}))), "400 the drift report has no `schema`");
    }

    #[test]
    fn a_report_may_not_be_larger_than_the_ledger_bears() {
        let detail = "x".repeat(super::super::REPORT_BYTES_MAX);
        let large = report(json!({"findings": [{"name": "a", "detail": detail}]}));
        assert!(refusal(&cloud_event(&large)).starts_with("400 the report is too large"));
    }

    #[test]
    fn what_has_another_schema_is_no_report() {
        let other = json!({"schema": "acme/v1", "verdict": "drift"});
        assert_eq!(event(&pushed("1", &other))["kind"], "message");
    }
}
