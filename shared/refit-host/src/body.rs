//! Bodies of requests, with a limit on how long they may take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use refit_core::time::Span;
use refit_engine::port::Clock;

/// How long a caller may take to send a body, from when it is first read: one that is slow is told so before a door
/// gives the delivery up for reasons of its own.
const BODY_WITHIN: Span = Span::secs(3);

type Deadline = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A body that fails where it is not whole in time.
pub(crate) struct TimedBody {
    inner: Incoming,
    clock: Arc<dyn Clock>,
    deadline: Option<Deadline>,
}

impl TimedBody {
    pub(crate) fn new(inner: Incoming, clock: Arc<dyn Clock>) -> Self {
        Self { inner, clock, deadline: None }
    }

    fn deadline(&mut self) -> &mut Deadline {
        let clock = &self.clock;
        self.deadline.get_or_insert_with(|| {
            let clock = Arc::clone(clock);
            Box::pin(async move { clock.sleep(BODY_WITHIN).await })
        })
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Poll::Ready(frame) = Pin::new(&mut this.inner).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let late = this.deadline().as_mut().poll(context);
        late.map(|()| Some(Err(io::Error::from(io::ErrorKind::TimedOut))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
