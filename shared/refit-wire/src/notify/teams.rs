//! Microsoft Teams, by webhooks of its workflows.

use refit_core::notice::Receipt;
use refit_core::time::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::answer::{cut, receipt, silent};
use super::secret_url::SecretUrl;
use super::{About, Notifier, Sending, Settings, Telling};
use crate::http::Reply;
use crate::pipeline::auth::SecretRef;

/// Characters of the text: a message may have 28 kB, of which a character may take four bytes.
const TEXT_MAX: usize = 6000;
/// What the older connectors answer with 200 where Teams itself would not take a message.
const REFUSED: &[u8] = b"Webhook message delivery failed";
/// How long to leave Teams alone then.
const PAUSE: Span = Span::secs(30);

/// A channel of Microsoft Teams.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Teams")]
pub struct Config {
    /// Where the address of the webhook is kept: of a workflow, `https://….logic.azure.com/…` or
    /// `https://….api.powerplatform.com/…`, or of an older connector, `https://….webhook.office.com/…`.
    webhook: SecretRef,
}

#[derive(Debug)]
struct Teams(SecretUrl);

impl Settings for Config {
    const ABOUT: About = About {
        sends: "an adaptive card to the webhook of a workflow",
        id: "the last line",
        limit: "6,000 characters",
        refused: "400, 410, 413",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let hosts = [".logic.azure.com", ".api.powerplatform.com", ".webhook.office.com"];
        Ok(Box::new(Teams(SecretUrl::whole(&self.webhook, &hosts)?)))
    }
}

impl Notifier for Teams {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let block = |text: &str| json!({ "type": "TextBlock", "text": text, "wrap": true });
        let mut title = block(telling.title);
        title["weight"] = json!("Bolder");
        let mut blocks = vec![title];
        // A card joins lines unless each is a block of its own.
        blocks.extend(cut(telling.text, TEXT_MAX).lines().map(block));
        blocks.push(block(&format!("id {}", telling.id)));
        let card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard", "version": "1.4", "body": blocks,
        });
        let kind = "application/vnd.microsoft.card.adaptive";
        let attachment = json!({ "contentType": kind, "contentUrl": null, "content": card });
        let body = json!({ "type": "message", "attachments": [attachment] });
        Sending { outgoing: self.0.post(&body).into(), read }
    }
}

fn read(reply: Reply) -> Receipt {
    if let Ok(response) = &reply
        && response.is_success()
        && response.body.starts_with(REFUSED)
    {
        let message = "the connector did not deliver it".to_owned();
        return Receipt::Failed { after: Some(PAUSE), message };
    }
    receipt(reply, silent)
}
