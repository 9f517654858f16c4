//! Waking the reconciler: best effort, never part of an answer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::{HeaderValue, Method};
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::{Clock, Transport};
use refit_platform::auth::Places;
use refit_platform::env;
use refit_platform::topic::{self, Message, Topic};
use refit_platform::transport::{HttpTransport, Options};
use refit_wire::http::{Auth, Request};
use tokio::sync::Notify;
use url::Url;

use crate::trace::{Left, TRACEPARENT, Trace};

/// Tells the reconciler that there may be something to do.
pub trait Waker: fmt::Debug + Send + Sync {
    /// Does so, without waiting and without failing.
    fn wake(&self);

    /// Ends when whoever was to be woken has been told, or cannot be: for hosts that stop a process that has answered.
    fn told(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

/// How long an answer waits for whoever is to be woken, where a process that has answered stands still: recorded and
/// answered is within five seconds.
pub(crate) const TOLD_WITHIN: Span = Span::from_millis(800);

/// Ends when whoever was to be woken has been told, or an answer waits no longer for it.
pub(crate) async fn told_in_time(waker: &dyn Waker, clock: &dyn Clock) {
    let _ = within(clock, TOLD_WITHIN, waker.told()).await;
}

/// What the invocation of a function says that wakes it.
pub(crate) const WAKE: (&str, &str) = ("refit", "wake");

/// Nobody is woken; the next ping finds what was recorded.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Waker for Nobody {
    fn wake(&self) {}
}

/// How long a wake may take: a pass, and the one before it.
const LIMIT: Span = Span::secs(60);

/// How long it may take to be told that an invocation was taken.
const INVOKED_WITHIN: Span = Span::secs(5);
/// What the ARN of a function begins with, whatever the partition.
const ARN: &str = "arn:aws";

const IDLE: u8 = 0;
const CALLING: u8 = 1;
const CALLING_AND_ASKED_AGAIN: u8 = 2;

/// One wake under way.
type Calling = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// Wakes `tick`, over HTTP or through a topic, one call at a time; a wake meanwhile makes one more.
pub struct Caller {
    target: String,
    call: Arc<dyn Fn() -> Calling + Send + Sync>,
    /// On whose behalf the next call is made: of those who asked for it, the last.
    trace: Arc<Left>,
    state: Arc<AtomicU8>,
    ended: Arc<Notify>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Caller {
    /// A waker for what `REFIT_WAKE` says: the service at a URL, a topic `projects/P/topics/T`, or the ARN of a
    /// function on Lambda.
    ///
    /// # Errors
    /// `Invalid` if it is neither, or the build knows no topics.
    pub async fn open(
        target: &str,
        transport: &Arc<dyn Transport>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, Error> {
        let endpoint = |region: &str| {
            let set = env::aws_endpoint("lambda");
            set.unwrap_or_else(|| format!("https://lambda.{region}.amazonaws.com"))
        };
        if target.starts_with(ARN) {
            return Self::invoking(Arc::clone(transport), target, &endpoint);
        }
        if !topic::is_topic(target) {
            return Self::new(Arc::clone(transport), target);
        }
        let options = Options { places: Places::from_env(), ..Options::default() };
        let transport = Arc::new(HttpTransport::new(Arc::clone(clock), options)?);
        let topic = topic::open(target, clock, &transport).await;
        topic.map(Self::publishing).map_err(|error| error.context("REFIT_WAKE"))
    }

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
            "https" => {
                let audience = format!("https://{host}");
                Auth::GoogleIdToken { audience, hosts: Vec::new() }
            }
            "http" => Auth::None,
            _ => return Err(wrong()),
        };
        let request =
            Request { timeout: Some(LIMIT), ..Request::new(Method::POST, url).auth(auth) };
        Ok(Self::calling(target, move || {
            let (transport, mut request) = (Arc::clone(&transport), request.clone());
            Box::pin(async move {
                if let Some(parent) = Trace::current().and_then(|trace| trace.parent) {
                    request.headers.insert(TRACEPARENT, parent);
                }
                call(&*transport, request).await
            })
        }))
    }

