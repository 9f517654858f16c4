//! The local pipeline service: runs the steps of a pipeline as processes of this machine.
//!
//! A pipeline is a folder with a `pipeline.yaml`, which docs/pipelines.md explains to users:
//!
//! ```yaml
//! name: churn                      # default: the name of the folder
//! parameters:                      # string, integer, double, boolean, list or struct; default: any parameters
//!   manifest: { type: string }
//!   rate: { type: double, default: 0.1 }
//! steps:
//!   - name: train
//!     command: [python3, train.py] # `{refit}` stands for the program that runs the service
//!     timeout: 5m                  # default: 1h
//! serve:                           # kept running with the version of the model that is in Production
//!   model: churn                   # default: the name of the pipeline
//!   command: [python3, serve.py]
//! ```
//!
//! Its steps run one after another, each in a process group of its own, and are told where things are by their
//! environment:
//!
//! | variable | |
//! |---|---|
//! | `REFIT_RUN_KEY` | the id of the run |
//! | `REFIT_RUN_DIR` | the folder of the run; what steps make for each other or for people lies in `artifacts` below it |
//! | `REFIT_STEP` | the name of the step |
//! | `REFIT_PARAMETERS` | a JSON file with the parameters, those with a default filled in |
//! | `REFIT_BUCKETS` | a folder with one folder per bucket: `gs://NAME/OBJECT` is `$REFIT_BUCKETS/NAME/OBJECT` |
//!
//! What serves a model is told `REFIT_MODEL_DIR`, the folder of the version, with what its run made in `artifacts`,
//! `REFIT_MODEL`, the name of the model, and `REFIT_MODEL_VERSION`. The first address on this machine that it prints is
//! shown as the place where the model is served.
//!
//! The working folder is the pipeline's. A line `::progress 0.4 message` is shown as the step's progress. A step may be
//! run again after the service was stopped while it ran; steps that had succeeded are not. What is left of its process
//! group is ended first; on Linux also where the process that led it is gone.
//!
//! Whatever is answered is durable first. The service keeps every run it was ever asked for, so that an id never
//! starts twice.
//!
//! What a run has made can be registered as a version of a model, and a version be given a stage:
//!
//! | request | |
//! |---|---|
//! | `GET /registry/models/MODEL` | its versions, oldest first, and which of them is in which stage |
//! | `POST /registry/models/MODEL/versions` `{"key", "run"}` | the version with a copy of what the run made; under the same key the same |
//! | `PUT /registry/models/MODEL/stages/production` `{"version"}`, or `…/staging` | the model; the version that had the stage is archived |
//!
//! A version says its number, its key, its run, when it was made, its stage, the numbers in the `metrics.json` of its run,
//! and the URI of its folder, in which `artifacts` lies.

mod api;
mod definition;
mod drive;
mod folder;
mod log;
mod process;
mod registry;
mod run;
mod serving;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::join_all;
use refit_core::error::{Error, ErrorKind};
use refit_core::key::RunKey;
use refit_core::time::Span;
use refit_engine::port::Clock;
use tokio::sync::watch;
use tracing::warn;

pub use api::router;
pub use definition::{FILE, check, text};
pub use registry::Current;
pub use run::{Run, RunStep, State};
pub use serving::Servers;

use definition::{Pipeline, name_of};
use folder::{Folder, Journal};
use process::Process;
use run::{Accepted, Change, History, Record, Request};

/// What the service is given.
#[derive(Clone)]
pub struct Config {
    /// The service's own folder.
    pub root: PathBuf,
    /// The folders of the pipelines, each with a `pipeline.yaml`, and folders that hold such folders.
    pub pipelines: Vec<PathBuf>,
    /// The folder that holds one folder per bucket.
    pub buckets: PathBuf,
    /// The program that `{refit}` in a command stands for.
    pub program: PathBuf,
    /// How much it does at once, and how patient it is.
    pub limits: Limits,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Whether a bearer token is good.
    pub check: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

/// How much the service does at once, and how patient it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Runs under way at once; further ones are pending.
    pub runs_max: usize,
    /// What is kept of what a step says.
    pub log_bytes_max: u64,
    /// How long a step may take to end when it is asked to, before it is killed.
    pub grace: Span,
}

