//! Values that know where they stand.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::document::NodeId;

/// The name under which a [`Located`] asks the reader for its place.
pub(super) const LOCATED: &str = "$located";
/// The name under which the reader is asked to hand on a map, and to read anything else.
pub(super) const EITHER: &str = "$either";

/// What a name, of a trigger or a service, looks like.
pub(super) const NAME_PATTERN: &str = "^[a-z0-9][a-z0-9-]{0,62}$";

/// A value with its place; without the value where it does not fit, which is noted then.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located<T> {
    /// Where it stands.
    pub(super) at: NodeId,
    /// The value.
    pub(super) value: Option<T>,
}

/// One, or a list of them.
#[derive(Clone, Debug)]
pub(super) struct OneOrMany<T>(pub(super) Vec<Located<T>>);

/// Values by name, in the order of the file.
#[derive(Clone, Debug)]
pub(super) struct Named<T>(pub(super) Vec<(Located<String>, Located<T>)>);

/// The value of a setting that is given and fits, and its place.
pub(super) fn given<T>(setting: &Option<Located<T>>) -> Option<(&T, NodeId)> {
    let setting = setting.as_ref()?;
    setting.value.as_ref().map(|value| (value, setting.at))
}

/// The entries of a map that is given and fits; none where it is not.
pub(super) fn named<T>(setting: &Option<Located<Named<T>>>) -> &[(Located<String>, Located<T>)] {
    given(setting).map(|(Named(all), _)| all.as_slice()).unwrap_or_default()
}

/// The text of a setting that is given and fits; no text where it is not.
pub(super) fn text(setting: &Option<Located<String>>) -> &str {
    given(setting).map(|(text, _)| text.as_str()).unwrap_or_default()
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Located<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Place<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Place<T> {
            type Value = Located<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a node of a document")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Located<T>, A::Error> {
                let at = NodeId(seq.next_element()?.unwrap_or_default());
                // What does not fit was noted by the reader.
                let value = seq.next_element().unwrap_or_default();
                Ok(Located { at, value })
            }
        }

        deserializer.deserialize_tuple_struct(LOCATED, 2, Place(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("one map, or a list of them")
            }

            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                one: D,
            ) -> Result<Self::Value, D::Error> {
                Ok(OneOrMany(vec![Located::deserialize(one)?]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut many: A) -> Result<Self::Value, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = many.next_element()? {
                    all.push(one);
                }
                Ok(OneOrMany(all))
            }
        }

        deserializer.deserialize_newtype_struct(EITHER, Either(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Names<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of named entries")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(one) = map.next_entry()? {
                    all.push(one);
                }
                Ok(Named(all))
            }
        }

        deserializer.deserialize_map(Names(PhantomData))
    }
}

impl<T: JsonSchema> JsonSchema for Located<T> {
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Named{}", T::schema_name()).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "pattern": NAME_PATTERN },
            "additionalProperties": generator.subschema_for::<T>(),
        })
    }
}
