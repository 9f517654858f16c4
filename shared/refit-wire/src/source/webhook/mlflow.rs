//! MLflow 3: changes of its registry, such as a new version of a model or an alias.
//!
//! A webhook that was set up without a secret is not signed, and is refused. A tag `refit-approve` or `refit-reject` that
//! is set on a version, or an alias of that name that is given to it, is a word on it; who wrote it, MLflow does not say.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use refit_core::event::{Event, Fact, Identity, Message};
use refit_core::promotion::MLFLOW;
use serde_json::Value;

use super::super::fields::Fields;
use super::super::{Delivery, Meaning, Rejected};
use super::words::{self, Written};
use super::{Claim, header, refused, seconds, signed};

/// The route.
const ORIGIN: &str = "mlflow.webhook";
/// What identity, source and types begin with.
const SCHEME: &str = "mlflow";
/// What tags and aliases begin with that are words on a version.
const WORD: &str = "refit-";
/// The workspace of a server that has no other, which is where versions are registered.
const WORKSPACE: &str = "default";
/// The header that names the delivery.
const ID: &str = "x-mlflow-delivery-id";

/// What the signature says: id, time and body.
pub(super) fn claim(delivery: &Delivery<'_>) -> Result<Claim, Rejected> {
    let text = |name: &str| header(delivery.headers, name);
    let signature = text("x-mlflow-signature");
    let signature = signature.ok_or_else(|| refused("the webhook has no signature"))?;
    let signature = signature.strip_prefix("v1,").and_then(|text| STANDARD.decode(text).ok());
    let unread = || refused("the signature cannot be read");
    let signature = signature.ok_or_else(unread)?;
    let (id, time) = text(ID).zip(text("x-mlflow-timestamp")).ok_or_else(unread)?;
    Ok(Claim {
        signed: signed(id, time, delivery.body),
        signatures: vec![signature],
        sent: Some(seconds(time).ok_or_else(unread)?),
        until: None,
    })
}

/// What a delivery says.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Meaning, Rejected> {
    let payload: Value = serde_json::from_slice(delivery.body)
        .map_err(|_| Rejected::malformed("the webhook is not JSON"))?;
    let missing = || Rejected::malformed("the webhook names no entity, action or data");
    let fields = Fields::of(&payload).ok_or_else(missing)?;
    let id = header(delivery.headers, ID);
    let id = id.ok_or_else(|| Rejected::malformed("the webhook has no delivery id"))?;
    let text = |name: &str| fields.text(name)?.ok_or_else(missing);
    let action = format!("{}.{}", text("entity")?, text("action")?);
    let data = fields.object("data")?.ok_or_else(missing)?;
    let workspace = fields.text("workspace")?;
    let written = Written {
        identity: [SCHEME, id].map(str::to_owned).to_vec(),
        origin: ORIGIN,
        time: fields.time("timestamp")?,
        delivery: id.to_owned(),
        person: MLFLOW.to_owned(),
    };
    if workspace.is_none_or(|name| name == WORKSPACE)
        && let Some(command) = word(&action, data, written)?
    {
        return Ok(command);
    }
    let workspace = workspace.map(|name| format!("{SCHEME}/{name}"));
    let message = Message {
        source: workspace.unwrap_or_else(|| SCHEME.to_owned()),
        id: id.to_owned(),
        ty: format!("{SCHEME}.{action}"),
        subject: data.text("name")?.map(str::to_owned),
        attributes: attributes(action, data)?,
        data: fields.get("data").cloned().unwrap_or_default(),
    };
    Ok(Meaning::record(Event {
        identity: Identity([SCHEME, id].map(str::to_owned).to_vec()),
        origin: ORIGIN.to_owned(),
        time: fields.time("timestamp")?,
        delivery: Some(id.to_owned()),
        replay: None,
        fact: Fact::Message(message),
    }))
}

