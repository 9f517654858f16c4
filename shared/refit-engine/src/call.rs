//! Making calls: one request after another, each within its limit, none repeated.

use std::sync::Arc;

use refit_core::time::Span;
use refit_wire::call::Step;
use refit_wire::http::{Failure, Reply, Request};

use crate::deadline::within;
use crate::port::{Clock, Transport};

/// Requests one call may consist of.
const REQUESTS_MAX: usize = 16;

/// What is needed to make calls.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// Where requests go.
    pub transport: &'a Arc<dyn Transport>,
    /// The clock of the process.
    pub clock: &'a Arc<dyn Clock>,
    /// How long one request may take.
    pub limit: Span,
}

impl std::fmt::Debug for Caller<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Caller")
    }
}

impl Caller<'_> {
    /// Sends one request that may be sent by anyone at any time.
    pub async fn send(&self, request: Request) -> Reply {
        let limit = request.timeout.unwrap_or(self.limit).min(self.limit);
        let request = Request { timeout: Some(limit), ..request };
        let reply = within(&**self.clock, limit, self.transport.send(request)).await;
        reply.unwrap_or_else(|| Err(Failure::Unclear("no answer in time".to_owned())))
    }

    /// Makes a call that may be made by anyone at any time.
    pub async fn run<T>(&self, step: Step<T>) -> Option<T> {
        self.run_until(step, None).await
    }

    /// Makes a call of which no request is sent unless its whole limit lies before `end`, by the clock of the
    /// process. `None` if that, or the length of the call, ended it: its last request was not sent.
    pub async fn run_until<T>(&self, mut step: Step<T>, end: Option<Span>) -> Option<T> {
        for _ in 0..REQUESTS_MAX {
            let mut call = match step {
                Step::Done(result) => return Some(result),
                Step::Send(call) => call,
            };
            let limit = call.request.timeout.unwrap_or(self.limit).min(self.limit);
            if end.is_some_and(|end| self.clock.elapsed() + limit > end) {
                return None;
            }
            call.request.timeout = Some(limit);
            let reply = self.send(Request::clone(&call.request)).await;
            step = call.read(reply);
        }
        None
    }
}
