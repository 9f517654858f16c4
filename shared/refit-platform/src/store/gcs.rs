//! A store in a folder of a bucket of Cloud Storage.
//!
//! Objects are written and read by Google's own client, without its retries: a repeated create that had won is told
//! that the object exists. Listing and deleting go by the JSON interface, which stand-ins speak as well.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use google_cloud_gax::retry_policy::NeverRetry;
use google_cloud_storage::client::Storage;
use google_cloud_storage::model::Object;
use google_cloud_storage::read_resume_policy::NeverResume;
use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Timestamp;
use refit_engine::deadline::within;
use refit_engine::port::{Clock, Created, Entry, Page, Store, Transport as _};
use refit_wire::http::{Auth, Request, Response};
use serde::Deserialize;
use url::Url;

use super::PAGE_ENTRIES_MAX;
use super::bucket::{
    CALL_WITHIN, Folder, Listed, answered_at, page, refused, unanswered, unreadable,
};
use crate::google;
use crate::transport::HttpTransport;

/// Where the service is.
const ENDPOINT: &str = "https://storage.googleapis.com";
/// What of an object a listing shows.
const FIELDS: &str = "items(name,size,timeCreated),nextPageToken";

/// A store in Cloud Storage. Clones share its connections.
#[derive(Clone)]
pub struct GcsStore {
    inner: Arc<Inner>,
}

struct Inner {
    folder: Folder,
    objects: Storage,
    /// The name of the bucket as the client wants it.
    bucket: String,
    endpoint: Url,
    auth: Auth,
    transport: Arc<HttpTransport>,
    clock: Arc<dyn Clock>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Listing {
    #[serde(default)]
    items: Vec<Item>,
    next_page_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    name: String,
    size: String,
    time_created: String,
}

impl fmt::Debug for GcsStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcsStore").field("folder", &self.inner.folder).finish_non_exhaustive()
    }
}

impl GcsStore {
    /// Opens the store in this folder of a bucket that exists. `stand_in` names a server, as `host:port` or a URL,
    /// that is asked without credentials in place of Google's.
    ///
    /// # Errors
    /// `Invalid` if the stand-in is not a server's name, or there are no roots of trust on this machine.
    pub async fn open(
        folder: Folder,
        stand_in: Option<&str>,
        clock: Arc<dyn Clock>,
        transport: Arc<HttpTransport>,
    ) -> Result<Self, Error> {
        let endpoint = google::endpoint(stand_in, ENDPOINT)?;
        let auth = match stand_in {
            Some(_) => Auth::None,
            None => Auth::GoogleAccessToken { hosts: Vec::new() },
        };
        let objects = Storage::builder()
            .with_endpoint(endpoint.as_str().trim_end_matches('/'))
            .with_credentials(google::credentials(stand_in, &transport))
            .with_retry_policy(NeverRetry)
            .with_read_resume_policy(NeverResume)
            .with_resumable_upload_threshold(usize::MAX)
            .build();
        let objects = objects.await.map_err(google::no_client)?;
        let bucket = format!("projects/_/buckets/{}", folder.bucket());
        let inner = Inner { folder, objects, bucket, endpoint, auth, transport, clock };
        Ok(Self { inner: Arc::new(inner) })
    }
}

#[async_trait]
impl Store for GcsStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        let doing = "read an object";
        let key = self.inner.folder.key(name)?;
        match self.inner.within(doing, Box::pin(self.inner.read(&key))).await? {
            Ok(body) => Ok(Some(body)),
            Err(error) if error.http_status_code() == Some(404) => Ok(None),
            Err(error) => Err(self.inner.failed(doing, error).await),
        }
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        let doing = "create an object";
        let key = self.inner.folder.key(name)?;
        match self.inner.within(doing, Box::pin(self.inner.write(&key, body))).await? {
            Ok(object) => created_at(doing, &object).map(|at| Created::Won { at }),
            Err(error) if error.http_status_code() == Some(412) => {
                let headers = error.http_headers().cloned().unwrap_or_default();
                answered_at(doing, &headers).map(|at| Created::Lost { at })
            }
            Err(error) => Err(self.inner.failed(doing, error).await),
        }
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        let url = self.inner.listing(prefix, from, limit.clamp(1, PAGE_ENTRIES_MAX));
        page(|token| self.inner.listed(url.clone(), token)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        let doing = "delete an object";
        let url = self.inner.url(&["o", &self.inner.folder.key(name)?]);
        let response = self.inner.send(doing, Method::DELETE, url).await?;
        match response.status {
            404 => Ok(()),
            _ if response.is_success() => Ok(()),
            status => Err(refused(doing, status)),
        }
    }
}

