//! Drift reports that land as objects: where tools write files, the file is the report and the notification says only
//! that it is there.

use std::sync::Arc;

use refit_core::error::{Error, ErrorKind};
use refit_core::event::{DataRef, Event, Fact, ObjectKind};
use refit_engine::port::Store;
use refit_wire::source::{Rejected, quarantined_report, report_in};

/// Bytes of a report.
const BYTES_MAX: u64 = 1 << 20;

/// The folder reports land in, and the right to read it.
#[derive(Clone)]
pub struct Reports {
    /// Its URI, with a slash at the end.
    root: String,
    store: Arc<dyn Store>,
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
        Self { root: format!("{}/", root.trim_end_matches('/')), store }
    }

    /// The reports among the objects that events tell of, as events. What lies there and is no report is none.
    ///
    /// # Errors
    /// `Unavailable` if an object cannot be read now.
    pub async fn read(&self, events: &[Event]) -> Result<Vec<Event>, Error> {
        let mut found = Vec::new();
        for event in events {
            let Some((name, object)) = self.of_event(event) else { continue };
            if object.size.is_some_and(|size| size > BYTES_MAX) {
                tracing::warn!(object = object.uri(), "an object is too large for a report");
                continue;
            }
            // One that is gone by now says nothing any more.
            let Some(body) = self.store.get(name).await.map_err(unreadable)? else { continue };
            match report_in(event, &body) {
                Ok(report) => found.extend(report),
                Err(Rejected { reason, .. }) => {
                    tracing::warn!(object = object.uri(), reason, "a report is not understood");
                    found.push(quarantined_report(event, &body, &reason));
                }
            }
        }
        Ok(found)
    }

    fn of_event<'e>(&self, event: &'e Event) -> Option<(&'e str, &'e DataRef)> {
        let Fact::Object(change) = &event.fact else { return None };
        let object = Some(&change.object).filter(|_| change.kind == ObjectKind::Finalized)?;
        let place = self.root.strip_prefix(&format!("{}://{}/", object.scheme, object.bucket))?;
        Some((object.name.strip_prefix(place)?, object))
    }
}

fn unreadable(error: Error) -> Error {
    Error::new(ErrorKind::Unavailable, "a report cannot be read now").because(error)
}

#[cfg(test)]
mod tests {
    use refit_core::drift::Verdict;
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
}
