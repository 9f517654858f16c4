//! A store whose calls fail when they are told to.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Created, Page, Store};

/// How one call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As the store answers.
    None,
    /// By an error, and nothing is done.
    Before(ErrorKind),
    /// By an error, although it is done.
    After(ErrorKind),
}

/// A call to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call<'a> {
    /// Reading the object of this name.
    Get(&'a str),
    /// Creating the object of this name.
    Create(&'a str),
    /// Listing this prefix.
    List(&'a str),
    /// Deleting the object of this name.
    Delete(&'a str),
}

type Script = dyn Fn(Call<'_>) -> Fault + Send + Sync;

/// A store that fails by script.
pub struct FaultyStore {
    inner: Arc<dyn Store>,
    script: Box<Script>,
}

impl fmt::Debug for FaultyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyStore")
    }
}

impl FaultyStore {
    /// A store whose every call ends as `script` says.
    pub fn new(
        inner: Arc<dyn Store>,
        script: impl Fn(Call<'_>) -> Fault + Send + Sync + 'static,
    ) -> Self {
        Self { inner, script: Box::new(script) }
    }

    /// A store whose first calls end as listed, and all later ones well.
    pub fn scripted(inner: Arc<dyn Store>, faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = Mutex::new(faults.into_iter().collect::<VecDeque<_>>());
        Self::new(inner, move |_| {
            let mut faults = faults.lock().expect("no holder of the lock panics");
            faults.pop_front().unwrap_or(Fault::None)
        })
    }

    async fn call<T>(
        &self,
        call: Call<'_>,
        effect: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<T, Error> {
        let fail = |kind| Err(Error::new(kind, format!("told to fail: call=`{call:?}`")));
        match (self.script)(call) {
            Fault::None => effect.await,
            Fault::Before(kind) => fail(kind),
            Fault::After(kind) => {
                effect.await?;
                fail(kind)
            }
        }
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.call(Call::Get(name), self.inner.get(name)).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.call(Call::Create(name), self.inner.create(name, body)).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.call(Call::List(prefix), self.inner.list(prefix, from, limit)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.call(Call::Delete(name), self.inner.delete(name)).await
    }
}
