//! Keeps what serves a model running, with the version that is in Production.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::net::Ipv6Addr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::{Arc, Mutex};

use futures::future::join_all;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use rustix::process::Signal;
use tokio::process::Child;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;
use url::{Host, Url};

use super::definition::Pipeline;
use super::log::{self, Log};
use super::process::{Process, Waiting};
use super::{Config, Current, Pipelines, disk, folder, lock, pipelines_of};
use crate::news::{News, Teller};

/// How often it is looked at which version is in Production, and whether what serves it is still there.
const LOOK_EVERY: Span = Span::from_millis(250);
/// The wait before what ended by itself is started again: twice as long each time, until it serves.
const AGAIN: Span = Span::secs(1);
const AGAIN_MAX: Span = Span::secs(60);
/// How long what was said at the end is waited for: something left behind may hold the output open.
const DRAIN: Span = Span::secs(1);
const WORDS_CHARS_MAX: usize = 200;
const SERVING: &str = "serving";

/// What serves the models of all pipelines.
pub struct Servers {
    pipelines: Arc<Pipelines>,
    teller: Teller,
    /// By the name of the pipeline.
    servers: BTreeMap<String, Server>,
}

/// What is to be served, by what.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    model: String,
    current: Current,
    command: Vec<String>,
    folder: PathBuf,
}

/// What is to be served, as it is written down.
#[derive(Debug, Default)]
struct Plan {
    /// By the name of the pipeline.
    wanted: BTreeMap<String, Wanted>,
    /// The folders of pipelines that cannot be read just now, or whose registry cannot: they may be being written.
    unclear: BTreeSet<PathBuf>,
}

/// What serves a model.
#[derive(Debug)]
struct Server {
    wanted: Wanted,
    running: Option<Running>,
    /// How long it rested when it last ended by itself.
    patience: Span,
    /// Until when it is not started again, by the elapsed time.
    rests_until: Span,
}

/// A process that serves a model.
#[derive(Debug)]
struct Running {
    child: Child,
    process: Process,
    said: Arc<Mutex<Said>>,
    follow: JoinHandle<()>,
}

/// What it has said.
#[derive(Debug, Default)]
struct Said {
    url: Option<Url>,
    last: String,
}

