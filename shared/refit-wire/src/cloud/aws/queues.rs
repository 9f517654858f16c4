//! Queues of SQS.

use ::http::{HeaderValue, Method};
use serde_json::{Value, json};

use super::access::Document;
use super::{Aws, Service, ask, parts_of, with_body};
use crate::call::Call;
use crate::cloud::{Read, text};
use crate::http::Auth;

/// What is asked, in the header that says so.
const ASKED: (&str, &str) = ("x-amz-target", "AmazonSQS.GetQueueAttributes");
/// How its requests are written.
const ENCODING: &str = "application/x-amz-json-1.0";

/// A queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Its policy.
    pub policy: Option<Document>,
    /// The queue of what was received too often, by its ARN.
    pub dead_letters: Option<String>,
    /// For how long who received a message has it alone, in seconds.
    pub visibility: u64,
    /// For how long it keeps messages, in seconds.
    pub retention: u64,
}

impl Aws {
    /// A queue, by its ARN; `None` if it is none.
    #[must_use]
    pub fn queue(&self, arn: &str) -> Option<Call<Read<Queue>>> {
        let [region, account, name] = parts_of(arn)?;
        let mut request = self.request(Service::Sqs, Method::POST, &[""]);
        if region != self.region {
            request.auth =
                Auth::Aws { service: Service::Sqs.name().to_owned(), region: region.to_owned() };
            let host = format!("sqs.{region}.amazonaws.com");
            let is_amazons =
                request.url.host_str().is_some_and(|it| it.ends_with(".amazonaws.com"));
            is_amazons.then(|| request.url.set_host(Some(&host))).transpose().ok()?;
        }
        let url = request.url.join(&format!("/{account}/{name}")).ok()?;
        request.headers.insert(ASKED.0, HeaderValue::from_static(ASKED.1));
        let body = json!({ "QueueUrl": url.as_str(), "AttributeNames": ["All"] });
        let request = with_body(request, ENCODING, body.to_string());
        Some(ask(request, "sqs:GetQueueAttributes", |response| queue(&response.json()?)))
    }
}

fn queue(body: &Value) -> Option<Queue> {
    let told = body.get("Attributes")?;
    text(told, "/QueueArn")?;
    let number = |name: &str| told.get(name)?.as_str()?.parse().ok();
    let document = |name: &str| serde_json::from_str::<Value>(told.get(name)?.as_str()?).ok();
    let redrive = document("RedrivePolicy");
    Some(Queue {
        policy: document("Policy").and_then(Document::of),
        dead_letters: redrive.and_then(|it| text(&it, "/deadLetterTargetArn")),
        visibility: number("VisibilityTimeout").unwrap_or_default(),
        retention: number("MessageRetentionPeriod").unwrap_or_default(),
    })
}
