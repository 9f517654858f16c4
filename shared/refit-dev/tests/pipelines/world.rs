//! A service over a folder of its own, a clock that stands still, and pipelines of shell commands.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use http_body_util::BodyExt as _;
use refit_core::error::ErrorKind;
use refit_core::key::RunKey;
use refit_core::time::{Span, Timestamp};
use refit_dev::pipelines::{Config, Limits, Pipelines, Run, State, router};
use refit_engine::port::Clock;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};
use tokio::sync::watch;
use tower::ServiceExt as _;

/// Changes a test waits for at most.
const CHANGES_MAX: usize = 10_000;
/// How often a test tries to open the service at most.
const TRIES_MAX: usize = 100_000;

/// Longer than any process takes to die, in steps of [`POLL`].
pub(crate) const GRACE: Span = Span::hours(10);
pub(crate) const POLL: Span = Span::from_millis(50);

/// Folders that outlive the service, as they outlive a process.
pub(crate) struct World {
    folder: TempDir,
    pub(crate) clock: Arc<StillClock>,
    pub(crate) limits: Limits,
}

/// An open service.
pub(crate) struct Open {
    pub(crate) service: Arc<Pipelines>,
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("refit-dev").tempdir().unwrap();
        let limits = Limits { grace: GRACE, ..Limits::default() };
        let world = Self { folder, clock: Arc::default(), limits };
        fs::create_dir(world.path("pipelines")).unwrap();
        world
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a pipeline of shell commands, one per step.
    pub(crate) fn pipeline(&self, name: &str, steps: &[(&str, &str)]) {
        let steps = steps
            .iter()
            .map(|(name, script)| json!({"name": name, "command": ["{refit}", "-c", script]}));
        let steps: Vec<_> = steps.collect();
        self.definition(name, &json!({ "steps": steps }).to_string());
    }

    /// Writes a pipeline; JSON is YAML.
    pub(crate) fn definition(&self, name: &str, text: &str) {
        let folder = self.path("pipelines").join(name);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("pipeline.yaml"), text).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        let folders = fs::read_dir(self.path("pipelines")).unwrap();
        Config {
            root: self.path("service"),
            pipelines: folders.map(|entry| entry.unwrap().path()).collect(),
            buckets: self.path("buckets"),
            program: "/bin/sh".into(),
            limits: self.limits,
            clock: Arc::<StillClock>::clone(&self.clock),
            check: Arc::new(|token| token == "good"),
        }
    }

    /// Opens the service. The lock may be held a moment longer by a process that another test has forked and that is
    /// not yet another program.
    pub(crate) async fn open(&self) -> Open {
        for _ in 0..TRIES_MAX {
            match Pipelines::open(self.config()).await {
                Ok(service) => return Open { service },
                Err(error) if error.kind() == ErrorKind::Conflict => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
        panic!("the lock is never let go of");
    }

    /// A named pipe in the buckets folder. Whoever reads it learns when all who held it are gone.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        fs::create_dir_all(self.path("buckets")).unwrap();
        let path = self.path("buckets").join(name);
        assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
        path
    }

    /// Lines of a file in the buckets folder: how often a step came by.
    pub(crate) fn marks(&self, name: &str) -> usize {
        let text = fs::read_to_string(self.path("buckets").join(name)).unwrap_or_default();
        text.lines().count()
    }
}

impl Open {
    /// Asks, and reads the answer: JSON, or text where it is not.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/apis/local/v1/{path}"));
        let request = request.header(header::AUTHORIZATION, "Bearer good");
        self.send(request.body(Body::from(body.to_owned())).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, Value) {
        let response = router(&self.service).oneshot(request).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        (status, serde_json::from_slice(&body).unwrap_or_else(|_| text()))
    }

