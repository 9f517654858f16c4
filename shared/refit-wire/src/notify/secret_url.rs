//! Addresses that are secrets themselves.

use ::http::Method;
use serde_json::Value;
use url::Url;

use crate::http::{Auth, Request};
use crate::pipeline::auth::SecretRef;

/// A request to post JSON to an address that is kept as a secret and leads to one of these hosts, or, where one
/// begins with a dot, to one below it.
#[derive(Clone, Debug)]
pub(super) struct SecretUrl {
    url: Url,
    auth: Auth,
}

impl SecretUrl {
    /// The address is the secret.
    ///
    /// # Errors
    /// Says what is wrong with the reference.
    pub(super) fn whole(secret: &SecretRef, hosts: &[&str]) -> Result<Self, String> {
        Self::around("", secret, "", hosts)
    }

    /// The secret is a part of the address.
    ///
    /// # Errors
    /// Says what is wrong with the reference.
    pub(super) fn around(
        before: &str,
        secret: &SecretRef,
        after: &str,
        hosts: &[&str],
    ) -> Result<Self, String> {
        let first = hosts.first().copied().unwrap_or_default().trim_start_matches('.');
        let url = format!("https://{first}/")
            .parse()
            .map_err(|_| format!("not the name of a host: host=`{first}`"))?;
        let auth = Auth::Url {
            before: before.to_owned(),
            secret: secret.resolve()?,
            after: after.to_owned(),
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        Ok(Self { url, auth })
    }

    pub(super) fn post(&self, body: &Value) -> Request {
        Request::new(Method::POST, self.url.clone()).json(body).auth(self.auth.clone())
    }
}
