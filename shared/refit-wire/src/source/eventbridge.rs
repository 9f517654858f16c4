//! Events of EventBridge that are about neither objects nor drift: its clock, pipelines of SageMaker, and whatever
//! else a rule sends on, which is a message.

use std::collections::BTreeMap;

use refit_core::event::{Event, Fact, Identity, Message};
use serde_json::Value;

use super::aws::Enveloped;
use super::fields::Fields;
use super::{Arrival, Meaning, Ping, Rejected, Understood};

/// What its clock calls an event, as a rule and as a schedule.
const SCHEDULED: &str = "Scheduled Event";
/// What SageMaker calls a change of a pipeline's execution.
const PIPELINE: &str = "SageMaker Model Building Pipeline Execution Status Change";

/// Recognises them by `detail-type` and `source`.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Document(document) = arrival else { return Ok(None) };
    let Some(fields) = Fields::of(document) else { return Ok(None) };
    let text = |name: &str| fields.get(name).and_then(Value::as_str);
    let (Some(ty), Some(source)) = (text("detail-type"), text("source")) else { return Ok(None) };
    let missing = || Rejected::malformed("the event of EventBridge has no `id`");
    let id = text("id").filter(|id| !id.is_empty()).ok_or_else(missing)?;
    match (source, ty) {
        ("aws.events" | "aws.scheduler", SCHEDULED) => Ok(Some(ping(fields, id)?)),
        ("aws.sagemaker", PIPELINE) => pipeline(fields, id).map(Some),
        _ => enveloped(fields, (source, ty, id)).map(Some),
    }
}

fn ping(event: Fields<'_>, id: &str) -> Result<Meaning, Rejected> {
    let rule = event.get("resources").and_then(|all| all.get(0)).and_then(Value::as_str);
    Ok(Meaning::Means(Understood::Ping(Ping {
        origin: "eventbridge.schedule".to_owned(),
        job: rule.unwrap_or_default().to_owned(),
        time: event.time("time")?,
        delivery: Some(id.to_owned()),
        data: Value::Null,
    })))
}

/// What became of an execution is a fact once, however often it is said.
fn pipeline(event: Fields<'_>, id: &str) -> Result<Meaning, Rejected> {
    let missing = |name: &str| Rejected::malformed(format!("the event has no `{name}`"));
    let detail = event.object("detail")?.ok_or_else(|| missing("detail"))?;
    let required =
        |name: &'static str| detail.text(name)?.ok_or_else(|| missing(name)).map(str::to_owned);
    let run = required("pipelineExecutionArn")?;
    let status = required("currentPipelineExecutionStatus")?;
    let attributes = [("run", run.clone()), ("status", status.to_ascii_lowercase())];
    let attributes = attributes.map(|(name, value)| (name.to_owned(), value));
    let message = Message {
        source: required("pipelineArn")?,
        id: id.to_owned(),
        ty: PIPELINE.to_owned(),
        subject: Some(run.clone()),
        data: event.get("detail").cloned().unwrap_or_default(),
        attributes: BTreeMap::from(attributes),
    };
    Ok(Meaning::record(Event {
        identity: Identity(vec!["run".to_owned(), run, status]),
        origin: "sagemaker.eventbridge".to_owned(),
        time: event.time("time")?,
        delivery: Some(id.to_owned()),
        replay: None,
        fact: Fact::Message(message),
    }))
}

/// What somebody put on a bus may be a report; else it is a message.
fn enveloped(event: Fields<'_>, (source, ty, id): (&str, &str, &str)) -> Result<Meaning, Rejected> {
    let detail = event.get("detail").cloned().unwrap_or_default();
    let attribute = |name: &str| Some((name.to_owned(), event.text(name).ok()??.to_owned()));
    let message = Message {
        source: source.to_owned(),
        id: id.to_owned(),
        ty: ty.to_owned(),
        subject: None,
        data: detail.clone(),
        attributes: ["account", "region"].into_iter().filter_map(attribute).collect(),
    };
    Ok(Meaning::Holds(Arrival::Enveloped(Enveloped {
        origin: "eventbridge",
        identity: Identity(vec!["eventbridge".to_owned(), id.to_owned()]),
        delivery: Some(id.to_owned()),
        time: event.time("time")?,
        attributes: BTreeMap::new(),
        document: detail,
        message: Some(message),
    })))
}

impl Enveloped {
    /// What it is where no source knows what it holds.
    pub(super) fn plain(&self) -> Meaning {
        let Some(message) = &self.message else {
            return Meaning::Holds(Arrival::Document(self.document.clone()));
        };
        Meaning::record(Event {
            identity: self.identity.clone(),
            origin: self.origin.to_owned(),
            time: self.time,
            delivery: self.delivery.clone(),
            replay: None,
            fact: Fact::Message(message.clone()),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, form_of_json, refusal};
    use super::*;

    fn bridged(source: &str, ty: &str, detail: &Value) -> Value {
        form_of_json(&json!({
            "version": "0", "id": "17", "detail-type": ty, "source": source, "account": "1",
            "time": "2026-01-05T12:00:00Z", "region": "r", "resources": ["arn:x"], "detail": detail,
        }))
    }

    #[test]
    fn its_clock_pings_as_a_rule_and_as_a_schedule() {
        for (source, detail) in [("aws.events", json!({})), ("aws.scheduler", json!("{}"))] {
            let form = bridged(source, SCHEDULED, &detail);
            let expected = json!(["tick", "arn:x", "2026-01-05T12:00:00Z"]);
            assert_eq!(event(&form)["identity"], expected, "{source}");
        }
    }

    #[test]
    fn what_is_on_a_bus_is_a_message_or_a_report() {
        let message = bridged("acme.orders", "order placed", &json!({"n": 1}));
        assert_eq!(event(&message)["identity"], json!(["eventbridge", "17"]));
        assert_eq!(event(&message)["type"], "order placed");
        assert_eq!(event(&message)["data"], json!({"n": 1}));
        let report = json!({
            "schema": "refit.drift/v1", "verdict": "drift", "detector": {"tool": "t", "run": "1"},
        });
        assert_eq!(event(&bridged("acme.ml", "drift", &report))["kind"], "drift");
    }

    #[test]
    fn events_that_are_broken_say_how() {
        let pipeline = bridged("aws.sagemaker", PIPELINE, &json!({"pipelineArn": "p"}));
        assert_eq!(refusal(&pipeline), "400 the event has no `pipelineExecutionArn`");
        let unnamed = form_of_json(&json!({"detail-type": "t", "source": "s", "detail": {}}));
        assert_eq!(refusal(&unnamed), "400 the event of EventBridge has no `id`");
    }
}
