//! Slack, by incoming webhooks.

use refit_core::notice::Receipt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::answer::{cut, receipt};
use super::secret_url::SecretUrl;
use super::{About, Notifier, Sending, Settings, Telling};
use crate::http::{Reply, Response};
use crate::pipeline::auth::SecretRef;

/// Characters of a text that Slack shows whole.
const TEXT_MAX: usize = 4000;

/// A channel of Slack.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Slack")]
pub struct Config {
    /// Where the address of the incoming webhook is kept, `https://hooks.slack.com/services/…`. It is a secret:
    /// whoever has it can write to the channel.
    webhook: SecretRef,
}

#[derive(Debug)]
struct Slack(SecretUrl);

impl Settings for Config {
    const ABOUT: About = About {
        sends: "text to an incoming webhook of `hooks.slack.com`",
        id: "the last line",
        limit: "4,000 characters",
        refused: "400, 410",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let hosts = ["hooks.slack.com", "hooks.slack-gov.com"];
        Ok(Box::new(Slack(SecretUrl::whole(&self.webhook, &hosts)?)))
    }
}

impl Notifier for Slack {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let text = cut(telling.text, TEXT_MAX - telling.title.len() - 100);
        let text = format!("*{}*\n{}\nid {}", escape(telling.title), escape(&text), telling.id);
        let body = json!({ "text": text, "unfurl_links": false });
        Sending { outgoing: self.0.post(&body).into(), read }
    }
}

/// The three characters that mean something to Slack.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn read(reply: Reply) -> Receipt {
    receipt(reply, word)
}

/// Slack answers a single word such as `channel_is_archived`.
fn word(response: &Response) -> Option<String> {
    let text = std::str::from_utf8(&response.body).ok()?;
    let is_word = text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    (is_word && !text.is_empty()).then(|| text.to_owned())
}