impl Inner {
    async fn read(&self, key: &str) -> google_cloud_storage::Result<Bytes> {
        let mut object = self.objects.read_object(&self.bucket, key).send().await?;
        let mut body = BytesMut::new();
        while let Some(chunk) = object.next().await {
            body.extend_from_slice(&chunk?);
        }
        Ok(body.freeze())
    }

    async fn write(&self, key: &str, body: Bytes) -> google_cloud_storage::Result<Object> {
        let write = self.objects.write_object(&self.bucket, key, body);
        Box::pin(write.set_if_generation_match(0_i64).send_buffered()).await
    }

    async fn listed(&self, mut url: Url, token: Option<String>) -> Result<Listed, Error> {
        let doing = "list objects";
        if let Some(token) = token {
            url.query_pairs_mut().append_pair("pageToken", &token);
        }
        let response = self.send(doing, Method::GET, url).await?;
        if !response.is_success() {
            return Err(refused(doing, response.status));
        }
        let now = answered_at(doing, &response.headers)?;
        let listing: Listing = serde_json::from_slice(&response.body)
            .map_err(|_| unreadable(doing, "it is not a listing"))?;
        let entries = self.entries(doing, listing.items)?;
        Ok(Listed { entries, now, more: listing.next_page_token })
    }

    fn listing(&self, prefix: &str, from: &str, limit: usize) -> Url {
        let folder = self.folder.prefix();
        let mut url = self.url(&["o"]);
        url.query_pairs_mut()
            .append_pair("prefix", &format!("{folder}{prefix}"))
            .append_pair("startOffset", &format!("{folder}{}", prefix.max(from)))
            .append_pair("maxResults", &limit.to_string())
            .append_pair("fields", FIELDS);
        url
    }

    fn entries(&self, doing: &str, items: Vec<Item>) -> Result<Vec<Entry>, Error> {
        let entry = |item: Item| {
            let name = self.folder.name(&item.name)?;
            let (size, created) = (item.size.parse().ok()?, item.time_created.parse().ok()?);
            Some(Entry { name, size, created })
        };
        let entries: Option<Vec<Entry>> = items.into_iter().map(entry).collect();
        entries.ok_or_else(|| unreadable(doing, "an object is not described"))
    }

    /// The URL of the bucket, or of what the path in it names.
    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .expect("the endpoint is a base")
            .pop_if_empty()
            .extend(["storage", "v1", "b", self.folder.bucket()])
            .extend(path);
        url
    }

    async fn send(&self, doing: &str, method: Method, url: Url) -> Result<Response, Error> {
        let request = Request::new(method, url).auth(self.auth.clone());
        let request = Request { timeout: Some(CALL_WITHIN), ..request };
        self.transport.send(request).await.map_err(|failure| unanswered(doing, &failure))
    }

    async fn within<T>(
        &self,
        doing: &str,
        call: impl Future<Output = T> + Send,
    ) -> Result<T, Error> {
        let late =
            || Error::new(ErrorKind::Unavailable, format!("cannot {doing}: no answer in time"));
        within(&*self.clock, CALL_WITHIN, call).await.ok_or_else(late)
    }

    /// What the failure of a call by Google's client means.
    async fn failed(&self, doing: &str, error: google_cloud_storage::Error) -> Error {
        match error.http_status_code() {
            Some(401) => {
                self.transport.forget_google_token().await;
                refused(doing, 401)
            }
            Some(status) => refused(doing, status),
            None if error.is_authentication() => google::no_token(doing, error),
            None => Error::new(ErrorKind::Unavailable, format!("cannot {doing}")).because(error),
        }
    }
}

fn created_at(doing: &str, object: &Object) -> Result<Timestamp, Error> {
    let time = object.create_time.as_ref().ok_or_else(|| unreadable(doing, "it names no time"))?;
    Ok(Timestamp::from_millis(time.seconds() * 1000 + i64::from(time.nanos()) / 1_000_000))
}
