//! Standard Webhooks 1.0: `{"type": …, "timestamp": …, "data": …}` with three headers. What the body holds may be
//! known to another source, such as a drift report or a CloudEvent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use refit_core::event::{Identity, Message};
use serde_json::Value;

use super::super::aws::Enveloped;
use super::super::{Arrival, Delivery, Meaning, Rejected};
use super::{Claim, header, refused, seconds, signed};

/// What a secret begins with.
const PREFIX: &str = "whsec_";
/// What a signature begins with; others are of versions that are not read.
const VERSION: &str = "v1,";
/// The route, and the type of a body that names none.
const ORIGIN: &str = "webhook";

/// The key of a secret.
pub(super) fn key(secret: &str) -> Result<Vec<u8>, String> {
    let Some(encoded) = secret.strip_prefix(PREFIX) else { return Ok(secret.as_bytes().to_vec()) };
    let key = STANDARD.decode(encoded).ok().filter(|key| !key.is_empty());
    key.ok_or_else(|| format!("what follows `{PREFIX}` is not base64"))
}

/// What the signatures say: id, time and body. One of them has to hold.
pub(super) fn claim(delivery: &Delivery<'_>) -> Result<Claim, Rejected> {
    let text = |name: &str| header(delivery.headers, name);
    let list = text("webhook-signature").ok_or_else(|| refused("the webhook has no signature"))?;
    let ours = list.split_whitespace().filter_map(|one| one.strip_prefix(VERSION));
    let signatures: Vec<Vec<u8>> = ours.filter_map(|text| STANDARD.decode(text).ok()).collect();
    let unread = || refused("the signature cannot be read");
    if signatures.is_empty() {
        return Err(unread());
    }
    let (id, time) = text("webhook-id").zip(text("webhook-timestamp")).ok_or_else(unread)?;
    let sent = Some(seconds(time).ok_or_else(unread)?);
    Ok(Claim { signed: signed(id, time, delivery.body), signatures, sent, until: None })
}

/// What a delivery says.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Meaning, Rejected> {
    let document: Value = serde_json::from_slice(delivery.body)
        .map_err(|_| Rejected::malformed("the webhook is not JSON"))?;
    let id = header(delivery.headers, "webhook-id");
    let id = id.ok_or_else(|| Rejected::malformed("the webhook has no id"))?;
    let text = |name: &str| document.get(name).and_then(Value::as_str);
    let sent = header(delivery.headers, "webhook-timestamp").and_then(seconds);
    let message = Message {
        source: ORIGIN.to_owned(),
        id: id.to_owned(),
        ty: text("type").filter(|ty| !ty.is_empty()).unwrap_or(ORIGIN).to_owned(),
        subject: None,
        data: document.get("data").unwrap_or(&document).clone(),
        attributes: BTreeMap::new(),
    };
    Ok(Meaning::Holds(Arrival::Enveloped(Enveloped {
        origin: ORIGIN,
        identity: Identity([ORIGIN, id].map(str::to_owned).to_vec()),
        delivery: Some(id.to_owned()),
        time: text("timestamp").and_then(|text| text.parse().ok()).or(sent),
        attributes: BTreeMap::new(),
        document,
        message: Some(message),
    })))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::tests::{event, form, refusal};
    use super::*;

    fn sent(body: &Value) -> Value {
        form(&[("webhook-id", "msg_1"), ("webhook-timestamp", "1767614400")], &body.to_string())
    }

    #[test]
    fn a_body_is_a_message_or_what_another_source_knows() {
        let form = sent(&json!({"type": "order.placed", "data": {"n": 1}}));
        let message = event(&form);
        assert_eq!(message["identity"], json!(["webhook", "msg_1"]));
        assert_eq!(
            (&message["type"], &message["data"]),
            (&json!("order.placed"), &json!({"n": 1}))
        );
        assert_eq!(message["time"], "2026-01-05T12:00:00Z");
        let report = json!({"age": {"algorithm": "ks", "drift_category": "DRIFT"}});
        assert_eq!(event(&sent(&report))["kind"], "drift");
        let cloud = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t"});
        assert_eq!(event(&sent(&cloud))["identity"], json!(["cloudevent", "/s", "7"]));
    }

    #[test]
    fn webhooks_that_are_broken_say_how() {
        assert_eq!(refusal(&form(&[("webhook-id", "1")], "x")), "400 the webhook is not JSON");
        assert_eq!(refusal(&form(&[("webhook-id", "")], "{}")), "400 the webhook has no id");
    }
}
