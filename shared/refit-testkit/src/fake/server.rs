//! An HTTP server on this machine that may also not answer.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderValue, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinSet;
use url::form_urlencoded;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A request as a site sees it.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// Path and query as they came.
    pub target: String,
    /// The path, split at its slashes and decoded.
    pub path: Vec<String>,
    /// The query, decoded.
    pub query: Vec<(String, String)>,
    /// The headers.
    pub headers: http::HeaderMap,
    /// The body.
    pub body: Bytes,
}

/// How a request ends.
#[derive(Clone, Debug)]
pub enum Reaction {
    /// It is answered.
    Answer(Answer),
    /// The connection is closed without a word.
    Close,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// Headers, beside the length.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Bytes,
}

/// What a request comes to, once it does.
pub type Reacting = Pin<Box<dyn Future<Output = Reaction> + Send>>;

/// What answers requests.
pub trait Site: Send + Sync + 'static {
    /// Reacts to a request.
    fn react(self: Arc<Self>, request: Request) -> Reacting;
}

/// A place on this machine: at first nobody listens there, and connections are refused.
pub struct Server {
    address: SocketAddr,
    socket: Mutex<Option<TcpSocket>>,
    listening: Mutex<JoinSet<()>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Server {
    /// Takes a free port of this machine.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn new() -> Self {
        let socket = TcpSocket::new_v4().expect("the machine has sockets");
        socket.bind(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a port is free");
        let address = socket.local_addr().expect("a bound socket has an address");
        Self { address, socket: Mutex::new(Some(socket)), listening: Mutex::default() }
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> String {
        self.address.to_string()
    }

    /// Begins to listen. A second time changes nothing.
    ///
    /// # Panics
    /// If the system does not let it.
    pub fn open(&self, site: Arc<dyn Site>) {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(socket) = socket else { return };
        let listener = socket.listen(BACKLOG).expect("a bound socket can listen");
        let mut listening = self.listening.lock().unwrap_or_else(PoisonError::into_inner);
        listening.spawn(accept(listener, site));
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::new()
    }
}

async fn accept(listener: TcpListener, site: Arc<dyn Site>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        connections.spawn(serve(stream, Arc::clone(&site)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, site: Arc<dyn Site>) {
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let site = Arc::clone(&site);
        async move {
            let request = read(request).await?;
            match site.react(request).await {
                Reaction::Answer(answer) => Ok(answer.response()),
                // An error of the service closes the connection.
                Reaction::Close => Err(io::Error::from(io::ErrorKind::ConnectionAborted)),
            }
        }
    });
    // Whoever asks may be gone before all is said.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn read(request: hyper::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let path = head.uri.path().split('/').skip(1).map(decode).collect();
    let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
    Ok(Request {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        path,
        query: query.into_owned().collect(),
        headers: head.headers,
        body,
    })
}

fn decode(segment: &str) -> String {
    percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned()
}

impl Request {
    /// The first value of that name in the query.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of a header; empty where there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON; null where it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Answer {
    /// An answer of JSON.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self { status, headers, body: Bytes::from(body.to_string()) }
    }

    /// An answer of text.
    #[must_use]
    pub fn text(status: u16, media: &str, body: &str) -> Self {
        let headers = vec![("content-type", media.to_owned())];
        Self { status, headers, body: Bytes::copy_from_slice(body.as_bytes()) }
    }

    /// The same answer with one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            http::StatusCode::from_u16(self.status).expect("a site answers with a status");
        for (name, value) in self.headers {
            let value = HeaderValue::from_str(&value).expect("a site answers with lawful headers");
            response.headers_mut().append(name, value);
        }
        response
    }
}
