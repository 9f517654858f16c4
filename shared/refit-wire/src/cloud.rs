//! What is set up around a ledger in Google's cloud, asked of its services over their JSON APIs, and in [`aws`]. Nothing
//! is changed.

pub mod access;
pub mod aws;
pub mod functions;
pub mod messages;
pub mod storage;

use std::fmt;

use ::http::Method;
use serde_json::Value;
use url::Url;

use crate::call::Call;
use crate::http::{Auth, Reply, Request, Response};

/// What is said of an API that nobody enabled.
const DISABLED: &str = "SERVICE_DISABLED";

/// What was read, or why it was not.
pub type Read<T> = Result<T, Unread>;

/// Why something was not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unread {
    /// The service says there is no such thing.
    Missing,
    /// Whoever asks lacks this permission.
    Denied(&'static str),
    /// Anything else.
    Trouble(String),
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such thing"),
            Self::Denied(permission) => write!(f, "no permission {permission}"),
            Self::Trouble(why) => f.write_str(why),
        }
    }
}

/// A request to a service of Google for something by its name, such as `projects/P/topics/T`.
fn google(method: Method, host: &str, name: &str) -> Request {
    let mut url = Url::parse(&format!("https://{host}")).expect("hosts are written here");
    url.path_segments_mut().expect("there is a host").extend(name.split('/'));
    Request::new(method, url).auth(Auth::GoogleAccessToken { hosts: Vec::new() })
}

/// A question whose answer takes a permission, and is read so.
fn ask<T: 'static>(
    request: Request,
    permission: &'static str,
    read: fn(&Value) -> Option<T>,
) -> Call<Read<T>> {
    Call::once(request, move |reply| answer(reply, permission, read))
}

fn answer<T>(reply: Reply, permission: &'static str, read: fn(&Value) -> Option<T>) -> Read<T> {
    let response = reply.map_err(|failure| Unread::Trouble(failure.to_string()))?;
    match response.status {
        200 => response.json().as_ref().and_then(read).ok_or_else(|| {
            Unread::Trouble("the answer is not what the service promises".to_owned())
        }),
        401 => Err(Unread::Trouble("the credential does not hold: status=`401`".to_owned())),
        403 if is_disabled(&response) => Err(Unread::Trouble("the API is not enabled".to_owned())),
        403 => Err(Unread::Denied(permission)),
        404 => Err(Unread::Missing),
        status => Err(Unread::Trouble(format!("the service refuses: status=`{status}`"))),
    }
}

fn is_disabled(response: &Response) -> bool {
    let body = response.json().unwrap_or_default();
    let details = body.pointer("/error/details").and_then(Value::as_array);
    details.into_iter().flatten().any(|detail| detail["reason"] == DISABLED)
}

/// The texts of a list; none where there is no list.
fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A text that is there and not empty.
fn text(value: &Value, pointer: &str) -> Option<String> {
    value.pointer(pointer)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::Failure;

    fn read(status: u16, body: &Value) -> Read<String> {
        let response = Response { status, body: body.to_string().into(), ..Response::default() };
        answer(Ok(response), "a.b.get", |body| text(body, "/name"))
    }

    #[test]
    fn what_is_not_read_says_why() {
        assert_eq!(read(200, &json!({ "name": "x" })), Ok("x".to_owned()));
        assert_eq!(read(404, &json!({})), Err(Unread::Missing));
        assert_eq!(read(403, &json!({})), Err(Unread::Denied("a.b.get")));
        let disabled = json!({ "error": { "details": [{ "reason": DISABLED }] } });
        for (status, body, words) in [
            (403, &disabled, "not enabled"),
            (401, &json!({}), "does not hold"),
            (503, &json!({}), "`503`"),
            (200, &json!({ "name": "" }), "promises"),
            (200, &json!([]), "promises"),
        ] {
            let why = read(status, body).unwrap_err().to_string();
            assert!(why.contains(words), "{why}");
        }
        let unsent = Err(Failure::NotSent("no route".to_owned()));
        let why = answer(unsent, "a.b.get", |_| Some(())).unwrap_err();
        assert_eq!(why, Unread::Trouble("no route".to_owned()));
    }

    #[test]
    fn a_name_becomes_a_path_and_nothing_else() {
        let request = google(Method::GET, "pubsub.googleapis.com", "v1/projects/p/topics/a?b#c");
        assert_eq!(
            request.url.as_str(),
            "https://pubsub.googleapis.com/v1/projects/p/topics/a%3Fb%23c"
        );
    }
}
