//! Tokens of GitHub Apps.
//!
//! An app shows who it is with claims signed by its private key, which hold for minutes, and is given a token of where it is
//! installed, which holds for an hour. The contract is that of GitHub's REST API, `POST
//! /app/installations/{installation_id}/access_tokens`.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, header};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::Clock;
use refit_wire::credential::{self, Given, Token};
use refit_wire::http::{GithubApp, Request, Response};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::json;

use super::cache::Source;
use super::secrets::Secrets;
use super::{bearer, refused};
use crate::transport::Client;

/// How long asking for a token may take.
const TIMEOUT: Span = Span::secs(5);
/// How long ago an app's claims were made, by themselves: the server's clock may be behind.
const BEFORE: Span = Span::mins(1);
/// How long they hold; the server takes ten minutes at most, and its clock may be ahead.
const AFTER: Span = Span::mins(8);

/// Where GitHub Apps get their tokens.
pub(super) struct Apps {
    client: Client,
    clock: Arc<dyn Clock>,
    secrets: Arc<Secrets>,
}

impl Apps {
    pub(super) fn new(client: Client, clock: Arc<dyn Clock>, secrets: Arc<Secrets>) -> Self {
        Self { client, clock, secrets }
    }

    async fn ask(&self, app: &GithubApp) -> Result<Response, Error> {
        let key = self.secrets.get(&app.private_key).await?;
        let claims = signed(app, &key, self.clock.now())?;
        let body = json!({ "repositories": [app.repository] });
        let mut request = Request::new(Method::POST, app.tokens.clone()).json(&body);
        let media = HeaderValue::from_static("application/vnd.github+json");
        request.headers.insert(header::ACCEPT, media);
        let reply = self.client.send(request, Some(&bearer(claims)?), TIMEOUT).await;
        let response =
            reply.map_err(|failure| none(ErrorKind::Unavailable, app, &failure.to_string()))?;
        if response.status == 401 {
            self.secrets.forget(&app.private_key, &key);
        }
        Ok(response)
    }
}

#[async_trait]
impl Source for Apps {
    type Key = GithubApp;

    async fn fetch(&self, app: &GithubApp) -> Result<Given, Error> {
        let response = self.ask(app).await?;
        let status = response.status;
        if status != 201 {
            return Err(none(refused(status), app, &format!("status {status}")));
        }
        let given = credential::token_of_app(&response.body, self.clock.now());
        given.ok_or_else(|| none(ErrorKind::Data, app, "the answer holds none"))
    }
}

/// The claims of an app, signed: a JSON Web Token.
fn signed(app: &GithubApp, key: &Token, now: Timestamp) -> Result<Token, Error> {
    let unfit = || none(ErrorKind::Invalid, app, "its private key is no RSA key in PEM");
    let pair = pair(key.as_str()).ok_or_else(unfit)?;
    let secs = |time: Timestamp| time.as_millis() / 1000;
    let claims =
        json!({ "iat": secs(now - BEFORE), "exp": secs(now + AFTER), "iss": app.client_id });
    let head = BASE64_URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","typ":"JWT"}"#);
    let text = format!("{head}.{}", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()));
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text.as_bytes(), &mut signature)
        .map_err(|_| unfit())?;
    Ok(Token::new(&format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))))
}

fn pair(pem: &str) -> Option<RsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(pem.as_bytes()).ok()? {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok(),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok(),
        _ => None,
    }
}

/// Why there is no token.
fn none(kind: ErrorKind, app: &GithubApp, why: &str) -> Error {
    let GithubApp { client_id, repository, .. } = app;
    Error::new(
        kind,
        format!(
            "no token of a GitHub App, {why}: client_id=`{client_id}`, repository=`{repository}`"
        ),
    )
}
