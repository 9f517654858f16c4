//! What happens, for whoever watches.

use refit_core::commit::Change;
use refit_core::run::Run;
use refit_core::state::BatchId;
use refit_engine::explain::Verdict;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use url::Url;

use crate::pipelines;

/// Something that has happened.
#[derive(Debug)]
pub enum News {
    /// A change in a bucket was announced, and the door has acknowledged it.
    Announced {
        /// The URI of the object.
        object: String,
        /// Its bytes; none if it is gone.
        bytes: Option<u64>,
    },
    /// A file lies beside the buckets, in none of them.
    Loose {
        /// Its name.
        name: String,
    },
    /// An event became no member of a batch of some trigger, or of any.
    Refused {
        /// The event: the URI of its object, or its id.
        event: String,
        /// Why.
        verdict: Verdict,
    },
    /// A batch, or the run it became, has changed.
    Changed {
        /// The batch.
        batch: BatchId,
        /// What changed.
        change: Box<Change>,
        /// Why its pipeline cannot be prepared, where it cannot.
        trouble: Option<String>,
    },
    /// A version of a model waits for somebody to approve it.
    Waits {
        /// The model.
        model: String,
        /// The version.
        version: String,
    },
    /// A run at the local pipeline service has changed.
    Progressed(Box<pipelines::Run>),
    /// A version of a model is served.
    Served {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// Where.
        url: Url,
    },
    /// What should serve a version of a model does not; it is tried again.
    NotServed {
        /// The model.
        model: String,
        /// The version.
        version: String,
        /// Why not.
        why: String,
    },
    /// A run is over: nothing more will be tried.
    Over(Box<Run>),
}

/// Tells news to whoever listens, if anybody does.
#[derive(Clone, Debug)]
pub struct Teller(UnboundedSender<News>);

impl Teller {
    /// A teller, and where its news arrive.
    #[must_use]
    pub fn new() -> (Self, UnboundedReceiver<News>) {
        let (sender, news) = unbounded_channel();
        (Self(sender), news)
    }

    /// Tells something.
    pub fn tell(&self, news: News) {
        // Nobody listens any more at the end of the process.
        let _ = self.0.send(news);
    }
}
