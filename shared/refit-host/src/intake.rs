//! The doors events come through: verify, understand, append, wake, answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::Request;
use axum::extract::rejection::BytesRejection;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::ALLOW;
use http::{HeaderMap, StatusCode};
use refit_core::error::ErrorKind;
use refit_core::event::Event;
use refit_core::key::Hash128;
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::intake::Intake;
use refit_engine::port::{Clock, Transport};
use refit_wire::handshake::{permission, validation};
use refit_wire::source::{Delivery, Rejected, Sender, Understood, quarantined, understand};

use crate::hooks::{HookSecrets, Verifier};
use crate::reports::Reports;
use crate::waker::Waker;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 1 << 20;

/// How long a delivery may take, whatever it waits for, before its sender is told to come again: recorded and answered
/// is within five seconds, and on Lambda whoever is woken is told after it.
pub(crate) const RECEIVED_WITHIN: Span = Span::secs(4);

/// What a webhook hears that comes where nobody would verify it.
const WRONG_DOOR: &str = "a webhook came through a door that verifies none; send it to hook";

/// A door for events.
#[derive(Debug)]
pub struct Door {
    /// Where events go.
    pub intake: Intake,
    /// Who is woken.
    pub waker: Arc<dyn Waker>,
    /// Whose events they are.
    pub entry: Entry,
}

/// Who comes through a door, and so what is answered to what cannot be understood.
pub enum Entry {
    /// A service that nobody waits behind: what cannot be understood is recorded and acknowledged, or it would come
    /// back for days.
    Push(Option<Reports>),
    /// A sender of webhooks, which is verified, and told what is wrong.
    Hook(Webhooks),
}

/// How webhooks are verified.
pub struct Webhooks(Verifier);

/// What a delivery came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) status: StatusCode,
    pub(crate) what: &'static str,
    detail: String,
    events: usize,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Push(_) => "Push",
            Self::Hook(_) => "Hook",
        })
    }
}

impl Entry {
    /// Where the reports are that objects may be, if any of these may be one.
    fn reports_among(&self, events: &[Event]) -> Option<&Reports> {
        match self {
            Self::Push(reports) => reports.as_ref().filter(|reports| reports.are_among(events)),
            Self::Hook(_) => None,
        }
    }

    /// That of senders of webhooks, who sign with these secrets, and of links of this ledger.
    #[must_use]
    pub fn hook(
        secrets: HookSecrets,
        ledger: Hash128,
        ports: (Arc<dyn Transport>, Arc<dyn Clock>),
    ) -> Self {
        Self::Hook(Webhooks(Verifier::new(secrets, ledger, ports)))
    }
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}

impl Door {
    /// A door for services, which reads the reports that land in a folder, if there is one.
    #[must_use]
    pub fn push(intake: Intake, waker: Arc<dyn Waker>, reports: Option<Reports>) -> Self {
        Self { intake, waker, entry: Entry::Push(reports) }
    }

