//! Everything `refit dev` is, in one process behind one port: the doors of the functions, the reconciler, a scheduler,
//! a metadata server, a pipeline service, and buckets.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use bytes::Bytes;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::Command;
use refit_core::state::State;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::deadline::within;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, StoreClock};
use refit_engine::reconcile::Reconciler;
use refit_engine::submit::{self, ANSWER_WITHIN, Answer, command_event};
use refit_host::callers::Check;
use refit_host::driver::Driver;
use refit_host::environment::{Callers, secrets_from_env};
use refit_host::function::{self, Base};
use refit_host::intake::Door;
use refit_host::server;
use refit_host::waker::{Caller, Waker};
use refit_platform::auth::Places;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options};
use refit_platform::{env, store};
use refit_wire::listing::Buckets;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::here::Here;
use crate::metadata::{self, Metadata};
use crate::news::Teller;
use crate::pipelines::{self, Limits, Pipelines, Servers};
use crate::scheduler;
use crate::show::Observer;
use crate::watcher::{self, Watcher};

/// How long a token of the metadata server holds: short, so that a session sees some end.
const TOKEN_LIFE: Span = Span::mins(5);

/// What the world is made from.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder it lives in; `buckets`, `pipelines` and `.refit/dev` lie below it.
    pub folder: PathBuf,
    /// Where the ledger lies: a directory.
    pub ledger: String,
    /// The port to listen on; 0 takes a free one.
    pub port: u16,
    /// The program that `{refit}` in a pipeline stands for.
    pub program: PathBuf,
}

/// A world that runs.
#[derive(Debug)]
pub struct World {
    address: SocketAddr,
    folder: PathBuf,
    base: Ports,
    ledger: Ledger,
    pipelines: Arc<Pipelines>,
    caller: Arc<Caller>,
    /// Told first: what makes requests ends.
    stop: watch::Sender<bool>,
    /// Told last: what answers them ends.
    close: watch::Sender<bool>,
    callers: Vec<JoinHandle<()>>,
    server: JoinHandle<()>,
}

/// The ports and the doors' ground.
struct Ports(Base);

impl std::fmt::Debug for Ports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ports")
    }
}

/// What came of putting rules in force.
#[derive(Debug)]
pub struct Applied {
    /// The text of the rules before, if there were any.
    pub before: Option<String>,
    /// What the reconciler answered; none where these rules were in force already.
    pub answer: Option<Answer>,
}

/// Every door, and what stands in for a cloud, for callers on this machine.
fn router(base: &Base, driver: &Driver, stand_ins: Router) -> Result<Router, Error> {
    let waker: Arc<dyn Waker> = Arc::new(driver.clone());
    let push = Arc::new(Door::push(base.intake(), Arc::clone(&waker), None));
    let hook = Arc::new(base.hook(&secrets_from_env()?, waker));
    let check = Check::new(Callers::None, base);
    let doors = function::all((&push, &hook), Some(driver), &check, &base.clock);
    Ok(function::guarded(doors.merge(function::checked(stand_ins, check))))
}

