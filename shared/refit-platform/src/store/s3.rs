//! A store in a folder of a bucket of S3, or of what speaks like it.
//!
//! An object is created with `If-None-Match: *`: of several creators one wins, and the others are told so by 412. A 409
//! says that the race is not over yet: neither won nor lost.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::IF_NONE_MATCH;
use http::{HeaderValue, Method};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Timestamp;
use refit_engine::port::{Created, Entry, Page, Store};
use refit_wire::http::{Auth, Request, Response};
use serde::Deserialize;
use url::Url;

use super::PAGE_ENTRIES_MAX;
use super::bucket::{
    CALL_WITHIN, Folder, Listed, answered_at, before, page, refused, unanswered, unreadable,
};
use crate::transport::HttpTransport;

/// Bytes of an object that is read: the largest, a snapshot of a million events, is far below.
const OBJECT_BYTES_MAX: usize = 256 << 20;

/// Where a bucket is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Place {
    /// The region.
    pub region: String,
    /// A service that speaks like S3, as a URL, in place of that of AWS.
    pub endpoint: Option<String>,
}

/// A store in S3. Clones share its connections.
#[derive(Clone)]
pub struct S3Store {
    folder: Folder,
    /// The URL of the bucket.
    bucket: Url,
    auth: Auth,
    transport: Arc<HttpTransport>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listing {
    #[serde(default)]
    contents: Vec<Item>,
    next_continuation_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Item {
    key: String,
    size: u64,
    last_modified: String,
}

impl fmt::Debug for S3Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Store").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl S3Store {
    /// The store in this folder of a bucket that exists.
    ///
    /// # Errors
    /// `Invalid` if the place is none.
    pub fn new(
        folder: Folder,
        place: &S3Place,
        transport: Arc<HttpTransport>,
    ) -> Result<Self, Error> {
        let bucket = bucket_url(folder.bucket(), place)?;
        let auth = Auth::Aws { service: "s3".to_owned(), region: place.region.clone() };
        Ok(Self { folder, bucket, auth, transport })
    }

    /// The URL of an object.
    fn object(&self, name: &str) -> Result<Url, Error> {
        let mut url = self.bucket.clone();
        let key = self.folder.key(name)?;
        url.path_segments_mut()
            .expect("the bucket's URL is a base")
            .pop_if_empty()
            .extend(key.split('/'));
        Ok(url)
    }

    fn request(&self, method: Method, url: Url) -> Request {
        let request = Request::new(method, url).auth(self.auth.clone());
        Request { timeout: Some(CALL_WITHIN), ..request }
    }

    async fn send(&self, doing: &str, request: Request) -> Result<Response, Error> {
        let reply = self.transport.send_up_to(request, OBJECT_BYTES_MAX).await;
        reply.map_err(|failure| unanswered(doing, &failure))
    }

    fn listing(&self, prefix: &str, from: &str, limit: usize) -> Url {
        let folder = self.folder.prefix();
        let mut url = self.bucket.clone();
        let mut query = url.query_pairs_mut();
        query.append_pair("list-type", "2");
        query.append_pair("max-keys", &limit.to_string());
        query.append_pair("prefix", &format!("{folder}{prefix}"));
        if from > prefix {
            query.append_pair("start-after", &before(&format!("{folder}{from}")));
        }
        drop(query);
        url
    }

    async fn listed(&self, mut url: Url, token: Option<String>) -> Result<Listed, Error> {
        let doing = "list objects";
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("continuation-token", &token);
        }
        let response = self.send(doing, self.request(Method::GET, as_signed(url))).await?;
        if !response.is_success() {
            return Err(refused(doing, response.status));
        }
        let now = answered_at(doing, &response.headers)?;
        let text = str::from_utf8(&response.body).ok();
        let listing: Option<Listing> = text.and_then(|text| quick_xml::de::from_str(text).ok());
        let listing = listing.ok_or_else(|| unreadable(doing, "it is not a listing"))?;
        let entries: Option<_> = listing.contents.iter().map(|item| self.entry(item)).collect();
        let entries = entries.ok_or_else(|| unreadable(doing, "an object is not described"))?;
        Ok(Listed { entries, now, more: listing.next_continuation_token })
    }

