//! Ends of runs that services of Google tell by Pub/Sub: builds by the topic of Cloud Build, pipelines of Vertex AI and
//! executions of Cloud Run jobs by entries of their logs, through a sink.
//!
//! They are messages that wake `tick`, which asks the service: what they say of a run is believed by nobody.

use refit_core::event::{Fact, Identity};
use serde_json::Value;

use super::fields::Fields;
use super::payload::json_of_tools;
use super::pubsub::PubsubMessage;
use super::{Arrival, Meaning, Rejected, Understood};

/// What the type of an entry on a pipeline of Vertex AI ends with.
const PIPELINE: &str = ".PipelineJobLogEntry";
/// The method that entries on executions of Cloud Run jobs name.
const EXECUTION: &str = "/Jobs.RunJob";

/// A run as a message tells of it.
struct Told {
    /// Where it ran, as the service names it.
    place: Vec<String>,
    /// The service's id of it.
    run: String,
    /// The state, in the service's word.
    state: String,
    /// How it ended; none where it goes on.
    status: Option<&'static str>,
}

/// Reads a document of one service; nothing where it is none of its own.
type Form = fn(&PubsubMessage, Fields<'_>) -> Result<Option<Told>, Rejected>;

const FORMS: [Form; 3] = [build, pipeline, execution];

/// Recognises them by the attributes of the message, or by the members of the entry.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Pubsub(message) = arrival else { return Ok(None) };
    let Ok(document) = json_of_tools(&message.data) else { return Ok(None) };
    let Some(fields) = Fields::of(&document) else { return Ok(None) };
    for form in FORMS {
        if let Some(told) = form(message, fields)? {
            return meaning(message, told).map(Some);
        }
    }
    Ok(None)
}

/// What became of a run is a fact once, however often it is said.
fn meaning(message: &PubsubMessage, told: Told) -> Result<Meaning, Rejected> {
    let Some(status) = told.status else {
        let reason = "the run is not over".to_owned();
        return Ok(Meaning::Means(Understood::Ignore { reason }));
    };
    let mut event = message.event()?;
    if let Fact::Message(message) = &mut event.fact {
        let told = [("run", told.run.as_str()), ("status", status)];
        let told = told.map(|(name, text)| (name.to_owned(), text.to_owned()));
        message.attributes.extend(told);
    }
    let which = [vec!["run".to_owned()], told.place, vec![told.run, told.state]];
    event.identity = Identity(which.concat());
    Ok(Meaning::record(event))
}

/// A build, as Cloud Build publishes it.
fn build(message: &PubsubMessage, build: Fields<'_>) -> Result<Option<Told>, Rejected> {
    let (Some(run), Some(state)) = (message.attribute("buildId"), message.attribute("status"))
    else {
        return Ok(None);
    };
    if build.text("id")? != Some(run) {
        return Ok(None);
    }
    let status = match state {
        "SUCCESS" => Some("succeeded"),
        "FAILURE" | "INTERNAL_ERROR" | "TIMEOUT" | "EXPIRED" => Some("failed"),
        "CANCELLED" => Some("cancelled"),
        _ => None,
    };
    let place = vec![build.text("projectId")?.unwrap_or_default().to_owned()];
    Ok(Some(Told { place, run: run.to_owned(), state: state.to_owned(), status }))
}

/// An entry of the log `pipeline_job_events`.
fn pipeline(_: &PubsubMessage, entry: Fields<'_>) -> Result<Option<Told>, Rejected> {
    let Some(payload) = entry.get("jsonPayload").and_then(Fields::of) else { return Ok(None) };
    let ty = payload.get("@type").and_then(Value::as_str);
    if !ty.is_some_and(|ty| ty.ends_with(PIPELINE)) {
        return Ok(None);
    }
    let [container, location, run] =
        labels(entry, ["resource_container", "location", "pipeline_job_id"])?;
    let state = payload.text("state")?.unwrap_or_default();
    let status = match state {
        "PIPELINE_STATE_SUCCEEDED" => Some("succeeded"),
        "PIPELINE_STATE_FAILED" => Some("failed"),
        "PIPELINE_STATE_CANCELLED" => Some("cancelled"),
        _ => None,
    };
    Ok(Some(Told { place: vec![container, location], run, state: state.to_owned(), status }))
}

/// An entry of the audit log on an execution of a job.
fn execution(_: &PubsubMessage, entry: Fields<'_>) -> Result<Option<Told>, Rejected> {
    let Some(payload) = entry.get("protoPayload").and_then(Fields::of) else { return Ok(None) };
    if payload.get("methodName").and_then(Value::as_str) != Some(EXECUTION) {
        return Ok(None);
    }
    let response = payload.get("response").unwrap_or(&Value::Null);
    let name = response.pointer("/metadata/name").and_then(Value::as_str);
    let run = name.ok_or_else(|| missing("metadata.name"))?.to_owned();
    let conditions = response.pointer("/status/conditions").and_then(Value::as_array);
    let is_completed = |it: &&Value| it["type"] == "Completed";
    let completed = conditions.into_iter().flatten().find(is_completed);
    let state = completed.and_then(|it| it["status"].as_str()).unwrap_or_default();
    let status = match state {
        "True" => Some("succeeded"),
        "False" => Some("failed"),
        _ => None,
    };
    let place = labels(entry, ["project_id", "location"])?.to_vec();
    Ok(Some(Told { place, run, state: state.to_owned(), status }))
}

