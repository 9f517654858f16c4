//! The directory a ledger lies in: who may write to it, and what dead writers left there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::Clock as _;

use super::disk::{self, failed};
use crate::clock::{SystemClock, timestamp};

/// Folder of files that are being written. No name of an object begins with a dot.
pub(super) const ASIDE: &str = ".tmp";
/// What no writer takes as long for.
const LEFT_BEHIND_AFTER: Span = Span::days(1);

/// Makes the directory ready, or says why it cannot hold a ledger.
pub(super) fn prepare(root: &Path) -> Result<(), Error> {
    let found = find_or_make(root).map_err(|error| failed("make the ledger", root, error))?;
    check(root, &found)?;
    let aside = root.join(ASIDE);
    let made = disk::make_folder(&aside).and_then(|()| remove_left_behind(&aside));
    made.map_err(|error| failed("prepare the ledger", root, error))
}

fn find_or_make(root: &Path) -> io::Result<fs::Metadata> {
    match fs::symlink_metadata(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            disk::make_folder(root)?;
            // Looked at only now: in a folder open to all, another's may have come first.
            fs::symlink_metadata(root)
        }
        found => found,
    }
}

/// Refuses a directory that someone else could change, or could exchange for another.
fn check(root: &Path, found: &fs::Metadata) -> Result<(), Error> {
    let user = rustix::process::geteuid().as_raw();
    let mode = found.mode() & 0o7777;
    let trouble = if found.is_symlink() {
        "is a symbolic link; name the directory it points to".to_owned()
    } else if !found.is_dir() {
        "is not a directory; name another".to_owned()
    } else if found.uid() != user {
        format!(
            "belongs to user {}, not to user {user}; run as its owner, or name another",
            found.uid()
        )
    } else if mode & 0o022 != 0 {
        format!("can be written by others (mode {mode:o}); take that away with chmod go-w")
    } else {
        return Ok(());
    };
    Err(Error::new(
        ErrorKind::Invalid,
        format!("the ledger's directory {trouble}: path=`{}`", root.display()),
    ))
}

fn remove_left_behind(aside: &Path) -> io::Result<()> {
    let now = SystemClock.now();
    for file in fs::read_dir(aside)? {
        let file = file?;
        // Whoever opens the store at the same moment may have removed it already.
        let Ok(found) = file.metadata() else { continue };
        if found.is_file() && now.since(timestamp(found.modified()?)) >= LEFT_BEHIND_AFTER {
            disk::remove(&file.path())?;
        }
    }
    Ok(())
}
