//! What cannot be understood, kept so that a person can look at it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use refit_core::event::{Event, Fact, Identity, Invalid};
use refit_core::key::sha256_hex;

use super::Delivery;

/// Bytes of it that are kept.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// What the names of headers begin with that say what a body is; no other header is kept, for some hold tokens.
const TELLING: [&str; 2] = ["ce-", "x-goog-pubsub-"];
/// Bytes of headers that are kept.
const HEADERS_BYTES_MAX: usize = 8 * 1024;

/// A delivery that was rejected, as an event: the same body again is the same event.
#[must_use]
pub fn quarantined(delivery: &Delivery<'_>, reason: &str) -> Event {
    let content_type = delivery.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut event = quarantine(content_type.as_deref(), delivery.body, reason);
    if let Fact::Invalid(invalid) = &mut event.fact {
        invalid.headers = telling(delivery.headers);
    }
    event
}

fn telling(headers: &HeaderMap) -> BTreeMap<String, String> {
    let telling = headers
        .iter()
        .filter(|(name, _)| TELLING.iter().any(|start| name.as_str().starts_with(start)));
    let mut left = HEADERS_BYTES_MAX;
    let kept = telling.filter_map(|(name, value)| {
        left = left.checked_sub(name.as_str().len() + value.len())?;
        Some((name.to_string(), value.to_str().ok()?.to_owned()))
    });
    kept.collect()
}

/// The report that an object holds, which cannot be understood, as an event: the same upload is the same event.
#[must_use]
pub fn quarantined_report(upload: &Event, body: &[u8], reason: &str) -> Event {
    let mut event = quarantine(Some("application/json"), body, reason);
    let of_object = upload.identity.0.iter().cloned();
    event.identity = Identity(["invalid".to_owned()].into_iter().chain(of_object).collect());
    event
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

    #[test]
    fn headers_that_say_what_it_is_are_kept_and_no_others() {
        let pairs = [("ce-type", "t"), ("x-goog-pubsub-message-id", "7"), ("authorization", "x")];
        let header = |(name, value): (&'static str, &'static str)| {
            (http::HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let (_, kept) = invalid(&pairs.map(header).into_iter().collect(), b"");
        let names: Vec<&String> = kept.headers.keys().collect();
        assert_eq!(names, ["ce-type", "x-goog-pubsub-message-id"]);
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
