//! The accept loop: a limit on everything, and an orderly end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_engine::deadline::within;
use refit_engine::port::Clock;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use crate::body::TimedBody;

/// How long a caller may take to send the head of a request.
const HEADERS_WITHIN: Duration = Duration::from_secs(10);
/// How long a caller may leave what it is answered unread.
const TAKES_WITHIN: Duration = Duration::from_secs(10);
/// Headers of a request: a message without its wrapper brings up to 100 attributes beside the request's own.
const HEADERS_MAX: usize = 512;
/// Connections at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 1024;
/// How long all that is under way may take to end once the process is told to.
pub const SHUTDOWN_WITHIN: Span = Span::secs(9);
/// How long to wait after a connection could not be accepted.
const PAUSE: Span = Span::from_millis(50);

/// Listens at an address.
///
/// # Errors
/// `Unavailable` if the address is taken or not ours.
pub async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let refused = |error| {
        let message = format!("cannot listen, another process may: address=`{address}`");
        Error::new(ErrorKind::Unavailable, message).because(error)
    };
    TcpListener::bind(address).await.map_err(refused)
}

/// Serves until `shutdown` is over, then lets requests under way end, but not for longer than [`SHUTDOWN_WITHIN`]. Says
/// what is left of that for the rest of the process.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()>,
) -> Span {
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            () = &mut shutdown => break,
        };
        match accepted {
            Ok((stream, permit)) => spawn((stream, permit), &router, &clock, &graceful),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                clock.sleep(PAUSE).await;
            }
        }
    }
    drop(listener);
    let told = clock.elapsed();
    if within(&*clock, SHUTDOWN_WITHIN, graceful.shutdown()).await.is_none() {
        tracing::warn!("requests under way did not end in time");
    }
    let taken = Span::from_millis(clock.elapsed().as_millis() - told.as_millis());
    Span::from_millis(SHUTDOWN_WITHIN.as_millis() - taken.as_millis())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await.map_err(std::io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, permit))
}

fn spawn(
    (stream, permit): (TcpStream, OwnedSemaphorePermit),
    router: &Router,
    clock: &Arc<dyn Clock>,
    graceful: &GracefulShutdown,
) {
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEADERS_WITHIN).max_headers(HEADERS_MAX);
    let (router, clock) = (router.clone(), Arc::clone(clock));
    let service = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let (router, clock) = (router.clone(), Arc::clone(&clock));
        let request = request.map(|body| axum::body::Body::new(TimedBody::new(body, clock)));
        async move {
            let response = router.oneshot(request).await;
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        }
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(TAKES_WITHIN));
    let stream = TokioIo::new(Box::pin(stream));
    let connection = graceful.watch(builder.serve_connection(stream, service));
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
        drop(permit);
    });
}

/// Ends when the process is told to, from now on: by SIGTERM, or by ctrl-c.
///
/// # Panics
/// If the system does not let the process listen for signals.
pub fn told_to_end() -> impl Future<Output = ()> + Send {
    let listen = |kind| signal(kind).expect("a process can listen for its signals");
    let mut terminate = listen(SignalKind::terminate());
    let mut interrupt = listen(SignalKind::interrupt());
    async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use refit_core::event::Fact;
    use refit_engine::port::Store;
    use refit_engine::record::read_segment;
    use refit_platform::store::MemoryStore;
    use refit_testkit::clock::ManualClock;
    use refit_testkit::transport::ScriptedTransport;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;
    use crate::function::{Base, events};
    use crate::intake::Door;
    use crate::waker::Nobody;

    /// Attributes that a message of Pub/Sub may have.
    const ATTRIBUTES: usize = 100;

    /// How a message is answered that has so many attributes, with names and values of this length.
    async fn answer(place: SocketAddr, attributes: usize, (name, value): (usize, usize)) -> String {
        let attribute = |at| format!("{at:a>name$}: {}\r\n", "x".repeat(value));
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 0\r\n\
            x-goog-pubsub-message-id: 7\r\nx-goog-pubsub-subscription-name: s\r\n";
        let request: String = std::iter::once(head.to_owned())
            .chain((0..attributes).map(attribute))
            .chain(["\r\n".to_owned()])
            .collect();
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer.lines().next().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_message_without_its_wrapper_may_have_all_the_attributes_that_pubsub_allows() {
        let clock = Arc::new(ManualClock::new("2026-01-05T12:00:00Z".parse().unwrap()));
        let store = Arc::new(MemoryStore::new(Arc::<ManualClock>::clone(&clock)));
        let clock: Arc<dyn Clock> = clock;
        let base = Base::of_test(
            Arc::<MemoryStore>::clone(&store),
            Arc::new(ScriptedTransport::new()),
            Arc::clone(&clock),
        );
        let door = Arc::new(Door::push(base.intake(), Arc::new(Nobody), None));
        let listener = listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await.unwrap();
        let place = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, events(&door, &["/"]), clock, std::future::pending()));
        assert_eq!(answer(place, ATTRIBUTES, (256, 1024)).await, "HTTP/1.1 204 No Content");
        let entry = store.list("inbox/", "", 2).await.unwrap().entries.remove(0);
        let body = store.get(&entry.name).await.unwrap().unwrap();
        let stored = read_segment(&entry.name, &body).unwrap();
        let Fact::Message(message) = &stored[0].fact else { panic!("{stored:?}") };
        assert_eq!(message.attributes.len(), ATTRIBUTES);
        let refused = answer(place, HEADERS_MAX, (8, 1)).await;
        assert!(refused.starts_with("HTTP/1.1 431 "), "{refused}");
    }
}
