//! Sweeps of watched buckets that one reconciler makes, over a transport that answers by script.

use std::io::{PipeReader, Read as _};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use refit_core::event::{Command, Event, Fact};
use refit_core::key::sha256_hex;
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::nonce::Nonces;
use refit_engine::port::{Store as _, StoreClock};
use refit_engine::reconcile::{Parts, Reconciler};
use refit_engine::record::read_segment;
use refit_engine::submit::command_event;
use refit_engine::sweep::Sweep;
use refit_host::function::read_rules;
use refit_platform::store::MemoryStore;
use refit_testkit::clock::ManualClock;
use refit_testkit::transport::{ScriptedTransport, recorded};
use refit_wire::http::Reply;
use refit_wire::listing::Buckets;
use serde_json::json;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::util::SubscriberInitExt as _;

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

    /// The objects that were recorded, in their order.
    async fn recorded(&self) -> Vec<String> {
        let mut names = Vec::new();
        for entry in self.store.list(layout::INBOX, layout::INBOX, 1000).await.unwrap().entries {
            let body = self.store.get(&entry.name).await.unwrap().unwrap();
            let events = read_segment(&entry.name, &body).unwrap();
            let objects = events.iter().filter(|event| matches!(event.fact, Fact::Object(_)));
            names.extend(objects.map(Event::name));
        }
        names.sort();
        names
    }
}

/// A page of a bucket: an object of this name that came after the rules, and how to go on.
fn page(name: &str, next: Option<&str>) -> Reply {
    let object = json!({
        "name": name, "generation": "1", "size": "7", "timeCreated": "2026-11-21T10:00:00Z",
    });
    recorded(&format!("200\n{}", json!({ "items": [object], "nextPageToken": next })))
}

/// The question for a page of a bucket.
fn question(bucket: &str, token: Option<&str>) -> String {
    format!("GET {}", Buckets::stand_in("data").unwrap().list(bucket, "", token).url)
}

/// What is warned of from now on by this thread, as lines.
fn warnings() -> (DefaultGuard, PipeReader) {
    let (reader, writer) = std::io::pipe().unwrap();
    let subscriber = tracing_subscriber::fmt().with_max_level(LevelFilter::WARN).with_ansi(false);
    (subscriber.with_writer(Mutex::new(writer)).set_default(), reader)
}

/// The lines of the log that have these words, once nobody writes to it any more.
fn lines(mut log: PipeReader, words: &str) -> Vec<String> {
    let mut text = String::new();
    log.read_to_string(&mut text).unwrap();
    text.lines().filter(|line| line.contains(words)).map(str::to_owned).collect()
}

#[tokio::test]
async fn a_page_that_is_not_answered_is_asked_for_again() {
    let (guard, log) = warnings();
    let transport = ScriptedTransport::new()
        .expect(&question("a", None), page("first", Some("2")))
        .expect(&question("a", Some("2")), recorded("503"))
        .expect(&question("a", Some("2")), page("second", None))
        .expect(&question("b", None), page("other", None));
    let mut swept = Swept::new("memory://", &["a", "b"], transport).await;
    swept.after(Span::hours(25)).await;
    swept.after(Span::secs(1)).await;
    assert_eq!(swept.transport.sent().len(), 2, "a second later nothing is asked");
    swept.after(Timing::default().ping).await;
    assert_eq!(swept.recorded().await, ["gs://a/first", "gs://a/second", "gs://b/other"]);
    swept.transport.done();
    drop(guard);
    let said = lines(log, "503");
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("tried again") && said[0].contains("bucket=`a`"), "{said:?}");
}

#[tokio::test]
async fn a_place_that_is_not_answered_thrice_is_given_up_for_the_day_and_others_go_on() {
    let (guard, log) = warnings();
    let second = question("a", Some("2"));
    let transport = ScriptedTransport::new()
        .expect(&question("a", None), page("first", Some("2")))
        .expect(&second, recorded("503"))
        .expect(&second, recorded("lost"))
        .expect(&second, recorded("429"))
        .expect(&question("b", None), page("other", None))
        .expect(&question("a", None), page("first", Some("2")))
        .expect(&second, page("second", None))
        .expect(&question("b", None), recorded("403"));
    let mut swept = Swept::new("memory://", &["a", "b"], transport).await;
    swept.after(Span::hours(25)).await;
    for _ in 0..9 {
        swept.after(Timing::default().ping).await;
    }
    assert_eq!(swept.recorded().await, ["gs://a/first", "gs://b/other"]);
    assert_eq!(swept.transport.sent().len(), 5, "and no more of it today");
    swept.after(Span::hours(25)).await;
    assert_eq!(swept.recorded().await, ["gs://a/first", "gs://a/second", "gs://b/other"]);
    swept.transport.done();
    drop(guard);
    let said = lines(log, "bucket=");
    let causes = [("`a`", "503"), ("`a`", "reset"), ("`a`", "429"), ("`b`", "not allowed")];
    assert_eq!(said.len(), causes.len(), "{said:?}");
    for (line, (bucket, cause)) in said.iter().zip(causes) {
        assert!(line.contains(bucket) && line.contains(cause), "{line}");
    }
    let given_up: Vec<bool> =
        said.iter().map(|line| line.contains("not swept to its end")).collect();
    assert_eq!(given_up, [false, false, true, true]);
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
