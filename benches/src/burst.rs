//! A burst of object events over a store whose creates take their time: they become few segments and one run.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use refit_core::error::Error;
use refit_core::event::{Command, Event};
use refit_core::key::sha256_hex;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, Created, Page, Store, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_engine::submit::command_event;
use refit_host::function::read_rules;
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_platform::transport::{HttpTransport, Options};
use refit_testkit::fake::kfp::{self, Kfp};
use refit_wire::source::{Delivery, Understood, understand};
use tokio::task::JoinSet;

use crate::load::{as_f64, upload};
use crate::process::own_peak;
use crate::stopwatch::Stopwatch;

/// Events that are sent at the same time.
const AT_ONCE: usize = 128;
/// Passes before it is given up.
const PASSES_MAX: usize = 2_000;

/// A store in memory whose creates take their time and are counted.
struct SlowStore {
    inner: MemoryStore,
    clock: Arc<dyn Clock>,
    create: Span,
    creates: AtomicUsize,
}

#[async_trait]
impl Store for SlowStore {
    async fn get(&self, name: &str) -> Result<Option<Bytes>, Error> {
        self.inner.get(name).await
    }

    async fn create(&self, name: &str, body: Bytes) -> Result<Created, Error> {
        self.creates.fetch_add(1, Ordering::Relaxed);
        self.clock.sleep(self.create).await;
        self.inner.create(name, body).await
    }

    async fn list(&self, prefix: &str, from: &str, limit: usize) -> Result<Page, Error> {
        self.inner.list(prefix, from, limit).await
    }

    async fn delete(&self, name: &str) -> Result<(), Error> {
        self.inner.delete(name).await
    }
}

/// A ledger with one rule, the service it names, and what works on them.
struct World {
    store: Arc<SlowStore>,
    clock: Arc<dyn Clock>,
    kfp: Kfp,
    intake: Intake,
    reconciler: Reconciler,
}

/// Measures, and prints what came of it.
pub(crate) async fn measure(events: usize, create_ms: i64) -> anyhow::Result<()> {
    let mut world = World::open(Span::from_millis(create_ms)).await?;
    let writes_before = world.store.creates.load(Ordering::Relaxed);
    let watch = Stopwatch::start();
    world.send(events).await?;
    let sent = watch.elapsed();
    let segments = world.store.creates.load(Ordering::Relaxed) - writes_before;
    let (passes, members) = world.reconcile().await?;
    let decided = watch.elapsed() - sent;
    let writes = world.store.creates.load(Ordering::Relaxed) - writes_before;
    let runs = world.kfp.runs();
    writeln!(
        std::io::stdout(),
        "events            {events}, {AT_ONCE} at once, creates of {create_ms} ms\n\
         accepted in       {:.2} s, {:.0} events/s\n\
         segments          {segments}, {:.4} writes per event\n\
         decided in        {:.2} s, {passes} passes\n\
         writes in all     {writes}, {:.4} per event\n\
         runs              {}, of {members} members\n\
         peak memory       {:.0} MB, the store in memory included",
        sent.as_secs_f64(),
        as_f64(events) / sent.as_secs_f64(),
        as_f64(segments) / as_f64(events),
        decided.as_secs_f64(),
        as_f64(writes) / as_f64(events),
        runs.len(),
        own_peak()?,
    )?;
    anyhow::ensure!(runs.len() == 1, "one run was expected");
    anyhow::ensure!(members == events as u64, "every event is a member");
    anyhow::ensure!(as_f64(writes) <= 0.02 * as_f64(events), "too many writes for a burst");
    Ok(())
}

