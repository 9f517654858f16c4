//! Topics that messages are published to.

#[cfg(feature = "gcp")]
mod pubsub;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::Clock;

#[cfg(feature = "gcp")]
pub use self::pubsub::PubSubTopic;
#[cfg(feature = "gcp")]
use crate::env;
use crate::transport::HttpTransport;

/// The variable that names a stand-in for Pub/Sub, as Google's own clients know it.
#[cfg(feature = "gcp")]
pub(crate) const PUBSUB_STAND_IN: &str = "PUBSUB_EMULATOR_HOST";

/// A message to be published.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Its body.
    pub data: Bytes,
    /// What receivers can filter by.
    pub attributes: BTreeMap<String, String>,
}

impl Message {
    /// A message that says only that there may be something to do.
    #[must_use]
    pub fn wake() -> Self {
        let attributes = BTreeMap::from([("refit".to_owned(), "wake".to_owned())]);
        Self { data: Bytes::new(), attributes }
    }
}

/// A topic.
#[async_trait]
pub trait Topic: fmt::Debug + Send + Sync {
    /// Publishes a message and answers its id once the service has it. A publish that failed may have taken effect:
    /// who receives messages tells them apart by what is in them.
    ///
    /// # Errors
    /// `Unauthorized` if the permission is missing, `Rejected` if there is no such topic, `Unavailable` if it may work
    /// later.
    async fn publish(&self, message: Message) -> Result<String, Error>;
}

/// Opens the topic of this name, `projects/P/topics/T`.
///
/// # Errors
/// `Invalid` if it is no name of a topic, or the build cannot publish.
#[cfg_attr(
    not(feature = "gcp"),
    expect(unused_variables, clippy::unused_async, reason = "a build without clouds asks nobody")
)]
pub async fn open(
    name: &str,
    clock: &Arc<dyn Clock>,
    transport: &Arc<HttpTransport>,
) -> Result<Arc<dyn Topic>, Error> {
    check(name, "topics")?;
    #[cfg(feature = "gcp")]
    return {
        let (stand_in, clock) = (env::var(PUBSUB_STAND_IN), Arc::clone(clock));
        Ok(Arc::new(PubSubTopic::open(name, stand_in.as_deref(), clock, transport).await?))
    };
    #[cfg(not(feature = "gcp"))]
    Err(Error::new(
        ErrorKind::Invalid,
        format!("topics are not in this build, install one with --features gcp: topic=`{name}`"),
    ))
}

/// Whether this is meant as the name of a topic, lawful or not.
#[must_use]
pub fn is_topic(name: &str) -> bool {
    name.starts_with("projects/")
}

/// Refuses what is not the name of a resource of this collection.
pub(crate) fn check(name: &str, collection: &str) -> Result<(), Error> {
    let parts: Vec<&str> = name.split('/').collect();
    let lawful = |part: &str| {
        let lawful = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~+%:".contains(&byte);
        !part.is_empty() && part.bytes().all(lawful)
    };
    match parts[..] {
        ["projects", project, kind, name]
            if kind == collection && lawful(project) && lawful(name) =>
        {
            Ok(())
        }
        _ => {
            let name = name.escape_default();
            let message = format!("not projects/<project>/{collection}/<name>: name=`{name}`");
            Err(Error::new(ErrorKind::Invalid, message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_has_a_project_and_a_name() {
        for name in ["projects/p/topics/t", "projects/example.com:p-1/topics/refit-wake"] {
            assert!(check(name, "topics").is_ok() && is_topic(name), "{name}");
        }
        for name in [
            "projects/p/topics/",
            "projects//topics/t",
            "projects/p/subscriptions/t",
            "t",
            "",
            "projects/p/topics/t/x",
            "projects/p/topics/a b",
        ] {
            assert_eq!(check(name, "topics").unwrap_err().kind(), ErrorKind::Invalid, "{name}");
        }
    }

    #[cfg(not(feature = "gcp"))]
    #[tokio::test]
    async fn a_build_that_cannot_publish_says_how_to_get_one() {
        let clock: Arc<dyn Clock> = Arc::new(crate::clock::SystemClock);
        let transport = HttpTransport::new(Arc::clone(&clock), Default::default()).unwrap();
        let error = open("projects/p/topics/t", &clock, &Arc::new(transport)).await.unwrap_err();
        assert!(
            error.to_string().contains("--features gcp: topic=`projects/p/topics/t`"),
            "{error}"
        );
    }
}
