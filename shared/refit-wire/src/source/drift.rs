//! Drift reports: as CloudEvents, in Pub/Sub messages, or as JSON by themselves, in the form of whichever tool.
//!
//! Each tool is a file and a row. What none of them knows is no drift report.

mod azure;
mod cloudwatch;
mod databricks;
mod evidently;
pub(super) mod file;
mod monitoring;
mod nannyml;
mod native;
mod sagemaker;
mod vertex;
mod vertex_v2;
mod whylogs;

use std::collections::BTreeMap;

use refit_core::drift::{DriftReport, TYPE};
use refit_core::event::{Event, Fact, Identity};
use refit_core::key::sha256_hex;
use refit_core::time::Timestamp;
use serde_json::{Number, Value};

use super::aws::Enveloped;
use super::cloudevents::{CloudEvent, Route};
use super::fields::Fields;
use super::payload::{Payload, json_of_tools};
use super::pubsub::PubsubMessage;
use super::{Arrival, Meaning, Rejected, Understood};

/// The forms of reports, in the order in which they are tried.
const FORMS: &[Form] = &[
    native::read,
    monitoring::read,
    vertex::read,
    vertex_v2::read,
    azure::read,
    cloudwatch::read,
    databricks::read,
    evidently::read,
    nannyml::read,
    whylogs::read,
    sagemaker::read,
];

/// What a form makes of what was carried: nothing where it is none of its own.
type Form = fn(&Carried<'_>) -> Result<Option<Understood>, Rejected>;

/// Bytes of a report, as JSON.
const REPORT_BYTES_MAX: usize = 256 * 1024;

/// The attributes of a message that name what a report does not.
const MODEL: &str = "refit_model";
/// The same for the monitor.
const MONITOR: &str = "refit_monitor";

/// JSON that may be a report, and what its envelope says.
#[derive(Clone)]
struct Carried<'a> {
    document: &'a Value,
    /// The type and the subject, where the envelope is a CloudEvent.
    event: Option<&'a CloudEvent>,
    /// What the envelope takes for the fact.
    identity: Option<Identity>,
    /// When it was sent.
    time: Option<Timestamp>,
    /// The id of its delivery.
    delivery: Option<String>,
    /// What its sender says of it, where the envelope is a message.
    attributes: BTreeMap<String, String>,
}

/// Recognises reports by their type, or by the members they have.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let understood = match arrival {
        Arrival::CloudEvent(event) => match &event.data {
            Payload::Json(document) => in_event(document, event)?,
            Payload::Text(_) | Payload::Bytes(_) => None,
        },
        Arrival::Pubsub(message) => in_message(message)?,
        Arrival::Enveloped(Enveloped { document, .. }) | Arrival::Document(document)
            if event_grid(document).is_some() =>
        {
            return Ok(event_grid(document).map(Meaning::HoldsAll));
        }
        Arrival::Enveloped(inside) => in_envelope(inside)?,
        Arrival::Document(document) => {
            let carried = Carried {
                document,
                event: None,
                identity: None,
                time: None,
                delivery: None,
                attributes: BTreeMap::new(),
            };
            carried.understand()?
        }
        Arrival::Request(_) => None,
    };
    Ok(understood.map(Meaning::Means))
}

fn in_event(document: &Value, event: &CloudEvent) -> Result<Option<Understood>, Rejected> {
    let (delivery, published) = match &event.route {
        Route::Http | Route::Background => (None, None),
        Route::Pubsub { delivery, published, .. } => (delivery.clone(), *published),
    };
    let carried = Carried {
        document,
        event: Some(event),
        identity: Some(event.identity()),
        time: event.time.or(published),
        delivery,
        attributes: BTreeMap::new(),
    };
    carried.understand()
}

fn in_message(message: &PubsubMessage) -> Result<Option<Understood>, Rejected> {
    let Ok(document) = json_of_tools(&message.data) else { return Ok(None) };
    let carried = Carried {
        document: &document,
        event: None,
        identity: message.identity().ok(),
        time: message.published,
        delivery: message.delivery.clone(),
        attributes: message.attributes.clone(),
    };
    carried.understand()
}

