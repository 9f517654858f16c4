//! Sweeps of watched buckets that one reconciler makes, over a transport that answers by script.

use std::sync::Arc;

use bytes::Bytes;
use refit_core::event::Command;
use refit_core::key::sha256_hex;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Store as _, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_engine::submit::command_event;
use refit_engine::sweep::Sweep;
use refit_host::function::read_rules;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::transport::ScriptedTransport;
use refit_wire::listing::Buckets;

/// A reconciler, and the store of its ledger.
struct Swept {
    clock: Arc<ManualClock>,
    store: MemoryStore,
    transport: Arc<ScriptedTransport>,
    reconciler: Reconciler,
}

/// Rules that watch these buckets, and start nothing for what lies there.
fn watching(buckets: &[&str]) -> String {
    let buckets = buckets.iter().map(|bucket| format!("{{ objects: {{ bucket: \"{bucket}\" }} }}"));
    let on = buckets.collect::<Vec<_>>().join(", ");
    format!(
        "services:\n  x: {{ kubeflow: {{ endpoint: \"http://kfp\" }} }}\ntriggers:\n  churn:\n    on: [{on}]\n    \
         batch: {{ min_count: 1000, max_wait: 30d }}\n    run: {{ service: x, pipeline: churn }}\n"
    )
}

impl Swept {
    /// One on a ledger at `root` whose rules watch these buckets, at a time when no sweep is due.
    async fn new(root: &str, buckets: &[&str], transport: ScriptedTransport) -> Self {
        let clock = Arc::new(ManualClock::new("2026-11-21T09:00:00Z".parse().unwrap()));
        let store = MemoryStore::new(Arc::<ManualClock>::clone(&clock));
        let transport = Arc::new(transport);
        let reconciler = Reconciler::new(Parts {
            store: Arc::new(store.clone()),
            transport: Arc::<ScriptedTransport>::clone(&transport),
            clock: Arc::<ManualClock>::clone(&clock),
            read_rules: read_rules(),
            nonces: Nonces::new("sweeping"),
            root: root.to_owned(),
            timing: Timing::default(),
            store_clock: StoreClock::Service,
            buckets: Buckets::stand_in("data"),
        });
        let mut swept = Self { clock, store, transport, reconciler };
        swept.pass().await;
        swept.apply(&watching(buckets)).await;
        swept
    }

    async fn apply(&mut self, rules: &str) {
        let revision = sha256_hex(rules.as_bytes());
        self.store.create(&layout::rules(&revision), Bytes::from(rules.to_owned())).await.unwrap();
        let store = Arc::new(self.store.clone());
        let clock = Arc::<ManualClock>::clone(&self.clock);
        let intake = Intake::new(store, clock, Nonces::new("intake"), Span::secs(30));
        let command = Command::Apply { revision, replaces: None, start: false };
        intake.append(vec![command_event(command, "test", "1")]).await.unwrap();
        self.pass().await;
    }

    async fn pass(&mut self) {
        self.reconciler.pass().await.unwrap();
    }

    /// Lets time pass, and then a pass be made.
    async fn after(&mut self, span: Span) {
        self.clock.advance(span);
        self.pass().await;
    }
}

#[tokio::test]
async fn buckets_of_a_ledger_in_s3_are_not_looked_for_at_google() {
    // A script without a request: one would fail the test.
    let mut swept = Swept::new("s3://ledgers/prod", &["acme-data"], ScriptedTransport::new()).await;
    swept.after(Span::hours(25)).await;
    assert!(swept.transport.sent().is_empty());
    let rules = read_rules()(&watching(&["acme-data", "s3://acme-data"])).unwrap().rules;
    let sweep = Sweep::new(&rules, "s3://ledgers/prod");
    assert!(sweep.is_over());
    let troubles: Vec<_> = sweep.swept.troubles.iter().map(String::as_str).collect();
    assert_eq!(troubles, ["buckets of s3:// are not swept"]);
    for ledger in ["gs://ledgers/prod", "file:///ledger", "memory://"] {
        assert!(!Sweep::new(&rules, ledger).is_over(), "where the ledger is: {ledger}");
    }
    let named = read_rules()(&watching(&["gs://acme-data"])).unwrap().rules;
    assert!(!Sweep::new(&named, "s3://ledgers/prod").is_over(), "it says itself where it is");
}
