//! The trace a request belongs to: every line that is logged on its behalf names it, and the wake it causes takes it
//! along, to the pass that is made for it.

use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderValue};

/// The header of the W3C that says where in which trace a request is made.
pub const TRACEPARENT: &str = "traceparent";
/// The header of Google Cloud that says the same.
const CLOUD: &str = "x-cloud-trace-context";

/// A trace, as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// 32 hexadecimal digits.
    pub id: String,
    /// What a request made on behalf of this one says, if the caller named its own place in the trace.
    pub parent: Option<HeaderValue>,
}

/// The trace of whoever asked for something, left for whoever does it.
#[derive(Debug, Default)]
pub(crate) struct Left(Mutex<Option<Trace>>);

tokio::task_local! {
    /// The trace of what is done now.
    static TRACE: Option<Trace>;
}

impl Trace {
    /// The trace a request belongs to, from the headers of the platform.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        text(TRACEPARENT).and_then(Self::of_parent).or_else(|| text(CLOUD).and_then(Self::of_cloud))
    }

    /// Reads `00-<trace>-<place>-<flags>`.
    fn of_parent(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('-').collect();
        let id = parts.get(1).filter(|id| is_hex(id, 32))?;
        let is_known = matches!(parts.as_slice(), ["00", _, place, flags]
            if is_hex(place, 16) && is_hex(flags, 2));
        let parent = is_known.then(|| HeaderValue::from_str(text).ok()).flatten();
        Some(Self { id: (*id).to_owned(), parent })
    }

    /// Reads `<trace>/<place>;o=<flags>`, the place in decimal and, like the flags, not always there.
    fn of_cloud(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once('/').unwrap_or((text, ""));
        let (place, flags) = rest.split_once(';').unwrap_or((rest, ""));
        let sampled = u8::from(flags == "o=1");
        let place = place.parse::<u64>().ok().filter(|place| *place > 0);
        let parent = place.map(|place| format!("00-{id}-{place:016x}-{sampled:02x}"));
        is_hex(id, 32).then(|| Self {
            id: id.to_owned(),
            parent: parent.and_then(|text| HeaderValue::from_str(&text).ok()),
        })
    }

    /// That of what is done now.
    pub(crate) fn current() -> Option<Self> {
        TRACE.try_with(Clone::clone).ok().flatten()
    }

    /// Does something on behalf of a trace, or of none.
    pub(crate) async fn on_behalf<T>(trace: Option<Self>, work: impl Future<Output = T>) -> T {
        TRACE.scope(trace, work).await
    }
}

impl Left {
    /// Leaves the trace of what is done now, if it has one; of several the last counts.
    pub(crate) fn leave(&self) {
        if let Some(trace) = Trace::current() {
            *self.lock() = Some(trace);
        }
    }

    /// Takes what was left.
    pub(crate) fn take(&self) -> Option<Trace> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Trace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn the_trace_is_taken_from_either_header_and_from_nothing_else() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        for (name, value, expected) in [
            (TRACEPARENT, parent, Some((ID, Some(parent)))),
            // Of a version to come only the trace is known.
            (TRACEPARENT, "01-0af7651916cd43dd8448eb211c80319c-?", Some((ID, None))),
            (TRACEPARENT, "00-<script>-1-01", None),
            (
                CLOUD,
                "0af7651916cd43dd8448eb211c80319c/17;o=1",
                Some((ID, Some("00-0af7651916cd43dd8448eb211c80319c-0000000000000011-01"))),
            ),
            (
                CLOUD,
                "0af7651916cd43dd8448eb211c80319c/17",
                Some((ID, Some("00-0af7651916cd43dd8448eb211c80319c-0000000000000011-00"))),
            ),
            (CLOUD, "0af7651916cd43dd8448eb211c80319c", Some((ID, None))),
            (CLOUD, "0af7651916cd43dd8448eb211c80319c/0;o=1", Some((ID, None))),
            (CLOUD, "-", None),
        ] {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )]);
            let trace = Trace::of(&headers);
            let found = trace.as_ref().map(|trace| {
                (trace.id.as_str(), trace.parent.as_ref().map(|parent| parent.to_str().unwrap()))
            });
            assert_eq!(found, expected, "{name}: {value}");
        }
    }

    #[tokio::test]
    async fn what_is_done_on_behalf_of_a_trace_knows_it() {
        let trace = Trace { id: ID.to_owned(), parent: None };
        let inside = Trace::on_behalf(Some(trace.clone()), async { Trace::current() }).await;
        assert_eq!((inside, Trace::current()), (Some(trace), None));
    }
}
