//! The envelopes of AWS: records of an invocation, messages of SNS topics and of SQS queues. What is inside is a
//! document of any kind, and may be an envelope again; a topic that delivers raw leaves its own out.

use std::collections::BTreeMap;

use refit_core::event::{Identity, Message};
use refit_core::time::Timestamp;
use serde_json::Value;

use super::fields::Fields;
use super::payload::json_of_tools;
use super::{Arrival, Meaning, Rejected};

/// The sender of records that were messages of a queue.
pub(super) const SQS: &str = "aws:sqs";
/// The sender of records that were messages of a topic.
const SNS: &str = "aws:sns";
/// The sender of records about objects.
const S3: &str = "aws:s3";

/// JSON, and what the envelope around it says.
pub(super) struct Enveloped {
    /// The route it came by.
    pub(super) origin: &'static str,
    /// What the message is where nothing within says so.
    pub(super) identity: Identity,
    /// The id of its delivery.
    pub(super) delivery: Option<String>,
    /// When it was sent.
    pub(super) time: Option<Timestamp>,
    /// What its sender says of it.
    pub(super) attributes: BTreeMap<String, String>,
    /// What it holds.
    pub(super) document: Value,
    /// The message it is where no source knows what it holds; without one, that is a document.
    pub(super) message: Option<Message>,
}

/// Recognises records by their senders, and a message of a topic by its members.
pub(super) fn read(arrival: &Arrival<'_>) -> Result<Option<Meaning>, Rejected> {
    let Arrival::Document(document) = arrival else { return Ok(None) };
    let Some(fields) = Fields::of(document) else { return Ok(None) };
    if let Some(records) = records(document) {
        return Ok(Some(match records {
            [one] => Meaning::Holds(Arrival::Document(one.clone())),
            many => Meaning::HoldsAll(many.to_vec()),
        }));
    }
    let inside = match sender(document) {
        Some(SQS) => of_queue(fields)?,
        Some(SNS) => {
            let missing = || Rejected::malformed("the record of a topic has no message");
            of_topic(fields.object("Sns")?.ok_or_else(missing)?)?
        }
        _ if is_notification(fields) => of_topic(fields)?,
        _ => return Ok(None),
    };
    Ok(Some(Meaning::Holds(Arrival::Enveloped(inside))))
}

/// The records of an invocation, if all of them are of senders that are known.
pub(super) fn records(document: &Value) -> Option<&[Value]> {
    let records = document.get("Records")?.as_array()?;
    let known = |record: &Value| matches!(sender(record), Some(SQS | SNS | S3));
    (!records.is_empty() && records.iter().all(known)).then_some(records)
}

/// The sender of a record; topics spell it differently.
pub(super) fn sender(record: &Value) -> Option<&str> {
    let sender = record.get("eventSource").or_else(|| record.get("EventSource"))?;
    sender.as_str()
}

/// Whether it is what a topic puts into a queue, or posts.
fn is_notification(fields: Fields<'_>) -> bool {
    let is_text = |name: &str| fields.get(name).is_some_and(Value::is_string);
    fields.get("Type").and_then(Value::as_str) == Some("Notification")
        && is_text("TopicArn")
        && is_text("Message")
}

fn of_queue(record: Fields<'_>) -> Result<Enveloped, Rejected> {
    let queue = record.text("eventSourceARN")?.unwrap_or_default();
    let id = record.text("messageId")?.unwrap_or_default();
    let sent = record.object("attributes")?.map(|all| all.int64("SentTimestamp")).transpose()?;
    let named = record.object("messageAttributes")?;
    Ok(Enveloped {
        origin: "sqs",
        identity: Identity(["sqs", queue, id].map(str::to_owned).to_vec()),
        delivery: some(id),
        time: sent.flatten().map(Timestamp::from_millis),
        attributes: named.map(|named| texts(named, "stringValue")).unwrap_or_default(),
        document: parse(record.text("body")?.unwrap_or_default())?,
        message: None,
    })
}

