//! What callers show of themselves: ID tokens with the keys of their issuer, and the headers that name a trace.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use http::header::{AUTHORIZATION, CACHE_CONTROL};
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_engine::port::Transport;
use refit_host::environment::Oidc;
use refit_host::oidc::{Refused, Tokens};
use refit_host::trace::{TRACEPARENT, Trace};
use refit_testkit::clock::ManualClock;
use refit_wire::http::{Reply, Request, Response};
use serde_json::Value;

use super::{Outcome, Target};

pub(super) const TOKENS: Target =
    Target { name: "tokens", about: "ID tokens and the keys of their issuer", seeds, give };
pub(super) const TRACES: Target =
    Target { name: "traces", about: "headers that name a trace", seeds: traces, give: give_trace };

/// A token, and the answer of its issuer with the key it was signed with, which is in no file.
const TOKEN: &str = include_str!("../../testdata/token.json");
/// When it holds.
const NOW: &str = "2026-01-05T12:00:00Z";

fn seeds() -> Vec<Vec<u8>> {
    vec![TOKEN.as_bytes().to_vec()]
}

/// An issuer that gives one answer.
struct Issuer(Response);

#[async_trait]
impl Transport for Issuer {
    async fn send(&self, _: Request) -> Reply {
        Ok(self.0.clone())
    }
}

fn tokens(read: &Value) -> Tokens {
    let cache = read["cache"].as_str().and_then(|text| HeaderValue::from_str(text).ok());
    let headers = cache.into_iter().map(|value| (CACHE_CONTROL, value)).collect();
    let issuer = Issuer(Response { status: 200, headers, body: read["set"].to_string().into() });
    let accounts = BTreeSet::from(["push@acme.iam.gserviceaccount.com".to_owned()]);
    let settings = Oidc {
        audience: "https://object.example".to_owned(),
        accounts: BTreeMap::from([("/".to_owned(), accounts)]),
        keys: "https://keys.example/certs".parse().expect("it is a URL"),
    };
    let clock = ManualClock::new(NOW.parse().expect("it is a time"));
    Tokens::new(settings, Arc::new(issuer), Arc::new(clock))
}

/// No other token lets anybody in, whatever the keys.
fn give(input: &[u8]) -> Outcome {
    let refused = |why: &str| Outcome::Refused(why.to_owned());
    let Ok(read) = serde_json::from_slice::<Value>(input) else { return refused("no JSON") };
    let token = read["token"].as_str().unwrap_or_default();
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {token}")) else {
        return refused("no header can hold it");
    };
    let headers = HeaderMap::from_iter([(AUTHORIZATION, value)]);
    let tokens = tokens(&read);
    let verified = tokens.verify(&headers, "/").now_or_never().expect("the issuer answers at once");
    match verified {
        Ok(()) => {
            let good: Value = serde_json::from_str(TOKEN).expect("the seed is JSON");
            assert_eq!(good["token"], token.trim(), "nobody has signed this token");
            Outcome::Understood("a caller".to_owned())
        }
        Err(Refused::Unknown(why)) => refused(why),
        Err(other) => refused(&format!("{other:?}")),
    }
}

fn traces() -> Vec<Vec<u8>> {
    let texts = [
        "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "traceparent: 01-0af7651916cd43dd8448eb211c80319c-?",
        "x-cloud-trace-context: 0af7651916cd43dd8448eb211c80319c/17;o=1",
        "x-cloud-trace-context: 0af7651916cd43dd8448eb211c80319c",
    ];
    texts.map(|text| text.as_bytes().to_vec()).to_vec()
}

/// A trace is digits, and what is handed on names the same one.
fn give_trace(input: &[u8]) -> Outcome {
    let header = |line: &[u8]| {
        let at = line.windows(2).position(|pair| pair == b": ")?;
        let value = HeaderValue::from_bytes(&line[at + 2..]).ok()?;
        Some((HeaderName::from_bytes(&line[..at]).ok()?, value))
    };
    let headers: HeaderMap = input.split(|byte| *byte == b'\n').filter_map(header).collect();
    let Some(trace) = Trace::of(&headers) else { return Outcome::Refused("none".to_owned()) };
    let is_id = trace.id.len() == 32 && trace.id.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(is_id, "no id: {trace:?}");
    if let Some(parent) = &trace.parent {
        let handed_on = [(HeaderName::from_static(TRACEPARENT), parent.clone())];
        assert_eq!(Trace::of(&HeaderMap::from_iter(handed_on)), Some(trace.clone()));
    }
    Outcome::Understood(format!("a place in it: {}", trace.parent.is_some()))
}
