//! Any program that reads JSON from a topic of Pub/Sub.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::webhook::{read, told};
use super::{About, Notifier, Sending, Settings, Telling};
use crate::outgoing::{Outgoing, Publish};

/// A topic of Pub/Sub.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PubSub")]
pub struct Config {
    /// The topic, `projects/P/topics/T`.
    topic: String,
}

#[derive(Debug)]
struct PubSub(String);

impl Settings for Config {
    const ABOUT: About = About {
        sends: "the JSON of `webhook` to a topic, by the function's service account",
        id: "`id`, and the attribute `refit-id`",
        limit: "none",
        refused: "a topic that takes no such message",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        check_topic(&self.topic)?;
        Ok(Box::new(PubSub(self.topic.clone())))
    }
}

impl Notifier for PubSub {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let attributes = BTreeMap::from([("refit-id".to_owned(), telling.id.to_string())]);
        let data = told(telling).to_string().into();
        let topic = self.0.clone();
        Sending { outgoing: Outgoing::Publish(Publish { topic, data, attributes }), read }
    }
}

/// Refuses what is no name of a topic.
pub(super) fn check_topic(name: &str) -> Result<(), String> {
    let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%:".contains(&byte);
    let parts: Vec<&str> = name.split('/').collect();
    let filled = parts.iter().all(|part| !part.is_empty() && part.bytes().all(lawful));
    match parts[..] {
        ["projects", _, "topics", _] if filled => Ok(()),
        _ => Err("a topic is projects/P/topics/T".to_owned()),
    }
}