/// The local pipeline service.
pub struct Pipelines {
    config: Config,
    /// Locked until it is shut down: two services would end each other's steps.
    lock: Mutex<Option<File>>,
    runs: Mutex<BTreeMap<RunKey, Arc<Entry>>>,
    /// Held while a run is made, so that an id is made once.
    making: tokio::sync::Mutex<()>,
    /// Held while a version is stored: two would share a draft.
    storing: tokio::sync::Mutex<()>,
    /// Held while the registry is read or written, so that a number is given once.
    shelving: tokio::sync::Mutex<()>,
    queue: Mutex<Queue>,
    closing: watch::Sender<bool>,
    changes: watch::Sender<u64>,
}

/// Who runs and who waits.
#[derive(Debug, Default)]
struct Queue {
    active: usize,
    waiting: VecDeque<Arc<Entry>>,
}

/// One run.
#[derive(Debug)]
struct Entry {
    folder: Folder,
    accepted: Accepted,
    history: Mutex<History>,
    journal: Arc<Mutex<Journal>>,
    /// Held from a change of the journal to that of the history.
    recording: tokio::sync::Mutex<()>,
    cancel: watch::Sender<bool>,
    /// The last line the step under way has said.
    last_line: Mutex<String>,
}

/// Why a request is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// It is wrong.
    Invalid(String),
    /// It is more than is read.
    TooLarge(String),
    /// There is no such thing.
    Unknown(String),
    /// The id is another request's.
    Conflict(String),
    /// The pipeline cannot be read, or what a run made cannot be kept.
    Broken(String),
    /// Not now.
    Unavailable(String),
}

impl Default for Limits {
    fn default() -> Self {
        Self { runs_max: 2, log_bytes_max: 1 << 20, grace: Span::secs(5) }
    }
}

impl Config {
    /// Makes the folders, and their paths absolute: steps run elsewhere.
    fn at_home(self) -> io::Result<Self> {
        for folder in [&self.root.join(RUNS), &self.root.join(VERSIONS), &self.buckets] {
            fs::create_dir_all(folder)?;
        }
        let (root, buckets) = (self.root.canonicalize()?, self.buckets.canonicalize()?);
        Ok(Self { root, buckets, ..self })
    }
}

impl Pipelines {
    /// Opens the service: ends what an earlier life left running, and goes on with the runs that have not ended.
    ///
    /// # Errors
    /// Another process uses its folder, or the folder cannot be read or written.
    pub async fn open(config: Config) -> Result<Arc<Self>, Error> {
        let root = config.root.clone();
        let unusable = |error: io::Error| {
            let message = format!("the folder of the pipeline service: path=`{}`", root.display());
            Error::new(ErrorKind::Unavailable, message).because(error)
        };
        let config = config.at_home().map_err(unusable)?;
        let lock = lock_file(&config.root)?;
        let runs = read_runs(&config.root.join(RUNS)).map_err(unusable)?;
        let service = Arc::new(Self {
            config,
            lock: Mutex::new(Some(lock)),
            runs: Mutex::new(runs),
            making: tokio::sync::Mutex::default(),
            storing: tokio::sync::Mutex::default(),
            shelving: tokio::sync::Mutex::default(),
            queue: Mutex::default(),
            closing: watch::Sender::default(),
            changes: watch::Sender::default(),
        });
        service.end_leftovers().await?;
        service.resume();
        Ok(service)
    }

    /// Changes whenever a run does: then look at the runs again.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// A run as it stands.
    #[must_use]
    pub fn run(&self, id: RunKey) -> Option<Run> {
        self.entry(id).map(|entry| entry.run())
    }

    /// The newest runs, newest first.
    #[must_use]
    pub fn runs(&self, limit: usize) -> Vec<Run> {
        let mut runs: Vec<_> = lock(&self.runs).values().map(|entry| entry.run()).collect();
        runs.sort_by_key(|run| std::cmp::Reverse((run.created_at, run.id)));
        runs.truncate(limit);
        runs
    }

    /// The folder of a run: its artifacts lie in `artifacts` below it, its logs in `logs`.
    #[must_use]
    pub fn folder(&self, id: RunKey) -> PathBuf {
        Folder::of(&self.config.root.join(RUNS), id).path().to_owned()
    }