    /// A waker for this function on Lambda, which is invoked without waiting for its end. `endpoint` is where
    /// functions of a region are invoked.
    ///
    /// # Errors
    /// `Invalid` if it is not the ARN of a function.
    pub fn invoking(
        transport: Arc<dyn Transport>,
        target: &str,
        endpoint: &dyn Fn(&str) -> String,
    ) -> Result<Self, Error> {
        let wrong = || {
            let message = format!("REFIT_WAKE is not the ARN of a function: value=`{target}`");
            Error::new(ErrorKind::Invalid, message)
        };
        let parts: Vec<&str> = target.split(':').collect();
        let [_, _, _, region, _, "function", _, ..] = parts.as_slice() else {
            return Err(wrong());
        };
        let mut url = Url::parse(&endpoint(region)).map_err(|_| wrong())?;
        url.set_path(&format!("/2015-03-31/functions/{target}/invocations"));
        let auth = Auth::Aws { service: "lambda".to_owned(), region: (*region).to_owned() };
        let body = format!("{{\"{}\":\"{}\"}}", WAKE.0, WAKE.1);
        let mut request = Request::new(Method::POST, url).auth(auth);
        request.headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
        request.body = body.into();
        request.timeout = Some(INVOKED_WITHIN);
        Ok(Self::calling(target, move || {
            let (transport, request) = (Arc::clone(&transport), request.clone());
            Box::pin(async move { call(&*transport, request).await })
        }))
    }

    /// A waker for whoever this topic is pushed to. What the message says is nothing; that it comes is enough.
    #[must_use]
    pub fn publishing(topic: Arc<dyn Topic>) -> Self {
        let target = format!("{topic:?}");
        Self::calling(&target, move || {
            let topic = Arc::clone(&topic);
            Box::pin(async move {
                let published = topic.publish(Message::wake()).await;
                published.map(drop).map_err(|error| error.to_string())
            })
        })
    }

    fn calling(target: &str, call: impl Fn() -> Calling + Send + Sync + 'static) -> Self {
        let state = Arc::new(AtomicU8::new(IDLE));
        let (trace, ended) = (Arc::default(), Arc::new(Notify::new()));
        Self { target: target.to_owned(), call: Arc::new(call), trace, state, ended }
    }

    /// Calls once, and waits: over HTTP for the end of the pass, through a topic until the message is taken.
    ///
    /// # Errors
    /// Says why nobody may have been woken.
    pub async fn call(&self) -> Result<(), String> {
        (self.call)().await
    }
}

/// Makes a call that nobody waits for.
async fn wake(call: Calling) {
    if let Err(failure) = call.await {
        tracing::warn!(failure, "a wake failed; the next ping finds what was recorded");
    }
}

async fn call(transport: &dyn Transport, request: Request) -> Result<(), String> {
    match transport.send(request).await {
        Ok(response) if response.is_success() => Ok(()),
        Ok(response) => Err(format!("it was refused: status=`{}`", response.status)),
        Err(failure) => Err(failure.to_string()),
    }
}

impl Waker for Caller {
    fn wake(&self) {
        self.trace.leave();
        let before = self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| {
            Some(if state == IDLE { CALLING } else { CALLING_AND_ASKED_AGAIN })
        });
        if before != Ok(IDLE) {
            return;
        }
        let (call, state) = (Arc::clone(&self.call), Arc::clone(&self.state));
        let (trace, ended) = (Arc::clone(&self.trace), Arc::clone(&self.ended));
        tokio::spawn(async move {
            loop {
                Trace::on_behalf(trace.take(), wake(call())).await;
                if state
                    .compare_exchange(CALLING, IDLE, Ordering::AcqRel, Ordering::Acquire)
                    .is_ok()
                {
                    ended.notify_waiters();
                    return;
                }
                state.store(CALLING, Ordering::Release);
            }
        });
    }

