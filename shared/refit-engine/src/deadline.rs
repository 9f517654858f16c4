//! Limits on how long anything may take, by the clock of the process.

use std::future::Future;

use futures::future::{Either, select};
use refit_core::time::Span;

use crate::port::Clock;

/// What a future answers within the span; `None` if it takes longer, and is dropped then.
pub async fn within<T>(
    clock: &dyn Clock,
    span: Span,
    future: impl Future<Output = T> + Send,
) -> Option<T> {
    let future = std::pin::pin!(future);
    match select(future, clock.sleep(span)).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(((), _)) => None,
    }
}
