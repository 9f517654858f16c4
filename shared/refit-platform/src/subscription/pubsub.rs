//! Subscriptions of Google's Pub/Sub, over its streaming pull.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::Subscriber;
use google_cloud_pubsub::model::Message;
use google_cloud_pubsub::subscriber::{MessageStream, ShutdownBehavior};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Timestamp;
use refit_wire::source::PulledMessage;

use super::{Flow, Pulled, Subscription};
use crate::google;
use crate::transport::HttpTransport;

/// Where the service is.
const ENDPOINT: &str = "https://pubsub.googleapis.com";
/// How far one extension puts a message off: where the process dies, others are given it after so long.
const EXTENSION: Duration = Duration::from_secs(15);

/// A subscription of Pub/Sub.
pub struct PubSubSubscription {
    name: String,
    stream: MessageStream,
}

impl fmt::Debug for PubSubSubscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubSubscription").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PubSubSubscription {
    /// Opens the subscription of this name, `projects/P/subscriptions/S`. `stand_in` names a server, as `host:port`
    /// or a URL, that is asked without credentials in place of Google's.
    ///
    /// # Errors
    /// `Invalid` if it is no name of a subscription, the stand-in no name of a server, or there are no roots of trust
    /// on this machine.
    pub async fn open(
        name: &str,
        stand_in: Option<&str>,
        flow: Flow,
        transport: &Arc<HttpTransport>,
    ) -> Result<Self, Error> {
        crate::topic::check(name, "subscriptions")?;
        let endpoint = google::endpoint(stand_in, ENDPOINT)?;
        let subscriber = Subscriber::builder()
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_credentials(google::credentials(stand_in, transport))
            .build();
        let lease = u64::try_from(flow.lease.as_millis()).unwrap_or_default();
        let subscribe = subscriber
            .await
            .map_err(google::no_client)?
            .subscribe(name)
            .set_max_outstanding_messages(flow.messages)
            .set_max_outstanding_bytes(flow.bytes)
            .set_max_lease(Duration::from_millis(lease))
            .set_max_lease_extension(EXTENSION)
            .set_shutdown_behavior(ShutdownBehavior::NackImmediately);
        Ok(Self { name: name.to_owned(), stream: subscribe.build() })
    }

    fn failed(&self, error: google_cloud_pubsub::Error) -> Error {
        let kind = match error.status().map(|status| status.code) {
            Some(Code::PermissionDenied | Code::Unauthenticated) => ErrorKind::Unauthorized,
            Some(Code::NotFound | Code::InvalidArgument | Code::FailedPrecondition) => {
                ErrorKind::Rejected
            }
            _ => ErrorKind::Unavailable,
        };
        let message = format!("no message can be pulled: subscription=`{}`", self.name);
        Error::new(kind, message).because(error)
    }
}

#[async_trait]
impl Subscription for PubSubSubscription {
    async fn next(&mut self) -> Option<Result<Pulled, Error>> {
        let next = self.stream.next().await?;
        Some(match next {
            Ok((message, handler)) => {
                let attempt = handler.delivery_attempt();
                Ok(Pulled::new(pulled(&self.name, message, attempt), |is_taken| match is_taken {
                    true => handler.ack(),
                    false => handler.nack(),
                }))
            }
            Err(error) => Err(self.failed(error)),
        })
    }

    async fn close(&mut self) {
        self.stream.shutdown_token().shutdown().await;
    }
}

fn pulled(subscription: &str, message: Message, attempt: Option<i32>) -> PulledMessage {
    let published = message.publish_time.map(|time| {
        let millis = i64::from(time.nanos()) / 1_000_000;
        Timestamp::from_millis(time.seconds().saturating_mul(1000).saturating_add(millis))
    });
    PulledMessage {
        subscription: subscription.to_owned(),
        id: message.message_id,
        attributes: message.attributes.into_iter().collect(),
        data: message.data,
        ordering_key: message.ordering_key,
        published,
        attempt: attempt.and_then(|attempt| u32::try_from(attempt).ok()),
    }
}
