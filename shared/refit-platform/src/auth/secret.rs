//! Secrets in Secret Manager.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_wire::address::place;
use refit_wire::credential::{Given, secret_of_google};
use refit_wire::http::{Auth, Request, Response};
use url::Url;

use super::cache::{Cache, Source};
use super::google::{GoogleTokens, Kind};
use super::{bearer, refused};
use crate::transport::{Allowed, Client};

/// How long a secret is kept at most. It is read again at half of that: rotated ones take effect in five minutes.
pub(super) const LIFE: Span = Span::mins(10);
/// How long reading one may take.
const TIMEOUT: Span = Span::secs(5);

/// The client of Secret Manager.
pub(super) struct SecretManager {
    client: Client,
    tokens: Arc<Cache<GoogleTokens>>,
    endpoint: Url,
}

impl SecretManager {
    pub(super) fn new(client: Client, tokens: Arc<Cache<GoogleTokens>>, endpoint: Url) -> Self {
        Self { client, tokens, endpoint }
    }

    async fn access(&self, name: &str) -> Result<Response, Error> {
        let url = self
            .url(name)
            .ok_or_else(|| trouble(ErrorKind::Invalid, name, "not a name of a version"))?;
        let auth = Auth::GoogleAccessToken { hosts: vec![place(&self.endpoint)] };
        Allowed::default()
            .check(&url, &auth)
            .map_err(|why| trouble(ErrorKind::Invalid, name, &why))?;
        let credential = bearer(self.tokens.get(&Kind::Access).await?)?;
        let reply =
            self.client.send(Request::new(Method::GET, url), Some(&credential), TIMEOUT).await;
        let response =
            reply.map_err(|failure| trouble(ErrorKind::Unavailable, name, &failure.to_string()))?;
        if response.status == 401 {
            self.tokens.forget(&Kind::Access, credential.token());
        }
        Ok(response)
    }

    fn url(&self, name: &str) -> Option<Url> {
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.:".contains(&byte);
        let segment =
            |text: &&str| !text.starts_with('.') && !text.is_empty() && text.bytes().all(lawful);
        let segments: Vec<&str> = name.split('/').filter(segment).collect();
        match segments[..] {
            ["projects", project, "secrets", secret, "versions", version] => self
                .endpoint
                .join(&format!("/v1/projects/{project}/secrets/{secret}/versions/{version}:access"))
                .ok(),
            _ => None,
        }
    }
}

#[async_trait]
impl Source for SecretManager {
    type Key = String;

    async fn fetch(&self, name: &String) -> Result<Given, Error> {
        let response = self.access(name).await?;
        if response.status != 200 {
            return Err(refusal(response.status, name));
        }
        let secret = secret_of_google(&response.body);
        let secret =
            secret.ok_or_else(|| trouble(ErrorKind::Data, name, "its payload is not text"))?;
        Ok((secret, LIFE))
    }
}

/// An answer in which a secret was not given.
pub(super) fn refusal(status: u16, name: &str) -> Error {
    trouble(refused(status), name, &format!("status {status}"))
}

/// Why a secret is not read.
pub(super) fn trouble(kind: ErrorKind, name: &str, why: &str) -> Error {
    Error::new(kind, format!("a secret cannot be read, {why}: name=`{name}`"))
}
