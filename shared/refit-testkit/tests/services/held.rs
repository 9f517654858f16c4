//! A store that holds one process up in the middle of a pass, and shows less than there is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::Error;
use refit_engine::layout;
use refit_engine::port::{Created, Page, Store};
use tokio::sync::Notify;

/// What stands between reconcilers and their store.
pub(crate) struct Held {
    store: Arc<dyn Store>,
    holds: AtomicBool,
    is_blocked: AtomicBool,
    hides: AtomicBool,
    damages: AtomicBool,
    released: Notify,
}

impl Held {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        let off = || AtomicBool::new(false);
        Self {
            store,
            holds: off(),
            is_blocked: off(),
            hides: off(),
            damages: off(),
            released: Notify::new(),
        }
    }

    /// Holds up whoever writes the next commit, before it is written.
    pub(crate) fn hold_next_commit(&self) {
        self.holds.store(true, SeqCst);
    }

    /// Whether somebody is held up.
    pub(crate) fn is_blocked(&self) -> bool {
        self.is_blocked.load(SeqCst)
    }

    /// Lets whoever is held up go on.
    pub(crate) fn release(&self) {
        self.released.notify_one();
    }

    /// Damages the next segment that is read, on its way.
    pub(crate) fn damage_next_segment(&self) {
        self.damages.store(true, SeqCst);
    }

    /// From now on listings show no segments, or show them again.
    pub(crate) fn hide_segments(&self, hides: bool) {
        self.hides.store(hides, SeqCst);
    }
}

#[async_trait]
impl Store for Held {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let body = self.store.get(name).await?;
        let is_damaged = name.starts_with(layout::INBOX) && self.damages.swap(false, SeqCst);
        Ok(body.map(|body| if is_damaged { body.slice(..body.len() / 2) } else { body }))
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        if name.starts_with(layout::LOG) && self.holds.swap(false, SeqCst) {
            self.is_blocked.store(true, SeqCst);
            self.released.notified().await;
        }
        self.store.create(name, body).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let mut page = self.store.list(prefix, from, limit).await?;
        if prefix == layout::INBOX && self.hides.load(SeqCst) {
            page.entries.clear();
        }
        Ok(page)
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.store.delete(name).await
    }
}
