//! Topics of Pub/Sub, who listens to them, and who may publish.

use ::http::Method;
use serde_json::Value;

use super::access::{Policy, REQUESTED, policy, queried};
use super::{Read, ask, google, text, texts};
use crate::call::Call;
use crate::http::Request;

/// Where the service is.
const HOST: &str = "pubsub.googleapis.com";
/// Names of subscriptions on a page.
const PAGE: &str = "1000";

/// A subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subscription {
    /// Where its messages are pushed to; none where they are pulled.
    pub push: Option<Push>,
    /// The topic of what could not be delivered.
    pub dead_letters: Option<String>,
    /// After how long without a sign of life it is deleted, in seconds with an `s`.
    pub expires: Option<String>,
}

/// How messages are pushed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    /// Where to.
    pub endpoint: String,
    /// The account whose token is shown; none where none is.
    pub account: Option<String>,
}

/// Who may do what with a topic, named `projects/P/topics/T`.
#[must_use]
pub fn topic_policy(topic: &str) -> Call<Read<Policy>> {
    policy(queried(get(&format!("{topic}:getIamPolicy")), REQUESTED), "pubsub.topics.getIamPolicy")
}

/// Who may do what with a subscription, named `projects/P/subscriptions/S`.
#[must_use]
pub fn subscription_policy(subscription: &str) -> Call<Read<Policy>> {
    let request = get(&format!("{subscription}:getIamPolicy"));
    policy(queried(request, REQUESTED), "pubsub.subscriptions.getIamPolicy")
}

/// The names of a topic's subscriptions.
#[must_use]
pub fn subscriptions(topic: &str) -> Call<Read<Vec<String>>> {
    let mut request = get(&format!("{topic}/subscriptions"));
    request.url.query_pairs_mut().append_pair("pageSize", PAGE);
    // A topic with more than a page of them has nothing to do with a ledger.
    ask(request, "pubsub.topics.get", |body| Some(texts(body.as_object()?.get("subscriptions"))))
}

/// A subscription.
#[must_use]
pub fn subscription(name: &str) -> Call<Read<Subscription>> {
    ask(get(name), "pubsub.subscriptions.get", |body| {
        text(body, "/topic")?;
        Some(Subscription {
            push: body.get("pushConfig").and_then(push),
            dead_letters: text(body, "/deadLetterPolicy/deadLetterTopic"),
            expires: text(body, "/expirationPolicy/ttl"),
        })
    })
}

fn push(config: &Value) -> Option<Push> {
    let account = text(config, "/oidcToken/serviceAccountEmail");
    Some(Push { endpoint: text(config, "/pushEndpoint")?, account })
}

fn get(name: &str) -> Request {
    google(Method::GET, HOST, &format!("v1/{name}"))
}
