//! A bound on everything a test waits for.

use std::future::Future;
use std::io;

use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::client::{self, Reply};

/// What takes longer than this never happens: three times what the slowest wait takes on an idle machine.
pub(crate) const PATIENCE: Span = Span::secs(90);

/// Waits for something, and fails if it never happens.
#[track_caller]
pub(crate) fn soon<T>(what: &str, future: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        tokio::select! {
            done = future => done,
            () = SystemClock.sleep(PATIENCE) => panic!("never: {what}, waited for at {caller}"),
        }
    }
}

/// Sends bytes and reads until the other side closes the connection.
pub(crate) async fn exchange(place: &str, bytes: &[u8]) -> io::Result<Vec<u8>> {
    soon("the connection ends", client::exchange(place, bytes)).await
}

/// Makes a request on a connection of its own. The headers are lines with their ends.
pub(crate) async fn call(place: &str, line: &str, headers: &str, body: &[u8]) -> io::Result<Reply> {
    soon("an answer", client::call(place, line, headers, body)).await
}
