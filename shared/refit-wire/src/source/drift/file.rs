//! Reports that lie in files, in the form of whichever tool, alone or as a CloudEvent, a list of Event Grid, an answer of
//! several alerts.

use std::collections::BTreeMap;

use refit_core::event::{DataRef, Event, Fact, Identity, Message, ObjectChange};
use refit_core::key::sha256_hex;
use serde_json::Value;

use super::super::aws::Enveloped;
use super::super::payload::json_of_tools;
use super::super::{Arrival, ENVELOPES_MAX, Rejected, Understood, understand_arrival};
use super::{identity, named};

/// The route.
const FILE: &str = "file";

/// The reports that an object holds, where it holds any, in whatever form. Which object it is says which reports, however
/// the upload was announced; parts that cannot be understood are among them, as [`Fact::Invalid`].
///
/// # Errors
/// It holds the report of a tool, which cannot be understood; or it is no JSON, and is so by its name or its type.
pub fn reports_in(upload: &Event, body: &[u8]) -> Result<Vec<Event>, Rejected> {
    let Fact::Object(change) = &upload.fact else { return Ok(Vec::new()) };
    let document = match json_of_tools(body) {
        Ok(document) => document,
        Err(_) if !may_be_report(&change.object) => return Ok(Vec::new()),
        Err(error) => {
            return Err(Rejected { status: 400, reason: format!("it is not JSON: {error}") });
        }
    };
    let inside = Enveloped {
        origin: FILE,
        identity: upload.identity.clone(),
        time: upload.time,
        delivery: upload.delivery.clone(),
        attributes: change.object.metadata.clone(),
        document,
        message: Some(no_report()),
    };
    let understood = understand_arrival(Arrival::Enveloped(inside), ENVELOPES_MAX)?;
    let Understood::Record(mut events) = understood else { return Ok(Vec::new()) };
    events.retain(|event| matches!(event.fact, Fact::Drift(_) | Fact::Invalid(_)));
    if !events.iter().any(|event| matches!(event.fact, Fact::Drift(_))) {
        return Ok(Vec::new());
    }
    let many = events.len() > 1;
    for (number, event) in events.iter_mut().enumerate() {
        lies_in(event, upload, change, many.then_some(number));
    }
    Ok(events)
}

/// Whether an object is JSON by its name or its type: it may be a report.
#[must_use]
pub fn may_be_report(object: &DataRef) -> bool {
    let is_json = |text: &str| text.to_ascii_lowercase().ends_with("json");
    is_json(&object.name) || object.content_type.as_deref().is_some_and(is_json)
}

/// What an object is where it holds no report; it is not recorded.
fn no_report() -> Message {
    Message {
        source: FILE.to_owned(),
        id: String::new(),
        ty: FILE.to_owned(),
        subject: None,
        data: Value::Null,
        attributes: BTreeMap::new(),
    }
}

/// Makes a report that of an object; where it holds several, of which the number is given.
fn lies_in(event: &mut Event, upload: &Event, change: &ObjectChange, number: Option<usize>) {
    let kind = match &mut event.fact {
        Fact::Drift(report) => {
            named(report, &change.object.metadata);
            report.raw.place.get_or_insert_with(|| change.object.uri());
            "drift"
        }
        _ => "invalid",
    };
    let parts = [kind.to_owned()].into_iter().chain(upload.identity.0.iter().cloned());
    event.identity = Identity(parts.chain(number.map(|it| it.to_string())).collect());
    event.time = event.time.or(upload.time);
    event.delivery.clone_from(&upload.delivery);
}

/// Understands a report as a tool writes it into a file, which says which report it is.
///
/// # Errors
/// It cannot be understood.
pub fn understand_report(document: &Value) -> Result<Understood, Rejected> {
    let inside = Enveloped {
        origin: FILE,
        identity: identity([FILE, &sha256_hex(document.to_string().as_bytes())]),
        time: None,
        delivery: None,
        attributes: BTreeMap::new(),
        document: document.clone(),
        message: None,
    };
    understand_arrival(Arrival::Enveloped(inside), ENVELOPES_MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use refit_core::drift::Verdict;
    use refit_core::event::{DataRef, ObjectKind};
    use serde_json::json;

    use super::*;

    /// An upload of a file, which says which model it is of.
    fn upload() -> Event {
        let object = DataRef {
            scheme: "s3".to_owned(),
            bucket: "acme".to_owned(),
            name: "r.json".to_owned(),
            metadata: BTreeMap::from([("refit_model".to_owned(), "churn".to_owned())]),
            ..DataRef::default()
        };
        let kind = ObjectKind::Finalized;
        Event {
            identity: identity(["s3", "acme", "r.json", "0A", kind.name()]),
            origin: "s3".to_owned(),
            time: Some("2026-01-05T12:00:00Z".parse().unwrap()),
            delivery: Some("1".to_owned()),
            replay: None,
            fact: Fact::Object(ObjectChange {
                kind,
                object,
                overwrote: None,
                overwritten_by: None,
            }),
        }
    }

    /// What lies in a file: verdicts and models.
    fn lying(document: &Value) -> Vec<(Verdict, Option<String>)> {
        let events = reports_in(&upload(), document.to_string().as_bytes()).unwrap();
        let different: BTreeSet<&Identity> = events.iter().map(|event| &event.identity).collect();
        assert_eq!(different.len(), events.len());
        let report = |event: &Event| {
            let of_upload = event.identity.0[1..].starts_with(&upload().identity.0);
            assert!(of_upload && event.time == upload().time, "{event:?}");
            let Fact::Drift(report) = &event.fact else { panic!("{event:?}") };
            assert_eq!(report.raw.place.as_deref(), Some("s3://acme/r.json"));
            (report.verdict, report.model.name.clone())
        };
        events.iter().map(report).collect()
    }

    #[test]
    fn every_report_in_a_file_is_read_in_whatever_form() {
        let alert = |name: &str| {
            json!({
                "statsName": name, "objectiveType": "raw-feature-drift", "anomaly": {
                    "modelMonitoringJob": "projects/p/locations/l/modelMonitors/7/modelMonitoringJobs/9",
                }, "alertTime": "2026-01-05T12:00:00Z",
            })
        };
        let churn = || Some("churn".to_owned());
        let alerts = json!({"modelMonitoringAlerts": [alert("age"), alert("fare")]});
        assert_eq!(lying(&alerts), [(Verdict::Drift, churn()), (Verdict::Drift, churn())]);
        let native = json!({
            "schema": "refit.drift/v1", "verdict": "drift", "detector": {"tool": "t"},
        });
        assert_eq!(lying(&native), [(Verdict::Drift, churn())]);
        let cloud = json!({
            "specversion": "1.0", "id": "7", "source": "/m", "type": "dev.refit.drift.v1",
            "time": "2026-01-05T12:00:00Z", "subject": "fraud", "data": native,
        });
        assert_eq!(lying(&cloud), [(Verdict::Drift, Some("fraud".to_owned()))]);
        let grid = json!([{
            "topic": "/t", "eventType": "Microsoft.MachineLearningServices.DatasetDriftDetected",
            "eventTime": "2026-01-05T12:00:00Z", "id": "1", "data": {"DataDriftId": "d", "RunId": "r"},
        }]);
        assert_eq!(lying(&grid), [(Verdict::Drift, churn())]);
        let other = json!({"specversion": "1.0", "id": "7", "source": "/m", "type": "t"});
        for none in [json!({"a": 1}), json!([]), json!(5), other] {
            assert_eq!(lying(&none), [], "{none}");
        }
    }
}
