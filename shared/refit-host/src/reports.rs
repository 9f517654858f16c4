//! Drift reports that land as objects: where tools write files, the file is the report and the notification says only
//! that it is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::{DataRef, Event, Fact, ObjectKind};
use refit_core::key::Hash128;
use refit_engine::port::Transport;
use refit_wire::content::{self, has_path};
use refit_wire::listing::Buckets;
use refit_wire::source::{Rejected, may_be_report, quarantined_report, reports_in};

use crate::intake::RECEIVED_WITHIN;

/// Bytes of a report.
const BYTES_MAX: usize = 1 << 20;
/// Uploads that are remembered while their reports cannot be read.
const WAITING_MAX: usize = 1_000;

/// The folder reports land in, and the right to read it.
#[derive(Clone)]
pub struct Reports {
    /// Its URI, with a slash at the end.
    root: String,
    buckets: Arc<Buckets>,
    transport: Arc<dyn Transport>,
    /// Uploads that are recorded, and whose reports are not.
    waiting: Arc<Mutex<BTreeSet<Hash128>>>,
}

impl std::fmt::Debug for Reports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reports").field("root", &self.root).finish_non_exhaustive()
    }
}

impl Reports {
    /// The folder with this URI, such as `s3://acme-monitoring/reports`.
    ///
    /// # Errors
    /// `Invalid` if it is none, or it is not known where S3 is.
    pub fn open(
        root: &str,
        buckets: Buckets,
        transport: Arc<dyn Transport>,
    ) -> Result<Self, Error> {
        let root = format!("{}/", root.trim_end_matches('/'));
        let invalid = |why: &str| {
            let message = format!("REFIT_REPORTS cannot be read, {why}: folder=`{root}`");
            Error::new(ErrorKind::Invalid, message)
        };
        let (scheme, place) = root.split_once("://").unwrap_or_default();
        let (bucket, name) = place.split_once('/').unwrap_or_default();
        if bucket.is_empty() || !(name.is_empty() || has_path(name)) {
            return Err(invalid("it is no folder in a bucket"));
        }
        let object = DataRef {
            scheme: scheme.to_owned(),
            bucket: bucket.to_owned(),
            name: name.to_owned(),
            ..DataRef::default()
        };
        buckets.beginning(&object, 1).map_err(|why| invalid(&why))?;
        Ok(Self { root, buckets: Arc::new(buckets), transport, waiting: Arc::default() })
    }

    /// Whether an object among those that events tell of may be a report.
    pub(crate) fn are_among(&self, events: &[Event]) -> bool {
        events.iter().any(|event| self.of_event(event).is_some())
    }

    /// Whether these uploads are recorded and only their reports are waited for, as far as this process remembers.
    pub(crate) fn are_waited_for(&self, uploads: &[Event]) -> bool {
        let waiting = self.waiting();
        uploads.iter().all(|upload| waiting.contains(&upload.id()))
    }

    /// Remembers that these uploads are recorded.
    pub(crate) fn wait_for(&self, uploads: &[Event]) {
        let mut waiting = self.waiting();
        if waiting.len() >= WAITING_MAX {
            waiting.clear();
        }
        waiting.extend(uploads.iter().map(Event::id));
    }

    /// Forgets uploads whose reports are recorded as well.
    pub(crate) fn forget(&self, uploads: &[Event]) {
        let mut waiting = self.waiting();
        uploads.iter().for_each(|upload| {
            waiting.remove(&upload.id());
        });
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<Hash128>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reports among the objects that events tell of, as events. What lies there and is no report is none.
    ///
    /// # Errors
    /// `Unavailable` if an object cannot be read now.
    pub async fn read(&self, events: &[Event]) -> Result<Vec<Event>, Error> {
        let mut found = Vec::new();
        for event in events {
            if let Some(object) = self.of_event(event) {
                found.extend(self.read_object(event, object).await?);
            }
        }
        Ok(found)
    }

    async fn read_object(&self, upload: &Event, object: &DataRef) -> Result<Vec<Event>, Error> {
        let is_larger = |size: u64| size > BYTES_MAX as u64;
        if let Some(size) = object.size.filter(|size| is_larger(*size)) {
            return Ok(too_large(upload, object, size).into_iter().collect());
        }
        if !has_path(&object.name) {
            let reason = "no report can have such a name";
            return Ok(poison(upload, object, reason).into_iter().collect());
        }
        // One that is gone by now, or that another has taken the place of, says nothing any more.
        let Some(body) = self.beginning(object).await? else { return Ok(Vec::new()) };
        if is_larger(body.len() as u64) {
            return Ok(too_large(upload, object, body.len() as u64).into_iter().collect());
        }
        match reports_in(upload, &body) {
            Ok(reports) => Ok(reports),
            Err(Rejected { reason, .. }) => {
                tracing::warn!(object = object.uri(), reason, "a report is not understood");
                Ok(vec![quarantined_report(upload, &body, &reason)])
            }
        }
    }

    /// What an object begins with; nothing where it is not there as it was.
    async fn beginning(&self, object: &DataRef) -> Result<Option<Bytes>, Error> {
        let unreadable = |why: String| {
            Error::new(ErrorKind::Unavailable, format!("a report cannot be read now: {why}"))
        };
        let mut request = self.buckets.beginning(object, BYTES_MAX + 1).map_err(unreadable)?;
        request.timeout = Some(RECEIVED_WITHIN);
        let reply = self.transport.send(request).await;
        let response = reply.map_err(|failure| unreadable(failure.to_string()))?;
        content::read(object, &response).map_err(unreadable)
    }

    fn of_event<'e>(&self, event: &'e Event) -> Option<&'e DataRef> {
        let Fact::Object(change) = &event.fact else { return None };
        let object = Some(&change.object).filter(|_| change.kind == ObjectKind::Finalized)?;
        object.uri().starts_with(&self.root).then_some(object)
    }
}

