//! A clock that moves when it is told to.

use async_trait::async_trait;
use refit_core::time::{Span, Timestamp};
use refit_engine::port::Clock;
use tokio::sync::watch;

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub struct ManualClock {
    times: watch::Sender<Times>,
}

#[derive(Clone, Copy, Debug)]
struct Times {
    now: Timestamp,
    elapsed: Span,
}

impl ManualClock {
    /// A clock that shows this time.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self { times: watch::Sender::new(Times { now, elapsed: Span::ZERO }) }
    }

    /// Lets time pass. Who sleeps until then wakes.
    pub fn advance(&self, span: Span) {
        self.times.send_modify(|times| {
            times.now = times.now + span;
            times.elapsed = times.elapsed + span;
        });
    }

    /// Sets the wall clock, as a person would; no time passes.
    pub fn set(&self, now: Timestamp) {
        self.times.send_modify(|times| times.now = now);
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.times.borrow().now
    }

    fn elapsed(&self) -> Span {
        self.times.borrow().elapsed
    }

    async fn sleep(&self, span: Span) {
        let end = self.elapsed() + span;
        let mut times = self.times.subscribe();
        times
            .wait_for(|times| times.elapsed >= end)
            .await
            .expect("the sender lives as long as self");
    }
}
