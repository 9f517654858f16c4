//! A function: a set of doors behind one port.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::Next;
use axum::routing::{MethodRouter, get, post};
use http::{HeaderMap, StatusCode};
use refit_core::diagnostics::Severity;
use refit_core::error::{Error, ErrorKind};
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::deadline::within;
use refit_engine::gather::{Placed, ReadRules, RuleBook};
use refit_engine::intake::Intake;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, Store, StoreClock, Transport};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_platform::auth::Places;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options, Outbound};
use refit_platform::{env, store};
use refit_wire::config::{self, Config};
use refit_wire::link::ledger_at;
use refit_wire::listing::Buckets;
use tokio::sync::watch;

use crate::arguments;
use crate::callers::Check;
use crate::driver::{Driver, Woken};
use crate::environment::{Callers, Platform, Settings};
use crate::hooks::HookSecrets;
use crate::intake::{BODY_BYTES_MAX, Door, Entry, RECEIVED_WITHIN, in_time, permit};
use crate::lambda::{self, Host};
use crate::links::links;
use crate::reports::Reports;
use crate::trace::Trace;
use crate::waker::{Caller, Nobody, Waker, told_in_time};
use crate::{logs, server};

/// The variable that names a stand-in for Cloud Storage, as Google's own clients know it.
const STORAGE_STAND_IN: &str = "STORAGE_EMULATOR_HOST";

/// Which doors a process opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doors {
    /// New objects: append and wake.
    Object,
    /// Drift reports: append and wake.
    Drift,
    /// Signed webhooks: verify, append and wake.
    Hook,
    /// Wakes and pings: reconcile.
    Tick,
    /// Every door, and the reconciler.
    All,
}

/// The doors of a process, and whom they wake.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "a router has nothing to print")]
pub struct Mounted {
    /// The doors by their paths.
    pub router: Router,
    /// The door of events that come otherwise than as requests, if there is one.
    pub door: Option<Arc<Door>>,
    /// Whom all of them wake.
    pub waker: Arc<dyn Waker>,
}

/// What every function stands on.
#[derive(Clone)]
#[expect(missing_debug_implementations, reason = "ports have nothing to print")]
pub struct Base {
    /// The ledger's store.
    pub store: Arc<dyn Store>,
    /// Where requests go.
    pub transport: Arc<dyn Transport>,
    /// The clock of the process.
    pub clock: Arc<dyn Clock>,
    /// Names no other process uses.
    pub nonces: Nonces,
    /// The URI of the ledger's folder.
    pub root: String,
    /// Whose clock the store's times are taken from.
    pub store_clock: StoreClock,
    /// Where the buckets of data are listed.
    pub buckets: Buckets,
}