/// What is larger than any report.
fn too_large(upload: &Event, object: &DataRef, size: u64) -> Option<Event> {
    let reason = format!("larger than any report that is read: limit=`{BYTES_MAX}`");
    let mut event = poison(upload, object, &reason)?;
    if let Fact::Invalid(invalid) = &mut event.fact {
        invalid.size = size;
    }
    Some(event)
}

/// What is not read, if it is JSON by its name or its type: it might be a report. Nothing of it is kept.
fn poison(upload: &Event, object: &DataRef, reason: &str) -> Option<Event> {
    tracing::warn!(object = object.uri(), reason, "an object is not read as a report");
    may_be_report(object).then(|| quarantined_report(upload, b"", reason))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use async_trait::async_trait;
    use refit_core::drift::Verdict;
    use refit_core::event::Invalid;
    use refit_wire::http::{Reply, Request, Response, Secret};
    use refit_wire::source::{Understood, understand_document};
    use serde_json::{Value, json};

    use super::*;

    pub(crate) const REPORT: &str = r#"{"version": 0, "violations": [{
        "feature_name": "age", "constraint_check_type": "baseline_drift_check", "description": "d"
    }]}"#;

    /// The bucket `acme` of S3, which answers as S3 does; every body is its own tag. It may be shut.
    #[derive(Default)]
    pub(crate) struct Bucket {
        pub(crate) objects: Mutex<BTreeMap<String, String>>,
        pub(crate) is_shut: Mutex<bool>,
    }

    #[async_trait]
    impl Transport for Bucket {
        async fn send(&self, request: Request) -> Reply {
            let answer = |status: u16, body: &str| {
                Ok(Response { status, body: body.to_owned().into(), ..Response::default() })
            };
            if *self.is_shut.lock().unwrap() {
                return answer(403, "<Error><Code>AccessDenied</Code></Error>");
            }
            let name = request.url.path().strip_prefix("/acme/").unwrap();
            let objects = self.objects.lock().unwrap();
            let Some(body) = objects.get(name) else {
                return answer(404, "<Error><Code>NoSuchKey</Code></Error>");
            };
            let wanted = request.headers.get("if-match").map(|tag| tag.to_str().unwrap());
            if wanted.is_some_and(|tag| tag != format!("{:?}", tag_of(body))) {
                return answer(412, "<Error><Code>PreconditionFailed</Code></Error>");
            }
            let range = request.headers["range"].to_str().unwrap();
            let last: usize = range.strip_prefix("bytes=0-").unwrap().parse().unwrap();
            answer(206, &body[..body.len().min(last + 1)])
        }

        async fn secret(&self, _: &Secret, _: Option<&str>) -> Result<String, Error> {
            panic!("no secret is asked for")
        }
    }

    impl Bucket {
        pub(crate) fn put(&self, name: &str, body: &str) {
            self.objects.lock().unwrap().insert(name.to_owned(), body.to_owned());
        }

        pub(crate) fn reports(self: &Arc<Self>) -> Reports {
            let transport: Arc<dyn Transport> = Arc::<Self>::clone(self);
            Reports::open("s3://acme/reports", buckets(), transport).unwrap()
        }
    }

    fn tag_of(body: &str) -> String {
        body.len().to_string()
    }

    pub(crate) fn buckets() -> Buckets {
        Buckets::default().with_s3("eu-central-1", None).unwrap()
    }

    fn landed_as(key: &str, object: &Value) -> Event {
        let mut record = json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "2026-01-05T12:00:00.000Z",
            "s3": {"bucket": {"name": "acme"}, "object": {"key": key, "sequencer": "0A"}},
        }]});
        let described = record["Records"][0]["s3"]["object"].as_object_mut().unwrap();
        described.extend(object.as_object().cloned().unwrap_or_default());
        match understand_document(&record) {
            Ok(Understood::Record(mut events)) => events.remove(0),
            other => panic!("{other:?}"),
        }
    }

    fn landed(key: &str) -> Event {
        landed_as(key, &json!({"size": 5}))
    }

    #[tokio::test]
    async fn an_object_that_is_a_report_is_one_fact_however_often_it_is_announced() {
        let bucket = Arc::new(Bucket::default());
        bucket.put("reports/a/constraint_violations.json", REPORT);
        bucket.put("reports/a/other.csv", "x");
        let reports = bucket.reports();
        let names = ["a/constraint_violations.json", "a/other.csv", "a/gone.json"];
        let mut events: Vec<Event> =
            names.iter().map(|name| landed(&format!("reports/{name}"))).collect();
        events.push(landed("elsewhere/constraint_violations.json"));
        let found = reports.read(&events).await.unwrap();
        let [report] = found.as_slice() else { panic!("{found:?}") };
        let Fact::Drift(drift) = &report.fact else { panic!("{report:?}") };
        assert_eq!(drift.verdict, Verdict::Drift);
        let place = "s3://acme/reports/a/constraint_violations.json";
        assert_eq!(drift.raw.place.as_deref(), Some(place));
        assert_eq!(report.time, events[0].time);
        assert_eq!(reports.read(&events[..1]).await.unwrap()[0].identity, report.identity);
        assert_ne!(report.identity, events[0].identity, "the object is a fact of its own");
    }

    #[tokio::test]
    async fn a_report_may_have_any_name_and_what_is_no_json_but_should_be_is_poison() {
        let bucket = Arc::new(Bucket::default());
        let names = ["date=2026-01-05/r.json", "a b.json", "12:00.json", "sub//r.json", ".r.json"];
        for name in names {
            bucket.put(&format!("reports/{}", name.replace(' ', "%20")), REPORT);
            let found = bucket.reports().read(&[landed(&format!("reports/{name}"))]).await.unwrap();
            let [Event { fact: Fact::Drift(_), .. }] = found.as_slice() else { panic!("{name}") };
        }
        for (name, body, poison) in [
            ("cut.json", "{\"version\": 0, ", 1),
            ("zipped.json", "\u{1f}\u{8b}", 1),
            ("empty.json", "", 1),
            ("notes.txt", "all is well", 0),
            ("sub/", "", 0),
        ] {
            bucket.put(&format!("reports/{name}"), body);
            let found = bucket.reports().read(&[landed(&format!("reports/{name}"))]).await.unwrap();
            assert_eq!(found.len(), poison, "{name}");
            assert!(found.iter().all(|event| invalid(event).reason.contains("JSON")), "{name}");
        }
        let found = bucket.reports().read(&[landed("reports/../r.json")]).await.unwrap();
        assert!(invalid(&found[0]).reason.contains("such a name"));
    }

    #[tokio::test]
    async fn a_report_that_another_has_taken_the_place_of_is_not_read_for_it() {
        let bucket = Arc::new(Bucket::default());
        bucket.put("reports/latest.json", REPORT);
        let of = |body: &str| landed_as("reports/latest.json", &json!({"eTag": tag_of(body)}));
        let (first, second) = (of("an earlier one"), of(REPORT));
        assert_eq!(bucket.reports().read(&[first]).await.unwrap(), []);
        assert_eq!(bucket.reports().read(&[second]).await.unwrap().len(), 1);
    }

    #[test]
    fn a_folder_that_is_none_is_refused_at_once() {
        let open = |root: &str, buckets: Buckets| {
            let transport: Arc<dyn Transport> = Arc::<Bucket>::default();
            Reports::open(root, buckets, transport).map(drop).map_err(|error| error.to_string())
        };
        for root in ["/tmp/reports", "reports", "s3://", "s3:///a", "ftp://acme/a", "gs://a/../b"] {
            assert!(open(root, buckets()).unwrap_err().contains("REFIT_REPORTS"), "{root}");
        }
        let error = open("s3://acme/reports", Buckets::default()).unwrap_err();
        assert!(error.contains("AWS_REGION"), "{error}");
        for root in ["s3://acme", "gs://acme/", "gs://acme/date=1/a b"] {
            assert_eq!(open(root, buckets()), Ok(()), "{root}");
        }
    }

    #[tokio::test]
    async fn what_is_larger_than_any_report_is_not_read_whole_and_is_poison_if_it_may_be_one() {
        let bucket = Arc::new(Bucket::default());
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(BYTES_MAX));
        for name in ["a.json", "a.html"] {
            bucket.put(&format!("reports/{name}"), &large);
        }
        for (name, size, quarantined) in [
            ("a.json", json!({}), Some(BYTES_MAX + 1)),
            ("a.html", json!({}), None),
            ("b.json", json!({"size": BYTES_MAX * 3}), Some(BYTES_MAX * 3)),
            ("b.html", json!({"size": BYTES_MAX * 3}), None),
        ] {
            let upload = landed_as(&format!("reports/{name}"), &size);
            let found = bucket.reports().read(&[upload]).await.unwrap();
            let sizes: Vec<u64> = found.iter().map(|event| invalid(event).size).collect();
            assert_eq!(sizes, quarantined.map(|size| size as u64).as_slice(), "{name}: {size}");
            assert!(found.iter().all(|event| invalid(event).reason.contains("larger")), "{name}");
        }
    }

    fn invalid(event: &Event) -> &Invalid {
        let Fact::Invalid(invalid) = &event.fact else { panic!("{event:?}") };
        invalid
    }
}