/// The word on a version that a tag or an alias is; nothing where it is another one.
fn word(action: &str, data: Fields<'_>, written: Written) -> Result<Option<Meaning>, Rejected> {
    let (name, rest) = match action {
        "model_version_tag.set" => (data.text("key")?, data.text("value")?),
        "model_version_alias.created" => (data.text("alias")?, None),
        _ => return Ok(None),
    };
    let Some(says) = name.and_then(|name| name.strip_prefix(WORD)) else { return Ok(None) };
    let of = [data.text("name")?, data.text("version")?].into_iter().flatten();
    let words = [says].into_iter().chain(of).chain(rest.unwrap_or_default().split_whitespace());
    let usage = "refit-approve|refit-reject, as a tag with [STAGE] [REASON] or as an alias";
    Ok(Some(words::command(words, usage, written)))
}

/// What rules ask for most, by names that are the same for every entity.
fn attributes(action: String, data: Fields<'_>) -> Result<BTreeMap<String, String>, Rejected> {
    let mut attributes = BTreeMap::from([("action".to_owned(), action)]);
    let named = [("model", "name"), ("version", "version"), ("alias", "alias"), ("run", "run_id")];
    for (name, member) in named {
        let text = data.text(member)?.map(|text| (name.to_owned(), text.to_owned()));
        attributes.extend(text);
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, form, refusal};
    use super::*;

    #[test]
    fn a_change_of_the_registry_is_told_by_its_delivery() {
        let payload = json!({
            "entity": "model_version_alias", "action": "deleted", "workspace": "w",
            "timestamp": "2026-01-05T12:00:00+00:00", "data": {"name": "churn", "alias": "champion"},
        });
        let form = form(&[(ID, "7e1d")], &payload.to_string());
        let event = event(&form);
        assert_eq!(event["identity"], json!(["mlflow", "7e1d"]));
        assert_eq!(event["type"], "mlflow.model_version_alias.deleted");
        assert_eq!(event["source"], "mlflow/w");
        assert_eq!((&event["model"], &event["alias"]), (&json!("churn"), &json!("champion")));
        assert_eq!(event.get("version"), None, "a deleted alias has none");
    }

    /// What a change of the registry of this kind says of a version.
    fn said(entity: &str, action: &str, data: &Value, workspace: Option<&str>) -> Value {
        let payload = json!({
            "entity": entity, "action": action, "workspace": workspace, "data": data,
            "timestamp": "2026-01-05T12:00:00+00:00",
        });
        form(&[(ID, "7e1d")], &payload.to_string())
    }

    #[test]
    fn a_tag_or_an_alias_of_that_name_is_a_word_of_whoever_may_write() {
        let tag = |key: &str, value: &str| json!({"name": "churn", "version": "3", "key": key, "value": value});
        let alias = |alias: &str| json!({"name": "churn", "version": "3", "alias": alias});
        let by_tag =
            |key: &str, value: &str| said("model_version_tag", "set", &tag(key, value), None);
        let form = by_tag("refit-approve", "production looked good");
        let expected = json!({"promotion": {
            "model": "churn", "version": "3", "says": "approve", "stage": "production",
            "person": "mlflow:anybody", "reason": "looked good",
        }});
        assert_eq!(event(&form)["command"], expected);
        assert_eq!(event(&form)["identity"], json!(["mlflow", "7e1d"]));
        let form = said("model_version_alias", "created", &alias("refit-reject"), Some("default"));
        let expected = json!({"promotion": {
            "model": "churn", "version": "3", "says": "reject", "person": "mlflow:anybody",
        }});
        assert_eq!(event(&form)["command"], expected);
        for other in [
            by_tag("stage", "refit-approve"),
            said("model_version_alias", "created", &alias("staging"), None),
            said("model_version_alias", "deleted", &alias("refit-approve"), None),
            said("model_version_tag", "set", &tag("refit-approve", ""), Some("other")),
        ] {
            assert_eq!(event(&other)["kind"], "registry", "{other}");
        }
        assert_eq!(by_tag("refit-promote", "")["outcome"], "ignore");
    }

    #[test]
    fn webhooks_that_are_broken_say_how() {
        let sent = |body: &str| refusal(&form(&[(ID, "1")], body));
        assert_eq!(sent("x"), "400 the webhook is not JSON");
        assert_eq!(sent("{\"entity\": \"e\"}"), "400 the webhook names no entity, action or data");
        assert_eq!(refusal(&form(&[(ID, "")], "{}")), "400 the webhook has no delivery id");
    }
}
