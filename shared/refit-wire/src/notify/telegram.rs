//! Telegram, by a bot.

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
const TEXT_MAX: usize = 4096;

/// A chat of Telegram.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Telegram")]
pub struct Config {
    /// Where the token of the bot is kept.
    token: SecretRef,
    /// The chat, as text: its number, such as `"-1001234567890"`, or the name of a public channel, such as
    /// `"@acme_ml"`.
    chat: String,
}

#[derive(Debug)]
struct Telegram {
    url: SecretUrl,
    chat: String,
}

impl Settings for Config {
    const ABOUT: About = About {
        sends: "`sendMessage` of the bot, to `api.telegram.org`",
        id: "the last line",
        limit: "4,096 characters",
        refused: "400",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let number = self.chat.strip_prefix('-').unwrap_or(&self.chat);
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = self.chat.starts_with('@') && self.chat.len() > 1;
        if !is_number && !is_name {
            return Err("`chat` is a number or @NAME".to_owned());
        }
        let before = "https://api.telegram.org/bot";
        let hosts = ["api.telegram.org"];
        let url = SecretUrl::around(before, &self.token, "/sendMessage", &hosts)?;
        Ok(Box::new(Telegram { url, chat: self.chat.clone() }))
    }
}

impl Notifier for Telegram {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let id = format!("\nid {}", telling.id);
        let text = format!("{}\n{}", telling.title, telling.text);
        let text = cut(&text, TEXT_MAX - id.len()) + &id;
        let body = json!({
            "chat_id": self.chat, "text": text, "link_preview_options": { "is_disabled": true },
        });
        Sending { outgoing: self.url.post(&body).into(), read }
    }
}

fn read(reply: Reply) -> Receipt {
    let pointer = "/parameters/retry_after";
    let asked = reply.as_ref().ok().and_then(|response| seconds_at(response, pointer));
    match receipt(reply, |response| text_at(response, "/description")) {
        Receipt::Failed { after, message } => Receipt::Failed { after: asked.or(after), message },
        other => other,
    }
}
