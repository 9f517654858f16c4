//! Things of a service, as a rule refers to them.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

/// Something of a service, by the name people gave it or by its id: `churn`, or `{ id: 3f2a… }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// By name.
    Name(String),
    /// By id.
    Id(String),
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct ById {
    id: String,
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NameOrId)
    }
}

struct NameOrId;

impl<'de> Visitor<'de> for NameOrId {
    type Value = Reference;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name, or `{ id: … }`")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Reference, E> {
        match name.is_empty() {
            false => Ok(Reference::Name(name.to_owned())),
            true => Err(E::custom("a name is missing")),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Reference, A::Error> {
        let ById { id } = ById::deserialize(MapAccessDeserializer::new(map))?;
        match id.is_empty() {
            false => Ok(Reference::Id(id)),
            true => Err(A::Error::custom("an id is missing")),
        }
    }
}

impl JsonSchema for Reference {
    fn schema_name() -> Cow<'static, str> {
        Cow::Borrowed("Reference")
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A name, or an id as `{ id: … }`.",
            "anyOf": [
                { "type": "string", "minLength": 1 },
                {
                    "type": "object",
                    "properties": { "id": { "type": "string", "minLength": 1 } },
                    "required": ["id"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json};

    use super::*;

    #[test]
    fn a_reference_is_a_name_or_an_id() {
        let name = Reference::Name("churn".to_owned());
        assert_eq!(from_value::<Reference>(json!("churn")).unwrap(), name);
        let id = Reference::Id("7".to_owned());
        assert_eq!(from_value::<Reference>(json!({"id": "7"})).unwrap(), id);
        for bad in [json!(""), json!({"id": ""}), json!({"name": "x"}), json!({}), json!(7)] {
            assert!(from_value::<Reference>(bad.clone()).is_err(), "{bad}");
        }
    }
}
