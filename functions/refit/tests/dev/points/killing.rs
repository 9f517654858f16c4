//! Ports that kill their process at a point.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use http::Method;
use refit_core::commit::Change;
use refit_core::error::Error;
use refit_core::notice::OutboxChange;
use refit_engine::layout;
use refit_engine::port::{Created, Page, Store, Transport};
use refit_engine::record::read_commit;
use refit_host::function::Base;
use refit_wire::http::{Reply, Request, Secret};
use refit_wire::outgoing::{Mail, Publish};
use rustix::process::{Signal, getpid, kill_process};
use serde_json::Value;

use super::{PEOPLE, PROGRAMS};

/// Which side of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// It was not begun.
    Before,
    /// It took effect, and nobody was told.
    After,
}

/// A point at which a process is killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) side: Side,
    /// `create log/` and the like for the store, `start` and the like for the service, `tell` and the like for those who
    /// are told.
    pub(super) operation: String,
    /// Which of the operations of that name in one life, counted from 1.
    pub(super) number: usize,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.side == Side::Before { "before" } else { "after" };
        write!(f, "{side} {} {}", self.number, self.operation)
    }
}

impl FromStr for Point {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (side, rest) = text.split_once(' ').ok_or("no side")?;
        let (number, operation) = rest.split_once(' ').ok_or("no number")?;
        Ok(Self {
            side: if side == "before" { Side::Before } else { Side::After },
            operation: operation.to_owned(),
            number: number.parse().map_err(|_| "no number")?,
        })
    }
}

/// Waits for its point.
struct Watch {
    point: Point,
    met: AtomicUsize,
    /// The operations of this life, each told once.
    names: Mutex<BTreeSet<String>>,
}

/// What a line begins with that tells of an operation which was met for the first time in a life.
pub(super) const MET: &str = "met: ";

impl Watch {
    /// Lets an operation through, unless the point is met.
    async fn over<T>(&self, operation: &str, work: impl Future<Output = T>) -> T {
        self.tell(operation);
        let is_met = operation == self.point.operation
            && self.met.fetch_add(1, Ordering::Relaxed) + 1 == self.point.number;
        if is_met && self.point.side == Side::Before {
            die();
        }
        let done = work.await;
        if is_met {
            die();
        }
        done
    }

    fn tell(&self, operation: &str) {
        let mut names = self.names.lock().expect("no holder of the lock panics");
        if names.insert(operation.to_owned()) {
            // In one piece: another thread may be about to end the process.
            let line = format!("{MET}{operation}\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr takes what is told");
        }
    }
}

/// Ends this process as a power cut would.
fn die() -> ! {
    kill_process(getpid(), Signal::KILL).expect("a process may kill itself");
    unreachable!("nobody survives that");
}

/// Puts a world on ports that kill it at the point.
pub(super) fn dress(base: Base, point: Point) -> Base {
    let watch = Arc::new(Watch { point, met: AtomicUsize::new(0), names: Mutex::default() });
    Base {
        store: Arc::new(Killing { inner: base.store, watch: Arc::clone(&watch) }),
        transport: Arc::new(Calling { inner: base.transport, watch, started: Mutex::default() }),
        ..base
    }
}

/// The ledger's store.
struct Killing {
    inner: Arc<dyn Store>,
    watch: Arc<Watch>,
}

/// What is done, and the folder it is done in.
fn named(what: &str, name: &str) -> String {
    let folder = name.split_inclusive('/').next().unwrap_or_default();
    format!("{what} {folder}")
}

/// What is created, and in which folder; a commit that seals a summary is an operation of its own.
fn created(name: &str, body: &[u8]) -> String {
    let commit = layout::commit_seq(name).and_then(|seq| read_commit(seq, body).ok());
    let seals =
        |change: &Change| matches!(change, Change::Outbox { change: OutboxChange::Sealed(_), .. });
    match commit.is_some_and(|commit| commit.changes.iter().any(seals)) {
        true => "seal".to_owned(),
        false => named("create", name),
    }
}

#[async_trait]
impl Store for Killing {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.watch.over(&named("get", name), self.inner.get(name)).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.watch.over(&created(name, &body), self.inner.create(name, body)).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.watch.over(&named("list", prefix), self.inner.list(prefix, from, limit)).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.watch.over(&named("delete", name), self.inner.delete(name)).await
    }
}

/// The way to the doors, to the local pipeline service, and to those who are told.
struct Calling {
    inner: Arc<dyn Transport>,
    watch: Arc<Watch>,
    /// The runs this life has started: a question for another one is a look-up.
    started: Mutex<BTreeSet<String>>,
}

impl Calling {
    /// What a request is for. One that is for nothing known is called by its path, which is no point.
    fn operation(&self, request: &Request) -> String {
        let path = request.url.path();
        let known = match path.strip_prefix("/apis/local/v1/") {
            Some(path) => self.of_service(request, path),
            None if path == "/object" => "announce",
            None if path == "/tick" => "wake",
            None if path.starts_with("/storage/") => "sweep",
            None if path.starts_with("/registry/models/") => of_registry(&request.method),
            None if path.ends_with(PEOPLE) => of_letter(&request.body),
            None if path.ends_with(PROGRAMS) => "tell a program",
            None => return format!("{} {path}", request.method),
        };
        known.to_owned()
    }

    fn of_service(&self, request: &Request, path: &str) -> &'static str {
        let mut started = self.started.lock().expect("no holder of the lock panics");
        match (request.method == Method::POST, path.split_once('/')) {
            (true, None) => {
                let body = &request.body;
                let run: Value = serde_json::from_slice(body).unwrap_or_default();
                started.extend(run["id"].as_str().map(str::to_owned));
                "start"
            }
            (true, Some(_)) => "cancel",
            (false, Some(("pipelines", _))) => "prepare",
            (false, Some((_, run))) if started.contains(run) => "status",
            (false, _) => "find",
        }
    }
}

fn of_registry(method: &Method) -> &'static str {
    match *method {
        Method::POST => "register",
        Method::PUT => "stage",
        _ => "models",
    }
}

fn of_letter(body: &[u8]) -> &'static str {
    let letter: Value = serde_json::from_slice(body).unwrap_or_default();
    match letter["notices"].as_array().is_some_and(|notices| notices.len() > 1) {
        true => "tell a summary",
        false => "tell",
    }
}

#[async_trait]
impl Transport for Calling {
    async fn send(&self, request: Request) -> Reply {
        let operation = self.operation(&request);
        self.watch.over(&operation, self.inner.send(request)).await
    }

    async fn mail(&self, mail: Mail) -> Reply {
        self.watch.over("mail", self.inner.mail(mail)).await
    }

    async fn secret(&self, secret: &Secret, refused: Option<&str>) -> Result<String, Error> {
        self.watch.over("secret", self.inner.secret(secret, refused)).await
    }

    async fn publish(&self, message: Publish) -> Reply {
        self.watch.over("publish", self.inner.publish(message)).await
    }
}
