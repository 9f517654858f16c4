//! A store in a directory of a local disk.
//!
//! An object is written to a file aside, made durable, and renamed to its name in one step that fails if the name
//! is taken (`RENAME_NOREPLACE`). So it is visible whole or not at all, of several creators one wins, and its time
//! of creation is set once, by the file system, at the moment it becomes visible. A hard link in place of the
//! rename would not do: removing the other name afterwards sets the time again.
//!
//! A file system without such a rename (NFS) cannot hold a ledger, nor can a directory that others may write to: a
//! link found in it is of the owner's own making, and nothing is read, made or deleted by way of it.

mod disk;
mod root;
mod walk;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Clock as _, Created, Page, Store};

use self::disk::failed;
use self::walk::Walk;
use super::name;
use crate::clock::SystemClock;

/// A store in a directory. Clones share it, and any number of processes may have it open.
#[derive(Clone, Debug)]
pub struct LocalStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    /// Folders known to exist and to be durable.
    folders: Mutex<HashSet<PathBuf>>,
}

impl LocalStore {
    /// Opens the store in this directory, which is made if it does not exist, and removes what writers that died
    /// long ago left aside.
    ///
    /// # Errors
    /// `Invalid` if others than the current user could write to the directory, `Unauthorized` if the current user
    /// cannot, `Unavailable` if the disk fails.
    pub async fn open(root: impl Into<PathBuf>) -> Result<Self, Error> {
        let root = root.into();
        blocking(move || {
            let root = std::path::absolute(&root)
                .map_err(|error| failed("find the ledger", &root, error))?;
            root::prepare(&root)?;
            Ok(Self { inner: Arc::new(Inner { root, folders: Mutex::default() }) })
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = Arc::clone(&self.inner);
        blocking(move || work(&inner)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let end = tokio::task::spawn_blocking(work).await;
    end.unwrap_or_else(|gone| {
        Err(Error::new(ErrorKind::Internal, "a disk operation broke off").because(gone))
    })
}

#[async_trait]
impl Store for LocalStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        name::check(name)?;
        let name = name.to_owned();
        self.blocking(move |inner| inner.get(&name)).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        name::check(name)?;
        let name = name.to_owned();
        self.blocking(move |inner| inner.create(&name, &body)).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let walk = Walk::new(prefix, from, limit);
        self.blocking(move |inner| inner.list(walk)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        name::check(name)?;
        let name = name.to_owned();
        self.blocking(move |inner| inner.delete(&name)).await
    }
}

impl Inner {
    fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let path = self.root.join(name);
        let read = || -> io::Result<Option<Bytes>> {
            disk::check_way(&self.root, &path)?;
            let Some(mut file) = disk::open_object(&path)? else { return Ok(None) };
            // Another process may have renamed the file here and died before that was durable. Whoever acts on
            // what it says must not see it vanish with the next power cut.
            disk::sync(folder_of(&path))?;
            disk::read(&mut file).map(Some)
        };
        match read().map_err(|error| failed("read an object", &path, error))? {
            Some(body) => Ok(Some(body)),
            None => self.check_there().map(|()| None),
        }
    }

    fn list(&self, walk: Walk) -> Result<Page, Error> {
        let page = walk.page(&self.root)?;
        if page.entries.is_empty() {
            self.check_there()?;
        }
        Ok(page)
    }

    /// Tells a folder that holds nothing of a name from one that is gone, as when its disk is no longer mounted.
    fn check_there(&self) -> Result<(), Error> {
        match self.root.join(root::ASIDE).is_dir() {
            true => Ok(()),
            false => {
                let path = self.root.display();
                let message = format!("the directory of the ledger is gone: path=`{path}`");
                Err(Error::new(ErrorKind::Unavailable, message))
            }
        }
    }

    fn create(&self, name: &str, body: &[u8]) -> Result<Created, Error> {
        let path = self.root.join(name);
        let created = self.ready(folder_of(&path)).and_then(|()| self.write(&path, body));
        created.map_err(|error| {
            // Perhaps a folder was removed under our hands: look at them again next time.
            self.folders.lock().expect("no holder of the lock panics").clear();
            failed("create an object", &path, error)
        })
    }

    fn write(&self, path: &Path, body: &[u8]) -> io::Result<Created> {
        let aside = disk::write_aside(&self.root.join(root::ASIDE), body)?;
        let won = aside.rename_to(path)?;
        // The loser too says that the object is there, and what depends on it is written next.
        disk::sync(folder_of(path))?;
        match won {
            Some(at) => Ok(Created::Won { at }),
            None => disk::open_object(path).map(|_| Created::Lost { at: SystemClock.now() }),
        }
    }

    /// Makes a folder, unless it was found durable before.
    fn ready(&self, folder: &Path) -> io::Result<()> {
        let folders = || self.folders.lock().expect("no holder of the lock panics");
        if !folders().contains(folder) {
            disk::check_way(&self.root, folder)?;
            disk::make_folder(folder)?;
            folders().insert(folder.to_owned());
        }
        Ok(())
    }

    fn delete(&self, name: &str) -> Result<(), Error> {
        let path = self.root.join(name);
        let remove = || -> io::Result<()> {
            disk::check_way(&self.root, &path)?;
            if disk::remove(&path)? {
                disk::sync(folder_of(&path))?;
            }
            Ok(())
        };
        remove().map_err(|error| failed("delete an object", &path, error))
    }
}

fn folder_of(path: &Path) -> &Path {
    path.parent().expect("an object lies below the root")
}
