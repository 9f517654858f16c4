//! MLflow 3: changes of its registry, such as a new version of a model or an alias.
//!
//! A webhook that was set up without a secret is not signed, and is refused.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use refit_core::event::{Event, Fact, Identity, Message};
use serde_json::Value;

use super::super::fields::Fields;
use super::super::{Delivery, Meaning, Rejected};
use super::{Claim, header, refused, seconds, signed};

/// The route.
const ORIGIN: &str = "mlflow.webhook";
/// What identity, source and types begin with.
const SCHEME: &str = "mlflow";
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
    let workspace = fields.text("workspace")?.map(|name| format!("{SCHEME}/{name}"));
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

    #[test]
    fn webhooks_that_are_broken_say_how() {
        let sent = |body: &str| refusal(&form(&[(ID, "1")], body));
        assert_eq!(sent("x"), "400 the webhook is not JSON");
        assert_eq!(sent("{\"entity\": \"e\"}"), "400 the webhook names no entity, action or data");
        assert_eq!(refusal(&form(&[(ID, "")], "{}")), "400 the webhook has no delivery id");
    }
}