    /// Receives one delivery. A 2xx is answered only once its events are durable.
    pub async fn receive(
        &self,
        headers: HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Response {
        let body = match body {
            Ok(body) => body,
            Err(rejection) => return Outcome::unread(&rejection).answer(),
        };
        let delivery = Delivery { headers: &headers, body: &body };
        let outcome = self.judge(&delivery).await;
        match validation(&delivery).filter(|_| outcome.status.is_success()) {
            Some(told) => {
                outcome.log();
                Json(told).into_response()
            }
            None => outcome.answer(),
        }
    }

    /// Records a delivery that was fetched, and says whether that is durable; what is too large goes into quarantine,
    /// as its sender does not hear that it is refused.
    pub async fn record(&self, delivery: &Delivery<'_>) -> bool {
        let outcome = match delivery.body.len() <= BODY_BYTES_MAX {
            true => self.judge(delivery).await,
            false => self.keep(delivery, "it is larger than 1 MiB".to_owned()).await,
        };
        outcome.log();
        outcome.status.is_success()
    }

    /// Verifies a delivery and takes it.
    pub(crate) async fn judge(&self, delivery: &Delivery<'_>) -> Outcome {
        if let Err(rejected) = self.admit(delivery).await {
            return Outcome::refused("a caller was not verified", rejected);
        }
        self.take(understand(delivery), delivery).await
    }

    /// Refuses what is not verified, before anything is read of it.
    pub(crate) async fn admit(&self, delivery: &Delivery<'_>) -> Result<(), Rejected> {
        match &self.entry {
            Entry::Push(_) => match Sender::of(delivery.headers) {
                Some(_) => Err(Rejected { status: 401, reason: WRONG_DOOR.to_owned() }),
                None => Ok(()),
            },
            Entry::Hook(Webhooks(verifier)) => verifier.verify(delivery).await,
        }
    }

    /// Records what a delivery means; one that means nothing that can be understood goes into quarantine.
    pub(crate) async fn take(
        &self,
        understood: Result<Understood, Rejected>,
        delivery: &Delivery<'_>,
    ) -> Outcome {
        match (understood, &self.entry) {
            (Ok(Understood::Record(events)), entry) => match entry.reports_among(&events) {
                Some(reports) => self.take_landed(reports, events, delivery).await,
                None => self.append_or_keep(events, delivery).await,
            },
            (Ok(Understood::Ping(_)), _) => {
                self.waker.wake();
                done("a ping")
            }
            (Ok(Understood::Ignore { reason }), _) => {
                Outcome { detail: reason, ..done("a delivery means nothing") }
            }
            (Err(rejected), Entry::Push(_)) => self.keep(delivery, rejected.reason).await,
            (Err(rejected), Entry::Hook(_)) => {
                Outcome::refused("a delivery was not understood", rejected)
            }
        }
    }

    /// Records uploads, whatever becomes of the reports that they may be, and then the reports. One that cannot be read
    /// now is asked for again, for as long as its announcement comes again.
    async fn take_landed(
        &self,
        reports: &Reports,
        uploads: Vec<Event>,
        delivery: &Delivery<'_>,
    ) -> Outcome {
        let taken = match reports.are_waited_for(&uploads) {
            true => done("uploads are recorded already"),
            false => self.append_or_keep(uploads.clone(), delivery).await,
        };
        if !taken.status.is_success() {
            return taken;
        }
        reports.wait_for(&uploads);
        let outcome = match reports.read(&uploads).await {
            Ok(found) if found.is_empty() => taken,
            Ok(found) => self.append_or_keep(found, delivery).await,
            Err(error) => return unavailable(error.to_string()),
        };
        if outcome.status.is_success() {
            reports.forget(&uploads);
        }
        outcome
    }

    /// Appends events; those no segment has room for could never be taken, and are poison as well, unless their sender
    /// waits to hear it.
    async fn append_or_keep(&self, events: Vec<Event>, delivery: &Delivery<'_>) -> Outcome {
        let appended = self.append(events, "events recorded", String::new()).await;
        match (appended, &self.entry) {
            (Ok(outcome), _) => outcome,
            (Err(reason), Entry::Push(_)) => self.keep(delivery, reason).await,
            (Err(reason), Entry::Hook(_)) => {
                let status = StatusCode::PAYLOAD_TOO_LARGE.as_u16();
                Outcome::refused("a delivery is too large", Rejected { status, reason })
            }
        }
    }

    async fn keep(&self, delivery: &Delivery<'_>, reason: String) -> Outcome {
        let event = quarantined(delivery, &reason);
        let what = "a delivery was not understood; it is in quarantine";
        self.append(vec![event], what, reason).await.unwrap_or_else(unavailable)
    }

    /// # Errors
    /// They are too large to be ever taken.
    async fn append(
        &self,
        events: Vec<Event>,
        what: &'static str,
        detail: String,
    ) -> Result<Outcome, String> {
        let count = events.len();
        match self.intake.append(events).await {
            Ok(segment) => {
                self.waker.wake();
                let detail = if detail.is_empty() { segment } else { detail };
                Ok(Outcome { detail, events: count, ..done(what) })
            }
            Err(error) if error.kind() == ErrorKind::Invalid => Err(error.to_string()),
            Err(error) => Ok(Outcome { events: count, ..unavailable(error.to_string()) }),
        }
    }
}

impl Outcome {
    /// What was not taken, and why.
    pub(crate) fn refused(what: &'static str, rejected: Rejected) -> Self {
        let status = StatusCode::from_u16(rejected.status).unwrap_or(StatusCode::BAD_REQUEST);
        Self { status, what, detail: rejected.reason, events: 0 }
    }

    /// What was too large, or did not come to its end.
    pub(crate) fn unread(rejection: &BytesRejection) -> Self {
        Self {
            status: rejection.status(),
            what: "a delivery was too large or cut short",
            detail: rejection.body_text(),
            events: 0,
        }
    }

    /// More on it, in words.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Writes it to the log.
    pub(crate) fn log(&self) {
        let Self { status, what, detail, events } = self;
        let status_code = status.as_u16();
        match status.is_success() {
            true => tracing::info!(status_code, events, detail, "{what}"),
            false => tracing::warn!(status_code, events, detail, "{what}"),
        }
    }

    /// Writes it to the log, and answers the caller.
    fn answer(&self) -> Response {
        self.log();
        match self.status.is_success() {
            true => self.status.into_response(),
            false => (self.status, self.told()).into_response(),
        }
    }

    /// What the caller is told: the reason, where it is theirs to mend.
    fn told(&self) -> String {
        match self.status.is_client_error() {
            true => format!("{}: {}", self.what, self.detail),
            false => self.what.to_owned(),
        }
    }
}

/// Answers a sender that asks whether it may send.
pub(crate) fn permit(asked: &HeaderMap) -> Response {
    match permission(asked) {
        Some(allowed) => allowed.into_response(),
        None => (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response(),
    }
}

/// Answers a request in time; one that is given up may have been recorded, and is recognised when it comes again.
pub(crate) async fn in_time(clock: &dyn Clock, request: Request, next: Next) -> Response {
    let answer = within(clock, RECEIVED_WITHIN, next.run(request)).await;
    answer.unwrap_or_else(|| late().answer())
}

/// What a delivery comes to in time.
pub(crate) async fn taken_in_time(
    clock: &dyn Clock,
    taking: impl Future<Output = Outcome> + Send,
) -> Outcome {
    within(clock, RECEIVED_WITHIN, taking).await.unwrap_or_else(late)
}

fn late() -> Outcome {
    unavailable("it was not recorded in time".to_owned())
}

fn done(what: &'static str) -> Outcome {
    Outcome { status: StatusCode::NO_CONTENT, what, detail: String::new(), events: 0 }
}

fn unavailable(detail: String) -> Outcome {
    Outcome {
        status: StatusCode::SERVICE_UNAVAILABLE,
        what: "the ledger did not take the events; send them again",
        detail,
        events: 0,
    }
}

#[cfg(test)]
mod tests;
