//! Listening, with a limit on everything, and an orderly end.

use std::convert::Infallible;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::ServiceExt as _;

/// The port where none is asked for: a page stays where it was when another version is served.
const PORT: u16 = 8378;
const CONNECTIONS_MAX: usize = 256;
/// How long a caller may take to send the head of a request, and then the rest of it.
const REQUEST_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be accepted.
const PAUSE: Duration = Duration::from_millis(50);
/// How long requests under way may take once the process is told to end.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(2);

/// Listens on a port, or on the usual one, or on a free one where that is taken.
pub(super) async fn on(address: IpAddr, port: Option<u16>) -> Result<TcpListener> {
    let bind = |port| TcpListener::bind(SocketAddr::new(address, port));
    let bound = match bind(port.unwrap_or(PORT)).await {
        Err(error) if port.is_none() && error.kind() == ErrorKind::AddrInUse => bind(0).await,
        bound => bound,
    };
    bound.with_context(|| format!("cannot listen on {address}:{}", port.unwrap_or(PORT)))
}

/// Serves until the process is told to end, then lets requests under way end.
pub(super) async fn serve(listener: TcpListener, router: Router) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &connections) => accepted,
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
        };
        match accepted {
            Ok((stream, permit)) => spawn(stream, permit, &router, &graceful),
            // There may be no room for it now.
            Err(_) => drop(within(PAUSE, std::future::pending::<()>()).await),
        }
    }
    drop(listener);
    let _ = within(SHUTDOWN_WITHIN, graceful.shutdown()).await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    connections: &Arc<Semaphore>,
) -> Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(connections).acquire_owned().await?;
    Ok((listener.accept().await?.0, permit))
}

fn spawn(
    stream: TcpStream,
    permit: OwnedSemaphorePermit,
    router: &Router,
    graceful: &GracefulShutdown,
) {
    let router = router.clone();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        answer(router.clone(), request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(REQUEST_WITHIN);
    let connection = graceful.watch(builder.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        // One that ended early is its caller's trouble.
        let _ = connection.await;
        drop(permit);
    });
}

async fn answer(router: Router, request: Request) -> Result<Response, Infallible> {
    let answered = within(REQUEST_WITHIN, router.oneshot(request)).await;
    answered.unwrap_or_else(|| Ok(StatusCode::REQUEST_TIMEOUT.into_response()))
}

#[expect(clippy::disallowed_methods, reason = "the example stands alone, and has no other clock")]
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    tokio::time::timeout(time, future).await.ok()
}