impl World {
    async fn open(create: Span) -> anyhow::Result<Self> {
        let kfp = Kfp::start(kfp::Options::default());
        kfp.add_pipeline("churn", &[("manifest", "STRING")]);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let inner = MemoryStore::new(Arc::clone(&clock));
        let creates = AtomicUsize::new(0);
        let store = Arc::new(SlowStore { inner, clock: Arc::clone(&clock), create, creates });
        let timing = Timing { poll: Span::from_millis(200), ..Timing::default() };
        Ledger::new(Arc::<SlowStore>::clone(&store)).found("bench", &timing).await?;
        let nonces = Nonces::new("bench");
        let intake = Intake::new(
            Arc::<SlowStore>::clone(&store),
            Arc::clone(&clock),
            nonces.clone(),
            Span::secs(30),
        );
        let reconciler = Reconciler::new(Parts {
            store: Arc::<SlowStore>::clone(&store),
            transport: Arc::new(HttpTransport::new(Arc::clone(&clock), Options::default())?),
            clock: Arc::clone(&clock),
            read_rules: read_rules(),
            nonces,
            root: "memory:/".to_owned(),
            timing,
            store_clock: StoreClock::Service,
            buckets: None,
        });
        let mut world = Self { store, clock, kfp, intake, reconciler };
        world.apply().await?;
        Ok(world)
    }

    async fn apply(&mut self) -> anyhow::Result<()> {
        let rules = format!(
            "services: {{ kfp: {{ kubeflow: {{ endpoint: \"{}\" }} }} }}\n\
             triggers:\n\
             \x20 churn:\n\
             \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
             \x20   batch: {{ quiet: 1s }}\n\
             \x20   run: {{ service: kfp, pipeline: churn, parameters: {{ manifest: \"${{ batch.manifest }}\" }} }}\n",
            self.kfp.url()
        );
        let revision = sha256_hex(rules.as_bytes());
        self.store.create(&layout::rules(&revision), rules.into_bytes().into()).await?;
        let command = Command::Apply { revision, replaces: None, start: false };
        self.intake.append(vec![command_event(command, "bench", "bench")]).await?;
        self.reconciler.pass().await?;
        Ok(())
    }

    /// Sends that many events, as many at the same time as the burst allows.
    async fn send(&self, events: usize) -> anyhow::Result<()> {
        let next = Arc::new(AtomicUsize::new(0));
        let mut tasks = JoinSet::new();
        for _ in 0..AT_ONCE {
            let (intake, clock) = (self.intake.clone(), Arc::clone(&self.clock));
            let next = Arc::clone(&next);
            tasks.spawn(async move {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= events {
                        return anyhow::Ok(());
                    }
                    intake.append(event(number, &*clock)?).await?;
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended??;
        }
        Ok(())
    }

    /// Reconciles until the runs have ended, and says in how many passes, and how many members they had.
    async fn reconcile(&mut self) -> anyhow::Result<(usize, u64)> {
        let ledger = Ledger::new(Arc::<SlowStore>::clone(&self.store));
        for pass in 1..=PASSES_MAX {
            let passed = self.reconciler.pass().await?;
            let loaded = ledger.load().await?.context("the ledger was founded")?;
            let open = loaded.state.triggers.values().any(|standing| !standing.open.is_empty());
            let runs = loaded.state.runs.values();
            if !open && runs.clone().count() > 0 && runs.clone().all(|run| !run.is_active()) {
                return Ok((pass, runs.map(|run| run.facts.count).sum()));
            }
            if passed.commits == 0 {
                self.clock.sleep(Span::from_millis(100)).await;
            }
        }
        anyhow::bail!("no run has ended after {PASSES_MAX} passes")
    }
}

/// What intake makes of the notification of an upload.
fn event(number: usize, clock: &dyn Clock) -> anyhow::Result<Vec<Event>> {
    let (head, body) = upload(number, clock.now());
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
        headers.insert(HeaderName::from_bytes(name.as_bytes())?, HeaderValue::from_str(value)?);
    }
    match understand(&Delivery { headers: &headers, body: body.as_bytes() }) {
        Ok(Understood::Record(events)) => Ok(events),
        other => anyhow::bail!("an upload is recorded: {other:?}"),
    }
}
