//! What senders ask before they send events: whether anybody wants them. An answer lets nobody in.

use ::http::header::ALLOW;
use ::http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::source::Delivery;

/// The type of the event by which Azure Event Grid asks, where it does not speak CloudEvents.
pub(crate) const VALIDATION: &str = "Microsoft.EventGrid.SubscriptionValidationEvent";
/// The header that says so as well, and what it says.
const KIND: (&str, &str) = ("aeg-event-type", "SubscriptionValidation");
/// Bytes of a code that is repeated.
const CODE_BYTES_MAX: usize = 256;

/// The headers that tell a sender of CloudEvents that it may send, as often as it likes; none to one that does not say
/// who it is.
#[must_use]
pub fn permission(asked: &HeaderMap) -> Option<HeaderMap> {
    let origin = asked.get("webhook-request-origin")?.clone();
    Some(HeaderMap::from_iter([
        (ALLOW, HeaderValue::from_static("POST")),
        (HeaderName::from_static("webhook-allowed-origin"), origin),
        (HeaderName::from_static("webhook-allowed-rate"), HeaderValue::from_static("*")),
    ]))
}

/// What Event Grid is answered where it asks by an event: the code in it, which shows that somebody reads its events.
#[must_use]
pub fn validation(delivery: &Delivery<'_>) -> Option<Value> {
    let (header, kind) = KIND;
    delivery.headers.get(header).filter(|value| *value == kind)?;
    let events: Value = serde_json::from_slice(delivery.body).ok()?;
    let [event] = events.as_array()?.as_slice() else { return None };
    let code = event.pointer("/data/validationCode")?.as_str()?;
    let is_asked = event["eventType"] == VALIDATION && code.len() <= CODE_BYTES_MAX;
    is_asked.then(|| json!({ "validationResponse": code }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(HeaderName::from_static(name), HeaderValue::from_static(value))])
    }

    #[test]
    fn a_sender_that_says_who_it_is_may_send() {
        let allowed =
            permission(&headers("webhook-request-origin", "eventgrid.azure.net")).unwrap();
        assert_eq!(allowed["webhook-allowed-origin"], "eventgrid.azure.net");
        assert_eq!(allowed["webhook-allowed-rate"], "*");
        assert_eq!(permission(&headers("origin", "https://example.com")), None);
    }

    #[test]
    fn the_code_is_repeated_to_event_grid_and_nothing_else_is() {
        let event =
            |ty: &str, code: &str| json!({"eventType": ty, "data": {"validationCode": code}});
        let asked = event(VALIDATION, "512d");
        let long = event(VALIDATION, &"1".repeat(CODE_BYTES_MAX + 1));
        let other = event("Microsoft.Storage.BlobCreated", "512d");
        let answer = |kind, body: &Value| {
            let (headers, body) = (headers(KIND.0, kind), body.to_string());
            validation(&Delivery { headers: &headers, body: body.as_bytes() })
        };
        let told = Some(json!({"validationResponse": "512d"}));
        assert_eq!(answer(KIND.1, &json!([asked])), told);
        assert_eq!(answer("Notification", &json!([asked])), None);
        for body in [json!([]), json!({}), json!([asked, asked]), json!([long]), json!([other])] {
            assert_eq!(answer(KIND.1, &body), None, "{body}");
        }
    }
}
