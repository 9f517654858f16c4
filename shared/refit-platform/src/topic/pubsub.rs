//! Topics of Google's Pub/Sub.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use google_cloud_gax::error::rpc::Code;
use google_cloud_pubsub::client::Publisher;
use google_cloud_pubsub::error::PublishError;
use google_cloud_pubsub::model::Message as PubSubMessage;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::Clock;

use super::{Message, Topic};
use crate::google;
use crate::transport::HttpTransport;

/// Where the service is.
const ENDPOINT: &str = "https://pubsub.googleapis.com";
/// How long publishing may take, the client's own tries included: more than one does no harm, as messages are told
/// apart by what is in them.
const PUBLISH_WITHIN: Span = Span::secs(20);
/// How long a message waits for others to be sent with. There are few, and somebody waits.
const BATCH_WITHIN: Duration = Duration::from_millis(1);

/// A topic of Pub/Sub. Clones share its connections.
#[derive(Clone)]
pub struct PubSubTopic {
    name: String,
    publisher: Publisher,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for PubSubTopic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSubTopic").field("name", &self.name).finish_non_exhaustive()
    }
}

impl PubSubTopic {
    /// Opens the topic of this name, `projects/P/topics/T`. `stand_in` names a server, as `host:port` or a URL, that
    /// is asked without credentials in place of Google's.
    ///
    /// # Errors
    /// `Invalid` if it is no name of a topic, the stand-in no name of a server, or there are no roots of trust on
    /// this machine.
    pub async fn open(
        name: &str,
        stand_in: Option<&str>,
        clock: Arc<dyn Clock>,
        transport: &Arc<HttpTransport>,
    ) -> Result<Self, Error> {
        super::check(name, "topics")?;
        let endpoint = google::endpoint(stand_in, ENDPOINT)?;
        let publisher = Publisher::builder(name)
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_credentials(google::credentials(stand_in, transport))
            .set_delay_threshold(BATCH_WITHIN)
            .build();
        let publisher = publisher.await.map_err(google::no_client)?;
        Ok(Self { name: name.to_owned(), publisher, clock })
    }

    fn failed(&self, error: PublishError) -> Error {
        let code = match &error {
            PublishError::Rpc(error) => error.status().map(|status| status.code),
            _ => None,
        };
        let kind = match code {
            Some(Code::PermissionDenied | Code::Unauthenticated) => ErrorKind::Unauthorized,
            Some(Code::NotFound | Code::InvalidArgument) => ErrorKind::Rejected,
            _ => ErrorKind::Unavailable,
        };
        Error::new(kind, format!("a message was not published: topic=`{}`", self.name))
            .because(error)
    }
}

#[async_trait]
impl Topic for PubSubTopic {
    async fn publish(&self, message: Message) -> Result<String, Error> {
        let message =
            PubSubMessage::new().set_data(message.data).set_attributes(message.attributes);
        let published = within(&*self.clock, PUBLISH_WITHIN, self.publisher.publish(message)).await;
        let late = || {
            let message = format!("a message was not published in time: topic=`{}`", self.name);
            Error::new(ErrorKind::Unavailable, message)
        };
        published.ok_or_else(late)?.map_err(|error| self.failed(error))
    }
}