/// Labels of the resource that an entry is of.
fn labels<const N: usize>(entry: Fields<'_>, names: [&str; N]) -> Result<[String; N], Rejected> {
    let resource = entry.object("resource")?;
    let labels = resource.map(|resource| resource.texts("labels")).transpose()?;
    let labels = labels.unwrap_or_default();
    if let Some(name) = names.iter().find(|name| labels.get(**name).is_none_or(String::is_empty)) {
        return Err(missing(name));
    }
    Ok(names.map(|name| labels[name].clone()))
}

fn missing(name: &str) -> Rejected {
    Rejected::malformed(format!("the entry of the log has no `{name}`"))
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use serde_json::json;

    use super::super::tests::{event, form_of_json, push, refusal};
    use super::*;

    fn pushed(attributes: &Value, document: &Value) -> Value {
        let data = base64::prelude::BASE64_STANDARD.encode(document.to_string());
        form_of_json(&push(&json!({"messageId": "7", "attributes": attributes, "data": data})))
    }

    fn told_of_build(status: &str) -> Value {
        let build = json!({"id": "b7", "projectId": "acme", "status": status});
        pushed(&json!({"buildId": "b7", "status": status}), &build)
    }

    fn told_of_pipeline(state: &str) -> Value {
        let ty = "type.googleapis.com/google.cloud.aiplatform.logging.PipelineJobLogEntry";
        let labels = json!({
            "resource_container": "projects/7", "location": "l", "pipeline_job_id": "rf-1",
        });
        let payload = json!({"@type": ty, "state": state});
        pushed(&json!({}), &json!({"jsonPayload": payload, "resource": {"labels": labels}}))
    }

    fn told_of_execution(completed: &str) -> Value {
        let response = json!({
            "metadata": {"name": "train-x7"},
            "status": {"conditions": [
                {"type": "Started", "status": "True"}, {"type": "Completed", "status": completed},
            ]},
        });
        let payload = json!({"methodName": EXECUTION, "response": response});
        let labels = json!({"project_id": "acme", "location": "l", "job_name": "train"});
        pushed(&json!({}), &json!({"protoPayload": payload, "resource": {"labels": labels}}))
    }

    #[test]
    fn a_run_that_is_over_is_told_by_what_it_is_and_how_it_ended() {
        let cases = [
            (told_of_build("SUCCESS"), "b7", "succeeded"),
            (told_of_build("FAILURE"), "b7", "failed"),
            (told_of_build("EXPIRED"), "b7", "failed"),
            (told_of_build("CANCELLED"), "b7", "cancelled"),
            (told_of_pipeline("PIPELINE_STATE_SUCCEEDED"), "rf-1", "succeeded"),
            (told_of_pipeline("PIPELINE_STATE_FAILED"), "rf-1", "failed"),
            (told_of_pipeline("PIPELINE_STATE_CANCELLED"), "rf-1", "cancelled"),
            (told_of_execution("True"), "train-x7", "succeeded"),
            (told_of_execution("False"), "train-x7", "failed"),
        ];
        for (form, run, status) in cases {
            let event = event(&form);
            assert_eq!((&event["run"], &event["status"]), (&json!(run), &json!(status)));
            assert_eq!(event["kind"], "run.status");
            assert_eq!(event["source"], "//pubsub.googleapis.com/projects/p/subscriptions/s");
        }
        let identity = |form: &Value| event(form)["identity"].clone();
        assert_eq!(identity(&told_of_build("SUCCESS")), json!(["run", "acme", "b7", "SUCCESS"]));
        let expected = json!(["run", "acme", "l", "train-x7", "True"]);
        assert_eq!(identity(&told_of_execution("True")), expected);
    }

    #[test]
    fn a_run_that_goes_on_is_no_news() {
        for form in [
            told_of_build("QUEUED"),
            told_of_build("WORKING"),
            told_of_build("TELEPORTED"),
            told_of_pipeline("PIPELINE_STATE_RUNNING"),
            told_of_execution("Unknown"),
        ] {
            assert_eq!(form["outcome"], "ignore", "{form}");
        }
    }

    #[test]
    fn what_only_looks_alike_is_a_message_and_what_is_broken_says_how() {
        let attributes = json!({"buildId": "b7", "status": "SUCCESS"});
        for document in [json!({"id": "b8"}), json!({})] {
            assert_eq!(event(&pushed(&attributes, &document))["kind"], "message");
        }
        let other = json!({"protoPayload": {"methodName": "/Jobs.CreateJob"}});
        assert_eq!(event(&pushed(&json!({}), &other))["kind"], "message");
        let unnamed = json!({"protoPayload": {"methodName": EXECUTION}});
        let refused = refusal(&pushed(&json!({}), &unnamed));
        assert_eq!(refused, "400 the entry of the log has no `metadata.name`");
        let ty = "type.googleapis.com/google.cloud.aiplatform.logging.PipelineJobLogEntry";
        let homeless = json!({"jsonPayload": {"@type": ty, "state": "PIPELINE_STATE_FAILED"}});
        let refused = refusal(&pushed(&json!({}), &homeless));
        assert_eq!(refused, "400 the entry of the log has no `resource_container`");
    }
}
