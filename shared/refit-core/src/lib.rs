#![doc = include_str!("../README.md")]

/// Serialises a type as the text it is displayed as and parsed from.
macro_rules! serde_as_text {
    ($($name:ty),*) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
pub(crate) use serde_as_text;

pub mod bloom;
pub mod commit;
pub mod diagnostics;
pub mod drift;
pub mod effect;
pub mod error;
pub mod event;
pub mod expression;
pub mod fold;
pub mod invariants;
pub mod key;
pub mod member;
pub mod memory;
pub mod mutant;
pub mod notice;
pub mod plan;
pub mod policy;
pub mod promotion;
pub mod reason;
pub mod rules;
pub mod run;
pub mod schedule;
pub mod scope;
pub mod sequencer;
pub mod state;
pub mod template;
pub mod time;
pub mod timing;
pub mod transition;
pub mod window;

mod packed;