    fn told(&self) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async {
            loop {
                let ended = self.ended.notified();
                if self.state.load(Ordering::Acquire) == IDLE {
                    return;
                }
                ended.await;
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use futures::channel::oneshot;

    use super::*;

    /// A topic that takes a message only when it is told to.
    #[derive(Debug, Default)]
    struct Slow(Mutex<Vec<oneshot::Sender<()>>>);

    impl Slow {
        async fn published(&self, messages: usize) {
            while self.0.lock().unwrap().len() < messages {
                tokio::task::yield_now().await;
            }
        }

        /// Waits until so many messages were published, and lets the last be taken.
        async fn take(&self, nth: usize) {
            self.published(nth).await;
            let taken = self.0.lock().unwrap().pop().unwrap();
            self.0.lock().unwrap().push(oneshot::channel().0);
            taken.send(()).unwrap();
        }
    }

    #[async_trait::async_trait]
    impl Topic for Slow {
        async fn publish(&self, _: Message) -> Result<String, Error> {
            let (taken, wait) = oneshot::channel();
            self.0.lock().unwrap().push(taken);
            wait.await.unwrap();
            Ok("1".to_owned())
        }
    }

    #[cfg(not(feature = "gcp"))]
    #[tokio::test]
    async fn a_topic_in_a_build_without_topics_is_refused_with_the_cure() {
        let clock: Arc<dyn Clock> = Arc::new(refit_platform::clock::SystemClock);
        let transport = HttpTransport::new(Arc::clone(&clock), Options::default()).unwrap();
        let transport: Arc<dyn Transport> = Arc::new(transport);
        let error = Caller::open("projects/p/topics/t", &transport, &clock).await.unwrap_err();
        assert!(error.to_string().starts_with("REFIT_WAKE: "), "{error}");
        assert!(error.to_string().contains("--features gcp"), "{error}");
    }

    /// A transport that keeps what it is given, and answers as Lambda does.
    #[derive(Default)]
    struct Sent(Mutex<Vec<Request>>);

    #[async_trait::async_trait]
    impl Transport for Sent {
        async fn send(&self, request: Request) -> refit_wire::http::Reply {
            self.0.lock().unwrap().push(request);
            Ok(refit_wire::http::Response { status: 202, ..Default::default() })
        }
    }

    #[tokio::test]
    async fn a_function_on_lambda_is_invoked_without_waiting_for_its_end() {
        let arn = "arn:aws:lambda:eu-central-1:111122223333:function:refit-tick";
        let sent = Arc::new(Sent::default());
        let endpoint = |region: &str| format!("https://lambda.{region}.amazonaws.com");
        let waker = Caller::invoking(Arc::<Sent>::clone(&sent), arn, &endpoint).unwrap();
        waker.wake();
        waker.told().await;
        let request = sent.0.lock().unwrap().pop().expect("it was sent before `told` ended");
        let expected = format!(
            "https://lambda.eu-central-1.amazonaws.com/2015-03-31/functions/{arn}/invocations"
        );
        assert_eq!(request.url.as_str(), expected);
        assert_eq!(request.headers["x-amz-invocation-type"], "Event");
        assert_eq!(request.body, "{\"refit\":\"wake\"}");
        let (service, region) = ("lambda".to_owned(), "eu-central-1".to_owned());
        assert_eq!(request.auth, Auth::Aws { service, region });
        for wrong in ["arn:aws:sqs:eu-central-1:1:queue", "arn:aws:lambda:r:1:layer:x"] {
            let transport = Arc::<Sent>::clone(&sent);
            assert!(Caller::invoking(transport, wrong, &endpoint).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn wakes_while_one_is_under_way_make_one_more_message() {
        let topic = Arc::new(Slow::default());
        let waker = Caller::publishing(Arc::<Slow>::clone(&topic));
        waker.wake();
        topic.published(1).await;
        for _ in 0..10 {
            waker.wake();
        }
        topic.take(1).await;
        topic.take(2).await;
        while waker.state.load(Ordering::Acquire) != IDLE {
            tokio::task::yield_now().await;
        }
        assert_eq!(topic.0.lock().unwrap().len(), 2);
    }
}
