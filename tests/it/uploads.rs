//! Five hundred uploads: one run by the shortest rule, five hundred where that is spelled out.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use futures::StreamExt as _;
use refit_core::event::Command;
use refit_core::key::sha256_hex;
use refit_core::member::read_manifest;
use refit_core::time::Span;
use refit_core::timing::{PASS_SEGMENTS_MAX, Timing};
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Clock, Store as _, StoreClock};
use refit_engine::reconcile::Reconciler;
use refit_engine::submit::command_event;
use refit_host::callers::Check;
use refit_host::environment::Callers;
use refit_host::function::{Base, checked, events, guarded};
use refit_host::intake::Door;
use refit_host::server;
use refit_host::waker::Nobody;
use refit_platform::clock::SystemClock;
use refit_platform::store::MemoryStore;
use refit_platform::transport::{HttpTransport, Options as Ways};
use refit_testkit::clock::ManualClock;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_wire::listing::Buckets;

use crate::patience::call;
use crate::world::{Api, World, upload};

const UPLOADS: usize = 500;
const GENERATION: u64 = 1_767_614_397_000_000;

/// The shortest rule there is.
pub(crate) const FOUR_LINES: &str = r#"
triggers:
  churn:
    on: { objects: { bucket: acme-data } }
    run: { service: kfp, pipeline: churn, parameters: { manifest: "${ batch.manifest }" } }
"#;

/// The functions in this process, at a time that moves when it is told to.
pub(crate) struct Still {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryStore,
    base: Base,
    reconciler: Reconciler,
    /// Where the door of object events is.
    pub(crate) place: String,
}

impl Still {
    async fn new() -> Self {
        Self::with(Buckets::default()).await
    }

    /// The same, with the buckets of data elsewhere.
    pub(crate) async fn with(buckets: Buckets) -> Self {
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        let ways = HttpTransport::new(Arc::new(SystemClock), Ways::default()).unwrap();
        let base = Base {
            store: Arc::new(store.clone()),
            transport: Arc::new(ways),
            clock: Arc::<ManualClock>::clone(&clock),
            nonces: Nonces::new("it"),
            root: "memory:/".to_owned(),
            store_clock: StoreClock::Service,
            buckets,
        };
        let reconciler = Reconciler::new(base.parts(Timing::default()));
        let place = serve(&base).await;
        Self { clock, store, base, reconciler, place }
    }

    pub(crate) async fn apply(&mut self, rules: &str) {
        self.reconciler.pass().await.unwrap();
        let revision = sha256_hex(rules.as_bytes());
        let body = rules.as_bytes().to_vec().into();
        self.store.create(&layout::rules(&revision), body).await.unwrap();
        let command = Command::Apply { revision: revision.clone(), replaces: None, start: false };
        self.base.intake().append(vec![command_event(command, "it", "1")]).await.unwrap();
        self.reconciler.pass().await.unwrap();
        let view = Ledger::new(Arc::clone(&self.base.store)).load().await.unwrap().unwrap();
        assert_eq!(view.state.rules, Some(revision));
    }

    /// Another process in the place of the one that makes the passes.
    pub(crate) fn restart(&mut self) {
        self.reconciler = Reconciler::new(self.base.parts(Timing::default()));
    }

    /// Lets time pass, and then a pass be made.
    pub(crate) async fn after(&mut self, span: Span) {
        self.clock.advance(span);
        self.reconciler.pass().await.unwrap();
    }
}

async fn serve(base: &Base) -> String {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let listener = server::listen(any).await.unwrap();
    let place = listener.local_addr().unwrap().to_string();
    let door = Arc::new(Door::push(base.intake(), Arc::new(Nobody), None));
    let router = guarded(checked(events(&door, &["/"]), Check::new(Callers::None, base)));
    tokio::spawn(server::serve(listener, router, Arc::new(SystemClock), std::future::pending()));
    place
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_of_four_lines_makes_one_run_of_five_hundred_uploads() {
    let kfp = Kfp::start(Options::default());
    kfp.add_pipeline("churn", &[("manifest", "STRING")]);
    let mut still = Still::new().await;
    let services =
        format!("services: {{ kfp: {{ kubeflow: {{ endpoint: \"{}\" }} }} }}", kfp.url());
    still.apply(&format!("{services}{FOUR_LINES}")).await;
    for number in 0..UPLOADS {
        let body = upload(&format!("churn/part-{number}"), GENERATION, &number.to_string());
        let reply = call(&still.place, "POST /", "", body.to_string().as_bytes()).await.unwrap();
        assert_eq!(reply.status, 204);
        still.clock.advance(Span::secs(1));
        if number % 50 == 0 {
            still.reconciler.pass().await.unwrap();
        }
    }
    still.after(Span::secs(58)).await;
    assert_eq!(kfp.runs(), [], "59 s of quiet are not a minute");
    still.after(Span::secs(1)).await;
    let [run] = &kfp.runs()[..] else { panic!("not one run: {:#?}", kfp.runs()) };
    let uri = run.parameters["manifest"].as_str().unwrap();
    let manifest = still.store.get(&uri[uri.find("manifests/").unwrap()..]).await.unwrap().unwrap();
    let members = read_manifest(&manifest).unwrap();
    let uris: BTreeSet<_> = members.into_iter().filter_map(|member| member.uri).collect();
    assert_eq!(uris.len(), UPLOADS);
    for _ in 0..3 {
        still.after(Span::hours(1)).await;
    }
    assert_eq!(kfp.runs().len(), 1, "and none later");
}

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_runs_start_where_the_rule_says_one_each() {
    let rule = "batch: each\n    overlap: allow\n    budget: { runs: 1000, per: 24h }";
    let world = World::ruled(Options::default(), Api::V2beta1, rule).await;
    let bodies: Vec<_> = (0..UPLOADS)
        .map(|n| upload(&format!("churn/part-{n}"), GENERATION, &n.to_string()))
        .collect();
    let sends = futures::stream::iter(&bodies).map(|body| world.deliver(body));
    let replies: Vec<_> = sends.buffer_unordered(16).collect().await;
    assert!(replies.iter().all(|reply| reply.status == 204));
    let report = world.settle().await;
    assert_eq!((report.accepted, report.runs), (UPLOADS as u64, UPLOADS as u64));
    let runs = world.runs();
    assert_eq!(runs.len(), UPLOADS);
    let mut uris = BTreeSet::new();
    for run in &runs {
        let members = world.members(run).await;
        assert_eq!(members.len(), 1);
        uris.extend(members.into_iter().filter_map(|member| member.uri));
    }
    assert_eq!(uris.len(), UPLOADS, "every object has a run of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_says_how_old_the_oldest_event_is_that_it_left() {
    let mut still = Still::new().await;
    for number in 0..=PASS_SEGMENTS_MAX {
        let command = Command::Cancel { run: "none".to_owned() };
        let event = command_event(command, "it", &number.to_string());
        still.base.intake().append(vec![event]).await.unwrap();
    }
    still.clock.advance(Span::mins(7));
    let first = still.reconciler.pass().await.unwrap();
    let second = still.reconciler.pass().await.unwrap();
    assert_eq!((first.behind, second.behind), (Span::mins(7), Span::ZERO));
}
