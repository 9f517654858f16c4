//! Drift reports that land as objects: where tools write files, the file is the report and the notification says only
//! that it is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use refit_core::error::{Error, ErrorKind};
use refit_core::event::{DataRef, Event, Fact, ObjectKind};
use refit_core::key::Hash128;
use refit_engine::port::Store;
use refit_wire::source::{Rejected, quarantined_report, reports_in};

/// Bytes of a report.
const BYTES_MAX: usize = 1 << 20;
/// Uploads that are remembered while their reports cannot be read.
const WAITING_MAX: usize = 1_000;

/// The folder reports land in, and the right to read it.
#[derive(Clone)]
pub struct Reports {
    /// Its URI, with a slash at the end.
    root: String,
    store: Arc<dyn Store>,
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
    #[must_use]
    pub fn new(root: &str, store: Arc<dyn Store>) -> Self {
        let root = format!("{}/", root.trim_end_matches('/'));
        Self { root, store, waiting: Arc::default() }
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
            if let Some((name, object)) = self.of_event(event) {
                found.extend(self.read_object(event, name, object).await?);
            }
        }
        Ok(found)
    }

    async fn read_object(
        &self,
        upload: &Event,
        name: &str,
        object: &DataRef,
    ) -> Result<Vec<Event>, Error> {
        let is_larger = |size: u64| size > BYTES_MAX as u64;
        if let Some(size) = object.size.filter(|size| is_larger(*size)) {
            return Ok(too_large(upload, object, size).into_iter().collect());
        }
        // One that is gone by now says nothing any more.
        let body = self.store.get_up_to(name, BYTES_MAX + 1).await.map_err(unreadable)?;
        let Some(body) = body else { return Ok(Vec::new()) };
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

    fn of_event<'e>(&self, event: &'e Event) -> Option<(&'e str, &'e DataRef)> {
        let Fact::Object(change) = &event.fact else { return None };
        let object = Some(&change.object).filter(|_| change.kind == ObjectKind::Finalized)?;
        let place = self.root.strip_prefix(&format!("{}://{}/", object.scheme, object.bucket))?;
        Some((object.name.strip_prefix(place)?, object))
    }
}

/// What is larger than any report: poison, if it is JSON by its name or its type, for it might be one. Nothing of it is kept.
fn too_large(upload: &Event, object: &DataRef, size: u64) -> Option<Event> {
    tracing::warn!(object = object.uri(), size, "an object is too large for a report");
    let is_json = |text: &str| text.to_ascii_lowercase().ends_with("json");
    let may_be_one = is_json(&object.name) || object.content_type.as_deref().is_some_and(is_json);
    may_be_one.then(|| {
        let reason = format!("larger than any report that is read: limit=`{BYTES_MAX}`");
        let mut event = quarantined_report(upload, b"", &reason);
        if let Fact::Invalid(invalid) = &mut event.fact {
            invalid.size = size;
        }
        event
    })
}

fn unreadable(error: Error) -> Error {
    Error::new(ErrorKind::Unavailable, "a report cannot be read now").because(error)
}

#[cfg(test)]
mod tests {
    use refit_core::drift::Verdict;
    use refit_core::event::Invalid;
    use refit_platform::clock::SystemClock;
    use refit_platform::store::MemoryStore;
    use refit_wire::source::Understood;
    use refit_wire::source::understand_document;
    use serde_json::json;

    use super::*;

    const REPORT: &str = r#"{"version": 0, "violations": [{
        "feature_name": "age", "constraint_check_type": "baseline_drift_check", "description": "d"
    }]}"#;

    fn landed(key: &str) -> Event {
        let record = json!({"Records": [{
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put",
            "eventTime": "2026-01-05T12:00:00.000Z",
            "s3": {"bucket": {"name": "acme"}, "object": {"key": key, "size": 5, "sequencer": "0A"}},
        }]});
        match understand_document(&record) {
            Ok(Understood::Record(mut events)) => events.remove(0),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn an_object_that_is_a_report_is_one_fact_however_often_it_is_announced() {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        store.create("a/constraint_violations.json", REPORT.into()).await.unwrap();
        store.create("a/other.csv", "x".into()).await.unwrap();
        let reports = Reports::new("s3://acme/reports/", store);
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
    async fn what_is_larger_than_any_report_is_not_read_whole_and_is_poison_if_it_may_be_one() {
        let store = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let large = format!("{{\"a\": \"{}\"}}", "x".repeat(BYTES_MAX));
        for name in ["a.json", "a.html"] {
            store.create(name, large.clone().into()).await.unwrap();
        }
        let reports = Reports::new("s3://acme/reports/", store);
        for (name, size, quarantined) in [
            ("a.json", json!(null), Some(BYTES_MAX + 1)),
            ("a.html", json!(null), None),
            ("b.json", json!(BYTES_MAX * 3), Some(BYTES_MAX * 3)),
            ("b.html", json!(BYTES_MAX * 3), None),
        ] {
            let mut upload = landed(&format!("reports/{name}"));
            let Fact::Object(change) = &mut upload.fact else { panic!("{upload:?}") };
            change.object.size = size.as_u64();
            let found = reports.read(&[upload]).await.unwrap();
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
