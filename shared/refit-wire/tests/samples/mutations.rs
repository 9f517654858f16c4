//! Broken samples. Whatever arrives is understood or rejected, and what is understood is within the limits.

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::{Event, Fact};
use refit_core::time::Timestamp;
use refit_wire::source::{
    Delivery, Invocation, Rejected, Secrets, Sender, Understood, quarantined, quarantined_report,
    reports_in, understand,
};
use serde_json::Value;

use crate::{own, shared};

/// Mutations of each sample.
const MUTATIONS: u64 = 1_000;
/// How many of them come by every other way as well.
const OTHER_WAYS: u64 = MUTATIONS / 20;

/// A small generator of numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next()).unwrap() % limit.max(1)
    }
}

/// Breaks a request once in one of several ways.
fn mutate(headers: &mut HeaderMap, body: &mut Vec<u8>, numbers: &mut Numbers) {
    let at = numbers.below(body.len());
    match numbers.below(7) {
        0 if !body.is_empty() => body[at] ^= 1 << numbers.below(8),
        1 => body.truncate(at),
        2 => {
            let end = (at + numbers.below(64)).min(body.len());
            let slice = body[at..end].to_vec();
            body.splice(at..at, slice);
        }
        3 => {
            let end = (at + numbers.below(16)).min(body.len());
            body.drain(at..end);
        }
        4 if !body.is_empty() => {
            body[at] = *b"\"{}[]:,0-e\\\0\xff".get(numbers.below(13)).unwrap_or(&b' ');
        }
        5 => drop_header(headers, numbers),
        _ => change_header(headers, numbers),
    }
}

fn any_header(headers: &HeaderMap, numbers: &mut Numbers) -> Option<HeaderName> {
    headers.keys().nth(numbers.below(headers.keys_len())).cloned()
}

fn drop_header(headers: &mut HeaderMap, numbers: &mut Numbers) {
    if let Some(name) = any_header(headers, numbers) {
        headers.remove(name);
    }
}

fn change_header(headers: &mut HeaderMap, numbers: &mut Numbers) {
    let Some(name) = any_header(headers, numbers) else { return };
    let mut value = headers[&name].as_bytes().to_vec();
    let at = numbers.below(value.len());
    match numbers.below(3) {
        0 if !value.is_empty() => value[at] ^= 1 << numbers.below(8),
        1 => value.truncate(at),
        _ => value.splice(at..at, *b"%C3%28").for_each(drop),
    }
    if let Ok(value) = HeaderValue::from_bytes(&value) {
        headers.insert(name, value);
    }
}

/// What holds of any delivery by the other ways in: as a webhook, as a file, as an invocation.
fn check_other_ways(delivery: &Delivery<'_>, upload: &Event) {
    check_signature(delivery);
    check_report(upload, delivery.body);
    if let Ok(payload) = serde_json::from_slice(delivery.body) {
        check_invocation(&payload, delivery);
    }
}

/// Nobody has signed, so nobody is let in, whatever is said.
fn check_signature(delivery: &Delivery<'_>) {
    let mut secrets = Secrets::default();
    for sender in Sender::ALL {
        let secret = if sender == Sender::Standard {
            "whsec_AAAA"
        } else {
            "nobody-signs-with-it-and-it-is-long"
        };
        secrets.add(sender, secret).unwrap();
    }
    let rejected = secrets.verify(delivery, Some(Timestamp::EPOCH)).map(drop).unwrap_err();
    assert_eq!(rejected.status, 401, "{rejected:?}");
}

fn check_report(upload: &Event, body: &[u8]) {
    match reports_in(upload, body) {
        Ok(events) if events.is_empty() => {}
        Ok(events) => {
            assert!(events.iter().any(|event| matches!(event.fact, Fact::Drift(_))), "{events:?}");
            check_events(events);
        }
        Err(rejected) => {
            check_rejected(&rejected);
            check_events(vec![quarantined_report(upload, body, &rejected.reason)]);
        }
    }
}

