//! Opening a store by its location.

use std::path::PathBuf;
use std::sync::Arc;

use refit_core::error::{Error, ErrorKind};
use refit_engine::port::{Clock, Store};
use url::Url;

#[cfg(any(feature = "aws", feature = "gcp"))]
use super::Folder;
#[cfg(feature = "gcp")]
use super::GcsStore;
use super::{LocalStore, MemoryStore};
#[cfg(feature = "aws")]
use super::{S3Place, S3Store};
#[cfg(any(feature = "aws", feature = "gcp"))]
use crate::env;
use crate::transport::HttpTransport;

/// The variable that names a stand-in for Cloud Storage, as Google's own clients know it.
#[cfg(feature = "gcp")]
const GCS_STAND_IN: &str = "STORAGE_EMULATOR_HOST";

/// Where a ledger lies.
enum Location {
    Memory,
    Directory(PathBuf),
    #[cfg(feature = "gcp")]
    CloudStorage(Folder),
    #[cfg(feature = "aws")]
    S3(Folder),
}

/// Opens the store at a location: a path or `file://` for a directory, `memory:` for one in memory, which is a new
/// one each time and takes its times from `clock`, `gs://` for a folder of Cloud Storage if the build has the
/// feature `gcp`, `s3://` for one of S3 if it has `aws`. What lies in a cloud is asked through `transport`.
///
/// # Errors
/// `Invalid` if the location says nothing this build can open, and the errors of [`LocalStore::open`].
#[cfg_attr(
    not(any(feature = "aws", feature = "gcp")),
    expect(unused_variables, reason = "a build without clouds asks nobody")
)]
pub async fn open(
    location: &str,
    clock: &Arc<dyn Clock>,
    transport: &Arc<HttpTransport>,
) -> Result<Arc<dyn Store>, Error> {
    Ok(match locate(location)? {
        Location::Memory => Arc::new(MemoryStore::new(Arc::clone(clock))),
        Location::Directory(path) => Arc::new(LocalStore::open(path).await?),
        #[cfg(feature = "gcp")]
        Location::CloudStorage(folder) => {
            let (stand_in, clock) = (env::var(GCS_STAND_IN), Arc::clone(clock));
            let transport = Arc::clone(transport);
            Arc::new(GcsStore::open(folder, stand_in.as_deref(), clock, transport).await?)
        }
        #[cfg(feature = "aws")]
        Location::S3(folder) => {
            Arc::new(S3Store::new(folder, &s3_place()?, Arc::clone(transport))?)
        }
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
        #[cfg(feature = "gcp")]
        Location::CloudStorage(folder) => folder.uri("gs"),
        #[cfg(feature = "aws")]
        Location::S3(folder) => folder.uri("s3"),
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
        #[cfg(feature = "gcp")]
        Some(("gs", rest)) if rest.starts_with("//") => {
            Folder::parse(&rest[2..]).map(Location::CloudStorage)
        }
        #[cfg(not(feature = "gcp"))]
        Some(("gs", _)) => {
            Err(invalid("cloud storage is not in this build, install one with --features gcp"))
        }
        #[cfg(feature = "aws")]
        Some(("s3", rest)) if rest.starts_with("//") => Folder::parse(&rest[2..]).map(Location::S3),
        #[cfg(not(feature = "aws"))]
        Some(("s3", _)) => Err(invalid("s3 is not in this build, install one with --features aws")),
        Some((_, rest)) if rest.starts_with("//") => Err(invalid(
            "not a location of a ledger, which is memory:, a directory, gs://… or s3://…",
        )),
        Some(_) | None => match std::path::absolute(location) {
            Ok(path) => Ok(Location::Directory(path)),
            Err(error) => Err(invalid("not a path").because(error)),
        },
    }
}

#[cfg(feature = "aws")]
fn s3_place() -> Result<S3Place, Error> {
    let region = env::aws_region().ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "AWS_REGION is not set: it says where the bucket is")
    })?;
    Ok(S3Place { region, endpoint: env::aws_endpoint("s3") })
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
            #[cfg(not(feature = "gcp"))]
            ("gs://bucket/prod", "--features gcp: location=`gs://bucket/prod`"),
            #[cfg(feature = "gcp")]
            ("gs://B/prod", "not a name of a bucket"),
            #[cfg(not(feature = "aws"))]
            ("s3://bucket/prod", "--features aws"),
            #[cfg(feature = "aws")]
            ("s3://b", "not a name of a bucket"),
            ("http://host/x", "a directory, gs://… or s3://…: location=`http://host/x`"),
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
