//! Deliveries over HTTP: headers, an empty line, a body.

use std::fs;
use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::{DataRef, Event, Fact, Identity, ObjectChange, ObjectKind};
use refit_core::member::Member;
use refit_core::scope::scope_of;
use refit_core::time::Timestamp;
use refit_engine::record::{read_segment, write_segment};
use refit_wire::sample::read_sample;
use refit_wire::source::{
    Delivery, Invocation, Rejected, Secrets, Sender, Understood, quarantined, quarantined_report,
    reports_in, understand,
};

use super::{Outcome, Target, files, texts};

pub(super) const EVENTS: Target =
    Target { name: "events", about: "deliveries, by every source", seeds, give };

/// When the samples are sent.
const NOW: Timestamp = Timestamp::EPOCH;
/// Samples that lie beside the repository on some machines.
const BESIDE: &str = "../../../shared/events-samples";

fn seeds() -> Vec<Vec<u8>> {
    let samples = texts("events", ".http").into_iter().map(|text| {
        let sample = read_sample(&text, NOW).expect("the samples of the repository can be read");
        let headers = sample.headers.iter().flat_map(|(name, value)| {
            [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\n"].concat()
        });
        headers.chain(*b"\n").chain(sample.body).collect()
    });
    samples.chain(beside()).collect()
}

/// The bodies of those samples, as JSON of no stated kind.
fn beside() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(BESIDE);
    let is_body = |name: &str| !name.ends_with(".headers.json") && !name.ends_with(".md");
    let paths = files(&folder).into_iter().filter(|path| is_body(&path.to_string_lossy()));
    let bodies = paths.filter_map(|path| fs::read(path).ok());
    bodies.map(|body| [b"content-type: application/json\n\n", &body[..]].concat()).collect()
}

fn give(input: &[u8]) -> Outcome {
    let end = input.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = end.map_or((&[][..], input), |end| (&input[..end], &input[end + 2..]));
    let headers: HeaderMap = head.split(|byte| *byte == b'\n').filter_map(header).collect();
    let delivery = Delivery { headers: &headers, body };
    check_signature(&delivery);
    check_report(body);
    if let Ok(payload) = serde_json::from_slice(body) {
        check_invocation(&payload, &delivery);
    }
    judge(&delivery)
}

/// What a delivery means, once it was checked.
pub(super) fn judge(delivery: &Delivery<'_>) -> Outcome {
    match understand(delivery) {
        Ok(Understood::Record(events)) => {
            check_events(&events);
            let kinds = events.iter().map(kind).take(3);
            Outcome::Understood(kinds.collect::<Vec<_>>().join("; "))
        }
        Ok(Understood::Ping(ping)) => Outcome::Understood(ping.origin),
        Ok(Understood::Ignore { reason }) => Outcome::Understood(reason),
        Err(rejected) => {
            check_rejected(&rejected, delivery);
            Outcome::Refused(rejected.reason)
        }
    }
}

fn check_rejected(rejected: &Rejected, delivery: &Delivery<'_>) {
    assert!((400..500).contains(&rejected.status), "{rejected:?}");
    check_events(&[quarantined(delivery, &rejected.reason)]);
}

/// Whoever does not know the secret is not let in.
fn check_signature(delivery: &Delivery<'_>) {
    let mut secrets = Secrets::default();
    for sender in Sender::ALL {
        secrets.add(sender, "whsec_bm9ib2R5IHNpZ25zIHdpdGggaXQ=").expect("it is a secret");
    }
    let rejected = secrets.verify(delivery, Some(NOW)).map(drop).expect_err("nobody has signed");
    assert!(rejected.status == 401, "{rejected:?}");
}

/// As the content of an object in the folder of reports.
fn check_report(body: &[u8]) {
    let object =
        DataRef { bucket: "acme".to_owned(), name: "a.json".to_owned(), ..DataRef::default() };
    let upload = Event {
        identity: Identity(vec!["s3".to_owned(), "a.json".to_owned()]),
        origin: "s3.notification".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Object(ObjectChange {
            kind: ObjectKind::Finalized,
            object,
            overwrote: None,
            overwritten_by: None,
        }),
    };
    match reports_in(&upload, body) {
        Ok(reports) => check_events(&reports),
        Err(rejected) => check_events(&[quarantined_report(&upload, body, &rejected.reason)]),
    }
}

/// As the payload of an invocation.
fn check_invocation(payload: &serde_json::Value, delivery: &Delivery<'_>) {
    let understood = match Invocation::of(payload) {
        Invocation::Request(request) => vec![understand(&request.delivery())],
        Invocation::Batch(items) => items.into_iter().map(|item| item.understood).collect(),
        Invocation::Single(understood) => vec![understood],
    };
    for understood in understood {
        match understood {
            Ok(Understood::Record(events)) => check_events(&events),
            Ok(Understood::Ping(_) | Understood::Ignore { .. }) => {}
            Err(rejected) => check_rejected(&rejected, delivery),
        }
    }
}

fn header(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
    Some((HeaderName::from_bytes(&line[..colon]).ok()?, value))
}

/// What an event is, without what is its own.
fn kind(event: &Event) -> String {
    let fields = serde_json::to_value(&event.fact).expect("an event is JSON");
    let names = |value: &serde_json::Value| {
        value
            .as_object()
            .map(|map| map.keys().cloned().collect::<Vec<_>>().join(","))
            .unwrap_or_default()
    };
    let inner = fields.as_object().and_then(|map| map.values().next()).map(names);
    format!("{}: {}: {}", event.origin, names(&fields), inner.unwrap_or_default())
}

/// What intake is given has an identity, and is read back as it was.
fn check_events(events: &[Event]) {
    for event in events {
        assert!(!event.identity.0.is_empty(), "no identity: {event:#?}");
    }
    check_stored(events);
}

/// What is stored is read back as it was, and can be looked at.
pub(super) fn check_stored(events: &[Event]) {
    let stored = write_segment(events);
    let read = read_segment("fuzzed", &stored).expect("what was stored can be read");
    assert!(read == events, "stored and read it is another: {events:#?}");
    for event in events {
        let _ = (event.id(), event.name(), Member::of(event), scope_of(event).is_ok());
    }
}
