//! What expressions may look at.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::drift;
use crate::event::{DataRef, Event, Fact};
use crate::expression::Scope;
use crate::key::RunKey;
use crate::member::{Firing, Member};
use crate::notice::Notice;
use crate::promotion::StageEntry;
use crate::run::BatchFacts;

/// Variables of `when` and `batch.by` of a trigger on objects.
pub const OBJECT_VARIABLES: &[&str] = &["event", "object"];
/// Variables of `when` and `batch.by` of a trigger on messages alone.
pub const MESSAGE_VARIABLES: &[&str] = &["event"];
/// Variables of `when` and `batch.by` of a trigger on drift alone.
pub const DRIFT_VARIABLES: &[&str] = &["event", "drift"];
/// Variables of `when` and `batch.by` of a trigger on objects and on drift.
pub const OBJECT_AND_DRIFT_VARIABLES: &[&str] = &["event", "object", "drift"];
/// Variables of parameters.
pub const RUN_VARIABLES: &[&str] = &["batch", "run", "trigger"];
/// Variables of parameters where every event is a batch of its own.
pub const EACH_VARIABLES: &[&str] = &["batch", "run", "trigger", "member"];

/// Variables of `when` of a trigger on models.
pub const MODEL_VARIABLES: &[&str] = &["event", "model"];
/// Variables of parameters of a trigger on models.
pub const MODEL_RUN_VARIABLES: &[&str] = &["batch", "run", "trigger", "member", "model"];
/// Variables of the words of a notice.
pub const NOTICE_VARIABLES: &[&str] = &["notice"];

/// The fields a variable may have.
#[must_use]
pub fn fields_of(variable: &str) -> &'static [&'static str] {
    match variable {
        "event" => &["attributes", "data", "id", "source", "subject", "time", "type"],
        "object" => &[
            "bucket",
            "checksum",
            "content_type",
            "created",
            "generation",
            "metadata",
            "name",
            "size",
            "uri",
        ],
        "drift" => &[
            "current",
            "detector",
            "findings",
            "model",
            "objective",
            "profile",
            "raw",
            "reference",
            "severity",
            "summary",
            "verdict",
            "window",
        ],
        "batch" => &["bytes", "count", "key", "manifest", "prefix", "uris"],
        "run" => &["claim", "key"],
        "trigger" => &["name"],
        "notice" => &[
            "at", "attempt", "batch", "count", "id", "key", "kind", "ledger", "manifest",
            "message", "model", "run", "service", "stage", "trigger", "until", "url", "version",
            "what",
        ],
        "member" => &[
            "checksum",
            "created",
            "drift",
            "event",
            "firing",
            "generation",
            "message",
            "model",
            "size",
            "uri",
        ],
        "model" => &["name", "run", "stage", "times", "uri", "version"],
        _ => &[],
    }
}

/// The scope of `when` and `batch.by`.
///
/// # Errors
/// The event is too large to look at.
pub fn scope_of(event: &Event) -> Result<Scope, String> {
    let object = match &event.fact {
        Fact::Object(change) => Some(object_value(&change.object)),
        Fact::Message(_) | Fact::Drift(_) | Fact::Command(_) | Fact::Invalid(_) => None,
    };
    let drift = match &event.fact {
        Fact::Drift(report) => Some(json!(report)),
        Fact::Object(_) | Fact::Message(_) | Fact::Command(_) | Fact::Invalid(_) => None,
    };
    let variables = [("event", Some(event_value(event))), ("object", object), ("drift", drift)];
    let present = variables.into_iter().filter_map(|(name, value)| Some((name, value?)));
    Scope::new(present.collect())
}

/// The scope of `when` and `batch.by` for a time of a schedule.
///
/// # Errors
/// None for any firing there is; the same as of [`scope_of`].
pub fn scope_of_firing(trigger: &str, firing: &Firing) -> Result<Scope, String> {
    let event = json!({
        "type": "dev.refit.schedule.v1", "id": firing.slot.id(trigger).to_string(),
        "source": trigger, "subject": firing.slot.civil, "time": firing.slot.at.to_string(),
    });
    Scope::new(BTreeMap::from([("event", event)]))
}

/// The scope of `when` for a version of a model that was given a stage.
///
/// # Errors
/// None for any entry there is; the same as of [`scope_of`].
pub fn scope_of_entry(trigger: &str, entry: &StageEntry) -> Result<Scope, String> {
    let event = json!({
        "type": "dev.refit.model.v1", "id": entry.id(trigger).to_string(),
        "source": trigger, "subject": format!("{}/{}", entry.name, entry.version),
    });
    Scope::new(BTreeMap::from([("event", event), ("model", json!(entry))]))
}

/// The scope of the words of a notice. What a notice does not say is empty there.
///
/// # Errors
/// None for any notice there is; the same as of [`scope_of`].
pub fn notice_scope(ledger: &str, notice: &Notice) -> Result<Scope, String> {
    let mut value =
        json!(fields_of("notice").iter().map(|name| (*name, "")).collect::<BTreeMap<_, _>>());
    let said = json!(notice);
    for (name, field) in said.as_object().into_iter().flatten() {
        value[name] = field.clone();
    }
    value["ledger"] = json!(ledger);
    value["what"] = json!(notice.kind.text());
    Scope::new(BTreeMap::from([("notice", value)]))
}