impl World {
    /// Opens the ledger, goes on with runs that an earlier life left, and begins to serve.
    ///
    /// # Errors
    /// What keeps it from starting: a port that is taken, another process in the same folder, a folder that cannot be
    /// written, a ledger that cannot be read.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        Self::open_on(config, |base| base).await
    }

    /// Opens it on ports that are dressed before anything stands on them: how a test gets between a world and its
    /// ledger or its pipeline service.
    ///
    /// # Errors
    /// Those of [`World::open`].
    pub async fn open_on(config: &Config, dress: impl FnOnce(Base) -> Base) -> Result<Self, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let listener = listen(config.port).await?;
        let address = listener.local_addr().map_err(unusable("the listener", &config.folder))?;
        let base = dress(base(config, address, &clock).await?);
        let metadata = Metadata::new(Arc::clone(&clock), TOKEN_LIFE);
        let pipelines = Pipelines::open(service(config, &clock, &metadata)).await?;
        let (stop, stopped) = watch::channel(false);
        let (close, mut closed) = watch::channel(false);
        let reconciler = Reconciler::new(base.parts(Timing::dev()));
        let (driver, driving) =
            Driver::start(reconciler, Arc::clone(&clock), None, stopped.clone());
        let stand_ins = pipelines::router(&pipelines)
            .merge(metadata::router(&metadata))
            .merge(watcher::listing(buckets(&config.folder)));
        let router = router(&base, &driver, stand_ins)?;
        let serving = Arc::clone(&clock);
        let server = tokio::spawn(async move {
            let closed = async { drop(closed.wait_for(|closed| *closed).await) };
            server::serve(listener, router, serving, closed).await;
        });
        let tick = format!("http://{address}/tick");
        let caller = Arc::new(Caller::new(Arc::clone(&base.transport), &tick)?);
        let ledger = Ledger::new(Arc::clone(&base.store));
        let folder = config.folder.clone();
        let (base, callers) = (Ports(base), vec![driving]);
        let world =
            Self { address, folder, base, ledger, pipelines, caller, stop, close, callers, server };
        world.state().await?;
        Ok(world)
    }

    /// Begins to ping the reconciler, to watch the buckets, and to tell what happens. Rules should be in force by
    /// now, for what is announced before is refused.
    ///
    /// # Errors
    /// What was announced in an earlier life, or the ledger, cannot be read.
    pub async fn begin(&mut self, teller: &Teller) -> Result<(), Error> {
        let Base { transport, clock, .. } = &self.base.0;
        let watcher = Watcher::open(watcher::Config {
            buckets: buckets(&self.folder),
            record: home(&self.folder).join("announced.json"),
            door: self.url("object"),
            transport: Arc::clone(transport),
            clock: Arc::clone(clock),
            teller: teller.clone(),
        })?;
        let state = self.state().await?;
        let every = state.timing.ping;
        let ledger = Ledger::new(Arc::clone(&self.base.0.store));
        let servers = Servers::open(&self.pipelines, teller.clone()).await?;
        let observer = Observer::new(ledger, state, &self.pipelines, clock, teller.clone());
        let stop = || self.stop.subscribe();
        let (caller, clock) = (Arc::clone(&self.caller), Arc::clone(clock));
        let tasks = [
            tokio::spawn(watcher.run(stop())),
            tokio::spawn(observer.run(stop())),
            tokio::spawn(servers.run(stop())),
            tokio::spawn(scheduler::run(caller, every, clock, stop())),
        ];
        self.callers.extend(tasks);
        Ok(())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder with one folder per bucket.
    #[must_use]
    pub fn buckets(&self) -> PathBuf {
        buckets(&self.folder)
    }

    /// The local pipeline service.
    #[must_use]
    pub fn pipelines(&self) -> &Arc<Pipelines> {
        &self.pipelines
    }

    /// The state of the ledger, which a pass founds if there is none.
    ///
    /// # Errors
    /// The store's, and `Unavailable` if no pass could be made.
    pub async fn state(&self) -> Result<State, Error> {
        if let Some(view) = self.ledger.load().await? {
            return Ok(view.state);
        }
        let why = self.caller.call().await.err().unwrap_or_default();
        let missing = || {
            let message = format!("the ledger could not be founded: {why}");
            Error::new(ErrorKind::Unavailable, message)
        };
        Ok(self.ledger.load().await?.ok_or_else(missing)?.state)
    }

    /// Puts rules in force as `refit apply` does: stores the text, records the command, wakes the reconciler, and
    /// waits for its answer. No batch starts a run because of it.
    ///
    /// # Errors
    /// The store's, and `Unavailable` if the reconciler does not answer in time.
    pub async fn apply(&self, text: &str, revision: &str) -> Result<Applied, Error> {
        let state = self.state().await?;
        let before = match &state.rules {
            Some(before) => self.base.0.store.get(&layout::rules(before)).await?,
            None => None,
        };
        let before = before.and_then(|text| String::from_utf8(text.to_vec()).ok());
        if state.rules.as_deref() == Some(revision) {
            return Ok(Applied { before, answer: None });
        }
        let body = Bytes::from(text.to_owned());
        self.base.0.store.create(&layout::rules(revision), body).await?;
        let (revision, replaces) = (revision.to_owned(), state.rules);
        let command = Command::Apply { revision, replaces, start: false };
        let event = command_event(command, "refit dev", &env::nonce());
        let id = event.id();
        self.base.0.intake().append(vec![event]).await?;
        let clock = &*self.base.0.clock;
        let answer = submit::answer(&self.ledger, clock, state.seq, id, ANSWER_WITHIN);
        let (_, answer) = futures::join!(self.caller.call(), answer);
        let late = "the rules are recorded, and no pass took them up in time";
        let answer = answer?.ok_or_else(|| Error::new(ErrorKind::Unavailable, late))?;
        Ok(Applied { before, answer: Some(answer) })
    }

    /// Ends in an orderly way: first what makes requests, then what answers them. Steps under way are ended, and run
    /// again in the next life.
    pub async fn close(self) {
        self.stop.send_replace(true);
        let clock = &*self.base.0.clock;
        let callers = futures::future::join_all(self.callers);
        if within(clock, server::SHUTDOWN_WITHIN, callers).await.is_none() {
            tracing::warn!("a pass under way did not end in time");
        }
        self.pipelines.shutdown().await;
        self.close.send_replace(true);
        // A server that panicked has ended as well.
        let _ = self.server.await;
    }

    fn url(&self, door: &str) -> Url {
        let url = format!("http://{}/{door}", self.address);
        url.parse().expect("an address and a name make a URL")
    }
}

