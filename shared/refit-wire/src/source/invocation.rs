//! Invocations of a function on AWS Lambda: by a service, by a queue in batches, and through the URL of the function.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Map, Value};

use super::aws::{SQS, records, sender};
use super::{Arrival, Delivery, ENVELOPES_MAX, Rejected, Understood, understand_arrival};

/// What an invocation is.
#[derive(Debug)]
pub enum Invocation {
    /// A request to the URL of the function.
    Request(UrlRequest),
    /// Messages of a queue: each can be taken or left by itself.
    Batch(Vec<Item>),
    /// Anything else, and what it means.
    Single(Result<Understood, Rejected>),
}

/// A request to the URL of a function.
#[derive(Clone, Debug)]
pub struct UrlRequest {
    /// Its method.
    pub method: Method,
    /// Its path, with the query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// A message of a queue.
#[derive(Clone, Debug)]
pub struct Item {
    /// Its id, by which it is left in the queue.
    pub id: String,
    /// The record of it, less what differs with every delivery.
    pub body: String,
    /// What it means.
    pub understood: Result<Understood, Rejected>,
}

impl Invocation {
    /// Reads the payload of an invocation.
    #[must_use]
    pub fn of(payload: &Value) -> Self {
        if payload.pointer("/requestContext/http/method").is_some() {
            return url_request(payload)
                .map_or_else(|rejected| Self::Single(Err(rejected)), Self::Request);
        }
        match records(payload) {
            Some(all) if all.iter().all(|record| sender(record) == Some(SQS)) => {
                Self::Batch(all.iter().map(item).collect())
            }
            Some(_) | None => Self::Single(understand_document(payload)),
        }
    }
}

/// Understands JSON that came without a word about it, such as the payload of an invocation.
///
/// # Errors
/// It cannot be understood.
pub fn understand_document(document: &Value) -> Result<Understood, Rejected> {
    understand_arrival(Arrival::Document(document.clone()), ENVELOPES_MAX)
}

fn item(record: &Value) -> Item {
    let mut kept = record.clone();
    if let Some(fields) = kept.as_object_mut() {
        fields.remove("receiptHandle");
        if let Some(attributes) = fields.get_mut("attributes").and_then(Value::as_object_mut) {
            attributes.remove("ApproximateReceiveCount");
        }
    }
    Item {
        id: record["messageId"].as_str().unwrap_or_default().to_owned(),
        body: kept.to_string(),
        understood: understand_document(record),
    }
}

fn url_request(payload: &Value) -> Result<UrlRequest, Rejected> {
    let wrong = |what: &str| {
        Rejected::malformed(format!("the request to the function has no usable {what}"))
    };
    let text = |path: &str| payload.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let method = text("/requestContext/http/method").parse().map_err(|_| wrong("method"))?;
    let none = Map::new();
    let sent = payload["headers"].as_object().unwrap_or(&none);
    let header = |(name, value): (&String, &Value)| {
        let value = HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?;
        Some((name.parse::<HeaderName>().ok()?, value))
    };
    let headers = sent.iter().map(header).collect::<Option<HeaderMap>>();
    let body = text("/body");
    let body = match payload["isBase64Encoded"].as_bool() {
        Some(true) => STANDARD.decode(body).map_err(|_| wrong("body"))?,
        Some(false) | None => body.as_bytes().to_vec(),
    };
    let (path, query) = (text("/rawPath"), text("/rawQueryString"));
    let path = if path.is_empty() { "/" } else { path };
    let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    Ok(UrlRequest { method, target, headers: headers.ok_or_else(|| wrong("headers"))?, body })
}

impl UrlRequest {
    /// The request as a delivery.
    #[must_use]
    pub fn delivery(&self) -> Delivery<'_> {
        Delivery { headers: &self.headers, body: &self.body }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_to_the_url_of_a_function_is_a_request() {
        let payload = json!({
            "version": "2.0", "rawPath": "/hook", "rawQueryString": "a=1",
            "requestContext": {"http": {"method": "POST"}},
            "headers": {"content-type": "text/plain"}, "body": "w6Q=", "isBase64Encoded": true,
        });
        let Invocation::Request(request) = Invocation::of(&payload) else { panic!("{payload}") };
        assert_eq!((request.method, request.target.as_str()), (Method::POST, "/hook?a=1"));
        assert_eq!(request.headers["content-type"], "text/plain");
        assert_eq!(request.body, "ä".as_bytes());
    }

    #[test]
    fn a_request_that_is_broken_says_how() {
        let payload = json!({
            "requestContext": {"http": {"method": "POST"}}, "body": "~", "isBase64Encoded": true,
        });
        let Invocation::Single(Err(rejected)) = Invocation::of(&payload) else {
            panic!("{payload}")
        };
        assert_eq!(rejected.reason, "the request to the function has no usable body");
    }

    #[test]
    fn messages_of_a_queue_are_understood_one_by_one() {
        let message =
            |id: &str, body: &str| json!({"eventSource": "aws:sqs", "messageId": id, "body": body});
        let event = json!({"specversion": "1.0", "id": "7", "source": "/s", "type": "t"});
        let payload =
            json!({"Records": [message("1", &event.to_string()), message("2", "poison")]});
        let Invocation::Batch(items) = Invocation::of(&payload) else { panic!("{payload}") };
        let said: Vec<_> = items.iter().map(|it| (it.id.as_str(), it.understood.is_ok())).collect();
        assert_eq!(said, [("1", true), ("2", false)]);
    }

    #[test]
    fn what_is_kept_of_a_message_of_a_queue_means_the_same_whenever_it_comes() {
        let report = json!({"age": {"algorithm": "ks", "drift_category": "DRIFT"}});
        let item = |count: usize| {
            let record = json!({
                "eventSource": "aws:sqs", "messageId": "1", "body": report.to_string(),
                "receiptHandle": format!("h{count}"),
                "attributes": {"SentTimestamp": "1767614397000", "ApproximateReceiveCount": count.to_string()},
            });
            match Invocation::of(&json!({"Records": [record]})) {
                Invocation::Batch(mut items) => items.remove(0),
                other => panic!("{other:?}"),
            }
        };
        let (first, second) = (item(1), item(2));
        assert_eq!(first.body, second.body);
        let headers = HeaderMap::new();
        let kept =
            super::super::understand(&Delivery { headers: &headers, body: first.body.as_bytes() });
        assert!(matches!(first.understood, Ok(Understood::Record(_))), "{first:?}");
        assert_eq!(kept, first.understood);
    }
}
