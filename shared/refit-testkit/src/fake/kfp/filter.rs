//! Filters of listings, decoded once more than the rest of the query.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use super::runs::Wrong;
use crate::fake::server::Request;

/// The conditions of a filter: keys and the values they are to have.
pub(super) struct Filter(Vec<(String, String)>);

impl Filter {
    /// Reads the filter of a request, whose operator goes by that name.
    pub(super) fn read(request: &Request, operator: &str) -> Result<Self, Wrong> {
        let Some(text) = request.query("filter").filter(|text| !text.is_empty()) else {
            return Ok(Self(Vec::new()));
        };
        let text = unescape(text).ok_or_else(|| Wrong::input("failed to decode the filter"))?;
        let filter: Value =
            serde_json::from_str(&text).map_err(|_| Wrong::input("failed to parse the filter"))?;
        let predicates = filter["predicates"].as_array().cloned().unwrap_or_default();
        let conditions = predicates.iter().map(|predicate| condition(predicate, operator));
        conditions.collect::<Option<_>>().map(Self).ok_or_else(|| {
            Wrong::input("only predicates of EQUALS, a key and a string_value are understood here")
        })
    }

    /// Whether something whose name goes by that key is wanted.
    pub(super) fn wants(&self, key: &str, name: &str) -> bool {
        self.0.iter().all(|(wanted, value)| wanted == key && value == name)
    }
}

fn condition(predicate: &Value, operator: &str) -> Option<(String, String)> {
    let text = |field: &str| predicate[field].as_str().map(str::to_owned);
    let equals = predicate[operator] == "EQUALS" && predicate.as_object()?.len() == 3;
    Some((text("key")?, text("string_value")?)).filter(|_| equals)
}

/// What the server's own decoding makes of a text that was decoded before.
fn unescape(text: &str) -> Option<String> {
    let broken = text.split('%').skip(1).any(|rest| {
        !rest.as_bytes().get(..2).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    });
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8().ok()?;
    (!broken).then(|| decoded.into_owned())
}
