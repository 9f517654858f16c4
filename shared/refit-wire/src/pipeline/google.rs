//! What the services of Google have in common: where they answer, how they are asked, and their own words.

use ::http::Method;
use serde_json::Value;

use super::answer::clip;
use super::auth::Auth;
use super::endpoint::Endpoint;
use crate::http::{self, Request};

/// Where a service of Google answers for a project and a location, and how it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    endpoint: Endpoint,
    auth: http::Auth,
    /// What every path begins with.
    root: [String; 5],
}

impl Site {
    /// The stated place, else the usual one of that host; everything is below a version of the API, a project and a
    /// location.
    pub(crate) fn open(
        stated: Option<&Endpoint>,
        usual: &str,
        (version, project, location): (&str, &str, &str),
    ) -> Result<Self, String> {
        check_names(&[("project", project), ("location", location)])?;
        let endpoint = place(stated, usual)?;
        let auth = Auth::resolve(None, &endpoint).map_err(|_| {
            format!("the endpoint is no host of Google: host=`{}`", endpoint.place())
        })?;
        let root = [version, "projects", project, "locations", location].map(str::to_owned);
        Ok(Self { endpoint, auth, root })
    }

    /// A request for something of the project there.
    pub(crate) fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> Request {
        let root = self.root.iter().map(String::as_str);
        let path: Vec<&str> = root.chain(path.iter().copied()).collect();
        let mut url = self.endpoint.at(&path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(method, url).auth(self.auth.clone())
    }

    /// A request for a page of a listing: the first, or the one a token leads to.
    pub(crate) fn page(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        token: Option<&str>,
    ) -> Request {
        let token = token.map(|token| ("pageToken", token));
        let paged = [("pageSize", "100")].into_iter().chain(token);
        let query: Vec<_> = query.iter().copied().chain(paged).collect();
        self.request(Method::GET, path, &query)
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
fn check_names(names: &[(&str, &str)]) -> Result<(), String> {
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
