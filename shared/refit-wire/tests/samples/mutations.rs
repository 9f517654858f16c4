//! Broken samples. Whatever arrives is understood or rejected, and what is understood is within the limits.

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::Event;
use refit_wire::source::{Delivery, Understood, quarantined, understand};

use crate::{own, shared};

/// Mutations of each sample.
const MUTATIONS: u64 = 2_000;

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

/// What holds of any delivery.
fn check(delivery: &Delivery<'_>) {
    let events = match understand(delivery) {
        Ok(Understood::Record(events)) => events,
        Ok(Understood::Ping(_) | Understood::Ignore { .. }) => return,
        Err(rejected) => {
            assert!((400..500).contains(&rejected.status), "{rejected:?}");
            assert!(!rejected.reason.is_empty() && rejected.reason.len() < 1_000, "{rejected:?}");
            vec![quarantined(delivery, &rejected.reason)]
        }
    };
    assert!((1..=1_000).contains(&events.len()));
    for event in events {
        assert!(event.identity.0.len() >= 2, "{event:?}");
        assert!(!event.identity.0[1..].iter().all(String::is_empty), "{event:?}");
        let stored = serde_json::to_string(&event).unwrap();
        let read: Event = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, event, "what is stored is read back");
    }
}

fn check_mutations(headers: &HeaderMap, body: &[u8]) {
    let mut numbers = Numbers(body.len() as u64);
    for _ in 0..MUTATIONS {
        let (mut headers, mut body) = (headers.clone(), body.to_vec());
        for _ in 0..=numbers.below(3) {
            mutate(&mut headers, &mut body, &mut numbers);
        }
        check(&Delivery { headers: &headers, body: &body });
    }
}

#[test]
fn broken_samples_are_understood_or_rejected() {
    for (_, sample) in own::samples() {
        check_mutations(&sample.headers, &sample.body);
    }
}

#[test]
fn broken_shared_samples_are_understood_or_rejected() {
    for sample in shared::samples("broken_shared_samples_are_understood_or_rejected") {
        check_mutations(&sample.headers, &sample.body);
    }
}
