//! The doors events come through: understand, append, wake, answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode};
use refit_core::error::ErrorKind;
use refit_core::event::Event;
use refit_engine::intake::Intake;
use refit_wire::source::{Delivery, Understood, quarantined, understand};

use crate::logs::trace_of;
use crate::waker::Waker;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// A door for deliveries nobody waits for: what cannot be understood is recorded and acknowledged, or it would come
/// back for days.
#[derive(Debug)]
pub struct Door {
    /// Where events go.
    pub intake: Intake,
    /// Who is woken.
    pub waker: Arc<dyn Waker>,
}

/// What a delivery came to, for the log.
struct Outcome {
    status: StatusCode,
    what: &'static str,
    detail: String,
    events: usize,
}

impl Door {
    /// Receives one delivery. A 2xx is answered only once its events are durable.
    pub async fn receive(
        &self,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        let trace = trace_of(&headers);
        let outcome = match body {
            Ok(body) => self.judge(&Delivery { headers: &headers, body: &body }).await,
            Err(rejection) => Outcome {
                status: rejection.status(),
                what: "a delivery was too large or cut short",
                detail: rejection.body_text(),
                events: 0,
            },
        };
        outcome.log(trace.as_deref());
        let Outcome { status, what, .. } = outcome;
        match status.is_success() {
            true => status.into_response(),
            false => (status, what).into_response(),
        }
    }

    /// Records a delivery that was fetched, and says whether that is durable; what is too large goes into quarantine,
    /// as its sender does not hear that it is refused.
    pub async fn record(&self, delivery: &Delivery<'_>) -> bool {
        let outcome = match delivery.body.len() <= BODY_BYTES_MAX {
            true => self.judge(delivery).await,
            false => self.quarantine(delivery, "it is larger than 1 MiB").await,
        };
        outcome.log(None);
        outcome.status.is_success()
    }

    async fn judge(&self, delivery: &Delivery<'_>) -> Outcome {
        match understand(delivery) {
            Ok(Understood::Record(events)) => {
                let outcome = self.append(events, "events recorded", String::new()).await;
                match outcome.status {
                    StatusCode::PAYLOAD_TOO_LARGE => {
                        self.quarantine(delivery, &outcome.detail).await
                    }
                    _ => outcome,
                }
            }
            Ok(Understood::Ping(_)) => {
                self.waker.wake();
                done("a ping")
            }
            Ok(Understood::Ignore { reason }) => {
                Outcome { detail: reason, ..done("a delivery means nothing") }
            }
            Err(rejected) => self.quarantine(delivery, &rejected.reason).await,
        }
    }

    async fn quarantine(&self, delivery: &Delivery<'_>, reason: &str) -> Outcome {
        let event = quarantined(delivery, reason);
        let what = "a delivery was not understood; it is in quarantine";
        self.append(vec![event], what, reason.to_owned()).await
    }

    async fn append(&self, events: Vec<Event>, what: &'static str, detail: String) -> Outcome {
        let count = events.len();
        match self.intake.append(events).await {
            Ok(segment) => {
                self.waker.wake();
                let detail = if detail.is_empty() { segment } else { detail };
                Outcome { detail, events: count, ..done(what) }
            }
            Err(error) if error.kind() == ErrorKind::Invalid => Outcome {
                status: StatusCode::PAYLOAD_TOO_LARGE,
                what: "the ledger never takes so much at once",
                detail: error.to_string(),
                events: count,
            },
            Err(error) => Outcome {
                status: StatusCode::SERVICE_UNAVAILABLE,
                what: "the ledger did not take the events; send them again",
                detail: error.to_string(),
                events: count,
            },
        }
    }
}

impl Outcome {
    fn log(&self, trace: Option<&str>) {
        let Self { status, what, detail, events } = self;
        let status_code = status.as_u16();
        match status.is_success() {
            true => tracing::info!(trace, status_code, events, detail, "{what}"),
            false => tracing::warn!(trace, status_code, events, detail, "{what}"),
        }
    }
}

fn done(what: &'static str) -> Outcome {
    Outcome { status: StatusCode::NO_CONTENT, what, detail: String::new(), events: 0 }
}
