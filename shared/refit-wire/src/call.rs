//! A request paired with the function that reads its answer.

use std::fmt;

use crate::http::{Reply, Request};

/// A call: what to send, and how to read what comes back.
///
/// An answer may ask for another request first, as where a version is looked up before a run is started. A call
/// that starts a run makes its reads first; the last request alone is the start.
pub struct Call<T> {
    /// What to send.
    pub request: Box<Request>,
    read: Box<dyn FnOnce(Reply) -> Step<T> + Send>,
}

/// What an answer leads to.
#[derive(Debug)]
pub enum Step<T> {
    /// The result.
    Done(T),
    /// Another request.
    Send(Call<T>),
}

impl<T> Call<T> {
    /// A call whose answer is read by `read`.
    pub fn new(
        request: impl Into<Box<Request>>,
        read: impl FnOnce(Reply) -> Step<T> + Send + 'static,
    ) -> Self {
        Self { request: request.into(), read: Box::new(read) }
    }

    /// A call whose answer is the result.
    pub fn once(request: Request, read: impl FnOnce(Reply) -> T + Send + 'static) -> Self {
        Self::new(request, move |reply| Step::Done(read(reply)))
    }

    /// Reads the answer.
    #[must_use]
    pub fn read(self, reply: Reply) -> Step<T> {
        (self.read)(reply)
    }
}

impl<T: 'static> Call<T> {
    /// The same call, whose result leads to the next step.
    #[must_use]
    pub fn then<U>(self, next: impl FnOnce(T) -> Step<U> + Send + 'static) -> Call<U> {
        let Self { request, read } = self;
        Call::new(request, move |reply| read(reply).then(next))
    }
}

impl<T: 'static> Step<T> {
    /// The same step, whose result leads to the next one.
    #[must_use]
    pub fn then<U>(self, next: impl FnOnce(T) -> Step<U> + Send + 'static) -> Step<U> {
        match self {
            Self::Done(value) => next(value),
            Self::Send(call) => Step::Send(call.then(next)),
        }
    }
}

impl<T: 'static, E: 'static> Step<Result<T, E>> {
    /// The same step, whose success leads to the next one.
    #[must_use]
    pub fn and_then<U>(
        self,
        next: impl FnOnce(T) -> Step<Result<U, E>> + Send + 'static,
    ) -> Step<Result<U, E>> {
        self.then(|result| match result {
            Ok(value) => next(value),
            Err(error) => Step::Done(Err(error)),
        })
    }
}

impl<T> fmt::Debug for Call<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("request", &self.request).finish_non_exhaustive()
    }
}
