//! What was said to a service, as a recording has it.

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use refit_wire::http::{Auth, Failure, Reply, Request, Response};
use serde_json::Value;

/// An answer: a status, headers, and the body on the lines after.
pub(crate) fn reply(text: &str) -> Reply {
    let (line, body) = text.split_once('\n').unwrap_or((text, ""));
    let mut words = line.split(' ');
    let status = match words.next() {
        Some("lost") => return Err(Failure::Unclear("the connection was reset".to_owned())),
        Some("refused") => return Err(Failure::NotSent("the connection was refused".to_owned())),
        status => status.and_then(|status| status.parse().ok()).expect("a status"),
    };
    let headers = words.map(|word| {
        let (name, value) = word.split_once('=').expect("a header");
        let name: HeaderName = name.parse().expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    });
    let headers = headers.collect();
    Ok(Response { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) })
}

/// A request: its line, the credential it names, and its body.
pub(crate) fn shown(request: &Request) -> String {
    let mut text = format!("{} {}", request.method, request.url);
    if request.auth != Auth::None {
        text.push_str(&format!(" {:?}", request.auth));
    }
    if !request.body.is_empty() {
        let body: Value = serde_json::from_slice(&request.body).expect("a body is JSON");
        text.push_str(&format!("\n{body:#}"));
    }
    text
}