/// Runs a function until it is told to end, configured by its environment.
#[must_use]
pub fn main(service: &'static str, doors: Doors) -> ExitCode {
    if let Some(asked) = arguments::asked(service, std::env::args_os().skip(1)) {
        return asked.answer();
    }
    let run = async {
        logs::begin(service)?;
        let settings = Settings::from_env()?;
        run(doors, &settings, server::told_to_end()).await
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(run),
        Err(error) => {
            Err(Error::new(ErrorKind::Internal, "the runtime cannot start").because(error))
        }
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, kind = ?error.kind(), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Runs a function until `shutdown` is over.
///
/// # Errors
/// What keeps it from starting: a wrong setting, a ledger that cannot be opened, a port that is taken.
pub async fn run(
    doors: Doors,
    settings: &Settings,
    shutdown: impl Future<Output = ()>,
) -> Result<(), Error> {
    let base = Base::open(&settings.ledger).await?;
    if base.root.starts_with("memory:") {
        tracing::warn!(
            "the ledger is in memory: what is acknowledged ends with this process, and no other sees it"
        );
    }
    if settings.platform == Platform::Lambda {
        return on_lambda(doors, settings, &base).await;
    }
    let listener = server::listen(settings.address).await?;
    let (stop, stopped) = watch::channel(false);
    let driver = doors.reconcile().then(|| {
        Driver::start(
            Reconciler::new(base.parts(Timing::default())),
            Arc::clone(&base.clock),
            ping(doors, &settings.callers, base.store_clock),
            stopped,
        )
    });
    let (driver, driving) = driver.unzip();
    let router = mount(doors, &base, settings, driver.as_ref()).await?.router;
    let address =
        listener.local_addr().map_or_else(|_| settings.address.to_string(), |it| it.to_string());
    tracing::info!(address, callers = %settings.callers, ledger = settings.ledger, "listening");
    let verifies = matches!(settings.platform, Platform::CloudRun | Platform::Lambda);
    if !verifies && matches!(settings.callers, Callers::Platform(_)) {
        tracing::warn!(
            "REFIT_CALLERS is `platform`, and this is none that verifies callers: whoever reaches the port is let in"
        );
    }
    if doors == Doors::All {
        let wake = format!("REFIT_WAKE=http://{address}/tick");
        tracing::info!(wake, "commands on this ledger are answered at once in this environment");
    }
    let over = async {
        tokio::select! {
            () = shutdown => {}
            () = ended(driver.as_ref()) => {}
        }
    };
    let left = server::serve(listener, router, Arc::clone(&base.clock), over).await;
    let _ = stop.send(true);
    let driven = match driving {
        Some(driving) => within(&*base.clock, left, driving).await,
        None => None,
    };
    tracing::info!("ended");
    match driven {
        Some(Err(panic)) => Err(broken().because(panic)),
        Some(Ok(())) | None => Ok(()),
    }
}

/// Ends when the reconciler of this process has, if there is one: a process without it is of no use any more, and is to be
/// started anew.
pub(crate) async fn ended(driver: Option<&Driver>) {
    match driver {
        Some(driver) => driver.ended().await,
        None => std::future::pending().await,
    }
}

/// Why a process ends whose reconciler has.
pub(crate) fn broken() -> Error {
    Error::new(ErrorKind::Internal, "the reconciler ended by a mistake of refit")
}

/// How often everything in one process looks by itself where no scheduler can call it: alone on its machine.
fn ping(doors: Doors, callers: &Callers, clock: StoreClock) -> Option<Span> {
    let is_alone = doors == Doors::All && *callers == Callers::None;
    let every = match clock {
        StoreClock::Machine => Timing::dev().ping,
        StoreClock::Service => Timing::default().ping,
    };
    is_alone.then_some(every)
}

/// Takes invocations instead of requests. Nothing is due between them, since the process is stopped.
async fn on_lambda(doors: Doors, settings: &Settings, base: &Base) -> Result<(), Error> {
    let (_stop, stopped) = watch::channel(false);
    let driver = doors.reconcile().then(|| {
        let reconciler = Reconciler::new(base.parts(Timing::default()));
        Driver::start(reconciler, Arc::clone(&base.clock), None, stopped).0
    });
    let mounted = mount(doors, base, settings, driver.as_ref()).await?;
    tracing::info!(callers = %settings.callers, ledger = settings.ledger, "taking invocations");
    lambda::serve(Host { mounted, driver, clock: Arc::clone(&base.clock) }).await
}

impl Doors {
    /// Whether a reconciler runs behind them.
    fn reconcile(self) -> bool {
        match self {
            Self::Object | Self::Drift | Self::Hook => false,
            Self::Tick | Self::All => true,
        }
    }
}

impl Base {
    /// Opens the ledger and the ways out.
    ///
    /// # Errors
    /// What is wrong with the location or with the roots of trust.
    pub async fn open(ledger: &str) -> Result<Self, Error> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = Options { places: Places::from_env(), ..Options::default() };
        let is_local = !ledger.contains("://") || ledger.starts_with("file:");
        let transport = Arc::new(HttpTransport::new(Arc::clone(&clock), options)?);
        Ok(Self {
            store: store::open(ledger, &clock, &transport).await?,
            transport: Arc::new(Outbound::new(transport, Arc::clone(&clock))),
            nonces: Nonces::new(&env::nonce()[..16]),
            root: store::root_uri(ledger)?,
            buckets: buckets()?,
            store_clock: if is_local { StoreClock::Machine } else { StoreClock::Service },
            clock,
        })
    }

    /// The way into the inbox.
    #[must_use]
    pub fn intake(&self) -> Intake {
        let (store, clock) = (Arc::clone(&self.store), Arc::clone(&self.clock));
        Intake::new(store, clock, self.nonces.clone(), RECEIVED_WITHIN)
    }

    /// One that stands on these, for tests.
    #[cfg(test)]
    pub(crate) fn of_test(
        store: Arc<dyn Store>,
        transport: Arc<dyn Transport>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            store,
            transport,
            clock,
            nonces: Nonces::new("test"),
            root: "memory:/".to_owned(),
            store_clock: StoreClock::Service,
            buckets: Buckets::default(),
        }
    }

    /// What a reconciler is made of; `timing` holds should the ledger have to be founded.
    #[must_use]
    pub fn parts(&self, timing: Timing) -> Parts {
        Parts {
            store: Arc::clone(&self.store),
            transport: Arc::clone(&self.transport),
            clock: Arc::clone(&self.clock),
            read_rules: read_rules(),
            nonces: self.nonces.clone(),
            root: self.root.clone(),
            timing,
            store_clock: self.store_clock,
            buckets: Some(self.buckets.clone()),
        }
    }

    /// The door of webhooks.
    #[must_use]
    pub fn hook(&self, secrets: &HookSecrets, waker: Arc<dyn Waker>) -> Door {
        let (transport, clock) = (Arc::clone(&self.transport), Arc::clone(&self.clock));
        let ledger = ledger_at(&self.root);
        let entry = Entry::hook(secrets.clone(), ledger, (transport, clock));
        Door { intake: self.intake(), waker, entry }
    }

    pub(crate) async fn waker(&self, target: Option<&str>) -> Result<Arc<dyn Waker>, Error> {
        Ok(match target {
            Some(target) => Arc::new(Caller::open(target, &self.transport, &self.clock).await?),
            None => Arc::new(Nobody),
        })
    }
}

