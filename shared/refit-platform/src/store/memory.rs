//! A store in the memory of the process: for tests, simulation and trying things out.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::Error;
use refit_core::time::Timestamp;
use refit_engine::port::{Clock, Created, Entry, Page, Store};

use super::{PAGE_ENTRIES_MAX, name};

/// A store in memory. Clones share the objects.
#[derive(Clone)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    objects: Arc<Mutex<BTreeMap<String, Object>>>,
}

struct Object {
    body: Bytes,
    created: Timestamp,
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryStore")
    }
}

impl MemoryStore {
    /// An empty store that takes its times from this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, objects: Arc::default() }
    }

    fn objects(&self) -> MutexGuard<'_, BTreeMap<String, Object>> {
        self.objects.lock().expect("no holder of the lock panics")
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        name::check(name)?;
        Ok(self.objects().get(name).map(|object| object.body.clone()))
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        name::check(name)?;
        let mut objects = self.objects();
        let at = self.clock.now();
        if objects.contains_key(name) {
            return Ok(Created::Lost { at });
        }
        objects.insert(name.to_owned(), Object { body, created: at });
        Ok(Created::Won { at })
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let objects = self.objects();
        let now = self.clock.now();
        let start = prefix.max(from).to_owned();
        let mut found = objects.range(start..).take_while(|(name, _)| name.starts_with(prefix));
        let entries = found.by_ref().take(limit.min(PAGE_ENTRIES_MAX)).map(entry).collect();
        let next = found.next().map(|(name, _)| name.clone());
        Ok(Page { entries, now, next })
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        name::check(name)?;
        self.objects().remove(name);
        Ok(())
    }
}

fn entry((name, object): (&String, &Object)) -> Entry {
    Entry { name: name.clone(), size: object.body.len() as u64, created: object.created }
}