    /// Asks the registry about a model.
    pub(crate) async fn registry(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(format!("/registry/models/{path}"));
        let request = request.header(header::AUTHORIZATION, "Bearer good");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Asks for a run that must be accepted as a new one.
    pub(crate) async fn start(&self, number: u32, pipeline: &str) -> RunKey {
        let body = json!({"id": id(number), "pipeline": pipeline}).to_string();
        let (status, run) = self.ask("POST", "runs", &body).await;
        assert_eq!(status, StatusCode::CREATED, "{run}");
        id(number)
    }

    pub(crate) async fn cancel(&self, id: RunKey) -> Value {
        let (status, run) = self.ask("POST", &format!("runs/{id}:cancel"), "").await;
        assert_eq!(status, StatusCode::OK, "{run}");
        run
    }

    pub(crate) async fn log(&self, id: RunKey, step: &str) -> String {
        let (status, text) = self.ask("GET", &format!("runs/{id}/logs?step={step}"), "").await;
        assert_eq!(status, StatusCode::OK, "{text}");
        text.as_str().map_or_else(|| text.to_string(), str::to_owned)
    }

    /// Closes the service as a program does that ends.
    pub(crate) async fn close(self) {
        self.service.shutdown().await;
    }

    /// Waits for a run to be as it should.
    pub(crate) async fn until(&self, id: RunKey, what: impl Fn(&Run) -> bool) -> Run {
        let mut changes = self.service.watch();
        for _ in 0..CHANGES_MAX {
            let run = self.service.run(id).unwrap();
            if what(&run) {
                return run;
            }
            assert!(!run.state.is_terminal(), "{run:?}");
            changes.changed().await.unwrap();
        }
        panic!("too many changes");
    }

    /// Waits for a run to end in a state.
    pub(crate) async fn ends(&self, id: RunKey, state: State) -> Run {
        let run = self.until(id, |run| run.state.is_terminal()).await;
        assert_eq!(run.state, state, "{run:?}");
        run
    }

    /// Waits for a step to say that.
    pub(crate) async fn says(&self, id: RunKey, words: &str) -> Run {
        let said = |run: &Run| run.steps.iter().any(|step| step.message.as_deref() == Some(words));
        self.until(id, said).await
    }
}

pub(crate) fn id(number: u32) -> RunKey {
    format!("rf-{number:032x}").parse().unwrap()
}

pub(crate) fn artifact(run: &Open, id: RunKey, name: &str) -> String {
    fs::read_to_string(run.service.folder(id).join("artifacts").join(name)).unwrap()
}

/// Opens a named pipe to learn when it is let go of; before anyone holds it.
pub(crate) fn hold(fifo: &Path) -> Receiver {
    OpenOptions::new().open_receiver(fifo).unwrap()
}

/// Waits until nobody holds the other end; someone must have.
pub(crate) async fn let_go(mut receiver: Receiver) {
    receiver.read_to_end(&mut Vec::new()).await.unwrap();
}

/// Lets one who waits at a named pipe go on, once it is there.
pub(crate) async fn let_through(fifo: PathBuf) {
    let open = move || fs::File::options().write(true).open(fifo).map(drop);
    tokio::task::spawn_blocking(open).await.unwrap().unwrap();
}

/// Time that passes when a test says so.
#[derive(Default)]
pub(crate) struct StillClock(watch::Sender<Times>);

#[derive(Default)]
struct Times {
    elapsed: Span,
    /// When those who sleep wake.
    wake: Vec<Span>,
}

impl StillClock {
    pub(crate) fn advance(&self, span: Span) {
        self.0.send_modify(|times| times.elapsed = times.elapsed + span);
    }

    /// Waits until someone sleeps who wakes when so much more time has passed.
    pub(crate) async fn asleep(&self, span: Span) {
        let waits = |times: &Times| times.wake.contains(&(times.elapsed + span));
        self.0.subscribe().wait_for(waits).await.unwrap();
    }

    /// Lets time pass as it is waited for, in steps of `span`.
    pub(crate) async fn tick(&self, span: Span) -> ! {
        loop {
            self.asleep(span).await;
            self.advance(span);
            tokio::task::yield_now().await;
        }
    }
}

/// Someone who sleeps.
struct Sleeper<'a>(&'a StillClock, Span);

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.0.0.send_modify(|times| {
            let at = times.wake.iter().position(|wake| *wake == self.1);
            at.map(|at| times.wake.swap_remove(at));
        });
    }
}

#[async_trait]
impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000) + self.elapsed()
    }

    fn elapsed(&self) -> Span {
        self.0.borrow().elapsed
    }

    async fn sleep(&self, span: Span) {
        let wake = self.elapsed() + span;
        let mut times = self.0.subscribe();
        self.0.send_modify(|times| times.wake.push(wake));
        let _sleeper = Sleeper(self, wake);
        times.wait_for(|times| times.elapsed >= wake).await.unwrap();
    }
}
