//! What is done with files, one system call after another.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind as Kind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Timestamp;
use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};

use crate::env;

/// A file that was written, but has no name yet that anyone looks for. Dropped, it is removed.
pub(super) struct Aside {
    path: PathBuf,
    file: File,
    renamed: bool,
}

/// Writes a new file and makes its content durable.
pub(super) fn write_aside(folder: &Path, body: &[u8]) -> io::Result<Aside> {
    let path = folder.join(env::nonce());
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let mut aside = Aside { path, file, renamed: false };
    aside.file.write_all(body)?;
    aside.file.sync_all()?;
    Ok(aside)
}

impl Aside {
    /// Gives the file its name and says when that was; `None` if the name is taken.
    pub(super) fn rename_to(mut self, path: &Path) -> io::Result<Option<Timestamp>> {
        match renameat_with(CWD, &self.path, CWD, path, RenameFlags::NOREPLACE) {
            Ok(()) => self.renamed = true,
            Err(rustix::io::Errno::EXIST) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(changed(&self.file.metadata()?)))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.renamed {
            // One that stays is removed when the store is opened a day later.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// When the file got its name: renaming sets the time of change, and nothing changes the file afterwards.
pub(super) fn changed(metadata: &fs::Metadata) -> Timestamp {
    Timestamp::from_millis(
        metadata.ctime().saturating_mul(1000) + metadata.ctime_nsec() / 1_000_000,
    )
}

/// Refuses a way below the root that leads through a symbolic link: what lies behind it is not the ledger's.
pub(super) fn check_way(root: &Path, path: &Path) -> io::Result<()> {
    let mut folders = path.ancestors().skip(1).take_while(|folder| *folder != root);
    let is_link = |folder: &Path| fs::symlink_metadata(folder).is_ok_and(|it| it.is_symlink());
    match folders.any(is_link) {
        true => Err(Kind::NotADirectory.into()),
        false => Ok(()),
    }
}

/// Opens the file of an object; `None` if there is none.
pub(super) fn open_object(path: &Path) -> io::Result<Option<File>> {
    // Without NONBLOCK, opening a pipe that lies here by mistake would hang.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) if file.metadata()?.is_file() => Ok(Some(file)),
        Ok(_) => Err(not_a_file()),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            Err(not_a_file())
        }
        Err(error) => Err(error),
    }
}

fn not_a_file() -> io::Error {
    io::Error::new(
        Kind::InvalidData,
        "there is something else than a file by the name of an object",
    )
}

/// Reads a file to its end.
pub(super) fn read(file: &mut File) -> io::Result<Bytes> {
    let mut body = Vec::new();
    file.read_to_end(&mut body)?;
    Ok(body.into())
}

/// Removes a file; `false` if there is none.
pub(super) fn remove(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if is_absent(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether the error says that nothing is there, be it for want of a folder.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), Kind::NotFound | Kind::NotADirectory)
}

/// Makes what happened in a folder durable.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Makes a folder for the current user alone, those above it if need be, and makes it durable, whoever made it.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().ok_or(Kind::NotFound)?;
    let make = || DirBuilder::new().mode(0o700).create(folder);
    let mut made = make();
    if made.as_ref().is_err_and(|error| error.kind() == Kind::NotFound) {
        make_folder(parent)?;
        made = make();
    }
    match made {
        Err(error) if error.kind() != Kind::AlreadyExists => Err(error),
        Err(_) if !fs::symlink_metadata(folder)?.is_dir() => Err(Kind::NotADirectory.into()),
        Err(_) | Ok(()) => sync(parent),
    }
}

/// What is to be done about errors that say more than that the disk failed.
const REASONS: [(Kind, ErrorKind, &str); 8] = [
    (Kind::StorageFull, ErrorKind::Unavailable, ", the disk is full, make room on it"),
    (
        Kind::QuotaExceeded,
        ErrorKind::Unavailable,
        ", the disk is full for this user, make room on it or raise the quota",
    ),
    (Kind::ReadOnlyFilesystem, ErrorKind::Unauthorized, ", the file system is read-only"),
    (Kind::PermissionDenied, ErrorKind::Unauthorized, ", this user may not"),
    (Kind::NotADirectory, ErrorKind::Invalid, ", a part of its name is not a folder"),
    (Kind::InvalidData, ErrorKind::Data, ""),
    (Kind::InvalidInput, ErrorKind::Invalid, ", only local disks can rename without replacing"),
    (Kind::Unsupported, ErrorKind::Invalid, ", only local disks can rename without replacing"),
];

/// The error of an operation on a path, by what is to be done about it.
pub(super) fn failed(action: &str, path: &Path, error: io::Error) -> Error {
    let reason = REASONS.iter().find(|(of, _, _)| *of == error.kind());
    let (kind, why) = reason.map_or((ErrorKind::Unavailable, ""), |(_, kind, why)| (*kind, *why));
    Error::new(kind, format!("cannot {action}{why}: path=`{}`", path.display())).because(error)
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

    use super::*;

    #[test]
    fn an_error_of_the_disk_says_what_to_do() {
        for (errno, kind, words) in [
            (Errno::NOSPC, ErrorKind::Unavailable, "disk is full, make room"),
            (Errno::DQUOT, ErrorKind::Unavailable, "disk is full for this user, make room"),
            (Errno::ROFS, ErrorKind::Unauthorized, "read-only"),
            (Errno::ACCESS, ErrorKind::Unauthorized, "may not"),
            (Errno::PERM, ErrorKind::Unauthorized, "may not"),
            (Errno::NOTDIR, ErrorKind::Invalid, "not a folder"),
            (Errno::INVAL, ErrorKind::Invalid, "only local disks"),
            (Errno::NOSYS, ErrorKind::Invalid, "only local disks"),
            (Errno::IO, ErrorKind::Unavailable, "cannot create"),
        ] {
            let error = failed("create an object", Path::new("/ledger/log/1"), errno.into());
            assert_eq!(error.kind(), kind, "{errno}");
            let text = error.to_string();
            assert!(text.contains(words) && text.contains("path=`/ledger/log/1`"), "{text}");
        }
    }
}
