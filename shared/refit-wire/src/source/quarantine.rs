//! What cannot be understood, kept so that a person can look at it.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use refit_core::event::{Event, Fact, Identity, Invalid};
use refit_core::key::sha256_hex;

use super::Delivery;
use super::pubsub::{HOP, message_in};

/// Bytes of it that are kept.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What the names of headers begin with that say what a body is.
const TELLING: [&str; 2] = ["ce-", "x-goog-pubsub-"];
/// Headers that are not of the fact but of the way it went.
const TRACES: [&str; 2] = ["ce-traceparent", "ce-tracestate"];
/// The subscription and the id of a message that came without its wrapper, whose attributes are headers of any name.
const MESSAGE: [&str; 2] = ["x-goog-pubsub-subscription-name", "x-goog-pubsub-message-id"];
/// What is in the names of headers that may hold what nobody else is to know.
const SECRET: [&str; 12] = [
    "assertion",
    "authentic",
    "authoriz",
    "x-auth",
    "cookie",
    "credential",
    "jwt",
    "key-id",
    "api-key",
    "password",
    "secret",
    "token",
];
/// Bytes of headers that are kept.
const HEADERS_BYTES_MAX: usize = 64 * 1024;

/// A delivery that was rejected, as an event: the same message, or else the same body again is the same event, if the
/// headers that say what it is are the same.
#[must_use]
pub fn quarantined(delivery: &Delivery<'_>, reason: &str) -> Event {
    let content_type = delivery.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut event = quarantine(content_type.as_deref(), delivery.body, reason);
    if let Some(message) = message_in(delivery.body) {
        // The bytes of its wrapper are other ones with every delivery, as they count these.
        let [subscription, id] = message;
        event.identity =
            Identity(vec!["invalid".to_owned(), "pubsub".to_owned(), subscription, id]);
    }
    event.identity.0.extend(which(delivery.headers));
    if let Fact::Invalid(invalid) = &mut event.fact {
        invalid.headers = telling(delivery.headers).unwrap_or_default();
    }
    event
}

/// What tells bodies apart that are equal: the message, or all that is said of a CloudEvent.
fn which(headers: &HeaderMap) -> Vec<String> {
    if headers.contains_key(MESSAGE[1]) {
        let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        return MESSAGE.map(|name| text(name).unwrap_or_default().into_owned()).to_vec();
    }
    let of_event = headers.iter().filter(|(name, _)| {
        name.as_str().starts_with(TELLING[0]) && !TRACES.contains(&name.as_str())
    });
    let said: BTreeSet<(&str, &[u8])> =
        of_event.map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
    let said: Vec<u8> = said
        .into_iter()
        .flat_map(|(name, value)| [name.as_bytes(), b"\0", value, b"\0"].concat())
        .collect();
    if said.is_empty() { Vec::new() } else { vec![sha256_hex(&said)] }
}

/// The headers that say what a body is: all of them or, where one cannot be kept as it is, none, as a part of them might
/// say something else.
fn telling(headers: &HeaderMap) -> Option<BTreeMap<String, String>> {
    let is_message = headers.contains_key(MESSAGE[1]);
    let is_telling = |name: &str| match is_message {
        true => !HOP.contains(&name) && !SECRET.iter().any(|word| name.contains(word)),
        false => TELLING.iter().any(|start| name.starts_with(start)),
    };
    let (mut left, mut kept) = (HEADERS_BYTES_MAX, BTreeMap::new());
    for (name, value) in headers.iter().filter(|(name, _)| is_telling(name.as_str())) {
        left = left.checked_sub(name.as_str().len() + value.len())?;
        let text = std::str::from_utf8(value.as_bytes()).ok()?.to_owned();
        if kept.insert(name.to_string(), text).is_some() {
            return None;
        }
    }
    Some(kept)
}

/// The report that an object holds, which cannot be understood, as an event: the same upload is the same event.
#[must_use]
pub fn quarantined_report(upload: &Event, body: &[u8], reason: &str) -> Event {
    let mut event = quarantine(Some("application/json"), body, reason);
    let of_object = upload.identity.0.iter().cloned();
    event.identity = Identity(["invalid".to_owned()].into_iter().chain(of_object).collect());
    event
}

/// The identity of the upload that a report in quarantine lies in, with which of several there it is; nothing where it
/// came otherwise.
#[must_use]
pub fn upload_of(quarantined: &Identity) -> Option<Identity> {
    let [first, place @ ..] = quarantined.0.as_slice() else { return None };
    let is_object = matches!(place.first().map(String::as_str), Some("gs" | "s3"));
    (first == "invalid" && is_object).then(|| Identity(place.to_vec()))
}

