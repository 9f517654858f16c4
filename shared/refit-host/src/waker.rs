//! Waking the reconciler: best effort, never part of an answer.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::Method;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::port::Transport;
use refit_wire::http::{Auth, Request};
use url::Url;

/// Tells the reconciler that there may be something to do.
pub trait Waker: fmt::Debug + Send + Sync {
    /// Does so, without waiting and without failing.
    fn wake(&self);
}

/// Nobody is woken; the next ping finds what was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Waker for Nobody {
    fn wake(&self) {}
}

/// How long a wake may take: a pass, and the one before it.
const LIMIT: Span = Span::secs(60);

const IDLE: u8 = 0;
const CALLING: u8 = 1;
const CALLING_AND_ASKED_AGAIN: u8 = 2;

/// Calls `tick` over HTTP, one call at a time; a wake meanwhile makes one more.
pub struct Caller {
    transport: Arc<dyn Transport>,
    request: Request,
    state: Arc<AtomicU8>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("url", &self.request.url.as_str()).finish_non_exhaustive()
    }
}

impl Caller {
    /// A waker for the service at this URL.
    ///
    /// # Errors
    /// `Invalid` if it is not a URL that can be called.
    pub fn new(transport: Arc<dyn Transport>, target: &str) -> Result<Self, Error> {
        let wrong = || {
            let message = format!("REFIT_WAKE is not an http or https URL: value=`{target}`");
            Error::new(ErrorKind::Invalid, message)
        };
        let url = Url::parse(target).map_err(|_| wrong())?;
        let host = url.host_str().ok_or_else(wrong)?;
        let auth = match url.scheme() {
            "https" => Auth::GoogleIdToken { audience: format!("https://{host}") },
            "http" => Auth::None,
            _ => return Err(wrong()),
        };
        let request =
            Request { timeout: Some(LIMIT), ..Request::new(Method::POST, url).auth(auth) };
        Ok(Self { transport, request, state: Arc::new(AtomicU8::new(IDLE)) })
    }

    /// Calls once, and waits for the end of the pass.
    ///
    /// # Errors
    /// Says why nobody may have been woken.
    pub async fn call(&self) -> Result<(), String> {
        call(&self.transport, &self.request).await
    }
}

async fn call(transport: &Arc<dyn Transport>, request: &Request) -> Result<(), String> {
    match transport.send(request.clone()).await {
        Ok(response) if response.is_success() => Ok(()),
        Ok(response) => Err(format!("it was refused: status=`{}`", response.status)),
        Err(failure) => Err(failure.to_string()),
    }
}

impl Waker for Caller {
    fn wake(&self) {
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            Some(if state == IDLE { CALLING } else { CALLING_AND_ASKED_AGAIN })
        });
        if before != Ok(IDLE) {
            return;
        }
        let (transport, request, state) =
            (Arc::clone(&self.transport), self.request.clone(), Arc::clone(&self.state));
        tokio::spawn(async move {
            loop {
                if let Err(failure) = call(&transport, &request).await {
                    tracing::warn!(failure, "a wake failed; the next ping finds what was recorded");
                }
                if state
                    .compare_exchange(CALLING, IDLE, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
                {
                    return;
                }
                state.store(CALLING, Ordering::Release);
            }
        });
    }
}
