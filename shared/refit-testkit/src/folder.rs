//! Folders of the file system.

use std::path::Path;
use std::{fs, io};

/// Copies a folder and what is in its folders; what is there already is written over.
///
/// # Errors
/// The file system's.
pub fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