async fn listen(port: u16) -> Result<TcpListener, Error> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    server::listen(address).await.map_err(|error| {
        let message = format!("{error}; end it, or take a free port with --port 0");
        Error::new(error.kind(), message)
    })
}

/// What the functions stand on, with credentials from the metadata server of this process.
async fn base(config: &Config, address: SocketAddr, clock: &Arc<dyn Clock>) -> Result<Base, Error> {
    let places = Places { metadata: Some(address.to_string()), ..Places::default() };
    let options = Options { places, ..Options::default() };
    let transport = Arc::new(HttpTransport::new(Arc::clone(clock), options)?);
    // The store looks after its directory itself, which may be the parent of ours.
    let store = store::open(&config.ledger, clock, &transport).await?;
    for folder in [home(&config.folder), buckets(&config.folder)] {
        fs::create_dir_all(&folder).map_err(unusable("a folder", &folder))?;
    }
    Ok(Base {
        store,
        transport: Arc::new(Here { transport, port: address.port() }),
        clock: Arc::clone(clock),
        nonces: Nonces::new(&env::nonce()[..16]),
        root: store::root_uri(&config.ledger)?,
        store_clock: StoreClock::Machine,
        buckets: Buckets::stand_in(&address.to_string()).expect("an address is a server"),
    })
}

fn service(config: &Config, clock: &Arc<dyn Clock>, metadata: &Arc<Metadata>) -> pipelines::Config {
    let metadata = Arc::clone(metadata);
    pipelines::Config {
        root: home(&config.folder).join("pipelines"),
        pipelines: vec![config.folder.clone(), config.folder.join("pipelines")],
        buckets: buckets(&config.folder),
        program: config.program.clone(),
        limits: Limits::default(),
        clock: Arc::clone(clock),
        check: Arc::new(move |token| metadata.is_good(token)),
    }
}

fn buckets(folder: &Path) -> PathBuf {
    folder.join("buckets")
}

/// The folder of what `refit dev` keeps for itself.
fn home(folder: &Path) -> PathBuf {
    folder.join(".refit").join("dev")
}

fn unusable<'a>(what: &'a str, path: &'a Path) -> impl Fn(std::io::Error) -> Error + 'a {
    move |error| {
        let message = format!(
            "{what} cannot be used; mend its permissions or name another folder with --folder: path=`{}`",
            path.display()
        );
        Error::new(ErrorKind::Unavailable, message).because(error)
    }
}