    /// Ends the steps under way, and returns when they have ended; they run again when the service is opened again,
    /// which it can be from then on.
    pub async fn shutdown(&self) {
        self.closing.send_replace(true);
        let _making = self.making.lock().await;
        let _shelving = self.shelving.lock().await;
        let mut changes = self.watch();
        while lock(&self.queue).active > 0 {
            // The sender is ours, and so still there.
            let _ = changes.changed().await;
        }
        lock(&self.lock).take();
    }

    fn entry(&self, id: RunKey) -> Option<Arc<Entry>> {
        lock(&self.runs).get(&id).cloned()
    }

    fn named(&self, id: &str) -> Result<Arc<Entry>, Refusal> {
        let entry = id.parse().ok().and_then(|id| self.entry(id));
        entry.ok_or_else(|| Refusal::Unknown(format!("no such run: run=`{id}`")))
    }

    fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    fn check_open(&self) -> Result<(), Refusal> {
        let closing = Err(Refusal::Unavailable("the service is closing".to_owned()));
        if self.is_closing() { closing } else { Ok(()) }
    }

    fn changed(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Ends the processes of steps that were under way when the service was killed.
    async fn end_leftovers(&self) -> Result<(), Error> {
        let entries: Vec<_> = lock(&self.runs).values().cloned().collect();
        let processes = entries.iter().filter_map(|entry| lock(&entry.history).process.clone());
        let Config { root, clock, limits, .. } = &self.config;
        let end = async |process: Process| process.end(root, &**clock, limits.grace).await;
        let ends = processes.map(end);
        if join_all(ends).await.contains(&false) {
            let message = "a step of an earlier life of the pipeline service cannot be ended";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(())
    }

    /// Goes on with the runs that have not ended, oldest first.
    fn resume(self: &Arc<Self>) {
        let mut open: Vec<_> = lock(&self.runs).values().cloned().collect();
        open.retain(|entry| !entry.run().state.is_terminal());
        open.sort_by_key(|entry| (entry.accepted.created_at, entry.accepted.id));
        lock(&self.queue).waiting = open.into();
        self.pump();
    }

    /// The pipeline of that name, as it is now. Its version can be asked for from then on.
    async fn pipeline(&self, name: &str) -> Result<Pipeline, Refusal> {
        let folders = self.config.pipelines.clone();
        let (name, versions) = (name.to_owned(), self.config.root.join(VERSIONS));
        let _storing = self.storing.lock().await;
        let found = disk(move || {
            let pipeline = find(&folders, &name)?;
            let path = version_path(&versions, &pipeline.definition.version());
            folder::replace(&path, &pipeline)?;
            Ok(pipeline)
        });
        found.await?
    }

    /// The pipeline of that name in the version asked for, or as it is now.
    async fn pinned(&self, name: &str, version: Option<&str>) -> Result<Pipeline, Refusal> {
        let Some(version) = version else {
            return self.pipeline(name).await;
        };
        let unknown =
            || Refusal::Unknown(format!("no such version of the pipeline: version=`{version}`"));
        if version.len() != 64 || !version.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(unknown());
        }
        let path = version_path(&self.config.root.join(VERSIONS), version);
        let stored = disk(move || folder::read::<Pipeline>(&path)).await?;
        stored.ok().filter(|pipeline| pipeline.definition.name == name).ok_or_else(unknown)
    }

    /// Accepts a run, or finds the one that was accepted for the same request. Whether it is new, and how it stands.
    async fn start(self: &Arc<Self>, request: Request) -> Result<(bool, Run), Refusal> {
        let id: RunKey = request.id.parse().map_err(Refusal::Invalid)?;
        let _making = self.making.lock().await;
        if let Some(entry) = self.entry(id) {
            return if entry.accepted.request == request {
                Ok((false, entry.run()))
            } else {
                Err(Refusal::Conflict(format!("the id is another request's: id=`{id}`")))
            };
        }
        self.check_open()?;
        let pipeline = self.pinned(&request.pipeline, request.version.as_deref()).await?;
        let parameters = pipeline.definition.fill(&request.parameters).map_err(Refusal::Invalid)?;
        let created_at = self.config.clock.now();
        let accepted = Accepted { id, request, pipeline, created_at };
        let folder = Folder::of(&self.config.root.join(RUNS), id);
        let made = disk(move || {
            let journal = folder.create(&accepted, &parameters)?;
            io::Result::Ok(Arc::new(Entry::new(folder, accepted, &[], journal)))
        });
        let entry = made.await??;
        lock(&self.runs).insert(id, Arc::clone(&entry));
        lock(&self.queue).waiting.push_back(Arc::clone(&entry));
        self.changed();
        self.pump();
        Ok((true, entry.run()))
    }

    /// Asks a run to end. One that waits ends at once, one that has ended stays as it is.
    async fn cancel(&self, entry: &Arc<Entry>) -> Result<Run, Refusal> {
        if !entry.run().state.is_terminal() {
            self.check_open()?;
            self.try_record(entry, Change::CancelAsked).await?;
            entry.cancel.send_replace(true);
        }
        if self.withdraw(entry) {
            self.record(entry, Change::Cancelled).await;
        }
        Ok(entry.run())
    }

    /// Takes a run out of the queue, if it waits.
    fn withdraw(&self, entry: &Arc<Entry>) -> bool {
        let mut queue = lock(&self.queue);
        let at = queue.waiting.iter().position(|other| Arc::ptr_eq(other, entry));
        at.and_then(|at| queue.waiting.remove(at)).is_some()
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}

impl Entry {
    fn new(folder: Folder, accepted: Accepted, records: &[Record], journal: Journal) -> Self {
        let mut history = History::new(&accepted);
        records.iter().for_each(|record| history.apply(record));
        let cancel = watch::Sender::new(history.cancelling);
        Self {
            folder,
            accepted,
            history: Mutex::new(history),
            journal: Arc::new(Mutex::new(journal)),
            recording: tokio::sync::Mutex::default(),
            cancel,
            last_line: Mutex::default(),
        }
    }

    fn run(&self) -> Run {
        lock(&self.history).run.clone()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("root", &self.root).finish_non_exhaustive()
    }
}

impl fmt::Debug for Pipelines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipelines").field("config", &self.config).finish_non_exhaustive()
    }
}

