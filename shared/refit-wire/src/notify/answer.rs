//! What the answer of a receiver means.

use refit_core::notice::Receipt;
use refit_core::time::Span;
use serde_json::Value;

use crate::http::{Reply, Response};

/// Characters of what a receiver said that are repeated.
const SAID_MAX: usize = 200;

/// What an answer means where a receiver does as most do: 2xx is taken; what is wrong with the letter itself will
/// stay so; anything else, a credential that does not hold included, may be mended and is tried again. `said` finds
/// in the answer what is worth repeating.
pub(super) fn receipt(reply: Reply, said: fn(&Response) -> Option<String>) -> Receipt {
    let response = match reply {
        Ok(response) => response,
        Err(failure) => return failed(failure.to_string()),
    };
    let said = said(&response).map_or(String::new(), |said| format!("{}: ", cut(&said, SAID_MAX)));
    let message = format!("{said}status=`{}`", response.status);
    match response.status {
        200..300 => Receipt::Delivered,
        400 | 405 | 410 | 413 | 415 | 422 => Receipt::Refused(message),
        _ => Receipt::Failed { after: response.retry_after(), message },
    }
}

/// It is to be sent again.
pub(super) fn failed(message: String) -> Receipt {
    Receipt::Failed { after: None, message }
}

/// Nothing of the answer is repeated.
pub(super) fn silent(_: &Response) -> Option<String> {
    None
}

/// The text at a place of an answer in JSON.
pub(super) fn text_at(response: &Response, pointer: &str) -> Option<String> {
    let body = response.json()?;
    body.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

/// The seconds at a place of an answer in JSON, rounded up.
pub(super) fn seconds_at(response: &Response, pointer: &str) -> Option<Span> {
    let body = response.json()?;
    let seconds = body.pointer(pointer)?.as_f64().filter(|it| (0.0..1e6).contains(it))?;
    #[expect(clippy::cast_possible_truncation, reason = "it is below a million")]
    Some(Span::secs(seconds.ceil() as i64))
}

/// The text, cut to so many characters with a mark of it.
pub(super) fn cut(text: &str, characters: usize) -> String {
    match text.char_indices().nth(characters) {
        None => text.to_owned(),
        Some(_) => text.chars().take(characters - 1).chain(['…']).collect(),
    }
}