impl fmt::Debug for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Servers").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Servers {
    /// What serves the models of a pipeline service; nothing yet. Ends what an earlier life left running.
    ///
    /// # Errors
    /// What was left cannot be ended, or the folder cannot be read or written.
    pub async fn open(pipelines: &Arc<Pipelines>, teller: Teller) -> Result<Self, Error> {
        let servers = Self { pipelines: Arc::clone(pipelines), teller, servers: BTreeMap::new() };
        let left = servers.left().map_err(|error| {
            let message = "the folder of what serves models cannot be used";
            Error::new(ErrorKind::Unavailable, message).because(error)
        })?;
        let Config { root, clock, limits, .. } = &pipelines.config;
        let ends = left.iter().map(|process| process.end(root, &**clock, limits.grace));
        if join_all(ends).await.contains(&false) {
            let message = "what served a model in an earlier life cannot be ended";
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        Ok(servers)
    }

    /// Keeps models served until `stop` says so; then ends what serves them.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let clock = Arc::clone(&self.pipelines.config.clock);
        while !*stop.borrow() {
            self.look().await;
            tokio::select! {
                () = clock.sleep(LOOK_EVERY) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        let servers = std::mem::take(&mut self.servers);
        let running = servers.into_values().filter_map(|server| server.running);
        let ends = running.map(|mut running| {
            let servers = &self;
            async move { servers.end(&mut running).await }
        });
        join_all(ends).await;
    }

    fn home(&self) -> PathBuf {
        self.pipelines.config.root.join(SERVING)
    }

    /// The processes an earlier life has started.
    fn left(&self) -> io::Result<Vec<Process>> {
        std::fs::create_dir_all(self.home())?;
        let entries = std::fs::read_dir(self.home())?.flatten().map(|entry| entry.path());
        let records = entries.filter(|path| path.extension().is_some_and(|it| it == "json"));
        records.map(|path| folder::read(&path)).collect()
    }

    /// Ends what is no longer wanted, and starts what is. What is unclear stays as it is.
    async fn look(&mut self) {
        let pipelines = Arc::clone(&self.pipelines);
        let Ok(Plan { wanted, unclear }) = disk(move || pipelines.plan()).await else { return };
        let is_over = |(name, server): &(&String, &Server)| {
            let is_unclear = unclear.contains(&server.wanted.folder);
            !is_unclear && wanted.get(*name) != Some(&server.wanted)
        };
        let over: Vec<_> =
            self.servers.iter().filter(is_over).map(|(name, _)| name.clone()).collect();
        for name in over {
            if let Some(mut running) = self.servers.remove(&name).and_then(|it| it.running) {
                self.end(&mut running).await;
            }
        }
        for (name, wanted) in wanted {
            let mut server = self.servers.remove(&name).unwrap_or_else(|| Server::new(wanted));
            self.tend(&name, &mut server).await;
            self.servers.insert(name, server);
        }
    }

    /// Notices what has ended, and starts what does not run, unless it ended just now.
    async fn tend(&self, name: &str, server: &mut Server) {
        let status = server.running.as_mut().map(|running| running.child.try_wait());
        match status {
            Some(Ok(Some(status))) => self.ended(server, status).await,
            Some(Ok(None) | Err(_)) => {}
            None if self.pipelines.config.clock.elapsed() < server.rests_until => {}
            None => match self.start(name, &server.wanted).await {
                Ok(running) => server.running = Some(running),
                Err(error) => self.failed(server, format!("it cannot be started: {error}")),
            },
        }
    }

    async fn ended(&self, server: &mut Server, status: ExitStatus) {
        let Some(mut running) = server.running.take() else { return };
        self.end(&mut running).await;
        let said = std::mem::take(&mut *lock(&running.said));
        if said.url.is_some() {
            server.patience = Span::ZERO;
        }
        let last: String = said.last.chars().take(WORDS_CHARS_MAX).collect();
        let last = if last.is_empty() { last } else { format!(": said=`{last}`") };
        self.failed(server, format!("{status}{last}"));
    }

    fn failed(&self, server: &mut Server, why: String) {
        server.patience = server.patience.times(2).clamp(AGAIN, AGAIN_MAX);
        server.rests_until = self.pipelines.config.clock.elapsed() + server.patience;
        let (model, version) = server.wanted.named();
        self.teller.tell(News::NotServed { model, version, why });
    }

    async fn start(&self, name: &str, wanted: &Wanted) -> io::Result<Running> {
        let Wanted { model, current, command, folder } = wanted;
        let environment = [
            ("REFIT_MODEL", Path::new(model)),
            ("REFIT_MODEL_VERSION", Path::new(&current.version)),
            ("REFIT_MODEL_DIR", &current.folder),
        ];
        let log = self.home().join(format!("{name}.log"));
        let log = Log::open(log, self.pipelines.config.limits.log_bytes_max).await?;
        let waiting = Waiting::new(command, folder, &environment)?;
        let process = waiting.process.clone();
        let (record, noted) = (self.home().join(format!("{name}.json")), process.clone());
        disk(move || folder::replace(&record, &noted)).await??;
        let (child, output) = waiting.begin().await?;
        let said = Arc::<Mutex<Said>>::default();
        let follow = tokio::spawn(log::follow(output, log, self.listener(wanted, &said)));
        Ok(Running { child, process, said, follow })
    }

    /// What is done with every line that is said.
    fn listener(&self, wanted: &Wanted, said: &Arc<Mutex<Said>>) -> impl Fn(&str) + use<> {
        let (teller, said, wanted) = (self.teller.clone(), Arc::clone(said), wanted.clone());
        move |line| {
            let mut said = lock(&said);
            line.trim().clone_into(&mut said.last);
            if let Some(url) = place(line).filter(|_| said.url.is_none()) {
                said.url = Some(url.clone());
                let (model, version) = wanted.named();
                teller.tell(News::Served { model, version, url });
            }
        }
    }

    /// Ends what serves a model: asks, kills what is left, and reads its last words.
    async fn end(&self, running: &mut Running) {
        let config = &self.pipelines.config;
        running.process.ask(&mut running.child, &*config.clock, config.limits.grace).await;
        running.process.signal(Signal::KILL);
        if let Err(error) = running.child.wait().await {
            warn!(%error, "the end of what serves a model cannot be seen");
        }
        tokio::select! {
            _ = &mut running.follow => {}
            () = config.clock.sleep(DRAIN) => running.follow.abort(),
        }
    }
}

impl Pipelines {
    fn plan(&self) -> Plan {
        let mut plan = Plan::default();
        for folder in self.config.pipelines.iter().flat_map(|folder| pipelines_of(folder)) {
            let folder = folder.canonicalize().unwrap_or(folder);
            match self.wanted(&folder) {
                Ok(wanted) => plan.wanted.extend(wanted),
                Err(_) => drop(plan.unclear.insert(folder)),
            }
        }
        plan
    }

    /// What a pipeline wants to be served, by its name.
    fn wanted(&self, folder: &Path) -> Result<Option<(String, Wanted)>, String> {
        let Pipeline { definition, folder } = Pipeline::read(folder)?;
        let Some(serve) = definition.serve else { return Ok(None) };
        let current = self.current(&serve.model).map_err(|error| error.to_string())?;
        let command = self.command(&serve.command);
        let wanted = |current| Wanted { model: serve.model, current, command, folder };
        Ok(current.map(|current| (definition.name, wanted(current))))
    }
}

impl Server {
    fn new(wanted: Wanted) -> Self {
        Self { wanted, running: None, patience: Span::ZERO, rests_until: Span::ZERO }
    }
}

impl Wanted {
    /// The model and the version.
    fn named(&self) -> (String, String) {
        (self.model.clone(), self.current.version.clone())
    }
}

/// The first address of this machine in a line.
fn place(line: &str) -> Option<Url> {
    let is_here = |url: &Url| match url.host() {
        Some(Host::Ipv4(host)) => host.is_loopback() || host.is_unspecified(),
        Some(Host::Ipv6(host)) => host == Ipv6Addr::LOCALHOST || host.is_unspecified(),
        Some(Host::Domain(host)) => host == "localhost",
        None => false,
    };
    let urls = line.split_whitespace().filter_map(|word| Url::parse(word).ok());
    urls.filter(|url| ["http", "https"].contains(&url.scheme())).find(is_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_the_first_address_of_this_machine_in_a_line() {
        for (line, expected) in [
            ("listening on http://127.0.0.1:8378/", Some("http://127.0.0.1:8378/")),
            (" * Running on http://localhost:5000", Some("http://localhost:5000/")),
            ("Listening at: http://0.0.0.0:8000 (7)", Some("http://0.0.0.0:8000/")),
            ("see https://example.com, then http://[::1]:1/x", Some("http://[::1]:1/x")),
            ("see https://example.com", None),
            ("file:///model and host:80", None),
        ] {
            assert_eq!(place(line).as_ref().map(Url::as_str), expected, "{line}");
        }
    }
}