const RUNS: &str = "runs";
const VERSIONS: &str = "versions";

fn lock_file(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let message =
        format!("another process runs pipelines from this folder: path=`{}`", root.display());
    let file = File::create(path).and_then(|file| Ok(file.try_lock().map(|()| file)?));
    file.map_err(|error| Error::new(ErrorKind::Conflict, message).because(error))
}

/// Reads every run. One that cannot be read is left alone.
fn read_runs(runs: &Path) -> io::Result<BTreeMap<RunKey, Arc<Entry>>> {
    let mut entries = BTreeMap::new();
    for (id, folder) in folder::all(runs)? {
        match folder.open() {
            Ok((accepted, records, journal)) => {
                entries.insert(id, Arc::new(Entry::new(folder, accepted, &records, journal)));
            }
            Err(error) => warn!(%error, %id, "a run cannot be read and is left out"),
        }
    }
    Ok(entries)
}

/// The pipeline of that name; one whose file cannot be read goes by the name of its folder.
fn find(folders: &[PathBuf], name: &str) -> Result<Pipeline, Refusal> {
    for folder in folders.iter().flat_map(|folder| pipelines_of(folder)) {
        let folder = &folder.canonicalize().unwrap_or(folder);
        match Pipeline::read(folder) {
            Ok(pipeline) if pipeline.definition.name == name => return Ok(pipeline),
            Err(why) if name_of(folder) == name => return Err(Refusal::Broken(why)),
            Ok(_) | Err(_) => {}
        }
    }
    let folders = folders.iter().flat_map(std::path::absolute);
    let folders: Vec<_> = folders.map(|path| path.display().to_string()).collect();
    Err(Refusal::Unknown(format!(
        "there is no such pipeline: a folder with a pipeline.yaml is one (docs/pipelines.md): pipeline=`{name}`, looked in=`{}`",
        folders.join(", ")
    )))
}

/// The folder itself, or, where it is no pipeline, those in it that are.
fn pipelines_of(folder: &Path) -> Vec<PathBuf> {
    let is_pipeline = |folder: &PathBuf| folder.join(FILE).exists();
    if is_pipeline(&folder.to_owned()) {
        return vec![folder.to_owned()];
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries.map(|entry| entry.path()).filter(is_pipeline).collect();
    found.sort();
    found
}

fn version_path(versions: &Path, version: &str) -> PathBuf {
    versions.join(format!("{version}.json"))
}

/// Does what waits for the disk where waiting does no harm.
async fn disk<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
