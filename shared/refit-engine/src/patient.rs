//! A store whose reads are tried again at once.
//!
//! A pass of a process that has just begun reads much before it may write: with one read in eight failing it would
//! hardly ever get that far. Reads change nothing, so they may be repeated; writes never are, as only those who made
//! them know whether a second try is the same.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;

use crate::port::{Clock, Created, Page, Store};

/// How long to wait before a second and a third try.
const PAUSES: [Span; 2] = [Span::from_millis(100), Span::from_millis(400)];
/// A try that took longer has run into its time-out, as the next would.
const QUICK: Span = Span::secs(5);

/// A store whose reads are tried up to three times while it is unavailable.
pub(crate) struct Patient {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Patient {
    pub(crate) fn new(store: &Arc<dyn Store>, clock: &Arc<dyn Clock>) -> Self {
        Self { store: Arc::clone(store), clock: Arc::clone(clock) }
    }

    async fn read<T, F>(&self, read: impl Fn() -> F + Sync) -> Result<T, Error>
    where
        F: Future<Output = Result<T, Error>> + Send,
    {
        for pause in PAUSES {
            let begun = self.clock.elapsed();
            let result = read().await;
            let is_quick = self.clock.elapsed() < begun + QUICK;
            match result {
                Err(error) if error.kind() == ErrorKind::Unavailable && is_quick => {
                    tracing::debug!(%error, "a read failed; it is tried again");
                    self.clock.sleep(pause).await;
                }
                result => return result,
            }
        }
        read().await
    }
}

#[async_trait]
impl Store for Patient {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.read(|| self.store.get(name)).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.store.create(name, body).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.read(|| self.store.list(prefix, from, limit)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.store.delete(name).await
    }
}
