//! What an envelope carries: JSON where it is JSON, else text, else bytes.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::Rejected;

/// The attribute that says that data is base64 of bytes that are no text.
pub(crate) const DATA_ENCODING: &str = "datacontentencoding";

/// What an envelope carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Payload {
    /// JSON; null where there is nothing.
    Json(Value),
    /// Text.
    Text(String),
    /// Bytes that are no text.
    Bytes(Vec<u8>),
}

impl Payload {
    /// Bytes whose media type is declared, or is not: then they are not taken for JSON.
    pub(super) fn declared(bytes: Vec<u8>, content_type: Option<&str>) -> Result<Self, Rejected> {
        if bytes.is_empty() {
            return Ok(Self::Json(Value::Null));
        }
        if !content_type.is_some_and(is_json) {
            return Ok(Self::text_or_bytes(bytes));
        }
        let wrong = |_| Rejected::malformed("the data is declared as JSON and is not");
        serde_json::from_slice(&bytes).map(Self::Json).map_err(wrong)
    }

    /// Bytes whose media type nobody declares: a JSON object or list is taken for what it looks like.
    pub(super) fn guessed(bytes: Vec<u8>) -> Self {
        match serde_json::from_slice(&bytes) {
            Ok(json @ (Value::Object(_) | Value::Array(_))) => Self::Json(json),
            Ok(Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) | Err(_) => {
                Self::text_or_bytes(bytes)
            }
        }
    }

    /// As it is stored in a message; bytes are marked as such among its attributes.
    pub(super) fn into_data(self, attributes: &mut BTreeMap<String, String>) -> Value {
        match self {
            Self::Json(value) => value,
            Self::Text(text) => Value::String(text),
            Self::Bytes(bytes) => {
                attributes.insert(DATA_ENCODING.to_owned(), "base64".to_owned());
                Value::String(STANDARD.encode(bytes))
            }
        }
    }

    fn text_or_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) if text.is_empty() => Self::Json(Value::Null),
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(error.into_bytes()),
        }
    }
}

/// Reads JSON as tools of Python write it: a bare `NaN` or `Infinity`, which is none, is taken for null.
pub fn json_of_tools(bytes: &[u8]) -> serde_json::Result<Value> {
    serde_json::from_slice(bytes).or_else(|error| {
        let text = std::str::from_utf8(bytes).map_err(|_| error)?;
        serde_json::from_str(&without_bare_words(text))
    })
}

/// The text with null for what is no number, outside of strings.
fn without_bare_words(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut rest) = (false, false, text);
    while let Some(next) = rest.chars().next() {
        let word = ["-Infinity", "Infinity", "NaN"].into_iter().find(|it| rest.starts_with(it));
        if let Some(word) = word.filter(|_| !in_string) {
            plain.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        in_string ^= next == '"' && !escaped;
        escaped = in_string && next == '\\' && !escaped;
        plain.push(next);
        rest = &rest[next.len_utf8()..];
    }
    plain
}

/// Decodes standard base64.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>, Rejected> {
    STANDARD.decode(text).map_err(|_| Rejected::malformed("the data is not base64"))
}

/// A content type without its parameters, in lower case.
pub(super) fn media_type(content_type: &str) -> String {
    let (media, _) = content_type.split_once(';').unwrap_or((content_type, ""));
    media.trim().to_ascii_lowercase()
}

/// Whether a content type declares JSON: `*/json` or `*/*+json`.
pub(super) fn is_json(content_type: &str) -> bool {
    let media = media_type(content_type);
    let subtype = media.split_once('/').map_or("", |(_, subtype)| subtype);
    subtype == "json" || subtype.ends_with("+json")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn json_is_what_is_declared_as_json() {
        let cases = [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/vnd.example+json", true),
            ("text/json ;q=1", true),
            ("json", false),
            ("application/jsonl", false),
            ("text/plain", false),
        ];
        for (content_type, expected) in cases {
            assert_eq!(is_json(content_type), expected, "{content_type}");
        }
    }

    #[test]
    fn data_without_a_declared_type_is_json_only_where_it_is_an_object_or_a_list() {
        let cases: [(&[u8], Payload); 7] = [
            (b"{\"a\":1}", Payload::Json(json!({"a": 1}))),
            (b"[1]", Payload::Json(json!([1]))),
            (b"12", Payload::Text("12".to_owned())),
            (b"null", Payload::Text("null".to_owned())),
            (b"", Payload::Json(Value::Null)),
            (b"{", Payload::Text("{".to_owned())),
            (b"\xff", Payload::Bytes(vec![0xff])),
        ];
        for (bytes, expected) in cases {
            assert_eq!(Payload::guessed(bytes.to_vec()), expected);
        }
    }

    #[test]
    fn what_is_no_number_is_null_outside_of_strings() {
        let read = |text: &str| json_of_tools(text.as_bytes()).ok();
        let text = r#"{"a": NaN, "b": [-Infinity, Infinity], "NaN": "x\"NaN\\", "c": NaN}"#;
        let expected = json!({"a": null, "b": [null, null], "NaN": "x\"NaN\\", "c": null});
        assert_eq!(read(text), Some(expected));
        assert_eq!(read("{\"a\": Na}"), None);
        assert_eq!(json_of_tools(b"\xff").ok(), None);
    }

    #[test]
    fn declared_json_must_be_json_and_undeclared_json_stays_text() {
        let json = Some("application/json");
        assert!(Payload::declared(b"{".to_vec(), json).is_err());
        assert_eq!(Payload::declared(b"\"a\"".to_vec(), json).unwrap(), Payload::Json(json!("a")));
        let text = Payload::Text("{}".to_owned());
        assert_eq!(Payload::declared(b"{}".to_vec(), None).unwrap(), text);
    }

    #[test]
    fn json_nested_deeper_than_128_is_not_read() {
        let deep = |depth: usize| [vec![b'['; depth], vec![b']'; depth]].concat();
        let json = Some("application/json");
        assert!(Payload::declared(deep(127), json).is_ok());
        assert!(Payload::declared(deep(129), json).is_err());
        assert!(matches!(Payload::guessed(deep(100_000)), Payload::Text(_)));
    }

    #[test]
    fn bytes_that_are_no_text_are_marked() {
        let mut attributes = BTreeMap::new();
        let data = Payload::Bytes(vec![0xff]).into_data(&mut attributes);
        assert_eq!(data, json!("/w=="));
        assert_eq!(attributes, BTreeMap::from([(DATA_ENCODING.into(), "base64".into())]));
    }
}
