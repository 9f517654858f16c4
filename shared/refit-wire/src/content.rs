//! What lies in an object of Cloud Storage or of S3: how it is asked for, and what the answer says.

use ::http::HeaderValue;
use ::http::header::{IF_MATCH, RANGE};
use bytes::Bytes;
use refit_core::event::DataRef;

use crate::http::{Request, Response};
use crate::listing::Buckets;

/// The kinds of stores, as URIs name them.
pub(crate) const CLOUD_STORAGE: &str = "gs";
pub(crate) const S3: &str = "s3";
/// What the checksum of an object of S3 begins with that is its tag.
const TAG: &str = "etag:";

impl Buckets {
    /// Asks for an object.
    pub(crate) fn object(&self, scheme: &str, bucket: &str, name: &str) -> Result<Request, String> {
        match scheme {
            CLOUD_STORAGE => Ok(self.request(&[bucket, "o", name], &[("alt", "media")])),
            S3 => self
                .in_s3(bucket, name)
                .ok_or_else(|| "AWS_REGION is not set: it says where the bucket is".to_owned()),
            _ => Err("no object of Cloud Storage or of S3".to_owned()),
        }
    }

    /// Asks for the beginning of an object, so many bytes of it at most, as it was when this was said of it: what has
    /// taken its place since is another.
    ///
    /// # Errors
    /// Says why it cannot be asked for.
    pub fn beginning(&self, object: &DataRef, bytes: usize) -> Result<Request, String> {
        let mut request = self.object(&object.scheme, &object.bucket, &object.name)?;
        // In S3 it takes a permission of its own to ask for a version; the tag tells as well whether it is the newest.
        let is_in_s3 = object.scheme == S3;
        if let Some(generation) = object.generation.as_ref().filter(|_| !is_in_s3) {
            request.url.query_pairs_mut().append_pair("generation", generation);
        }
        let range = format!("bytes=0-{}", bytes.saturating_sub(1));
        request.headers.insert(RANGE, range.parse().expect("digits can be in a header"));
        let tag = object.checksum.as_deref().and_then(|checksum| checksum.strip_prefix(TAG));
        let tag = tag.filter(|_| is_in_s3).map(|tag| HeaderValue::from_str(&format!("\"{tag}\"")));
        if let Some(Ok(tag)) = tag {
            request.headers.insert(IF_MATCH, tag);
        }
        Ok(request)
    }
}

/// Whether a name can be asked for: of the parts of a path, these are instructions.
#[must_use]
pub fn has_path(name: &str) -> bool {
    !name.is_empty() && !name.split('/').any(|part| matches!(part, "." | ".."))
}

/// Reads the answer to [`Buckets::beginning`]: nothing where the object is not there any more, or not as it was.
///
/// # Errors
/// Says what is wrong, and what would mend it.
pub fn read(object: &DataRef, response: &Response) -> Result<Option<Bytes>, String> {
    match response.status {
        // An object without a byte has no range either.
        416 => Ok(Some(Bytes::new())),
        412 => Ok(None),
        _ => {
            let is_found = is_found(object.scheme == S3, "the object", response)?;
            Ok(is_found.then(|| response.body.clone()))
        }
    }
}

/// Whether what was asked for is there.
///
/// # Errors
/// Says what is wrong, and what would mend it.
pub(crate) fn is_found(is_in_s3: bool, what: &str, response: &Response) -> Result<bool, String> {
    match response.status {
        200 | 206 => Ok(true),
        404 if is_of_bucket(response) => Err("there is no such bucket".to_owned()),
        404 => Ok(false),
        301 | 307 if is_in_s3 => {
            Err("the bucket is in another region than AWS_REGION says".to_owned())
        }
        401 | 403 => {
            let rights = match is_in_s3 {
                true => "s3:GetObject and s3:ListBucket",
                false => "storage.objects.get and storage.objects.list",
            };
            Err(format!("not allowed: it takes the permissions {rights}"))
        }
        status => Err(format!("{what} cannot be read: status=`{status}`")),
    }
}

/// Whether it is the bucket that is missing, in the words of the service.
fn is_of_bucket(response: &Response) -> bool {
    let text = String::from_utf8_lossy(&response.body);
    ["bucket does not exist", "<Code>NoSuchBucket</Code>"].iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(scheme: &str, name: &str, generation: Option<&str>, checksum: &str) -> DataRef {
        DataRef {
            scheme: scheme.to_owned(),
            bucket: "acme".to_owned(),
            name: name.to_owned(),
            generation: generation.map(str::to_owned),
            checksum: Some(checksum.to_owned()),
            ..DataRef::default()
        }
    }

    #[test]
    fn an_object_is_asked_for_as_it_was_told_of_whatever_its_name() {
        let buckets = Buckets::default().with_s3("eu-central-1", None).unwrap();
        let name = "date=2026-01-05/a b//ü.json";
        for (scheme, generation, url, tag) in [
            (
                "gs",
                Some("7"),
                "https://storage.googleapis.com/storage/v1/b/acme/o/date=2026-01-05%2Fa%20b%2F%2F%C3%BC.json?alt=media&generation=7",
                None,
            ),
            (
                "s3",
                Some("v/1"),
                "https://s3.eu-central-1.amazonaws.com/acme/date=2026-01-05/a%20b//%C3%BC.json",
                Some("\"9a\""),
            ),
            (
                "s3",
                None,
                "https://s3.eu-central-1.amazonaws.com/acme/date=2026-01-05/a%20b//%C3%BC.json",
                Some("\"9a\""),
            ),
        ] {
            let asked =
                buckets.beginning(&object(scheme, name, generation, "etag:9a"), 10).unwrap();
            assert_eq!(asked.url.as_str(), url);
            assert_eq!(asked.headers[RANGE], "bytes=0-9");
            assert_eq!(asked.headers.get(IF_MATCH).map(|tag| tag.to_str().unwrap()), tag);
        }
        let elsewhere = Buckets::default().beginning(&object("s3", "a", None, "etag:9a"), 10);
        assert!(elsewhere.unwrap_err().contains("AWS_REGION"));
        assert!(has_path(name) && has_path(".hidden/..a"));
        assert!(!has_path("a/../b") && !has_path(".") && !has_path(""));
    }

    #[test]
    fn what_is_not_there_as_it_was_is_not_there() {
        let object = object("s3", "a.json", None, "etag:9a");
        let answer = |status: u16, body: &'static str| {
            read(&object, &Response { status, body: body.into(), ..Response::default() })
        };
        assert_eq!(answer(206, "{}"), Ok(Some("{}".into())));
        assert_eq!(answer(416, "<Error/>"), Ok(Some(Bytes::new())));
        for status in [404, 412] {
            assert_eq!(answer(status, "<Error/>"), Ok(None), "{status}");
        }
        for (status, words) in [(403, "s3:GetObject"), (503, "`503`"), (301, "another region")] {
            assert!(answer(status, "").unwrap_err().contains(words), "{status}");
        }
    }
}
