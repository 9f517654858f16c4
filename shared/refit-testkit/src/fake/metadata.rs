//! The metadata server of Google: tokens of the service account a process runs as.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::json;

use super::server::{Answer, Reacting, Reaction, Request, Server, Site};

/// Where the default service account lies.
const ACCOUNT: [&str; 5] = ["computeMetadata", "v1", "instance", "service-accounts", "default"];
/// How long a token holds, by its own word.
const LIFE_SECONDS: u64 = 3599;

/// A metadata server. Every token it gives is a new one and begins with [`CANARY`](Metadata::CANARY).
pub struct Metadata {
    server: Server,
    given: Arc<Given>,
}

#[derive(Default)]
struct Given(Mutex<Tokens>);

#[derive(Default)]
struct Tokens {
    /// Everything given, in order.
    all: Vec<String>,
    /// How many of them no longer hold.
    expired: usize,
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metadata").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Metadata {
    /// What every token begins with, and nothing else does.
    pub const CANARY: &str = "canary-token-";

    /// Starts a server.
    #[must_use]
    pub fn start() -> Self {
        let metadata = Self { server: Server::new(), given: Arc::default() };
        metadata.server.open(Arc::<Given>::clone(&metadata.given));
        metadata
    }

    /// Host and port, as in `GCE_METADATA_HOST`.
    #[must_use]
    pub fn place(&self) -> String {
        self.server.place()
    }

    /// How many tokens were given.
    #[must_use]
    pub fn given(&self) -> usize {
        self.given.lock().all.len()
    }

    /// From now on no token given so far is good, whatever its own word.
    pub fn expire(&self) {
        let mut tokens = self.given.lock();
        tokens.expired = tokens.all.len();
    }

    /// Says of a token whether it is good; for a server that is to ask.
    #[must_use]
    pub fn judge(&self) -> Arc<dyn Fn(&str) -> bool + Send + Sync> {
        let given = Arc::clone(&self.given);
        Arc::new(move |token| {
            let tokens = given.lock();
            tokens.all.iter().skip(tokens.expired).any(|good| good == token)
        })
    }
}

impl Given {
    fn lock(&self) -> MutexGuard<'_, Tokens> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn give(&self, token: impl FnOnce(usize) -> String) -> String {
        let mut tokens = self.lock();
        let token = token(tokens.all.len());
        tokens.all.push(token.clone());
        token
    }

    fn answer(&self, request: &Request) -> Answer {
        let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
        match (path.strip_prefix(&ACCOUNT), request.query("audience")) {
            _ if request.header("metadata-flavor") != "Google" => {
                Answer::text(403, "text/plain", "Missing Metadata-Flavor:Google header.")
            }
            (Some(["token"]), _) => {
                let token = self.give(|number| format!("{}{number}", Metadata::CANARY));
                let body = json!({
                    "access_token": token, "expires_in": LIFE_SECONDS, "token_type": "Bearer",
                });
                Answer::json(200, &body)
            }
            (Some(["identity"]), Some(audience)) => {
                let token = self.give(|number| id_token(number, audience));
                Answer::text(200, "text/html", &token)
            }
            (Some(["email"]), _) => {
                Answer::text(200, "application/text", "refit@acme.iam.gserviceaccount.com")
            }
            _ => Answer::text(404, "text/html", "Not found."),
        }
    }
}

/// A token whose head is no JSON, so that nobody takes it for a real one.
fn id_token(number: usize, audience: &str) -> String {
    let claims = json!({ "aud": audience, "iat": 1_700_000_000, "exp": 4_000_000_000_u64 });
    let claims = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
    format!("{}{number}.{claims}.signature", Metadata::CANARY)
}

impl Site for Given {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        Box::pin(async move {
            Reaction::Answer(self.answer(&request).with("metadata-flavor", "Google"))
        })
    }
}