fn check_invocation(payload: &Value, delivery: &Delivery<'_>) {
    match Invocation::of(payload) {
        Invocation::Request(request) => check_understood(understand(&request.delivery()), delivery),
        Invocation::Batch(items) => {
            for item in items {
                check_understood(item.understood, delivery);
            }
        }
        Invocation::Single(understood) => check_understood(understood, delivery),
    }
}

fn check_rejected(rejected: &Rejected) {
    assert!((400..500).contains(&rejected.status), "{rejected:?}");
    assert!(!rejected.reason.is_empty() && rejected.reason.len() < 1_000, "{rejected:?}");
}

fn check_understood(understood: Result<Understood, Rejected>, delivery: &Delivery<'_>) {
    match understood {
        Ok(Understood::Record(events)) => check_events(events),
        Ok(Understood::Ping(_) | Understood::Ignore { .. }) => {}
        Err(rejected) => {
            check_rejected(&rejected);
            check_events(vec![quarantined(delivery, &rejected.reason)]);
        }
    }
}

fn check_events(events: Vec<Event>) {
    assert!((1..=1_000).contains(&events.len()));
    for event in events {
        assert!(event.identity.0.len() >= 2, "{event:?}");
        assert!(!event.identity.0[1..].iter().all(String::is_empty), "{event:?}");
        let stored = serde_json::to_string(&event).unwrap();
        let read: Event = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, event, "what is stored is read back");
    }
}

/// The object that a report lies in.
fn upload() -> Event {
    let samples = own::samples();
    let (_, sample) =
        samples.iter().find(|(path, _)| path.ends_with("s3/notification.http")).unwrap();
    match understand(&sample.delivery()) {
        Ok(Understood::Record(mut events)) => events.remove(0),
        other => panic!("{other:?}"),
    }
}

/// A sample as the URL of a function hands it over.
fn by_url(headers: &HeaderMap, body: &[u8]) -> Vec<u8> {
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|(name, value)| (name.to_string(), text(value).into())).collect();
    let payload = serde_json::json!({
        "version": "2.0", "rawPath": "/", "rawQueryString": "a=1", "headers": headers,
        "requestContext": {"http": {"method": "POST"}},
        "body": String::from_utf8_lossy(body), "isBase64Encoded": false,
    });
    payload.to_string().into_bytes()
}

/// A sample as a queue hands it over.
fn by_queue(body: &[u8]) -> Vec<u8> {
    let record = serde_json::json!({
        "eventSource": "aws:sqs", "messageId": "1", "body": String::from_utf8_lossy(body),
    });
    serde_json::json!({"Records": [record, record]}).to_string().into_bytes()
}

fn check_mutations(headers: &HeaderMap, body: &[u8], upload: &Event) {
    for (body, mutations) in [
        (body.to_vec(), MUTATIONS),
        (by_url(headers, body), OTHER_WAYS),
        (by_queue(body), OTHER_WAYS),
    ] {
        mutations_of(headers, &body, mutations, upload);
    }
}

fn mutations_of(headers: &HeaderMap, body: &[u8], mutations: u64, upload: &Event) {
    let mut numbers = Numbers(body.len() as u64);
    for number in 0..mutations {
        let (mut headers, mut body) = (headers.clone(), body.to_vec());
        for _ in 0..=numbers.below(3) {
            mutate(&mut headers, &mut body, &mut numbers);
        }
        let delivery = Delivery { headers: &headers, body: &body };
        check_understood(understand(&delivery), &delivery);
        if number < OTHER_WAYS {
            check_other_ways(&delivery, upload);
        }
    }
}

#[test]
fn broken_samples_are_understood_or_rejected() {
    let upload = upload();
    for (_, sample) in own::samples() {
        check_mutations(&sample.headers, &sample.body, &upload);
    }
}

#[test]
fn broken_shared_samples_are_understood_or_rejected() {
    let upload = upload();
    for sample in shared::samples("broken_shared_samples_are_understood_or_rejected") {
        check_mutations(&sample.headers, &sample.body, &upload);
    }
}
