//! Members of JSON objects, read with reasons that name the member and never show its value.

use std::collections::BTreeMap;

use refit_core::time::Timestamp;
use serde_json::{Map, Value};

use super::Rejected;

/// The members of a JSON object; one that is null is absent.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The members of a value, if it is an object.
    pub(super) fn of(value: &'a Value) -> Option<Self> {
        value.as_object().map(Self)
    }

    /// The names of all members.
    pub(super) fn names(self) -> impl Iterator<Item = &'a str> {
        self.0.keys().map(String::as_str)
    }

    /// Any member.
    pub(super) fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A text.
    pub(super) fn text(self, name: &str) -> Result<Option<&'a str>, Rejected> {
        self.read(name, "a text", Value::as_str)
    }

    /// An object.
    pub(super) fn object(self, name: &str) -> Result<Option<Self>, Rejected> {
        self.read(name, "an object", Fields::of)
    }

    /// A 64-bit integer, which JSON of Google spells as a number or as a text.
    pub(super) fn int64(self, name: &str) -> Result<Option<i64>, Rejected> {
        self.read(name, "an integer", |value| match value {
            Value::Number(number) => number.as_i64(),
            Value::String(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        })
    }

    /// A time.
    pub(super) fn time(self, name: &str) -> Result<Option<Timestamp>, Rejected> {
        self.read(name, "an RFC 3339 time", |value| value.as_str()?.parse().ok())
    }

    /// An object whose members are texts.
    pub(super) fn texts(self, name: &str) -> Result<BTreeMap<String, String>, Rejected> {
        let texts = self.read(name, "an object of texts", |value| {
            let members = value.as_object()?.iter();
            members.map(|(key, text)| Some((key.clone(), text.as_str()?.to_owned()))).collect()
        })?;
        Ok(texts.unwrap_or_default())
    }

    fn read<T>(
        self,
        name: &str,
        kind: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Rejected> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let wrong = || Rejected::malformed(format!("a member is not {kind}: name=`{name}`"));
        read(value).map(Some).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_64_bit_integer_is_a_number_or_a_text_and_never_rounded() {
        let cases = [
            (json!(1_587_627_537_231_057_i64), Some(1_587_627_537_231_057)),
            (json!("1587627537231057"), Some(1_587_627_537_231_057)),
            (json!("9223372036854775807"), Some(i64::MAX)),
            (json!(18_446_744_073_709_551_615_u64), None),
            (json!(1.5), None),
            (json!(1e30), None),
            (json!(""), None),
            (json!("12 "), None),
            (json!(true), None),
            (json!([1]), None),
        ];
        for (value, expected) in cases {
            let object = json!({"generation": value});
            let read = Fields::of(&object).unwrap().int64("generation");
            assert_eq!(read.ok().flatten(), expected, "{object}");
        }
    }

    #[test]
    fn a_member_that_is_null_is_absent_and_one_of_another_kind_is_named() {
        let object = json!({"a": null, "b": 5, "c": {"d": 5}});
        let fields = Fields::of(&object).unwrap();
        assert_eq!(fields.text("a").unwrap(), None);
        let reasons = [
            fields.text("b").map(drop),
            fields.object("b").map(drop),
            fields.time("b").map(drop),
            fields.texts("c").map(drop),
        ];
        let reasons = reasons.map(|result| result.unwrap_err().reason);
        assert_eq!(
            reasons,
            [
                "a member is not a text: name=`b`",
                "a member is not an object: name=`b`",
                "a member is not an RFC 3339 time: name=`b`",
                "a member is not an object of texts: name=`c`",
            ]
        );
    }
}
