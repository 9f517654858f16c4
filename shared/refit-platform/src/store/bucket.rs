//! A folder in a bucket of a cloud, and what its services have in common.

use http::HeaderMap;
use http::header::DATE;
use jiff::fmt::rfc2822;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::{Span, Timestamp};
use refit_engine::port::{Entry, Page};
use refit_wire::http::Failure;

use super::name;

/// How long one call to a service may take, credentials included.
pub(super) const CALL_WITHIN: Span = Span::secs(20);
/// Bytes of the name of a folder: with the longest name in it, it is still a lawful name of an object.
const FOLDER_BYTES_MAX: usize = 256;
/// Bytes of the name of a bucket.
const BUCKET_BYTES_MAX: usize = 222;
/// The least character of a lawful name.
const LEAST: char = '-';
/// A character that is greater than any of a lawful name.
#[cfg(feature = "aws")]
const BEYOND: char = '~';
/// Pages without an object on them, one after another, that a listing goes through.
const EMPTY_PAGES_MAX: usize = 16;

/// A folder in a bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder {
    bucket: String,
    /// Empty, or with a slash at its end.
    prefix: String,
}

impl Folder {
    /// The folder that the part of a location behind `gs://` or `s3://` names; the bucket itself where it names
    /// nothing more.
    ///
    /// # Errors
    /// `Invalid` if it is not a lawful name of a bucket and a folder.
    pub fn parse(location: &str) -> Result<Self, Error> {
        let location = location.strip_suffix('/').unwrap_or(location);
        let (bucket, folder) = location.split_once('/').unwrap_or((location, ""));
        let lawful =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        if !(3..=BUCKET_BYTES_MAX).contains(&bucket.len()) || !bucket.bytes().all(lawful) {
            let message = format!("not a name of a bucket: bucket=`{}`", bucket.escape_default());
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        if location.len() == bucket.len() {
            return Ok(Self { bucket: bucket.to_owned(), prefix: String::new() });
        }
        if folder.len() > FOLDER_BYTES_MAX {
            let message = format!("a folder's name is longer than {FOLDER_BYTES_MAX} bytes");
            return Err(Error::new(ErrorKind::Invalid, message));
        }
        name::check(folder)?;
        Ok(Self { bucket: bucket.to_owned(), prefix: format!("{folder}/") })
    }

    /// The bucket.
    pub(super) fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What the names of all objects in the folder begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The URI of the folder, without a slash at its end.
    pub(super) fn uri(&self, scheme: &str) -> String {
        let uri = format!("{scheme}://{}/{}", self.bucket, self.prefix);
        uri.trim_end_matches('/').to_owned()
    }

    /// The name in the bucket of an object in the folder.
    pub(super) fn key(&self, name: &str) -> Result<String, Error> {
        name::check(name)?;
        Ok(format!("{}{name}", self.prefix))
    }

    /// The name in the folder of an object in the bucket; none if it lies elsewhere.
    pub(super) fn name(&self, key: &str) -> Option<String> {
        key.strip_prefix(&self.prefix).map(str::to_owned)
    }
}

/// The first name that can come after this one: no lawful name lies between.
fn after(name: &str) -> String {
    format!("{name}{LEAST}")
}

/// A name before which no lawful name that is less than this one comes short: listing what lies behind it begins with
/// this one, where a service leaves out the name it is given.
#[cfg(feature = "aws")]
pub(super) fn before(name: &str) -> String {
    let mut before = name.to_owned();
    let last = before.pop().and_then(|last| char::from_u32(u32::from(last).checked_sub(1)?));
    before.extend(last.into_iter().chain([BEYOND]));
    before
}

/// One page of a listing as a service gives it, which may be empty and not the last.
pub(super) struct Listed {
    /// The objects on it.
    pub(super) entries: Vec<Entry>,
    /// When the service answered.
    pub(super) now: Timestamp,
    /// What to ask for the next page with, if there is one.
    pub(super) more: Option<String>,
}

/// Asks for pages until one shows an object or is the last.
pub(super) async fn page<F>(mut ask: impl FnMut(Option<String>) -> F + Send) -> Result<Page, Error>
where
    F: Future<Output = Result<Listed, Error>> + Send,
{
    let mut token = None;
    for _ in 0..EMPTY_PAGES_MAX {
        let Listed { entries, now, more } = ask(token).await?;
        let last = entries.last().map(|entry| after(&entry.name));
        match (more, last) {
            (None, _) => return Ok(Page { entries, now, next: None }),
            (Some(_), Some(next)) => return Ok(Page { entries, now, next: Some(next) }),
            (more, None) => token = more,
        }
    }
    Err(Error::new(ErrorKind::Unavailable, "cannot list objects, all pages are empty"))
}

/// What a status says that is neither success nor an answer of the call.
pub(super) fn refused(doing: &str, status: u16) -> Error {
    let (kind, why) = match status {
        301 | 307 => (ErrorKind::Invalid, "the bucket lies in another region"),
        401 => (ErrorKind::Unauthorized, "the credential does not hold"),
        403 => (ErrorKind::Unauthorized, "the permission is missing"),
        404 => (ErrorKind::Rejected, "there is no such bucket"),
        408 | 409 | 425 | 429 | 500.. => (ErrorKind::Unavailable, "the service cannot now"),
        _ => (ErrorKind::Rejected, "the service refuses"),
    };
    Error::new(kind, format!("cannot {doing}, {why}: status=`{status}`"))
}

/// What it means that there is no answer.
pub(super) fn unanswered(doing: &str, failure: &Failure) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {doing}: {failure}"))
}