    fn entry(&self, item: &Item) -> Option<Entry> {
        let name = self.folder.name(&item.key)?;
        let created: Timestamp = item.last_modified.parse().ok()?;
        Some(Entry { name, size: item.size, created })
    }
}

#[async_trait]
impl Store for S3Store {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let doing = "read an object";
        let response = self.send(doing, self.request(Method::GET, self.object(name)?)).await?;
        match response.status {
            200 => Ok(Some(response.body)),
            404 if is_no_bucket(&response) => Err(refused(doing, 404)),
            404 => Ok(None),
            status => Err(refused(doing, status)),
        }
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        let doing = "create an object";
        let mut request = self.request(Method::PUT, self.object(name)?);
        request.headers.insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        request.body = body;
        let response = self.send(doing, request).await?;
        match response.status {
            200 => Ok(Created::Won { at: answered_at(doing, &response.headers)? }),
            412 => Ok(Created::Lost { at: answered_at(doing, &response.headers)? }),
            status => Err(refused(doing, status)),
        }
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let url = self.listing(prefix, from, limit.clamp(1, PAGE_ENTRIES_MAX));
        page(|token| self.listed(url.clone(), token)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let doing = "delete an object";
        let response = self.send(doing, self.request(Method::DELETE, self.object(name)?)).await?;
        match response.status {
            404 if is_no_bucket(&response) => Err(refused(doing, 404)),
            404 => Ok(()),
            _ if response.is_success() => Ok(()),
            status => Err(refused(doing, status)),
        }
    }
}

/// A tilde is signed as it is, which forms write as `%7E`: some servers verify the query as it was sent.
fn as_signed(mut url: Url) -> Url {
    let query = url.query().map(|query| query.replace("%7E", "~"));
    url.set_query(query.as_deref());
    url
}

/// Whether what is missing is the bucket, not the object.
fn is_no_bucket(response: &Response) -> bool {
    let code = b"<Code>NoSuchBucket</Code>";
    response.body.windows(code.len()).any(|part| part == code)
}

/// A bucket of AWS has a host of its own, unless its name would not fit the certificate.
fn bucket_url(bucket: &str, place: &S3Place) -> Result<Url, Error> {
    let region = &place.region;
    let text = match &place.endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com/"),
    };
    let wrong = || format!("not a place of S3: region=`{region}`, url=`{text}`");
    let url = Url::parse(&text).ok().filter(|url| {
        let region = region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        region && url.has_host() && url.query().is_none() && url.fragment().is_none()
    });
    url.ok_or_else(|| Error::new(ErrorKind::Invalid, wrong()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_has_a_url() {
        let place = |endpoint: Option<&str>| S3Place {
            region: "eu-west-1".to_owned(),
            endpoint: endpoint.map(str::to_owned),
        };
        for (bucket, endpoint, url) in [
            ("ledgers", None, "https://ledgers.s3.eu-west-1.amazonaws.com/"),
            ("my.ledgers", None, "https://s3.eu-west-1.amazonaws.com/my.ledgers"),
            ("ledgers", Some("http://127.0.0.1:9000"), "http://127.0.0.1:9000/ledgers"),
            (
                "ledgers",
                Some("https://minio.example.com/s3/"),
                "https://minio.example.com/s3/ledgers",
            ),
        ] {
            assert_eq!(bucket_url(bucket, &place(endpoint)).unwrap().as_str(), url);
        }
        let region = |region: &str| S3Place { region: region.to_owned(), endpoint: None };
        for wrong in [place(Some("minio:9000")), place(Some("")), region("a.evil.com/")] {
            assert_eq!(bucket_url("ledgers", &wrong).unwrap_err().kind(), ErrorKind::Invalid);
        }
    }
}