/// Something that was rejected, as an event.
pub(super) fn quarantine(content_type: Option<&str>, body: &[u8], reason: &str) -> Event {
    let head = &body[..body.len().min(HEAD_BYTES_MAX)];
    let invalid = Invalid {
        reason: reason.to_owned(),
        content_type: content_type.map(super::shown),
        size: body.len() as u64,
        head: STANDARD.encode(head),
        headers: BTreeMap::new(),
    };
    Event {
        identity: Identity(vec!["invalid".to_owned(), sha256_hex(body)]),
        origin: "unknown".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Invalid(invalid),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::ATTRIBUTE_BYTES_MAX;
    use super::*;

    fn invalid(headers: &HeaderMap, body: &[u8]) -> (Event, Invalid) {
        let event = quarantined(&Delivery { headers, body }, "no reason");
        let Fact::Invalid(invalid) = event.fact.clone() else { panic!("{event:?}") };
        (event, invalid)
    }

    #[test]
    fn the_same_poison_again_is_the_same_event() {
        let headers = HeaderMap::new();
        let [first, again, other] =
            [b"one", b"one", b"two"].map(|body| invalid(&headers, body).0.id());
        assert_eq!(first, again);
        assert_ne!(first, other);
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(http::HeaderName::from_static(name), value);
        }
        headers
    }

    fn kept(pairs: &[(&'static str, &str)]) -> Vec<String> {
        invalid(&headers(pairs), b"").1.headers.into_keys().collect()
    }

    #[test]
    fn headers_that_say_what_it_is_are_kept_and_no_others() {
        let event = [("ce-type", "t"), ("authorization", "x"), ("host", "h"), ("bucketid", "b")];
        assert_eq!(kept(&event), ["ce-type"]);
    }

    #[test]
    fn of_a_message_without_a_wrapper_every_attribute_is_kept_and_nothing_that_may_be_secret() {
        let pairs = [
            ("x-goog-pubsub-message-id", "7"),
            ("eventtype", "OBJECT_FINALIZE"),
            ("objectid", "März"),
            ("x-goog-custom", "x"),
            ("authorization", "Bearer x"),
            ("proxy-authorization", "Bearer x"),
            ("x-serverless-authorization", "Bearer x"),
            ("x-forwarded-authorization", "Bearer x"),
            ("cookie", "x"),
            ("set-cookie", "x"),
            ("x-goog-iap-jwt-assertion", "x"),
            ("x-amz-security-token", "x"),
            ("x-api-key", "x"),
            ("x-client-secret", "x"),
            ("host", "h"),
            ("traceparent", "x"),
        ];
        let expected = ["eventtype", "objectid", "x-goog-custom", "x-goog-pubsub-message-id"];
        assert_eq!(kept(&pairs), expected);
    }

    #[test]
    fn headers_that_cannot_all_be_kept_as_they_are_are_not_kept_in_part() {
        let message = ("x-goog-pubsub-message-id", "7");
        let long = "x".repeat(HEADERS_BYTES_MAX);
        assert!(kept(&[message, ("table", "orders"), ("note", &long)]).is_empty());
        assert!(kept(&[("ce-type", "t"), ("ce-x", "1"), ("ce-x", "2")]).is_empty());
        let mut broken = headers(&[message]);
        broken.insert("table", HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(invalid(&broken, b"").1.headers.is_empty());
    }

    #[test]
    fn equal_bodies_are_two_entries_where_the_headers_say_two_things() {
        let id =
            |pairs: &[(&'static str, &str)], body: &[u8]| invalid(&headers(pairs), body).0.id();
        let message = |id: &'static str, name: &'static str, trace: &'static str| {
            [("x-goog-pubsub-message-id", id), ("objectid", name), ("traceparent", trace)]
        };
        let first = id(&message("7", "a", "1"), b"");
        assert_eq!(first, id(&message("7", "a", "2"), b""), "delivered again");
        assert_ne!(first, id(&message("8", "b", "1"), b""));
        let event = |id: &'static str, trace: &'static str| {
            [("ce-type", "t"), ("ce-id", id), ("ce-traceparent", trace), ("traceparent", trace)]
        };
        let first = id(&event("7", "1"), b"{}");
        assert_eq!(first, id(&event("7", "2"), b"{}"), "delivered again");
        assert_ne!(first, id(&event("8", "1"), b"{}"));
        assert_ne!(first, id(&[], b"{}"));
    }

    #[test]
    fn a_message_in_its_wrapper_is_one_entry_however_often_it_is_delivered() {
        let id = |message: &str, subscription: &str, attempt: u32| {
            let body = serde_json::json!({
                "message": {"data": "~!@", "messageId": message, "message_id": message},
                "subscription": subscription, "deliveryAttempt": attempt,
            });
            invalid(&HeaderMap::new(), body.to_string().as_bytes()).0.id()
        };
        let first = id("7", "projects/p/subscriptions/s", 1);
        assert_eq!(first, id("7", "projects/p/subscriptions/s", 2), "delivered again");
        assert_ne!(first, id("8", "projects/p/subscriptions/s", 1));
        assert_ne!(first, id("7", "projects/p/subscriptions/t", 1));
        assert_ne!(id("", "s", 1), id("", "s", 2), "a message that has no id is its bytes");
        let long = "7".repeat(ATTRIBUTE_BYTES_MAX + 1);
        assert_ne!(id(&long, "s", 1), id(&long, "s", 2), "so is one whose id is none");
    }

    #[test]
    fn only_the_first_bytes_are_kept() {
        let (_, kept) = invalid(&HeaderMap::new(), &vec![b'x'; HEAD_BYTES_MAX + 1]);
        assert_eq!(kept.size, HEAD_BYTES_MAX as u64 + 1);
        assert_eq!(STANDARD.decode(kept.head).unwrap().len(), HEAD_BYTES_MAX);
    }

    #[test]
    fn a_content_type_of_any_bytes_can_be_kept() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"text/\xff").unwrap();
        headers.insert(http::header::CONTENT_TYPE, value);
        let (_, kept) = invalid(&headers, b"");
        assert_eq!(kept.content_type.as_deref(), Some("text/\u{fffd}"));
    }
}
