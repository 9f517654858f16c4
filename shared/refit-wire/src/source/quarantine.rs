//! What cannot be understood, kept so that a person can look at it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use refit_core::event::{Event, Fact, Identity, Invalid};
use refit_core::key::sha256_hex;

use super::Delivery;

/// Bytes of it that are kept.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// A delivery that was rejected, as an event: the same body again is the same event.
#[must_use]
pub fn quarantined(delivery: &Delivery<'_>, reason: &str) -> Event {
    let content_type = delivery.headers.get(http::header::CONTENT_TYPE);
    let content_type = content_type.map(|value| String::from_utf8_lossy(value.as_bytes()));
    quarantine(content_type.as_deref(), delivery.body, reason)
}

/// Something that was rejected, as an event.
pub(super) fn quarantine(content_type: Option<&str>, body: &[u8], reason: &str) -> Event {
    let head = &body[..body.len().min(HEAD_BYTES_MAX)];
    let invalid = Invalid {
        reason: reason.to_owned(),
        content_type: content_type.map(super::shown),
        size: body.len() as u64,
        head: STANDARD.encode(head),
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
    use http::{HeaderMap, HeaderValue};

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