/// What the parameters of a run are made from.
#[derive(Clone, Copy, Debug)]
pub struct RunFacts<'a> {
    /// The trigger.
    pub trigger: &'a str,
    /// The key of the batch.
    pub key: &'a str,
    /// The URI of the manifest.
    pub manifest: &'a str,
    /// What is in it.
    pub facts: &'a BatchFacts,
    /// The members, where the parameters look at them.
    pub members: Option<&'a [Member]>,
    /// The identity of the attempt.
    pub run: RunKey,
    /// What its guard is to create; none where it has no guard.
    pub claim: Option<&'a str>,
}

impl RunFacts<'_> {
    /// The scope of parameters.
    ///
    /// # Errors
    /// There are too many members to be looked at.
    pub fn scope(&self) -> Result<Scope, String> {
        let mut batch = json!({
            "manifest": self.manifest,
            "count": self.facts.count,
            "bytes": self.facts.bytes,
            "key": self.key,
            "prefix": self.facts.prefix,
        });
        let (mut member, mut model) = (None, None);
        if let Some(members) = self.members {
            let uris: Vec<&str> =
                members.iter().filter_map(|member| member.uri.as_deref()).collect();
            batch["uris"] = json!(uris);
            member = members.first().map(|member| json!(member));
            model = members.first().and_then(|member| member.model.as_ref()).map(|it| json!(it));
        }
        let mut variables = BTreeMap::from([
            ("batch", batch),
            ("run", json!({"key": self.run.to_string(), "claim": self.claim.unwrap_or_default()})),
            ("trigger", json!({"name": self.trigger})),
        ]);
        variables.extend(member.map(|member| ("member", member)));
        variables.extend(model.map(|model| ("model", model)));
        Scope::new(variables)
    }
}

/// The variable `object`.
fn object_value(object: &DataRef) -> Value {
    let optional = [
        ("generation", object.generation.as_ref().map(|text| json!(text))),
        ("size", object.size.map(|size| json!(size))),
        ("checksum", object.checksum.as_ref().map(|text| json!(text))),
        ("content_type", object.content_type.as_ref().map(|text| json!(text))),
        ("created", object.created.map(|time| json!(time.to_string()))),
    ];
    let mut value = json!({
        "bucket": object.bucket,
        "name": object.name,
        "uri": object.uri(),
        "metadata": object.metadata,
    });
    for (name, field) in optional.into_iter().filter_map(|(name, field)| Some((name, field?))) {
        value[name] = field;
    }
    value
}

/// The variable `event`.
fn event_value(event: &Event) -> Value {
    let mut value = match &event.fact {
        Fact::Message(message) => json!({
            "type": message.ty, "source": message.source, "id": message.id,
            "data": message.data, "attributes": message.attributes,
        }),
        Fact::Object(change) => json!({
            "type": change.kind.name(), "id": event.id().to_string(), "subject": change.object.name,
            "source": format!("{}://{}", change.object.scheme, change.object.bucket),
        }),
        Fact::Drift(report) => json!({
            "type": drift::TYPE, "id": event.id().to_string(), "subject": report.name(),
            "source": report.detector.tool,
        }),
        Fact::Command(_) | Fact::Invalid(_) => json!({"id": event.id().to_string()}),
    };
    if let Fact::Message(message) = &event.fact
        && let Some(subject) = &message.subject
    {
        value["subject"] = json!(subject);
    }
    if let Some(time) = event.time {
        value["time"] = json!(time.to_string());
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Identity, Message, ObjectChange, ObjectKind};
    use crate::promotion::Stage;
    use crate::schedule::Slot;
    use crate::state::BatchId;
    use crate::time::Timestamp;

    fn event(fact: Fact) -> Event {
        Event {
            identity: Identity(vec!["a".into()]),
            origin: String::new(),
            time: Some(Timestamp::EPOCH),
            delivery: None,
            replay: None,
            fact,
        }
    }

    fn check(value: &Value, variable: &str) {
        let known: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
        assert_eq!(known, fields_of(variable), "{variable}");
    }

    #[test]
    fn the_fields_named_are_the_fields_given() {
        let object = DataRef {
            generation: Some("1".into()),
            size: Some(1),
            checksum: Some("md5:x".into()),
            content_type: Some("text/csv".into()),
            created: Some(Timestamp::EPOCH),
            ..DataRef::default()
        };
        check(&object_value(&object), "object");
        let message = Message { subject: Some("s".into()), ..Message::default() };
        check(&event_value(&event(Fact::Message(message.clone()))), "event");
        let kind = ObjectKind::Finalized;
        let change = ObjectChange { kind, object, overwritten_by: None, overwrote: None };
        let change = event(Fact::Object(change));
        let of_object = event_value(&change);
        let known = of_object.as_object().unwrap().keys();
        assert!(known.into_iter().all(|key| fields_of("event").contains(&key.as_str())));
        let member =
            Member { message: Some(message), ..Member::of(&change).expect("an object is data") };
        let slot = Slot { at: Timestamp::EPOCH, civil: String::new() };
        let firing = Some(Firing { schedule: String::new(), slot });
        let entry = StageEntry {
            name: "m".into(),
            version: "1".into(),
            stage: Stage::Staging,
            times: 1,
            uri: String::new(),
            run: BatchId { seq: 1, index: 0 },
        };
        check(&json!(entry), "model");
        let model = Some(entry);
        let member = Member { drift: Some(Box::default()), firing, model, ..member };
        check(&json!(member), "member");
    }
}
