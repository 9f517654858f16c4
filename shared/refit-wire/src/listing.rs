//! Listings of buckets of Cloud Storage, over its JSON API: what lies there, as the events that tell of it.

use http::Method;
use refit_core::event::Event;
use serde_json::Value;
use url::Url;

use crate::http::{Auth, Reply, Request, Response};
use crate::source::listed;

/// Where the service is.
const ENDPOINT: &str = "https://storage.googleapis.com";
/// Objects of one page.
const PAGE: &str = "1000";
/// What is asked of each.
const FIELDS: &str = "items(bucket,name,generation,metageneration,size,md5Hash,crc32c,timeCreated,contentType,metadata),nextPageToken";

/// Where the buckets of Cloud Storage are; and those of S3, which are not listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets {
    endpoint: Url,
    auth: Auth,
    s3: Option<S3>,
}

/// Where the buckets of S3 are, in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
struct S3 {
    endpoint: Url,
    region: String,
}

/// One page of what lies in a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its objects, each as the event that it was finalized.
    pub events: Vec<Event>,
    /// Objects that cannot be told as events.
    pub unreadable: u64,
    /// How to go on; none at the end.
    pub next: Option<String>,
}

impl Default for Buckets {
    /// Those of Google.
    fn default() -> Self {
        let endpoint = Url::parse(ENDPOINT).expect("it is one");
        Self { endpoint, auth: Auth::GoogleAccessToken { hosts: Vec::new() }, s3: None }
    }
}

impl Buckets {
    /// Those of a stand-in, which is shown no credentials: a host with its port, or a URL. `None` if it is neither.
    #[must_use]
    pub fn stand_in(place: &str) -> Option<Self> {
        let text = if place.contains("://") { place.to_owned() } else { format!("http://{place}") };
        let endpoint = Url::parse(&text).ok().filter(Url::has_host)?;
        Some(Self { endpoint, auth: Auth::None, s3: None })
    }

    /// The same with those of S3 in a region, where Amazon has it or at an endpoint. `None` if they are none.
    #[must_use]
    pub fn with_s3(self, region: &str, endpoint: Option<&str>) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let usual = format!("https://s3.{region}.amazonaws.com");
        let endpoint = Url::parse(endpoint.unwrap_or(&usual)).ok().filter(Url::has_host)?;
        let s3 = S3 { endpoint, region: region.to_owned() };
        region.chars().all(is_plain).then_some(Self { s3: Some(s3), ..self })
    }

    /// Asks for a page of the objects of a bucket whose names begin so.
    #[must_use]
    pub fn list(&self, bucket: &str, prefix: &str, page: Option<&str>) -> Request {
        let query = [("prefix", prefix), ("maxResults", PAGE), ("fields", FIELDS)];
        let page = page.map(|page| ("pageToken", page));
        let query: Vec<_> = query.into_iter().chain(page).collect();
        self.request(&[bucket, "o"], &query)
    }

    /// Asks for an object of S3; `None` where it is not known where S3 is.
    pub(crate) fn in_s3(&self, bucket: &str, name: &str) -> Option<Request> {
        let S3 { endpoint, region } = self.s3.as_ref()?;
        let mut url = endpoint.clone();
        url.path_segments_mut()
            .expect("the endpoint has a host")
            .pop_if_empty()
            .push(bucket)
            .extend(name.split('/'));
        let auth = Auth::Aws { service: "s3".to_owned(), region: region.clone() };
        Some(Request::new(Method::GET, url).auth(auth))
    }

    /// A question about something below the list of buckets.
    pub(crate) fn request(&self, path: &[&str], query: &[(&str, &str)]) -> Request {
        let mut url = self.endpoint.clone();
        url.path_segments_mut()
            .expect("the endpoint has a host")
            .pop_if_empty()
            .extend(["storage", "v1", "b"].iter().chain(path));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Request::new(Method::GET, url).auth(self.auth.clone())
    }
}

/// Whether a listing may be answered otherwise the next time: there was no answer, or the service was busy or down.
#[must_use]
pub fn may_pass(reply: &Reply) -> bool {
    reply.as_ref().map_or(true, |response| matches!(response.status, 408 | 429 | 500..))
}

/// Reads the answer to [`Buckets::list`].
///
/// # Errors
/// Says what is wrong, and what would mend it.
pub fn read(bucket: &str, response: &Response) -> Result<Listed, String> {
    match response.status {
        200 => {}
        401 | 403 => {
            return Err("not allowed: it takes the permission storage.objects.list".to_owned());
        }
        404 => return Err("there is no such bucket".to_owned()),
        status => return Err(format!("the bucket cannot be listed: status=`{status}`")),
    }
    let body = response.json().filter(Value::is_object);
    let body = body.ok_or_else(|| "the answer is not a JSON object".to_owned())?;
    let items = body.get("items").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut read = Listed::default();
    for item in items {
        match listed(bucket, item) {
            Ok(event) => read.events.push(event),
            Err(_) => read.unreadable += 1,
        }
    }
    let next = body.get("nextPageToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    read.next = next.map(str::to_owned);
    Ok(read)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(status: u16, body: &Value) -> Response {
        Response { status, body: body.to_string().into(), ..Response::default() }
    }

    #[test]
    fn a_listing_asks_for_a_page_of_names_that_begin_so() {
        let request = Buckets::default().list("acme-data", "in/é", Some("t/1"));
        let url = request.url.as_str();
        assert!(
            url.starts_with("https://storage.googleapis.com/storage/v1/b/acme-data/o?"),
            "{url}"
        );
        let query: Vec<_> = request.url.query_pairs().into_owned().collect();
        assert!(query.contains(&("prefix".to_owned(), "in/é".to_owned())), "{query:?}");
        assert!(query.contains(&("pageToken".to_owned(), "t/1".to_owned())), "{query:?}");
        assert!(matches!(request.auth, Auth::GoogleAccessToken { .. }));
        let stand_in = Buckets::stand_in("127.0.0.1:9").unwrap().list("b", "", None);
        assert!(stand_in.url.as_str().starts_with("http://127.0.0.1:9/storage/v1/b/b/o?"));
        assert_eq!(stand_in.auth, Auth::None);
        assert_eq!(Buckets::stand_in("a b"), None);
    }

    #[test]
    fn what_is_listed_is_the_fact_that_a_notification_tells() {
        let item = json!({
            "bucket": "b", "name": "in/a", "generation": "12", "size": "3", "md5Hash": "x==",
            "timeCreated": "2026-01-05T12:00:00Z",
        });
        let body = json!({ "items": [item, { "name": "no generation" }], "nextPageToken": "n" });
        let read = read("b", &answer(200, &body)).unwrap();
        assert_eq!((read.events.len(), read.unreadable, read.next.as_deref()), (1, 1, Some("n")));
        let event = &read.events[0];
        assert_eq!(event.identity.0, ["gs", "b", "in/a", "12", "object.finalized"]);
        assert_eq!(event.time, Some("2026-01-05T12:00:00Z".parse().unwrap()));
        assert_eq!(read_end(), None);
    }

    fn read_end() -> Option<String> {
        read("b", &answer(200, &json!({}))).unwrap().next
    }

    #[test]
    fn what_cannot_be_listed_says_what_would_mend_it() {
        for (status, words) in
            [(403, "storage.objects.list"), (404, "no such bucket"), (500, "`500`")]
        {
            let error = read("b", &answer(status, &json!({}))).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
