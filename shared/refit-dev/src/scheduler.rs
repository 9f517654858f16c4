//! The scheduler: pings the reconciler, as a cloud's would.

use std::sync::Arc;

use refit_core::time::Span;
use refit_engine::port::Clock;
use refit_host::waker::Caller;
use tokio::sync::watch;

/// Pings until `stop` says so. A ping ends with the pass it has caused; one that fails is not repeated before the next
/// is due.
pub async fn run(
    caller: Arc<Caller>,
    every: Span,
    clock: Arc<dyn Clock>,
    mut stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        if let Err(why) = caller.call().await {
            tracing::debug!(why, "a ping failed");
        }
        tokio::select! {
            () = clock.sleep(every) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    }
}
