//! Subscriptions that messages are pulled from, where nothing can be pushed to.

#[cfg(feature = "gcp")]
mod pubsub;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use refit_core::error::Error;
#[cfg(not(feature = "gcp"))]
use refit_core::error::ErrorKind;
use refit_core::time::Span;
use refit_wire::source::PulledMessage;

#[cfg(feature = "gcp")]
pub use self::pubsub::PubSubSubscription;
#[cfg(feature = "gcp")]
use crate::env;
use crate::transport::HttpTransport;

/// How much may be under way at once, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Messages that were pulled and are neither acknowledged nor given back.
    pub messages: u16,
    /// Bytes of them.
    pub bytes: u32,
    /// How long a message is kept from others after it was pulled, its extensions included; it is delivered again
    /// then, also where this process hangs.
    pub lease: Span,
}

/// A message, which is delivered again unless it is acknowledged.
pub struct Pulled {
    /// What was published.
    pub message: PulledMessage,
    settle: Box<dyn FnOnce(bool) + Send>,
}

/// A subscription, of which messages come at least once and in any order.
#[async_trait]
pub trait Subscription: fmt::Debug + Send {
    /// Waits for a message; `None` once the subscription was closed. A wait that is given up loses nothing.
    ///
    /// # Errors
    /// What time does not mend: `Unauthorized` if the permission is missing, `Rejected` if there is no such
    /// subscription; else `Unavailable`.
    async fn next(&mut self) -> Option<Result<Pulled, Error>>;

    /// Pulls no more, and waits until what was acknowledged is known to be.
    async fn close(&mut self);
}

impl Pulled {
    /// A message, and who is told whether it was acknowledged.
    pub fn new(message: PulledMessage, settle: impl FnOnce(bool) + Send + 'static) -> Self {
        Self { message, settle: Box::new(settle) }
    }

    /// Says that it need not come again.
    pub fn acknowledge(self) {
        (self.settle)(true);
    }

    /// Says that it is to come again.
    pub fn give_back(self) {
        (self.settle)(false);
    }
}

impl fmt::Debug for Pulled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulled").field("id", &self.message.id).finish_non_exhaustive()
    }
}

/// Opens the subscription of this name, `projects/P/subscriptions/S`.
///
/// # Errors
/// `Invalid` if it is no name of a subscription, or the build cannot pull.
#[cfg_attr(
    not(feature = "gcp"),
    expect(unused_variables, clippy::unused_async, reason = "a build without clouds asks nobody")
)]
pub async fn open(
    name: &str,
    flow: Flow,
    transport: &Arc<HttpTransport>,
) -> Result<Box<dyn Subscription>, Error> {
    crate::topic::check(name, "subscriptions")?;
    #[cfg(feature = "gcp")]
    return {
        let stand_in = env::var(crate::topic::PUBSUB_STAND_IN);
        Ok(Box::new(PubSubSubscription::open(name, stand_in.as_deref(), flow, transport).await?))
    };
    #[cfg(not(feature = "gcp"))]
    Err(Error::new(
        ErrorKind::Invalid,
        format!(
            "subscriptions are not in this build, install one with --features gcp: subscription=`{name}`"
        ),
    ))
}

#[cfg(all(test, not(feature = "gcp")))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_build_that_cannot_pull_says_how_to_get_one() {
        let clock = Arc::new(crate::clock::SystemClock);
        let transport = Arc::new(HttpTransport::new(clock, Default::default()).unwrap());
        let flow = Flow { messages: 1, bytes: 1, lease: Span::secs(60) };
        for (name, words) in [
            ("projects/p/subscriptions/s", "--features gcp: subscription=`projects/p/"),
            ("projects/p/topics/t", "not projects/<project>/subscriptions/<name>"),
        ] {
            let error = open(name, flow, &transport).await.unwrap_err();
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
