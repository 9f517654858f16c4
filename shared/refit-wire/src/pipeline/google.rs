//! What the services of Google have in common: where they answer, how they are asked, and their own words.

use ::http::Method;
use serde_json::Value;

use super::answer::clip;
use super::auth::Auth;
use super::endpoint::Endpoint;
use crate::http::{self, Request};

/// Where a service of Google answers, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    endpoint: Endpoint,
    auth: http::Auth,
}

impl Site {
    /// The stated place, else the usual one of that host.
    pub(crate) fn open(stated: Option<&Endpoint>, usual: &str) -> Result<Self, String> {
        let endpoint = place(stated, usual)?;
        let auth = Auth::resolve(None, &endpoint).map_err(|_| {
            format!("the endpoint is no host of Google: host=`{}`", endpoint.place())
        })?;
        Ok(Self { endpoint, auth })
    }

    /// A request for something below it.
    pub(crate) fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Request {
        let mut url = self.endpoint.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(method, url).auth(self.auth.clone())
    }
}

/// The host of the stated place, else the usual one.
pub(super) fn host(stated: Option<&Endpoint>, usual: &str) -> String {
    place(stated, usual).map_or_else(|_| usual.to_owned(), |place| place.host().to_owned())
}

/// The stated place, else `https://` and the usual host.
fn place(stated: Option<&Endpoint>, usual: &str) -> Result<Endpoint, String> {
    stated.map_or_else(|| Endpoint::new(&format!("https://{usual}")), |stated| Ok(stated.clone()))
}

/// Checks names that become parts of hosts and paths.
pub(crate) fn check_names(names: &[(&str, &str)]) -> Result<(), String> {
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.:".contains(c);
    let wrong = names.iter().find(|(_, text)| text.is_empty() || !text.chars().all(legal));
    wrong.map_or(Ok(()), |(name, text)| {
        Err(format!("this is no `{name}` of Google: value=`{text}`"))
    })
}

/// A service's own words: its errors hold a number and a message.
pub(crate) fn words(body: &Value) -> Option<&str> {
    let error = body.get("error")?;
    error.get("code").filter(|code| code.is_number())?;
    Some(error.get("message").and_then(Value::as_str).unwrap_or_default())
}

/// What is said of a run that has not begun: why, where the service says so, and since when.
pub(super) fn waiting(why: &str, run: &Value, created: &str) -> String {
    match run.get(created).and_then(Value::as_str) {
        Some(since) => format!("{why}: since=`{}`", clip(since)),
        None => why.to_owned(),
    }
}
