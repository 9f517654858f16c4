//! Listing a tree of folders in the order of whole names.

use std::fs::{self, DirEntry};
use std::io;
use std::path::Path;

use refit_core::error::Error;
use refit_engine::port::{Clock as _, Entry, Page};

use super::disk::{changed, failed, is_absent};
use crate::clock::SystemClock;
use crate::store::PAGE_ENTRIES_MAX;

/// A walk through the folders that may hold what a listing asks for.
pub(super) struct Walk {
    prefix: String,
    from: String,
    limit: usize,
    /// Found so far: at most one more than the limit, which is where the next page begins.
    names: Vec<String>,
}

impl Walk {
    pub(super) fn new(prefix: &str, from: &str, limit: usize) -> Self {
        let limit = limit.min(PAGE_ENTRIES_MAX);
        Self { prefix: prefix.to_owned(), from: from.to_owned(), limit, names: Vec::new() }
    }

    pub(super) fn page(mut self, root: &Path) -> Result<Page, Error> {
        let now = SystemClock.now();
        let listed = self.folder(root, "").and_then(|()| {
            let next = if self.names.len() > self.limit { self.names.pop() } else { None };
            let entries = self.names.into_iter().filter_map(|name| entry(root, name).transpose());
            Ok(Page { entries: entries.collect::<io::Result<_>>()?, now, next })
        });
        listed.map_err(|error| failed("list the ledger", root, error))
    }

    /// Walks through one folder; `path` is empty or ends in a slash.
    fn folder(&mut self, root: &Path, path: &str) -> io::Result<()> {
        let found = match fs::read_dir(root.join(path)) {
            Ok(found) => found,
            Err(error) if is_absent(&error) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for file in found {
            names.extend(name_of(path, &file?)?.filter(|name| self.wants(name)));
        }
        // With their slash, folders sort among the files as the names in them do.
        names.sort_unstable();
        for name in names {
            if self.names.len() > self.limit {
                break;
            }
            match name.ends_with('/') {
                true => self.folder(root, &name)?,
                false => self.names.push(name),
            }
        }
        Ok(())
    }

    /// Whether a listing asks for the file, or may ask for something in the folder.
    fn wants(&self, name: &str) -> bool {
        let within =
            |bound: &str| name.starts_with(bound) || name.ends_with('/') && bound.starts_with(name);
        within(&self.prefix) && (*name >= *self.from || within(&self.from))
    }
}

/// The whole name of a file, or of a folder with a slash; nothing else counts, nor does what begins with a dot.
fn name_of(path: &str, file: &DirEntry) -> io::Result<Option<String>> {
    let (kind, name) = (file.file_type()?, file.file_name());
    let Some(name) = name.to_str().filter(|name| !name.starts_with('.')) else { return Ok(None) };
    let slash = if kind.is_dir() { "/" } else { "" };
    Ok((kind.is_dir() || kind.is_file()).then(|| format!("{path}{name}{slash}")))
}

/// The entry of a file; `None` if it was deleted meanwhile.
fn entry(root: &Path, name: String) -> io::Result<Option<Entry>> {
    match fs::symlink_metadata(root.join(&name)) {
        Ok(file) => Ok(Some(Entry { name, size: file.len(), created: changed(&file) })),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}
