//! The store in memory, put through the suite.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use refit_core::time::Span;
use refit_engine::port::{Clock, Store};
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_testkit::conformance::{Backend, Traits};

use crate::requests::open;

fn new_store() -> MemoryStore {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    MemoryStore::new(clock)
}

/// Clones of one store by place.
#[derive(Default)]
struct Clones(Mutex<HashMap<String, MemoryStore>>);

#[async_trait]
impl Backend for Clones {
    async fn open(&self, place: &str) -> Arc<dyn Store> {
        let mut stores = self.0.lock().unwrap();
        Arc::new(stores.entry(place.to_owned()).or_insert_with(new_store).clone())
    }

    fn traits(&self) -> Traits {
        Traits { slack: Span::from_millis(20), persistent: true }
    }
}

/// A store of its own each time, as `memory:` opens it.
struct Fresh;

#[async_trait]
impl Backend for Fresh {
    async fn open(&self, _: &str) -> Arc<dyn Store> {
        open("memory:").await
    }

    fn traits(&self) -> Traits {
        Traits { slack: Span::from_millis(20), persistent: false }
    }
}

mod clones {
    refit_testkit::store_conformance!(std::sync::Arc::new(super::Clones::default()));
}

mod fresh {
    refit_testkit::store_conformance!(std::sync::Arc::new(super::Fresh));
}