/// The time at which the service answered, to the second it had begun.
pub(super) fn answered_at(doing: &str, headers: &HeaderMap) -> Result<Timestamp, Error> {
    let date = headers.get(DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| rfc2822::parse(date).ok());
    date.map(|date| Timestamp::from_millis(date.timestamp().as_millisecond()))
        .ok_or_else(|| unreadable(doing, "it names no time"))
}

/// What an answer comes to that is not what the service promises.
pub(super) fn unreadable(doing: &str, why: &str) -> Error {
    Error::new(ErrorKind::Unavailable, format!("cannot {doing}, the answer is unreadable, {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_a_bucket_and_a_lawful_name() {
        for (location, uri) in [
            ("bucket", "gs://bucket"),
            ("bucket/", "gs://bucket"),
            ("bucket/prod", "gs://bucket/prod"),
            ("my.bucket_1-x/a/b/", "gs://my.bucket_1-x/a/b"),
        ] {
            assert_eq!(Folder::parse(location).unwrap().uri("gs"), uri, "{location}");
        }
        let long = format!("bucket/{}", ["x"; 140].join("/"));
        for location in ["", "b", "/x", "Bucket/x", "bucket//", "bucket/a//b", "bucket/../x", &long]
        {
            let error = Folder::parse(location).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{location}");
        }
    }

    #[test]
    fn names_are_relative_to_the_folder() {
        let folder = Folder::parse("bucket/prod").unwrap();
        assert_eq!(folder.key("log/1").unwrap(), "prod/log/1");
        assert_eq!(folder.name("prod/log/1").as_deref(), Some("log/1"));
        assert_eq!(folder.name("production/log/1"), None);
        assert_eq!(folder.key("../x").unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn no_lawful_name_lies_between_a_name_and_what_comes_after_it() {
        let after = after("log/1");
        assert!("log/1" < after.as_str());
        for later in ["log/1-", "log/1-x", "log/1.a", "log/1/x", "log/10", "log/1A", "log/2"] {
            assert!(name::check(later).is_ok() && after.as_str() <= later, "{later}");
        }
    }

    #[cfg(feature = "aws")]
    #[test]
    fn every_name_less_than_one_lies_before_what_comes_before_it() {
        let before = before("log/1");
        assert!(before.as_str() < "log/1", "{before}");
        for less in ["log", "log/", "log/0", "log/0z", "log/0/z", "log/-", "A", "inbox/9"] {
            assert!(less < before.as_str(), "{less}");
        }
        let before = super::before("a-");
        assert!("a" < before.as_str() && before.as_str() < "a-", "{before}");
    }

    #[tokio::test]
    async fn empty_pages_are_gone_through_but_not_for_ever() {
        let listed = |entries, more: Option<&str>| {
            let (now, more) = (Timestamp::EPOCH, more.map(str::to_owned));
            Ok(Listed { entries, now, more })
        };
        let entry = || Entry { name: "log/1".to_owned(), size: 0, created: Timestamp::EPOCH };
        let found = page(async |token: Option<String>| match token.as_deref() {
            None => listed(Vec::new(), Some("a")),
            Some("a") => listed(vec![entry()], Some("b")),
            Some(other) => panic!("asked for {other}"),
        });
        assert_eq!(found.await.unwrap().next.as_deref(), Some("log/1-"));
        let endless = page(async |_| listed(Vec::new(), Some("a")));
        assert_eq!(endless.await.unwrap_err().kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn a_date_is_read_to_the_second() {
        let mut headers = HeaderMap::new();
        assert!(answered_at("list", &headers).is_err());
        headers.insert(DATE, "Sat, 21 Nov 2026 15:42:30 GMT".parse().unwrap());
        let expected = "2026-11-21T15:42:30Z".parse().unwrap();
        assert_eq!(answered_at("list", &headers).unwrap(), expected);
    }
}
