//! AWS Lambda: invocations in the place of requests, the same doors behind them.
//!
//! Lambda stops a process once it has answered, so whoever is to be woken has been told by then. An invocation that
//! fails is made again, and a message that is not taken stays in its queue: that is for what the ledger did not take.
//! Poison is in quarantine then, and acknowledged.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use futures::future::join_all;
use http::{HeaderMap, Request, StatusCode};
use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use refit_core::error::{Error, ErrorKind};
use refit_engine::port::Clock;
use refit_wire::source::{Delivery, Invocation, Item, UrlRequest};
use serde_json::{Map, Value, json};
use tower::ServiceExt as _;

use crate::driver::{Driver, Woken};
use crate::function::{Mounted, broken, ended};
use crate::intake::{BODY_BYTES_MAX, Door, taken_in_time};
use crate::waker::{WAKE, told_in_time};

/// What an invocation reaches.
#[derive(Clone)]
pub(crate) struct Host {
    /// The doors, those by their paths for requests to the URL of the function.
    pub(crate) mounted: Mounted,
    /// The reconciler, if it runs here.
    pub(crate) driver: Option<Driver>,
    /// For the limit on waking.
    pub(crate) clock: Arc<dyn Clock>,
}

/// Takes invocations until Lambda ends the process.
///
/// # Errors
/// `Unavailable` if the runtime cannot be reached, `Internal` if the reconciler has ended.
pub(crate) async fn serve(host: Host) -> Result<(), Error> {
    let handler = service_fn(|event: LambdaEvent<Value>| host.invoked(event.payload));
    let lost = |error: lambda_runtime::Error| {
        let message = format!("the runtime of Lambda cannot be reached: {error}");
        Error::new(ErrorKind::Unavailable, message)
    };
    tokio::select! {
        ran = lambda_runtime::run(handler) => ran.map_err(lost),
        () = ended(host.driver.as_ref()) => Err(broken()),
    }
}

impl Host {
    async fn invoked(&self, payload: Value) -> Result<Value, Diagnostic> {
        let answer = self.answer(&payload).await;
        told_in_time(&*self.mounted.waker, &*self.clock).await;
        answer
    }

    async fn answer(&self, payload: &Value) -> Result<Value, Diagnostic> {
        let invocation = Invocation::of(payload);
        match (invocation, &self.mounted.door, &self.driver) {
            (Invocation::Request(request), ..) => Ok(self.request(request).await),
            (_, None, Some(driver)) => pass(driver).await,
            (_, Some(_), Some(driver)) if payload.get(WAKE.0) == Some(&json!(WAKE.1)) => {
                pass(driver).await
            }
            (Invocation::Batch(items), Some(door), _) => {
                Ok(batch(&*self.clock, door, &items).await)
            }
            (Invocation::Single(understood), Some(door), _) => {
                let body = payload.to_string();
                let delivery = delivery(body.as_bytes());
                let taking = door.take(understood, &delivery);
                let outcome = taken_in_time(&*self.clock, taking).await;
                outcome.log();
                match outcome.status.is_success() {
                    true => Ok(Value::Null),
                    false => Err(failed("LedgerUnavailable", outcome.what)),
                }
            }
            (_, None, None) => Err(failed("NoDoor", "this function takes requests only")),
        }
    }

    /// A request to the URL of the function, as the router answers it.
    async fn request(&self, request: UrlRequest) -> Value {
        let UrlRequest { method, target, headers, body } = request;
        let built = Request::builder().method(method).uri(target).body(Body::from(body));
        let Ok(mut built) = built else { return json!({"statusCode": 400}) };
        *built.headers_mut() = headers;
        let response = self.mounted.router.clone().oneshot(built).await;
        answered(response.unwrap_or_else(|never| match never {})).await
    }
}

async fn answered(response: Response) -> Value {
    let (head, body) = response.into_parts();
    let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.unwrap_or_default();
    let text = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.to_string(), json!(value.to_str().ok()?)))
    };
    json!({
        "statusCode": head.status.as_u16(),
        "headers": head.headers.iter().filter_map(text).collect::<Map<String, Value>>(),
        "body": String::from_utf8_lossy(&body),
        "isBase64Encoded": false,
    })
}

async fn pass(driver: &Driver) -> Result<Value, Diagnostic> {
    match driver.wake_and_wait().await {
        Woken::Passed => Ok(Value::Null),
        Woken::Failed => Err(failed("PassFailed", "a pass failed; the next one goes on")),
    }
}

/// Takes the messages of a queue together, which share segments, and names those that stay in it.
async fn batch(clock: &dyn Clock, door: &Door, items: &[Item]) -> Value {
    let taken = items.iter().map(|item| async move {
        let delivery = delivery(item.body.as_bytes());
        let taking = door.take(item.understood.clone(), &delivery);
        let outcome = taken_in_time(clock, taking).await;
        outcome.log();
        (item, outcome.status)
    });
    let taken: Vec<(&Item, StatusCode)> = join_all(taken).await;
    let left = taken.into_iter().filter(|(_, status)| !status.is_success());
    let left: Vec<Value> = left.map(|(item, _)| json!({"itemIdentifier": item.id})).collect();
    json!({ "batchItemFailures": left })
}

/// What comes without headers.
fn delivery(body: &[u8]) -> Delivery<'_> {
    static NONE: std::sync::LazyLock<HeaderMap> = std::sync::LazyLock::new(HeaderMap::new);
    Delivery { headers: &NONE, body }
}

fn failed(error_type: &str, message: &str) -> Diagnostic {
    Diagnostic { error_type: error_type.to_owned(), error_message: message.to_owned() }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use refit_engine::port::Transport;
    use refit_platform::store::MemoryStore;
    use refit_testkit::clock::ManualClock;
    use refit_wire::http::{Reply, Request as Sent, Response as Answer};
    use tokio::sync::Notify;

    use super::*;
    use crate::environment::Settings;
    use crate::function::{Base, Doors, mount};

    /// A way out whose answers come when a test says so.
    #[derive(Default)]
    struct Slow(Notify);

    #[async_trait]
    impl Transport for Slow {
        async fn send(&self, _: Sent) -> Reply {
            self.0.notified().await;
            Ok(Answer { status: 204, ..Answer::default() })
        }
    }

    #[tokio::test]
    async fn no_invocation_ends_before_whoever_is_to_be_woken_was_told() {
        for doors in [Doors::Object, Doors::Drift, Doors::Hook] {
            let clock = Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap()));
            let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
            let slow = Arc::new(Slow::default());
            let clock: Arc<dyn Clock> = clock;
            let base = Base::of_test(store, Arc::<Slow>::clone(&slow), Arc::clone(&clock));
            let settings = Settings::of_test(&[
                ("REFIT_LEDGER", "memory:"),
                ("REFIT_WAKE", "http://tick.example/"),
            ]);
            let mounted = mount(doors, &base, &settings.unwrap(), None).await.unwrap();
            mounted.waker.wake();
            let host = Host { mounted, driver: None, clock };
            let request =
                json!({"rawPath": "/healthz", "requestContext": {"http": {"method": "GET"}}});
            let mut invoked = std::pin::pin!(host.invoked(request));
            assert!(futures::poll!(&mut invoked).is_pending(), "{doors:?}");
            slow.0.notify_one();
            assert_eq!(invoked.await.unwrap()["statusCode"], 200, "{doors:?}");
        }
    }
}