fn in_envelope(inside: &Enveloped) -> Result<Option<Understood>, Rejected> {
    let carried = Carried {
        document: &inside.document,
        event: None,
        identity: Some(inside.identity.clone()),
        time: inside.time,
        delivery: inside.delivery.clone(),
        attributes: inside.attributes.clone(),
    };
    carried.understand()
}

/// The events of Event Grid, which come as a list.
fn event_grid(document: &Value) -> Option<Vec<Value>> {
    let events = document.as_array().filter(|events| !events.is_empty())?;
    let is_event = |event: &Value| event["eventType"].is_string() && event["topic"].is_string();
    events.iter().all(is_event).then(|| events.clone())
}

impl Carried<'_> {
    fn understand(&self) -> Result<Option<Understood>, Rejected> {
        for form in FORMS {
            if let Some(understood) = form(self)? {
                return Ok(Some(understood));
            }
        }
        match self.own_event() {
            Some(_) => Err(Rejected::malformed("the drift report has no `schema`")),
            None => Ok(None),
        }
    }

    /// The CloudEvent it is the data of, if that is of our own type: then it is a report, of whichever tool.
    fn own_event(&self) -> Option<&CloudEvent> {
        self.event.filter(|event| event.ty == TYPE)
    }

    /// The members, if it is an object that is no other CloudEvent's data.
    fn plain_fields(&self) -> Option<Fields<'_>> {
        let is_ours = self.event.is_none() || self.own_event().is_some();
        Fields::of(self.document).filter(|_| is_ours)
    }

    /// The report with what is said around it of model and monitor.
    fn named(&self, mut report: DriftReport) -> DriftReport {
        if report.model.name.is_none() && report.detector.monitor.is_none() {
            report.model.name = self.own_event().and_then(|event| event.subject.clone());
        }
        named(&mut report, &self.attributes);
        report
    }

    /// A report as an event that is a fact by what it tells. Where it tells of no time, its own or one beside it, equal
    /// ones in two messages are two.
    fn tell(
        &self,
        origin: &str,
        time: Option<Timestamp>,
        report: DriftReport,
    ) -> Result<Option<Understood>, Rejected> {
        let report = self.named(report);
        if let Some(event) = self.own_event() {
            let time = self.time.or(report.window.end).or(time);
            return self.record(origin, event.identity(), time, report);
        }
        let sent = self.identity.as_ref().and_then(|identity| identity.0.last());
        let sent = sent.filter(|text| !text.is_empty());
        let which = match (report.window.end, time, sent) {
            (Some(_), ..) => String::new(),
            (None, Some(time), _) => time.to_string(),
            (None, None, Some(sent)) => sent.clone(),
            (None, None, None) => {
                return Err(unnamed("send it in a message that has an id, or as a file"));
            }
        };
        let identity = identity(["drift", origin, &digest(&report), &which]);
        let time = report.window.end.or(time).or(self.time);
        self.record(origin, identity, time, report)
    }

    /// A report as an event.
    fn record(
        &self,
        origin: &str,
        identity: Identity,
        time: Option<Timestamp>,
        report: DriftReport,
    ) -> Result<Option<Understood>, Rejected> {
        let report = self.named(report);
        let size = serde_json::to_vec(&report).map_or(usize::MAX, |bytes| bytes.len());
        if size > REPORT_BYTES_MAX {
            let reason = format!(
                "the report is too large: put it into `raw.ref`: bytes=`{size}`, limit=`{REPORT_BYTES_MAX}`"
            );
            return Err(Rejected::malformed(reason));
        }
        Ok(Some(Understood::Record(vec![Event {
            identity,
            origin: origin.to_owned(),
            time,
            delivery: self.delivery.clone(),
            replay: None,
            fact: Fact::Drift(Box::new(report)),
        }])))
    }
}

/// Adds what the sender says of model and monitor where the report does not. It is a part of what is told: equal reports
/// of two models are two.
fn named(report: &mut DriftReport, attributes: &BTreeMap<String, String>) {
    let said = |name: &str| attributes.get(name).cloned();
    report.model.name = report.model.name.take().or_else(|| said(MODEL));
    report.detector.monitor = report.detector.monitor.take().or_else(|| said(MONITOR));
}

