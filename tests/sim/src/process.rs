//! The processes of the product: their clocks, and the loop around a reconciler.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::channel::mpsc;
use futures::future::select;
use refit_core::error::ErrorKind;
use refit_core::time::{Span, Timestamp};
use refit_engine::port::Clock;
use refit_engine::reconcile::Reconciler;

use crate::executor::Time;
use crate::outside::lock;
use crate::store::Calls;
use crate::world::{World, wall};

/// The shortest rest between two passes, in milliseconds.
const REST_MIN: i64 = 100;
/// The rest after a pass that failed.
const REST_FAILED: Span = Span::secs(5);

/// The clock of a process that is off by so many milliseconds.
#[derive(Clone, Debug)]
pub struct SimClock {
    /// The time of the world.
    pub time: Time,
    /// How far it is off.
    pub skew: i64,
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        wall(self.time.now(), self.skew)
    }

    fn elapsed(&self) -> Span {
        Span::from_millis(self.time.now())
    }

    async fn sleep(&self, span: Span) {
        self.time.after(span.as_millis()).await;
    }
}

/// A reconciling process.
#[derive(Debug)]
pub struct Tick {
    /// Its name.
    pub who: Arc<str>,
    /// The world it is in.
    pub world: World,
    /// What it runs.
    pub reconciler: Reconciler,
    /// How often it is pinged.
    pub ping: Span,
    /// Its wakes.
    pub woken: mpsc::UnboundedReceiver<()>,
    /// The calls it made to the store.
    pub calls: Arc<Calls>,
    /// What went wrong that never should.
    pub errors: Arc<Mutex<Vec<String>>>,
}

impl Tick {
    /// Makes pass after pass: when something is due, when it is woken, when it is pinged.
    pub async fn run(mut self) {
        let time = self.world.time().clone();
        loop {
            let wait = self.pass().await;
            let sleep = std::pin::pin!(time.after(wait.as_millis().max(REST_MIN)));
            select(sleep, self.woken.next()).await;
            while self.woken.try_recv().is_ok() {}
        }
    }

    async fn pass(&mut self) -> Span {
        self.calls.begin();
        let result = self.reconciler.pass().await;
        {
            let mut inner = self.world.lock();
            inner.counts.passes += 1;
            inner.longest = inner.longest.most(self.calls.made());
        }
        match result {
            Ok(passed) => {
                if let Some(wrong) = self.calls.excess(passed.commits) {
                    lock(&self.errors).push(format!("cost: {}: {wrong}", self.who));
                }
                passed.next.unwrap_or(self.ping).min(self.ping)
            }
            Err(error) => {
                self.world.note(&self.who, "fails", &error.to_string());
                if matches!(error.kind(), ErrorKind::Internal | ErrorKind::Data) {
                    lock(&self.errors).push(format!("{}: {error}", self.who));
                }
                REST_FAILED
            }
        }
    }
}
