//! Opsgenie, by its alert API.

use ::http::Method;
use refit_core::notice::Receipt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::answer::{cut, receipt, text_at};
use super::{About, Notifier, Sending, Settings, Telling};
use crate::http::{Auth, Reply, Request, Secret};
use crate::pipeline::auth::SecretRef;

/// Characters of an alert's message.
const MESSAGE_MAX: usize = 130;
/// Characters of its description.
const DESCRIPTION_MAX: usize = 15_000;

/// Alerts of Opsgenie.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Opsgenie")]
pub struct Config {
    /// Where the key of the API integration is kept.
    key: SecretRef,
    /// Where the account is. Default: `us`.
    #[serde(default)]
    region: Region,
    /// The priority of its alerts. Default: `p3`.
    #[serde(default)]
    priority: Priority,
    /// Tags of its alerts. Default: none.
    #[serde(default)]
    tags: Vec<String>,
}

/// Where an account is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Region {
    /// `api.opsgenie.com`.
    #[default]
    Us,
    /// `api.eu.opsgenie.com`.
    Eu,
}

/// The priority of an alert, `p1` the highest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Priority {
    /// Critical.
    P1,
    /// High.
    P2,
    /// Moderate.
    #[default]
    P3,
    /// Low.
    P4,
    /// For information.
    P5,
}

#[derive(Debug)]
struct Opsgenie {
    url: Url,
    key: Secret,
    priority: Priority,
    tags: Vec<String>,
}

impl Settings for Config {
    const ABOUT: About = About {
        sends: "an alert to `api.opsgenie.com` or `api.eu.opsgenie.com`",
        id: "the alias, by which Opsgenie takes a second one for the first",
        limit: "130 characters of the message, 15,000 of the description",
        refused: "400, 422",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let url = match self.region {
            Region::Us => "https://api.opsgenie.com/v2/alerts",
            Region::Eu => "https://api.eu.opsgenie.com/v2/alerts",
        };
        let (key, tags) = (self.key.resolve()?, self.tags.clone());
        let url = url.parse().map_err(|error| format!("{error}"))?;
        Ok(Box::new(Opsgenie { url, key, priority: self.priority, tags }))
    }
}

impl Notifier for Opsgenie {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let body = json!({
            "message": cut(telling.title, MESSAGE_MAX),
            "alias": telling.id,
            "description": cut(telling.text, DESCRIPTION_MAX),
            "priority": format!("{:?}", self.priority),
            "tags": self.tags,
            "source": format!("refit {}", telling.ledger),
        });
        let auth = Auth::Scheme("GenieKey", self.key.clone());
        let request = Request::new(Method::POST, self.url.clone()).json(&body).auth(auth);
        Sending { outgoing: request.into(), read }
    }
}

fn read(reply: Reply) -> Receipt {
    receipt(reply, |response| text_at(response, "/message"))
}