/// The buckets of Google, or of what stands in for them, and those of S3 where a region is named.
fn buckets() -> Result<Buckets, Error> {
    let invalid = |message: String| Error::new(ErrorKind::Invalid, message);
    let buckets = match env::var(STORAGE_STAND_IN) {
        None => Buckets::default(),
        Some(place) => Buckets::stand_in(&place)
            .ok_or_else(|| invalid(format!("{STORAGE_STAND_IN} is no server: value=`{place}`")))?,
    };
    let Some(region) = env::aws_region() else { return Ok(buckets) };
    let with_s3 = buckets.with_s3(&region, env::aws_endpoint("s3").as_deref());
    let why = "AWS_REGION and AWS_ENDPOINT_URL_S3, or AWS_ENDPOINT_URL, name no place of S3";
    with_s3.ok_or_else(|| invalid(format!("{why}: region=`{region}`")))
}

/// Reads rule files as this build understands them.
#[must_use]
pub fn read_rules() -> ReadRules {
    Arc::new(|text| {
        let (read, diagnostics) = config::read(text);
        let book = read.map(book);
        book.ok_or_else(|| {
            let first = diagnostics.iter().find(|found| found.severity == Severity::Error);
            first.map_or_else(|| "it cannot be read".to_owned(), |found| found.message.clone())
        })
    })
}

/// What a rule file says, with where each service and registry is.
#[must_use]
pub fn book(config: Config) -> RuleBook {
    let (services, registries) = (config.service_configs, config.registry_configs);
    let services = services.into_iter().map(|(name, settings)| (name, settings.place()));
    let registries = registries.into_iter().map(|(name, settings)| (name, settings.place()));
    RuleBook {
        rules: Arc::new(config.rules),
        services: placed(config.services, services),
        tellers: config.tellers,
        registries: placed(config.registries, registries),
    }
}

/// What is defined, by name, with its place.
fn placed<A>(
    mut adapters: BTreeMap<String, A>,
    places: impl Iterator<Item = (String, String)>,
) -> BTreeMap<String, Placed<A>> {
    let with_adapter = places.filter_map(|(name, place)| {
        let adapter = adapters.remove(&name)?;
        Some((name, Placed { adapter, place }))
    });
    with_adapter.collect()
}

/// Opens the doors.
///
/// # Errors
/// What is to be woken, or the folder of reports, cannot be opened.
pub async fn mount(
    doors: Doors,
    base: &Base,
    settings: &Settings,
    driver: Option<&Driver>,
) -> Result<Mounted, Error> {
    let waker: Arc<dyn Waker> = match driver {
        // Whoever comes to `tick` has waited for a pass already.
        Some(_) if doors == Doors::Tick => Arc::new(Nobody),
        Some(driver) => Arc::new(driver.clone()),
        None => base.waker(settings.wake.as_deref()).await?,
    };
    let takes_reports = matches!(doors, Doors::Drift | Doors::All);
    let reports = match settings.reports.as_deref().filter(|_| takes_reports) {
        Some(root) => Some(Reports::open(root, base.buckets.clone(), Arc::clone(&base.transport))?),
        None => None,
    };
    let push = || Arc::new(Door::push(base.intake(), Arc::clone(&waker), reports.clone()));
    let hook = || Arc::new(base.hook(&settings.hooks, Arc::clone(&waker)));
    let check = Check::new(settings.callers.clone(), base);
    let (router, door) = match doors {
        Doors::Object | Doors::Drift => {
            let door = push();
            (prompt(checked(events(&door, &["/"]), check), &base.clock), Some(door))
        }
        Doors::Hook => {
            let checked = checked(webhooks(&hook(), &["/", "/hook"]), check.of_webhooks());
            (prompt(checked, &base.clock), None)
        }
        Doors::Tick => (checked(tick(driver, &["/"]), check), None),
        Doors::All => {
            let door = push();
            (all((&door, &hook()), driver, &check, &base.clock), Some(door))
        }
    };
    let router = match settings.platform {
        Platform::CloudRun => told(router, &waker, &base.clock),
        Platform::Lambda | Platform::Knative | Platform::Server => router,
    };
    Ok(Mounted { router: guarded(router), door, waker })
}

