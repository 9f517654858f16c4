//! A proxy in front of a server of others that lets requests fail: what no emulator does by itself.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use refit_core::time::Span;
use tokio::sync::{Semaphore, watch};

use super::client;
use super::server::{Answer, Reacting, Reaction, Request, Server, Site};

/// Headers of an answer that are passed on.
const PASSED_ON: [&str; 8] = [
    "date",
    "content-type",
    "content-range",
    "etag",
    "last-modified",
    "location",
    "x-goog-generation",
    "x-goog-hash",
];
/// Headers of a request that are between two neighbours only, and the host, which is first.
const DROPPED: [&str; 5] = ["connection", "content-length", "expect", "host", "transfer-encoding"];

/// The turn of proxies that let through one request at a time.
static TURN: Semaphore = Semaphore::const_new(1);

/// How one request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// As the server answers.
    None,
    /// By this status, and the server never hears of it.
    Refuse(u16),
    /// By a closed connection, and the server never hears of it.
    LoseRequest,
    /// By a closed connection, although the server has done it.
    LoseAnswer,
    /// As the server answers, after so long.
    Delay(Span),
    /// As the server answers, but only once [`Proxy::release`] is called: the server does it at once.
    Hold,
}

type Script = dyn Fn(&Request) -> Fault + Send + Sync;

/// A proxy to one server.
pub struct Proxy {
    server: Server,
    passing: Arc<Passing>,
}

struct Passing {
    upstream: String,
    script: Box<Script>,
    /// Whether the server is given one request at a time.
    in_turn: bool,
    requests: Mutex<Vec<String>>,
    held: watch::Sender<usize>,
    released: watch::Sender<bool>,
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").field("place", &self.place()).finish_non_exhaustive()
    }
}

impl Proxy {
    /// A proxy to the server at this host and port whose every request ends as `script` says.
    pub fn start(
        upstream: &str,
        script: impl Fn(&Request) -> Fault + Send + Sync + 'static,
    ) -> Self {
        Self::open(Passing::new(upstream, Box::new(script), false))
    }

    /// A proxy that changes nothing, but that all proxies of this kind in the process let through one request at a
    /// time: for a server that checks and acts in two steps, which its own threads may come between.
    #[must_use]
    pub fn in_turn(upstream: &str) -> Self {
        Self::open(Passing::new(upstream, Box::new(|_| Fault::None), true))
    }

    fn open(passing: Passing) -> Self {
        let proxy = Self { server: Server::new(), passing: Arc::new(passing) };
        proxy.server.open(Arc::<Passing>::clone(&proxy.passing));
        proxy
    }

    /// A proxy whose first requests end as listed, and all later ones well.
    pub fn scripted(upstream: &str, faults: impl IntoIterator<Item = Fault>) -> Self {
        let faults = Mutex::new(faults.into_iter().collect::<VecDeque<_>>());
        Self::start(upstream, move |_| {
            let mut faults = faults.lock().unwrap_or_else(PoisonError::into_inner);
            faults.pop_front().unwrap_or(Fault::None)
        })
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> String {
        self.server.place()
    }

    /// The requests so far, each as its method and target.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.passing.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many answers are held, or have been.
    ///
    /// # Panics
    /// Never: who counts lives as long as this.
    pub async fn held(&self, answers: usize) {
        let mut held = self.passing.held.subscribe();
        held.wait_for(|held| *held >= answers).await.expect("the sender lives as long as self");
    }

    /// Lets go of every answer that is held, now and from now on.
    pub fn release(&self) {
        self.passing.released.send_replace(true);
    }
}

impl Site for Passing {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        let line = format!("{} {}", request.method, request.target);
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        Box::pin(async move {
            match (self.script)(&request) {
                Fault::None => self.pass(&request).await,
                Fault::Refuse(status) => Reaction::Answer(Answer::text(status, "text/plain", "")),
                Fault::LoseRequest => Reaction::Close,
                Fault::LoseAnswer => {
                    self.pass(&request).await;
                    Reaction::Close
                }
                Fault::Delay(span) => {
                    wait(span).await;
                    self.pass(&request).await
                }
                Fault::Hold => {
                    let answer = self.pass(&request).await;
                    self.held.send_modify(|held| *held += 1);
                    let _ = self.released.subscribe().wait_for(|released| *released).await;
                    answer
                }
            }
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "a slow network is slow by the clock of the machine")]
async fn wait(span: Span) {
    tokio::time::sleep(Duration::from_millis(span.as_millis().unsigned_abs())).await;
}

impl Passing {
    fn new(upstream: &str, script: Box<Script>, in_turn: bool) -> Self {
        Self {
            upstream: upstream.to_owned(),
            script,
            in_turn,
            requests: Mutex::default(),
            held: watch::Sender::new(0),
            released: watch::Sender::new(false),
        }
    }

    async fn pass(&self, request: &Request) -> Reaction {
        let _turn = match self.in_turn {
            true => Some(TURN.acquire().await.expect("it is never closed")),
            false => None,
        };
        match self.exchange(request).await {
            Ok(answer) => Reaction::Answer(answer),
            Err(_) => Reaction::Close,
        }
    }

    async fn exchange(&self, request: &Request) -> io::Result<Answer> {
        // A server answers this version without chunks, and closes the connection.
        let mut head = format!("{} {} HTTP/1.0\r\n", request.method, request.target);
        let mut line = |name: &str, value: &str| head.push_str(&format!("{name}: {value}\r\n"));
        // As it was sent: a signature is of it as well.
        let host = request.headers.get("host").and_then(|host| host.to_str().ok());
        line("host", host.unwrap_or(&self.upstream));
        line("content-length", &request.body.len().to_string());
        for (name, value) in &request.headers {
            if !DROPPED.contains(&name.as_str()) {
                line(name.as_str(), value.to_str().unwrap_or_default());
            }
        }
        head.push_str("\r\n");
        let bytes = [head.as_bytes(), &request.body].concat();
        let answer = Bytes::from(client::exchange(&self.upstream, &bytes).await?);
        read(&answer).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    }
}

/// Reads an answer that ended with its connection; `None` if it is none.
fn read(answer: &Bytes) -> Option<Answer> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let header = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        let name = PASSED_ON.into_iter().find(|known| known.eq_ignore_ascii_case(name))?;
        Some((name, value.to_owned()))
    };
    Some(Answer {
        status,
        headers: lines.filter_map(header).collect(),
        body: answer.slice(end + 4..),
    })
}