fn of_topic(notification: Fields<'_>) -> Result<Enveloped, Rejected> {
    let topic = notification.text("TopicArn")?.unwrap_or_default();
    let id = notification.text("MessageId")?.unwrap_or_default();
    let named = notification.object("MessageAttributes")?;
    Ok(Enveloped {
        origin: "sns",
        identity: Identity(["sns", topic, id].map(str::to_owned).to_vec()),
        delivery: some(id),
        time: notification.time("Timestamp")?,
        attributes: named.map(|named| texts(named, "Value")).unwrap_or_default(),
        document: parse(notification.text("Message")?.unwrap_or_default())?,
        message: None,
    })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The attributes that are texts, which is all a sender of reports needs.
fn texts(named: Fields<'_>, member: &str) -> BTreeMap<String, String> {
    let text = |name: &str| named.get(name)?.get(member)?.as_str().map(str::to_owned);
    named.names().filter_map(|name| Some((name.to_owned(), text(name)?))).collect()
}

fn parse(text: &str) -> Result<Value, Rejected> {
    json_of_tools(text.as_bytes()).map_err(|_| Rejected::malformed("the message is not JSON"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{event, form_of_json, refusal};
    use super::*;

    fn queued(body: &Value) -> Value {
        let text = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        json!({
            "messageId": "1", "receiptHandle": "r", "body": text, "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:r:1:q", "attributes": {"SentTimestamp": "1520621625029"},
            "messageAttributes": {
                "refit_model": {"stringValue": "churn", "dataType": "String"},
                "n": {"binaryValue": "eA==", "dataType": "Binary"},
            },
        })
    }

    fn noted(body: &Value) -> Value {
        json!({
            "Type": "Notification", "MessageId": "2", "TopicArn": "arn:aws:sns:r:1:t",
            "Message": body.to_string(), "Timestamp": "2026-01-05T12:00:00.000Z",
            "MessageAttributes": {"refit_model": {"Type": "String", "Value": "churn"}},
        })
    }

    #[test]
    fn what_is_inside_is_the_same_fact_in_whatever_envelopes() {
        let inner = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t"});
        let topic = noted(&inner);
        let record = json!({"EventSource": "aws:sns", "Sns": topic.clone()});
        for body in [
            inner.clone(),
            topic.clone(),
            json!({"Records": [record]}),
            json!({"Records": [queued(&inner)]}),
            json!({"Records": [queued(&topic)]}),
            queued(&json!({"Records": [queued(&inner)]})),
        ] {
            let form = form_of_json(&body);
            assert_eq!(event(&form)["identity"], json!(["cloudevent", "/s", "7"]), "{body}");
        }
    }

    #[test]
    fn attributes_of_a_message_name_the_model_and_its_id_tells_reports_apart() {
        let report = json!({"age": {"algorithm": "ks", "drift_category": "DRIFT"}});
        let forms = [queued(&report), noted(&report)].map(|body| form_of_json(&body));
        for form in &forms {
            assert_eq!(event(form)["drift"]["model"]["name"], "churn", "{form}");
        }
        assert_ne!(event(&forms[0])["identity"], event(&forms[1])["identity"]);
        assert_eq!(event(&forms[0])["time"], "2018-03-09T18:53:45.029Z");
        assert_eq!(event(&forms[1])["delivery_id"], "2");
    }

    #[test]
    fn envelopes_that_are_broken_say_how() {
        let cases = [
            (queued(&json!("text")), "400 the message is not JSON"),
            (queued(&json!({"a": 1})), "400 JSON of no known kind"),
            (json!({"EventSource": "aws:sns"}), "400 the record of a topic has no message"),
            (
                json!({"eventSource": "aws:sqs", "body": 5}),
                "400 a member is not a text: name=`body`",
            ),
            (json!({"Records": []}), "400 JSON of no known kind"),
            (json!({"Records": [{"eventSource": "aws:kinesis"}]}), "400 JSON of no known kind"),
        ];
        for (body, expected) in cases {
            let refused = refusal(&form_of_json(&body));
            assert!(refused.starts_with(expected), "{body}: {refused}");
        }
    }

    #[test]
    fn one_bad_record_does_not_take_the_others_with_it() {
        let good = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t"});
        let form = form_of_json(&json!({"Records": [queued(&good), queued(&json!("poison"))]}));
        assert_eq!(form["outcome"], "partial", "{form}");
        assert_eq!(form["events"].as_array().map(Vec::len), Some(1), "{form}");
    }
}
