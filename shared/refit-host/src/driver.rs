//! Driving the reconciler: one pass at a time, one more queued, at a measured pace.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use refit_core::error::Error;
use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_engine::reconcile::{Passed, Reconciler};
use tokio::sync::{Notify, Semaphore, watch};

use crate::trace::{Left, Trace};
use crate::waker::Waker;

/// Wakes that wait for a pass: one for the pass under way, one for the next.
const WAITING_MAX: usize = 2;
/// How long to wait after a pass that failed.
const PAUSE: Span = Span::secs(5);

/// The way to a reconciler that runs in this process.
#[derive(Clone, Debug)]
pub struct Driver {
    asked: Arc<Notify>,
    /// On whose behalf, if the last who asked said so.
    trace: Arc<Left>,
    waiting: Arc<Semaphore>,
    passes: watch::Receiver<Passes>,
}

/// How far the reconciler has got.
#[derive(Clone, Copy, Debug, Default)]
struct Passes {
    begun: u64,
    ended: u64,
    failed: bool,
}

/// What came of a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Woken {
    /// A pass that began after it has ended, or others wait for one.
    Passed,
    /// The pass failed; nothing is lost, the next one goes on.
    Failed,
}

impl Driver {
    /// Starts a task that drives the reconciler until `stop` says so or nobody is left to say it: when it is woken, when
    /// something is due, and every `ping` if given.
    pub fn start(
        mut reconciler: Reconciler,
        clock: Arc<dyn Clock>,
        ping: Option<Span>,
        mut stop: watch::Receiver<bool>,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let asked = Arc::new(Notify::new());
        let (report, passes) = watch::channel(Passes::default());
        let waiting = Arc::new(Semaphore::new(WAITING_MAX));
        let trace = Arc::<Left>::default();
        let driver = Self { asked: Arc::clone(&asked), trace: Arc::clone(&trace), waiting, passes };
        let task = tokio::spawn(async move {
            while stop.has_changed().is_ok() && !*stop.borrow() {
                report.send_modify(|passes| passes.begun += 1);
                let passed = Trace::on_behalf(trace.take(), pass(&mut reconciler)).await;
                // A process may be put to sleep once nobody waits for it, and letters would be stuck with it.
                if passed.is_err() || !reconciler.is_delivering() {
                    report.send_modify(|passes| {
                        passes.ended = passes.begun;
                        passes.failed = passed.is_err();
                    });
                }
                let (rest, wait) = match passed {
                    Ok(passed) => (passed.rest(), passed.next),
                    Err(_) => (PAUSE, Some(PAUSE)),
                };
                let ends = wait_for(&clock, &asked, rest, shorter(wait, ping));
                let delivered = async {
                    reconciler.delivered().await;
                    clock.sleep(rest).await;
                };
                tokio::select! {
                    () = ends => {}
                    () = delivered => {}
                    _ = stop.wait_for(|stop| *stop) => {}
                }
            }
        });
        (driver, task)
    }

    /// Asks for a pass and waits until one that began afterwards has ended; where others wait for the same, it is
    /// left to them.
    pub async fn wake_and_wait(&self) -> Woken {
        let Ok(_place) = self.waiting.try_acquire() else { return Woken::Passed };
        let mut passes = self.passes.clone();
        let begun = passes.borrow().begun;
        self.ask();
        let ended = passes.wait_for(|passes| passes.ended > begun).await;
        match ended {
            Ok(passes) if !passes.failed => Woken::Passed,
            Ok(_) | Err(_) => Woken::Failed,
        }
    }

    /// Ends when the reconciler has: when it was stopped, or by a panic.
    pub async fn ended(&self) {
        let mut passes = self.passes.clone();
        while passes.changed().await.is_ok() {}
    }

    /// Asks for a pass.
    fn ask(&self) {
        self.trace.leave();
        self.asked.notify_one();
    }
}

impl Waker for Driver {
    fn wake(&self) {
        self.ask();
    }

    fn told(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            let _ = self.wake_and_wait().await;
        })
    }
}

/// Makes a pass, and says what came of it.
async fn pass(reconciler: &mut Reconciler) -> Result<Passed, Error> {
    let passed = reconciler.pass().await;
    match &passed {
        Ok(passed) => say(passed),
        Err(error) => {
            tracing::error!(%error, kind = ?error.kind(), "a pass failed; the next one goes on");
        }
    }
    passed
}

/// Says how things stand: what alerts go by.
fn say(passed: &Passed) {
    let Passed { commits, behind, uncertain, .. } = passed;
    let behind_s = behind.as_millis() / 1000;
    tracing::info!(commits, behind_s, uncertain, "a pass has ended");
}

fn shorter(a: Option<Span>, b: Option<Span>) -> Option<Span> {
    a.into_iter().chain(b).min()
}

/// Rests, then waits to be asked or until the time is over.
async fn wait_for(clock: &Arc<dyn Clock>, asked: &Notify, rest: Span, wait: Option<Span>) {
    clock.sleep(rest).await;
    let left = wait.map(|wait| Span::from_millis(wait.as_millis() - rest.as_millis()));
    match left {
        Some(left) => tokio::select! {
            () = asked.notified() => {}
            () = clock.sleep(left) => {}
        },
        None => asked.notified().await,
    }
}
