//! Discord, by webhooks.

use refit_core::notice::Receipt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::answer::{cut, receipt, seconds_at, text_at};
use super::secret_url::SecretUrl;
use super::{About, Notifier, Sending, Settings, Telling};
use crate::http::Reply;
use crate::pipeline::auth::SecretRef;

/// Characters of a message.
const CONTENT_MAX: usize = 2000;

/// A channel of Discord.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Discord")]
pub struct Config {
    /// Where the address of the webhook is kept, `https://discord.com/api/webhooks/…`.
    webhook: SecretRef,
}

#[derive(Debug)]
struct Discord(SecretUrl);

impl Settings for Config {
    const ABOUT: About = About {
        sends: "text to a webhook of `discord.com`",
        id: "the last line",
        limit: "2,000 characters",
        refused: "400",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let hosts = ["discord.com", "discordapp.com"];
        Ok(Box::new(Discord(SecretUrl::whole(&self.webhook, &hosts)?)))
    }
}

impl Notifier for Discord {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let id = format!("\nid {}", telling.id);
        let content = format!("**{}**\n{}", telling.title, telling.text);
        let content = cut(&content, CONTENT_MAX - id.len()) + &id;
        // A text that happens to name somebody must not ring their bell.
        let body = json!({ "content": content, "allowed_mentions": { "parse": [] } });
        Sending { outgoing: self.0.post(&body).into(), read }
    }
}

fn read(reply: Reply) -> Receipt {
    let asked = reply.as_ref().ok().and_then(|response| seconds_at(response, "/retry_after"));
    match receipt(reply, |response| text_at(response, "/message")) {
        Receipt::Failed { after, message } => Receipt::Failed { after: asked.or(after), message },
        other => other,
    }
}
