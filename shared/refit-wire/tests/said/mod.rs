//! A request, as a recording has it.

use refit_wire::http::{Auth, Request};
use serde_json::Value;

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