/// A report that would be the same fact as any equal one, on whatever day.
fn unnamed(cure: &str) -> Rejected {
    Rejected::malformed(format!("nothing says which report it is: {cure}"))
}

/// An identity made of parts.
fn identity<const N: usize>(parts: [&str; N]) -> Identity {
    Identity(parts.map(str::to_owned).to_vec())
}

/// A number, where it is one.
fn number_of(value: Option<&Value>) -> Option<Number> {
    value.and_then(Value::as_number).cloned()
}

/// A time that may lack its zone, which is UTC then.
fn lenient_time(text: &str) -> Option<Timestamp> {
    let zoned = || format!("{}Z", text.replacen(' ', "T", 1)).parse().ok();
    text.parse().ok().or_else(zoned)
}

/// The digest of a report, where nothing else says which one it is.
fn digest(report: &DriftReport) -> String {
    serde_json::to_vec(report).map(|bytes| sha256_hex(&bytes)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::super::tests::{event, filed, form_of_json, push, refusal};
    use super::*;

    fn pushed(id: &str, document: &Value) -> Value {
        let data = STANDARD.encode(document.to_string());
        form_of_json(&push(&json!({"messageId": id, "data": data})))
    }

    fn said(document: &Value) -> (String, Vec<Option<bool>>) {
        let form = pushed("1", document);
        let report = &event(&form)["drift"];
        let drifted = report["findings"].as_array().into_iter().flatten();
        let drifted = drifted.map(|finding| finding["drifted"].as_bool()).collect();
        (report["verdict"].as_str().unwrap().to_owned(), drifted)
    }

    fn column(method: &str, value: f64) -> Value {
        let config = json!({"column": "a", "method": method, "threshold": 0.1});
        let metrics =
            json!([{"id": "1", "metric_name": "ValueDrift()", "config": config, "value": value}]);
        json!({"metrics": metrics, "tests": []})
    }

    #[test]
    fn whether_less_or_more_is_drift_depends_on_the_method() {
        for (method, value, drifted) in [
            ("ks", 0.1, Some(true)),
            ("chisquare", 0.1, Some(false)),
            ("chi-square p_value", 0.05, Some(true)),
            ("TVD", 0.05, Some(true)),
            ("psi", 0.1, Some(true)),
            ("wasserstein", 0.05, Some(false)),
            ("ed", 0.1, Some(false)),
            ("acme", 0.9, None),
        ] {
            let verdict = match drifted {
                Some(true) => "drift",
                Some(false) => "ok",
                None => "unknown",
            };
            let expected = (verdict.to_owned(), vec![drifted]);
            assert_eq!(said(&column(method, value)), expected, "{method} {value}");
        }
    }

    #[test]
    fn the_tools_own_word_is_taken_before_what_follows_from_numbers() {
        let mut tested = column("ks", 0.9);
        tested["tests"] = json!([{"metric_config": {"metric_id": "1"}, "status": "FAIL"}]);
        assert_eq!(said(&tested), ("drift".to_owned(), vec![Some(true)]));
    }

    #[test]
    fn the_worst_column_of_whylogs_decides_and_an_unknown_one_is_not_fine() {
        let columns = |categories: &[&str]| {
            let column = |(at, category): (usize, &&str)| {
                (format!("c{at}"), json!({"algorithm": "ks", "drift_category": category}))
            };
            said(&Value::Object(categories.iter().enumerate().map(column).collect())).0
        };
        assert_eq!(columns(&["NO_DRIFT", "NO_DRIFT"]), "ok");
        assert_eq!(columns(&["NO_DRIFT", "POSSIBLE_DRIFT"]), "possible");
        assert_eq!(columns(&["NO_DRIFT", "SOMETHING"]), "unknown");
        assert_eq!(columns(&["DRIFT", "SOMETHING"]), "drift");
    }

    #[test]
    fn a_report_without_a_time_is_a_fact_by_its_message() {
        let identity = |id: &str| event(&pushed(id, &column("ks", 0.5)))["identity"].clone();
        assert_eq!(identity("1"), identity("1"));
        assert_ne!(identity("1"), identity("2"));
    }

    #[test]
    fn the_report_of_a_tool_may_be_the_data_of_our_own_cloudevent() {
        let sent = |ty: &str, data: &Value| {
            form_of_json(&json!({
                "specversion": "1.0", "id": "7", "source": "/m", "type": ty, "subject": "churn",
                "data": data,
            }))
        };
        let form = sent(TYPE, &column("ks", 0.05));
        let found = event(&form);
        assert_eq!(found["identity"], json!(["cloudevent", "/m", "7"]));
        assert_eq!(found["drift"]["verdict"], "drift");
        assert_eq!(found["drift"]["model"]["name"], "churn");
        assert_eq!(event(&sent("acme.report", &column("ks", 0.05)))["kind"], "cloudevent");
        let none = refusal(&sent(TYPE, &json!({"a": 1})));
        assert_eq!(none, "400 the drift report has no `schema`");
    }

    #[test]
    fn equal_reports_of_two_models_are_two() {
        let dated = json!([{
            "chunk_key": "1", "chunk_period": "analysis", "chunk_end_date": "2026-01-05 00:00:00",
            "age_jensen_shannon_value": 0.4, "age_jensen_shannon_alert": true,
        }]);
        let native = json!({
            "schema": "refit.drift/v1", "verdict": "drift", "detector": {"tool": "t", "run": "1"},
        });
        for report in [dated, native] {
            let of_model = |model: &str, id: &str| {
                let attributes = json!({"refit_model": model});
                let data = STANDARD.encode(report.to_string());
                let message = json!({"messageId": id, "data": data, "attributes": attributes});
                event(&form_of_json(&push(&message)))["identity"].clone()
            };
            assert_eq!(of_model("churn", "1"), of_model("churn", "2"), "{report}");
            assert_ne!(of_model("churn", "1"), of_model("fraud", "1"), "{report}");
        }
    }

    #[test]
    fn a_report_without_a_time_that_comes_by_itself_could_be_of_any_day() {
        let refused = refusal(&form_of_json(&column("ks", 0.5)));
        assert!(refused.starts_with("400 nothing says which report it is: send it"), "{refused}");
        assert_eq!(event(&filed(&column("ks", 0.5)))["kind"], "drift", "its file says which");
        let suite = |time: &str| {
            let test =
                json!({"name": "Share of Drifted Columns", "status": "SUCCESS", "parameters": {}});
            let form = form_of_json(&json!({"tests": [test], "timestamp": time}));
            event(&form)["identity"].clone()
        };
        assert_eq!(suite("2026-01-05 12:00:00"), suite("2026-01-05 12:00:00"));
        assert_ne!(suite("2026-01-05 12:00:00"), suite("2026-01-06 12:00:00"));
    }

    #[test]
    fn a_column_that_was_not_scored_leaves_open_whether_all_is_well() {
        let scored = |category: &str| json!({"algorithm": "ks", "drift_category": category});
        let empty = json!({"algorithm": "ks", "pvalue": null, "drift_category": null});
        for (report, expected) in [
            (json!({"age": scored("NO_DRIFT"), "city": null}), "unknown"),
            (json!({"age": scored("NO_DRIFT"), "city": empty}), "unknown"),
            (json!({"age": scored("DRIFT"), "city": null}), "drift"),
        ] {
            let (verdict, drifted) = said(&report);
            assert_eq!((verdict.as_str(), drifted[1]), (expected, None), "{report}");
        }
    }

    #[test]
    fn what_is_no_report_of_any_tool_stays_a_message() {
        for other in [
            json!({"metrics": []}),
            json!({"metrics": [{"id": "1", "metric_name": "RowCount()", "value": 5}]}),
            json!({"violations": [], "tool": "x"}),
            json!({"violations": [{"rule": "x"}]}),
            json!({"incident": "x", "version": "1.2"}),
            json!({"age": {"algorithm": "ks"}}),
            json!({"jsonPayload": {"@type": "type.googleapis.com/acme.Entry"}}),
            json!([{"chunk_key": "x"}]),
            json!([]),
        ] {
            assert_eq!(event(&pushed("1", &other))["kind"], "message", "{other}");
        }
    }
}
