//! The three ports: everything else is a value.

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_wire::http::{Failure, Reply, Request, Secret};
use refit_wire::outgoing::{Mail, Publish};

/// A folder in an object store. Names are relative to it and hold `a-z A-Z 0-9 . _ - /` only.
///
/// Everything stored is immutable. All times are the store's own. Calls are not retried by an implementation and
/// end within the store's own time-out; a `create` that failed may have taken effect.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads an object; `None` if there is none.
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error>;

    /// Stores an object unless one of that name exists. Once it has won, the object is durable.
    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error>;

    /// Lists the objects whose names begin with `prefix` and are not less than `from`, in the order of their
    /// names, at most `limit` of them and at most a thousand.
    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error>;

    /// Removes an object; one that does not exist is removed already.
    async fn delete(&self, name: &str) -> Result<(), Error>;
}

/// What came of creating an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Created {
    /// It was created.
    Won {
        /// When.
        at: Timestamp,
    },
    /// One of that name exists: perhaps another's, perhaps our own from a try whose answer was lost.
    Lost {
        /// When that was found.
        at: Timestamp,
    },
}

/// Whose clock a store's times are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreClock {
    /// A service's, which is right.
    Service,
    /// The machine's, which may be wrong for a while, and jump.
    Machine,
}

/// One page of a listing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The objects, in the order of their names.
    pub entries: Vec<Entry>,
    /// The store's time when it began to answer.
    pub now: Timestamp,
    /// The name to go on from; `None` at the end.
    pub next: Option<String>,
}

/// One object in a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name, relative to the folder.
    pub name: String,
    /// Its bytes.
    pub size: u64,
    /// When it was created.
    pub created: Timestamp,
}

/// Sends what leaves the process, with the credentials it names, to where it may go.
#[async_trait]
pub trait Transport: Send + Sync {
    /// Sends one request once: no retries, no redirects, within its time-out.
    async fn send(&self, request: Request) -> Reply;

    /// Hands one mail to its server once. The status of the reply is the server's own, as SMTP has it.
    async fn mail(&self, mail: Mail) -> Reply {
        Err(Failure::NotSent(format!("this process sends no mail: host=`{}`", mail.host)))
    }

    /// A secret as text, which is kept for minutes; read anew if what is kept is `refused`, which did not hold.
    ///
    /// # Errors
    /// `Unauthorized` if it may not be read, `Unavailable` if it cannot be read now, `Invalid` if this process reads none.
    async fn secret(&self, _secret: &Secret, _refused: Option<&str>) -> Result<String, Error> {
        Err(Error::new(ErrorKind::Invalid, "this process reads no secrets"))
    }

    /// Publishes one message once. The status of the reply is as HTTP has it.
    async fn publish(&self, message: Publish) -> Reply {
        Err(Failure::NotSent(format!("this process publishes nothing: topic=`{}`", message.topic)))
    }
}

/// Time as the process sees it. It decides nothing that is stored.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The machine's wall clock, which may be wrong and may jump.
    fn now(&self) -> Timestamp;

    /// Time since some fixed moment, by a clock that never jumps and counts suspension.
    fn elapsed(&self) -> Span;

    /// Waits.
    async fn sleep(&self, span: Span);
}
