//! The files that count as objects.

use std::collections::BTreeMap;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::standing::{Object, Stat};

/// Endings of files that are being written.
const UNFINISHED: [&str; 6] = ["~", ".crdownload", ".part", ".partial", ".swp", ".tmp"];

/// What was seen below the folders of buckets.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// Every object: a regular file.
    pub(super) files: BTreeMap<Object, Stat>,
    /// The places that could not be looked at: folders, and files in folders that tell no more than names.
    pub(super) unread: BTreeMap<String, io::Error>,
}

impl Seen {
    /// Whether an object may be there unseen.
    pub(super) fn hides(&self, object: &Object) -> bool {
        let below = |place: &String| object.0.strip_prefix(place);
        let mut below = self.unread.keys().filter_map(below);
        below.any(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Looks at everything. What cannot be looked at hides nothing else.
pub(super) fn scan(buckets: &Path) -> io::Result<Seen> {
    let mut seen = Seen::default();
    for (name, kind) in names(buckets)? {
        if kind.is_dir() {
            add(&buckets.join(&name), &name, &mut seen);
        }
    }
    Ok(seen)
}

/// The files that lie beside the folders of buckets, and so are no objects.
pub(super) fn loose(buckets: &Path) -> io::Result<Vec<String>> {
    let files = names(buckets)?.into_iter().filter(|(_, kind)| kind.is_file());
    Ok(files.map(|(name, _)| name).collect())
}

fn add(folder: &Path, prefix: &str, seen: &mut Seen) {
    let names = match names(folder) {
        Ok(names) => names,
        Err(error) => {
            seen.unread.insert(prefix.to_owned(), error);
            return;
        }
    };
    for (name, kind) in names {
        let (path, place) = (folder.join(&name), format!("{prefix}/{name}"));
        if kind.is_dir() {
            add(&path, &place, seen);
        } else if kind.is_file() {
            match look_at(&path) {
                Ok(stat) => seen.files.extend(stat.map(|stat| (Object(place), stat))),
                Err(error) => seen.unread.extend([(place, error)]),
            }
        }
    }
}

/// What lies in a folder and is neither hidden nor being written. A folder that has just gone is empty.
fn names(folder: &Path) -> io::Result<Vec<(String, fs::FileType)>> {
    let Some(entries) = present(fs::read_dir(folder))? else { return Ok(Vec::new()) };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        let (Ok(name), Some(kind)) = (entry.file_name().into_string(), present(entry.file_type())?)
        else {
            continue;
        };
        if is_finished(&name) {
            names.push((name, kind));
        }
    }
    Ok(names)
}

fn is_finished(name: &str) -> bool {
    !name.starts_with('.') && !UNFINISHED.iter().any(|ending| name.ends_with(ending))
}

/// The file as it stands now; none if there is none.
pub(super) fn look_at(path: &Path) -> io::Result<Option<Stat>> {
    Ok(present(fs::symlink_metadata(path))?.filter(Metadata::is_file).map(|file| stat(&file)))
}

fn stat(file: &Metadata) -> Stat {
    Stat {
        inode: file.ino(),
        bytes: file.size(),
        modified_ns: file.mtime().saturating_mul(1_000_000_000).saturating_add(file.mtime_nsec()),
        generation: file.ctime().saturating_mul(1_000_000) + file.ctime_nsec() / 1000,
    }
}

fn present<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_the_finished_files_of_buckets() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("uploads/in/.git")).unwrap();
        fs::create_dir_all(at(".hidden")).unwrap();
        let files = [
            "uploads/a.csv",
            "uploads/in/é b.csv",
            "uploads/.a.csv",
            "uploads/in/.git/x",
            "uploads/a.csv.part",
            "uploads/a.tmp",
            "uploads/a~",
            ".hidden/x",
            "in-no-bucket",
        ];
        files.iter().for_each(|name| fs::write(at(name), "x").unwrap());
        std::os::unix::fs::symlink(at("uploads/a.csv"), at("uploads/link.csv")).unwrap();
        let found: Vec<_> = scan(folder.path()).unwrap().files.into_keys().map(|it| it.0).collect();
        assert_eq!(found, ["uploads/a.csv", "uploads/in/é b.csv"]);
        assert_eq!(loose(folder.path()).unwrap(), ["in-no-bucket"]);
    }

    #[test]
    fn what_cannot_be_looked_at_hides_what_is_below_it() {
        let error = || io::Error::from(io::ErrorKind::PermissionDenied);
        let unread = ["uploads/in", "uploads/a.csv"].map(|place| (place.to_owned(), error()));
        let seen = Seen { unread: unread.into(), ..Seen::default() };
        let hides = |place: &str| seen.hides(&Object(place.to_owned()));
        assert!(hides("uploads/in/b.csv") && hides("uploads/a.csv"));
        assert!(!hides("uploads/inner/b.csv") && !hides("uploads/b.csv"));
    }

    #[test]
    fn a_file_moved_into_the_place_of_another_is_a_newer_generation_of_other_content() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "x").unwrap();
        fs::write(at("new"), "x").unwrap();
        let old = look_at(&at("old")).unwrap().unwrap();
        fs::rename(at("new"), at("old")).unwrap();
        let new = look_at(&at("old")).unwrap().unwrap();
        assert!(new.inode != old.inode && new.generation >= old.generation);
        assert_eq!(look_at(&at("new")).unwrap(), None);
    }
}
