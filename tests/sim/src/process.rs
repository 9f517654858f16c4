//! The processes of the product: their clocks, and the loop around a reconciler.

use std::sync::atomic::{AtomicI64, Ordering};
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

/// How far the clock of a process is off, in milliseconds: it may change while the process runs.
#[derive(Clone, Debug, Default)]
pub struct Skew(Arc<AtomicI64>);

impl Skew {
    /// So far.
    #[must_use]
    pub fn new(millis: i64) -> Self {
        Self(Arc::new(AtomicI64::new(millis)))
    }

    /// How far it is off now.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    /// From now on it is off by so much.
    pub fn set(&self, millis: i64) {
        self.0.store(millis, Ordering::Relaxed);
    }
}

/// The clock of a process.
#[derive(Clone, Debug)]
pub struct SimClock {
    /// The time of the world.
    pub time: Time,
    /// How far it is off.
    pub skew: Skew,
}

#[async_trait]
impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        wall(self.time.now(), self.skew.get())
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
