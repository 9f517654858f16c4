//! Answers by signed links: the link, a line end, the form. The secret is known to whoever makes the seeds.

use std::sync::OnceLock;

use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::event::{Command, Fact};
use refit_core::promotion::{Stage, Statement};
use refit_core::time::Timestamp;
use refit_wire::link::{HEADER, Link, ledger_at};
use refit_wire::source::{Delivery, Secrets, Sender, Understood, understand};

use super::events::judge;
use super::{Outcome, Target, first_line};

pub(super) const LINKS: Target =
    Target { name: "links", about: "answers by signed links", seeds, give };

const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn links() -> [Link; 2] {
    let link = |model: &str, stage, until: &str| Link {
        ledger: ledger_at("gs://acme-refit/prod"),
        model: model.to_owned(),
        version: "3".to_owned(),
        stage,
        request: 2,
        person: "ann".to_owned(),
        until: until.parse().expect("it is a time"),
    };
    [
        link("churn", Stage::Production, "2026-11-24T09:30:00Z"),
        link("größe \"x\"", Stage::Staging, "1971-01-01T00:00:00Z"),
    ]
}

/// The links that were ever signed.
fn signed() -> &'static [String] {
    static SIGNED: OnceLock<Vec<String>> = OnceLock::new();
    let token = |link: &Link| link.token(SECRET.as_bytes()).expect("the secret is long enough");
    SIGNED.get_or_init(|| links().iter().map(token).collect())
}

fn seeds() -> Vec<Vec<u8>> {
    let forms = ["decision=approve&reason=it+is+good%21", "decision=reject&reason="];
    let seeds = signed().iter().flat_map(|link| forms.map(|form| format!("{link}\n{form}")));
    seeds.map(String::into_bytes).collect()
}

fn give(input: &[u8]) -> Outcome {
    let (shown, body) = first_line(input);
    let Ok(value) = HeaderValue::from_bytes(shown) else {
        return Outcome::Refused("no header can hold it".to_owned());
    };
    let headers = HeaderMap::from_iter([(HeaderName::from_static(HEADER), value)]);
    let delivery = Delivery { headers: &headers, body };
    let mut secrets = Secrets::default();
    secrets.add(Sender::Link, SECRET).expect("it is a secret");
    match secrets.verify(&delivery, Some(Timestamp::EPOCH)) {
        Ok(_) => {
            let is_ours = signed().iter().any(|link| link.as_bytes() == shown);
            assert!(is_ours, "nobody has signed this link");
            check_said(&delivery);
        }
        Err(rejected) => return Outcome::Refused(rejected.reason),
    }
    judge(&delivery)
}

/// A form says yes or no and why, and nothing else than the link of whom and of what.
fn check_said(delivery: &Delivery<'_>) {
    let Ok(Understood::Record(events)) = understand(delivery) else { return };
    let link = Link::of(delivery.headers).expect("it was verified");
    for event in &events {
        let Fact::Command(Command::Promotion(said)) = &event.fact else { panic!("{event:?}") };
        let Statement { model, version, stage, request, person, .. } = said;
        assert_eq!((model, version, person), (&link.model, &link.version, &link.person));
        assert_eq!((*stage, *request), (Some(link.stage), Some(link.request)));
    }
}
