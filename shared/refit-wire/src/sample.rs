//! Samples of deliveries as text files: a request line, headers, an empty line and the body.
//!
//! `${now}` stands for the time the sample is read at, `${micros}` for the same in microseconds since 1970, which
//! is how generations of objects look, `${seconds}` in seconds, as headers of webhooks tell it; a length of time may
//! be added or taken off, as in `${now-5m}`. In a body that is JSON, `{"$base64": ...}` stands for what it holds, encoded.
//! Lines that begin with `#` before the empty line are comments.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::time::{Span, Timestamp};
use serde_json::Value;

use crate::source::Delivery;

/// The member whose value is encoded.
const BASE64: &str = "$base64";

/// A delivery as it would arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The path it is posted to.
    pub path: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

impl Sample {
    /// The sample as a delivery.
    #[must_use]
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery { headers: &self.headers, body: &self.body }
    }
}

/// Reads a sample as it would be sent at `now`.
///
/// # Errors
/// The text is not of the form described above; the message says where.
pub fn read_sample(text: &str, now: Timestamp) -> Result<Sample, String> {
    let text = fill(&text.replace("\r\n", "\n"), now)?;
    let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end_matches('\n'), ""));
    let mut lines = head.lines().filter(|line| !line.starts_with('#'));
    let first = lines.next().unwrap_or_default();
    let path = first.strip_prefix("POST ").filter(|path| path.starts_with('/'));
    let path = path.ok_or_else(|| format!("not a line such as POST /: line=`{first}`"))?;
    let headers = lines.map(header).collect::<Result<HeaderMap, String>>()?;
    let body = body.strip_suffix('\n').unwrap_or(body);
    Ok(Sample { path: path.to_owned(), headers, body: encode(body)? })
}

fn header(line: &str) -> Result<(HeaderName, HeaderValue), String> {
    let wrong = || format!("not a header: line=`{line}`");
    let (name, value) = line.split_once(':').ok_or_else(wrong)?;
    let name = name.parse().map_err(|_| wrong())?;
    Ok((name, HeaderValue::from_bytes(value.trim().as_bytes()).map_err(|_| wrong())?))
}

/// Puts values in the place of `${...}`.
fn fill(text: &str, now: Timestamp) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, tail) = after.split_once('}').ok_or("a placeholder has no end: start=`${`")?;
        filled.push_str(before);
        filled.push_str(&value_of(name, now)?);
        rest = tail;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn value_of(placeholder: &str, now: Timestamp) -> Result<String, String> {
    let at = placeholder.find(['-', '+']).unwrap_or(placeholder.len());
    let (name, shift) = placeholder.split_at(at);
    let time = match shift.split_at_checked(1) {
        None => now,
        Some(("-", span)) => now - span.parse::<Span>()?,
        Some((_, span)) => now + span.parse::<Span>()?,
    };
    match name {
        "now" => Ok(time.to_string()),
        "micros" => Ok(format!("{}000", time.as_millis())),
        "seconds" => Ok((time.as_millis() / 1000).to_string()),
        _ => Err(format!("not a placeholder such as now or micros: name=`{name}`")),
    }
}

/// A body without anything to encode is taken as it is, whatever it is.
fn encode(body: &str) -> Result<Vec<u8>, String> {
    if !body.contains(BASE64) {
        return Ok(body.as_bytes().to_vec());
    }
    let value: Value = serde_json::from_str(body)
        .map_err(|error| format!("the body is not JSON: {error}: member=`{BASE64}`"))?;
    Ok(encoded(value).to_string().into_bytes())
}

/// The innermost is encoded first.
fn encoded(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.into_iter().map(|(name, value)| (name, encoded(value)));
            let members: serde_json::Map<String, Value> = members.collect();
            match members.get(BASE64) {
                Some(Value::String(text)) => Value::String(STANDARD.encode(text)),
                Some(other) => Value::String(STANDARD.encode(other.to_string())),
                None => Value::Object(members),
            }
        }
        Value::Array(elements) => Value::Array(elements.into_iter().map(encoded).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Sample, String> {
        read_sample(text, "2026-01-05T12:00:00Z".parse().unwrap())
    }

    #[test]
    fn a_sample_is_a_request_with_comments() {
        let sample = read("# what it shows\nPOST /object\nA-b: c: d\n\n{\"x\": 1}\n\ny\n").unwrap();
        assert_eq!(sample.path, "/object");
        assert_eq!(sample.headers.get("a-b").unwrap(), "c: d");
        assert_eq!(sample.body, b"{\"x\": 1}\n\ny");
        assert_eq!(read("POST /\nA: b\n").unwrap().body, b"");
        assert_eq!(read("POST /\r\nA: b\r\n\r\nx").unwrap().body, b"x");
    }

    #[test]
    fn placeholders_are_times_around_now() {
        let filled = |text: &str| read(&format!("POST /\n\n{text}")).map(|sample| sample.body);
        let cases = [
            ("${now}", "2026-01-05T12:00:00.000Z"),
            ("${now-5m}|${now+1d}", "2026-01-05T11:55:00.000Z|2026-01-06T12:00:00.000Z"),
            ("${micros}", "1767614400000000"),
            ("${micros-1ms}", "1767614399999000"),
            ("${seconds+1s}", "1767614401"),
            ("$now {}", "$now {}"),
        ];
        for (text, expected) in cases {
            assert_eq!(filled(text), Ok(expected.as_bytes().to_vec()), "{text}");
        }
        for text in ["${now", "${then}", "${now-}", "${now-5}", "${}"] {
            assert!(filled(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_to_be_encoded_is_encoded_from_the_inside_out() {
        let body = |text: &str| read(&format!("POST /\n\n{text}")).map(|sample| sample.body);
        let text = body(r#"{"a": [{"$base64": "b"}]}"#).unwrap();
        assert_eq!(text, br#"{"a":["Yg=="]}"#);
        let nested = body(r#"{"$base64": {"c": {"$base64": {"d": 1}}}}"#).unwrap();
        let outer: String = serde_json::from_slice(&nested).unwrap();
        assert_eq!(STANDARD.decode(outer).unwrap(), br#"{"c":"eyJkIjoxfQ=="}"#);
        assert!(body(r#"{"$base64": "#).is_err());
    }

    #[test]
    fn what_is_no_sample_is_refused_with_its_line() {
        for text in ["", "GET /\n\n", "POST x\n\n", "POST /\nno header\n\n", "POST /\na b: c\n\n"] {
            assert!(read(text).unwrap_err().contains("line=`"), "{text}");
        }
    }
}
