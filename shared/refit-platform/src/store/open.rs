//! Opening a store by its location.

use std::path::PathBuf;
use std::sync::Arc;

use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Clock, Store};
use url::Url;

use super::{LocalStore, MemoryStore};

/// Where a ledger lies.
enum Location {
    Memory,
    Directory(PathBuf),
}

/// Opens the store at a location: a path or `file://` for a directory, `memory:` for one in memory, which is a new
/// one each time and takes its times from `clock`.
///
/// # Errors
/// `Invalid` if the location says nothing this build can open, and the errors of [`LocalStore::open`].
pub async fn open(location: &str, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Store>, Error> {
    Ok(match locate(location)? {
        Location::Memory => Arc::new(MemoryStore::new(Arc::clone(clock))),
        Location::Directory(path) => Arc::new(LocalStore::open(path).await?),
    })
}

/// The URI of the folder at a location, without a slash at its end: what the URI of an object in it begins with.
///
/// # Errors
/// `Invalid` if the location says nothing this build can open.
pub fn root_uri(location: &str) -> Result<String, Error> {
    Ok(match locate(location)? {
        Location::Memory => "memory://".to_owned(),
        Location::Directory(path) => {
            let uri = Url::from_file_path(path).expect("the path is absolute");
            uri.as_str().trim_end_matches('/').to_owned()
        }
    })
}

fn locate(location: &str) -> Result<Location, Error> {
    let invalid =
        |what: &str| Error::new(ErrorKind::Invalid, format!("{what}: location=`{location}`"));
    match location.split_once(':') {
        Some(("memory", "" | "//")) => Ok(Location::Memory),
        Some(("file", _)) => {
            let path = Url::parse(location).ok().and_then(|url| url.to_file_path().ok());
            path.map(Location::Directory).ok_or_else(|| invalid("not the URI of a local directory"))
        }
        Some(("gs", _)) => {
            Err(invalid("cloud storage is not in this build, install one with --features gcp"))
        }
        Some(("s3", _)) => Err(invalid("s3 is not in this build, install one with --features aws")),
        Some((_, rest)) if rest.starts_with("//") => Err(invalid(
            "not a location of a ledger, which is a directory, gs://…, s3://… or memory:",
        )),
        Some(_) | None => match std::path::absolute(location) {
            Ok(path) => Ok(Location::Directory(path)),
            Err(error) => Err(invalid("not a path").because(error)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_has_a_uri_that_objects_are_named_by() {
        let here = std::env::current_dir().unwrap().display().to_string();
        for (location, uri) in [
            ("memory:", "memory://".to_owned()),
            ("memory://", "memory://".to_owned()),
            ("/srv/ledger", "file:///srv/ledger".to_owned()),
            ("/srv/ledger/", "file:///srv/ledger".to_owned()),
            ("/srv/my ledger", "file:///srv/my%20ledger".to_owned()),
            ("file:///srv/ledger", "file:///srv/ledger".to_owned()),
            ("file:///srv/my%20ledger", "file:///srv/my%20ledger".to_owned()),
            ("file://localhost/srv/ledger", "file:///srv/ledger".to_owned()),
            (".refit", format!("file://{here}/.refit")),
            ("a:b", format!("file://{here}/a:b")),
        ] {
            assert_eq!(root_uri(location).unwrap(), uri, "{location}");
        }
    }

    #[test]
    fn a_location_that_cannot_be_opened_says_so() {
        for (location, words) in [
            ("gs://bucket/prod", "--features gcp: location=`gs://bucket/prod`"),
            ("s3://bucket/prod", "--features aws"),
            ("http://host/x", "not a location"),
            ("memory://x", "not a location"),
            ("file://host/x", "not the URI"),
            ("", "not a path"),
        ] {
            let error = root_uri(location).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid);
            assert!(error.to_string().contains(words), "{error}");
        }
    }
}
