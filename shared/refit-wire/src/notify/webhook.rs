//! Any program that takes JSON over HTTP.

use ::http::{HeaderName, HeaderValue, Method};
use refit_core::notice::Receipt;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{receipt, silent};
use super::secret_url::SecretUrl;
use super::{About, Notifier, Sending, Settings, Telling};
use crate::http::{self, Reply, Request};
use crate::pipeline::auth::{Auth, SecretRef};
use crate::pipeline::endpoint::Endpoint;

/// The header that names a letter, as Standard Webhooks has it.
const ID: HeaderName = HeaderName::from_static("webhook-id");

/// Any program that takes JSON over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Webhook")]
pub struct Config {
    /// Where to post. Plain `http` is for private hosts.
    url: Option<Endpoint>,
    /// The credential for `url`; what is usual follows from the host.
    auth: Option<Auth>,
    /// Where the address is kept, where it is a secret itself. It must be `https` and lead to `host`.
    secret_url: Option<SecretRef>,
    /// The host of `secret_url`.
    host: Option<String>,
}

/// Where JSON is posted.
#[derive(Debug)]
pub(super) enum Target {
    /// To an address that everybody may know.
    Plain(Endpoint, http::Auth),
    /// To one that nobody may know.
    Secret(SecretUrl),
}

impl Target {
    pub(super) fn plain(url: &Endpoint, auth: Option<&Auth>) -> Result<Self, String> {
        Ok(Self::Plain(url.clone(), Auth::resolve(auth, url)?))
    }

    pub(super) fn post(&self, body: &Value) -> Request {
        match self {
            Self::Plain(url, auth) => {
                Request::new(Method::POST, url.at(&[])).json(body).auth(auth.clone())
            }
            Self::Secret(url) => url.post(body),
        }
    }
}

#[derive(Debug)]
struct Webhook(Target);

impl Settings for Config {
    const ABOUT: About = About {
        sends: "JSON with the notices as they are recorded",
        id: "`id`, and the header `webhook-id`",
        limit: "none",
        refused: "400, 405, 410, 413, 415, 422",
        is_for_programs: false,
    };

    fn open(&self) -> Result<Box<dyn Notifier>, String> {
        let target = match (&self.url, &self.secret_url, &self.host) {
            (Some(url), None, None) => Target::plain(url, self.auth.as_ref())?,
            (None, Some(_), _) if self.auth.is_some() => {
                return Err(
                    "`auth` is for `url`: a secret address is its own credential".to_owned()
                );
            }
            (None, Some(secret), Some(host)) => {
                Target::Secret(SecretUrl::whole(secret, &[host.as_str()])?)
            }
            _ => return Err("say where with `url`, or with `secret_url` and `host`".to_owned()),
        };
        Ok(Box::new(Webhook(target)))
    }
}

impl Notifier for Webhook {
    fn tell(&self, telling: &Telling<'_>) -> Sending {
        let mut request = self.0.post(&told(telling));
        let id = HeaderValue::from_str(&telling.id.to_string()).expect("it is hexadecimal");
        request.headers.insert(ID, id);
        Sending { outgoing: request.into(), read }
    }
}

/// A letter as a program reads it.
pub(super) fn told(telling: &Telling<'_>) -> Value {
    json!({
        "id": telling.id,
        "ledger": telling.ledger,
        "title": telling.title,
        "text": telling.text,
        "notices": telling.letter.notices,
        "beyond": telling.letter.beyond,
    })
}

pub(super) fn read(reply: Reply) -> Receipt {
    receipt(reply, silent)
}