/// Lets in the callers that show what is asked for.
pub fn checked(router: Router, check: Check) -> Router {
    router.layer(axum::middleware::from_fn(move |request, next| {
        let check = check.clone();
        async move { check.pass(request, next).await }
    }))
}

/// Answers senders in time, however long keys, secrets, reports and the ledger take; what was not recorded comes again.
pub fn prompt(router: Router, clock: &Arc<dyn Clock>) -> Router {
    let clock = Arc::clone(clock);
    router.layer(axum::middleware::from_fn(move |request, next| {
        let clock = Arc::clone(&clock);
        async move { in_time(&*clock, request, next).await }
    }))
}

/// Answers once whoever is to be woken was told, for hosts that stop a process that has answered.
pub fn told(router: Router, waker: &Arc<dyn Waker>, clock: &Arc<dyn Clock>) -> Router {
    let (waker, clock) = (Arc::clone(waker), Arc::clone(clock));
    router.layer(axum::middleware::from_fn(move |request, next: Next| {
        let (waker, clock) = (Arc::clone(&waker), Arc::clone(&clock));
        async move {
            let answer = next.run(request).await;
            told_in_time(&*waker, &*clock).await;
            answer
        }
    }))
}

/// Adds what every process has: health, limits, and the trace of a request in whatever is logged on its behalf.
pub fn guarded(router: Router) -> Router {
    router
        .layer(DefaultBodyLimit::max(BODY_BYTES_MAX))
        .layer(axum::middleware::from_fn(|request: Request, next: Next| async {
            let trace = Trace::of(request.headers());
            Trace::on_behalf(trace, next.run(request)).await
        }))
        .route("/healthz", get(|| async { "ok" }))
        .route("/readyz", get(|| async { "ok" }))
}

/// A door of events: objects, drift reports and messages, each understood by what it is. Who asks whether it may send is
/// told that it may: that it is who it says it is was found out before.
pub fn events(door: &Arc<Door>, paths: &[&str]) -> Router {
    at(paths, &taking(door).options(|headers: HeaderMap| async move { permit(&headers) }))
}

/// The door of webhooks, and the pages of signed links, by which persons come.
pub(crate) fn webhooks(door: &Arc<Door>, paths: &[&str]) -> Router {
    at(paths, &taking(door)).merge(links(door))
}

fn at(paths: &[&str], methods: &MethodRouter) -> Router {
    paths.iter().fold(Router::new(), |router, path| router.route(path, methods.clone()))
}

fn taking(door: &Arc<Door>) -> MethodRouter {
    let door = Arc::clone(door);
    post(move |headers, body| async move { door.receive(headers, body).await })
}

/// Every door, where it is in a process that opens all of them: those of services, and that of webhooks. A wake takes
/// as long as a pass.
pub fn all(
    (push, hook): (&Arc<Door>, &Arc<Door>),
    driver: Option<&Driver>,
    check: &Check,
    clock: &Arc<dyn Clock>,
) -> Router {
    let services = checked(events(push, &["/", "/object", "/drift"]), check.clone());
    let webhooks = checked(webhooks(hook, &["/hook"]), check.of_webhooks());
    prompt(services.merge(webhooks), clock).merge(checked(tick(driver, &["/tick"]), check.clone()))
}

/// The door of wakes and pings. A wake stays open until a pass that began after it has ended, unless enough others wait
/// for that already.
pub fn tick(driver: Option<&Driver>, paths: &[&str]) -> Router {
    let Some(driver) = driver else { return Router::new() };
    paths.iter().fold(Router::new(), |router, path| {
        let driver = driver.clone();
        let wake = move || async move {
            match driver.wake_and_wait().await {
                Woken::Passed => StatusCode::NO_CONTENT,
                Woken::Failed => StatusCode::SERVICE_UNAVAILABLE,
            }
        };
        router.route(path, post(wake))
    })
}
