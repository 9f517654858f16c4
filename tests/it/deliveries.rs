//! The nine deliveries: what today's functions make of them, and what refit makes of them.
//!
//! Today's function is the shortest there is, which starts a run for every delivery and answers as the service did.
//! It stands for all that people write, which give the same figures.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt as _;
use refit_core::time::Span;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_testkit::fake::kfp::{Ask, Kfp, Options, Trouble};
use serde_json::{Value, json};

use crate::patience::{call, soon};
#[cfg(feature = "gcp")]
use crate::world::JSON;
use crate::world::{Api, World, upload};

/// How soon a sender hears that its delivery was recorded.
const ANSWERED_WITHIN: Span = Span::secs(5);

/// One way events are delivered.
struct Row {
    number: usize,
    case: &'static str,
    /// What arrives: the object, and the id of the delivery.
    deliveries: Vec<(String, &'static str)>,
    /// How the start of a run goes wrong, once.
    trouble: Option<Trouble>,
    /// Whether a sender whose delivery fails sends it again.
    again: bool,
    /// Whether the process that calls the service is killed while it does.
    killed: bool,
    /// Runs by today's functions.
    today: usize,
}

impl Row {
    fn new(number: usize, case: &'static str, today: usize) -> Self {
        let deliveries = vec![("churn/part-1.parquet".to_owned(), "m1")];
        Self { number, case, deliveries, trouble: None, again: false, killed: false, today }
    }

    fn with(self, trouble: Trouble) -> Self {
        Self { trouble: Some(trouble), ..self }
    }

    fn again(self) -> Self {
        Self { again: true, ..self }
    }

    fn bodies(&self) -> Vec<Value> {
        let body = |(name, id): &(String, &str)| upload(name, 1_767_614_397_000_000, id);
        self.deliveries.iter().map(body).collect()
    }

    fn kfp(&self, looks: Option<u32>) -> Kfp {
        let kfp = Kfp::start(Options { looks, ..Options::default() });
        if let Some(trouble) = self.trouble {
            kfp.trouble(Ask::Start, trouble);
        }
        kfp
    }

    /// What is written in place of `batch`.
    fn rule(&self) -> String {
        let count = self
            .deliveries
            .iter()
            .map(|(name, _)| name)
            .collect::<std::collections::BTreeSet<_>>()
            .len();
        format!("batch: {{ quiet: 1s, max_wait: 5m, min_count: {count} }}")
    }
}

/// How many runs today's function makes of it.
async fn today(row: &Row) -> usize {
    let kfp = row.kfp(None);
    kfp.add_pipeline("churn", &[]);
    let place = kfp.url().replace("http://", "");
    let line = "POST /apis/v2beta1/experiments";
    call(&place, line, "", br#"{"display_name": "Default"}"#).await.unwrap();
    let mut given_up = 0;
    for _ in row.bodies() {
        if !starts(&kfp, &place, &mut given_up).await && row.again {
            starts(&kfp, &place, &mut given_up).await;
        }
    }
    kfp.runs().len()
}

/// Starts a run, and says whether the sender hears that all is well; it does not wait for what hangs.
async fn starts(kfp: &Kfp, place: &str, given_up: &mut usize) -> bool {
    let start = json!({
        "experiment_id": "e-1",
        "display_name": "churn",
        "pipeline_version_reference": { "pipeline_id": "p-1", "pipeline_version_id": "v-1" },
        "runtime_config": { "parameters": {} },
    });
    let body = start.to_string();
    tokio::select! {
        reply = call(place, "POST /apis/v2beta1/runs", "", body.as_bytes()) => {
            reply.is_ok_and(|reply| reply.status == 200)
        }
        () = soon("the start hangs", kfp.held(*given_up + 1)) => {
            *given_up += 1;
            false
        }
    }
}

/// How many runs there are with refit in between.
async fn with_refit(row: &Row, api: Api) -> usize {
    let world = World::new(row.kfp(Some(2))).await;
    runs_of(world, row, api).await
}

/// How many runs there are in a world with refit.
async fn runs_of(mut world: World, row: &Row, api: Api) -> usize {
    let applied = world.apply(&world.rules(api, "", &row.rule())).await;
    assert!(applied.ok, "{}", applied.message);
    deliver(&world, row).await;
    if matches!(row.trouble, Some(Trouble::Hang)) {
        hangs(&world).await;
    }
    if row.killed {
        world.kill_tick().await;
    }
    if row.again {
        let asked = SystemClock.elapsed();
        deliver(&world, row).await;
        let is_prompt = SystemClock.elapsed() < asked + ANSWERED_WITHIN;
        let is_held = matches!(row.trouble, Some(Trouble::Hang)) && !world.is_faulty();
        assert!(!is_held || is_prompt, "{}: not answered within {ANSWERED_WITHIN}", row.case);
    }
    if row.killed {
        world.start_tick().await;
    }
    let report = world.settle().await;
    let times = if row.again { 2 } else { 1 };
    let recorded = row.deliveries.len() * times + 1;
    let events = report.events as usize;
    // What was recorded although the answer said that it may not be comes again.
    assert!(events == recorded || (world.is_faulty() && events > recorded), "and the rules");
    world.kfp.release();
    let runs = world.runs();
    if let [run] = runs.as_slice() {
        let mut names: Vec<_> =
            world.members(run).await.into_iter().filter_map(|member| member.uri).collect();
        let mut wanted: Vec<_> =
            row.deliveries.iter().map(|(name, _)| format!("gs://acme-data/{name}")).collect();
        names.sort();
        wanted.sort();
        wanted.dedup();
        assert_eq!(names, wanted, "the manifest holds what was delivered");
    }
    runs.len()
}

/// Delivers everything; each delivery is acknowledged, whatever the service does.
async fn deliver(world: &World, row: &Row) {
    let bodies = row.bodies();
    let sends = futures::stream::iter(&bodies).map(|body| sent(world, body));
    let replies: Vec<u16> = sends.buffer_unordered(16).collect().await;
    assert!(replies.iter().all(|status| *status == 204), "{replies:?}");
}

/// Sends a delivery, and again while the ledger has troubles, as its sender does.
async fn sent(world: &World, body: &Value) -> u16 {
    for _ in 0..20 {
        let status = world.deliver(body).await.status;
        if status != 503 || !world.is_faulty() {
            return status;
        }
    }
    503
}

/// Has passes made until the service holds the start of a run.
async fn hangs(world: &World) {
    let passes = async {
        loop {
            world.pass().await;
        }
    };
    tokio::select! {
        () = passes => {}
        () = soon("a start hangs", world.kfp.held(1)) => {}
    }
}

/// Plays a delivery with the ledger in a bucket, in front of which things go wrong.
#[cfg(feature = "gcp")]
async fn play_in_cloud(row: Row) {
    let test = format!("deliveries {} in the cloud", row.number);
    let Some(cloud) = crate::cloud::Cloud::start(&test).await else { return };
    for api in [Api::V2beta1, Api::V1beta1] {
        let (ground, faults) = cloud.faulty().await;
        let world = World::on(ground, row.kfp(Some(2))).await;
        let runs = runs_of(world, &row, api).await;
        assert_eq!(runs, 1, "{}: with a ledger in a bucket, by {api:?}", row.case);
        let counts = faults.counts();
        assert!(counts.iter().all(|count| *count > 0), "refused, lost, commits: {counts:?}");
    }
}

#[cfg(not(feature = "gcp"))]
async fn play_in_cloud(row: Row) {
    let test = format!("deliveries {} in the cloud", row.number);
    refit_testkit::skip::skipped(&test, "this test was built without --features gcp");
}

async fn play(row: Row) {
    let (today, newer, older) =
        futures::join!(today(&row), with_refit(&row, Api::V2beta1), with_refit(&row, Api::V1beta1));
    let (number, case) = (row.number, row.case);
    assert_eq!(today, row.today, "{case}: today");
    assert_eq!((newer, older), (1, 1), "{case}: with refit, by v2beta1 and by v1beta1");
    note(number, format!("{number} {case:<62} {today:>10} {newer:>12} {older:>12}"));
}

/// Keeps a line of the table, and prints it once it is whole.
fn note(number: usize, line: String) {
    static TABLE: Mutex<BTreeMap<usize, String>> = Mutex::new(BTreeMap::new());
    let mut table = TABLE.lock().unwrap_or_else(PoisonError::into_inner);
    table.insert(number, line);
    if table.len() < 9 {
        return;
    }
    let head = ["delivery", "runs today", "with refit B", "with refit C"];
    let mut text = format!("\n  {:<62} {:>10} {:>12} {:>12}\n", head[0], head[1], head[2], head[3]);
    for line in table.values() {
        let _ = writeln!(text, "{line}");
    }
    // Written past the harness, which would keep it to itself.
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// The rows of the table.
fn row(number: usize) -> Row {
    let of = |case, today| Row::new(number, case, today);
    match number {
        1 => {
            let mut row = of("the same event delivered twice", 2);
            row.deliveries.push(row.deliveries[0].clone());
            row
        }
        2 => {
            let mut row = of("the same object generation under two message ids", 2);
            row.deliveries.push((row.deliveries[0].0.clone(), "m2"));
            row
        }
        3 => {
            let mut row = of("burst of 500 objects in one batch window", 500);
            row.deliveries =
                (0..500).map(|n| (format!("churn/part-{n:03}.parquet"), "m")).collect();
            row
        }
        4 => of("the service answers 503 once, the sender does not retry", 0)
            .with(Trouble::Unavailable),
        5 => of("503 once, redelivered", 1).with(Trouble::Unavailable).again(),
        6 => of("run created, answer lost, redelivered", 2).with(Trouble::AnswerLost).again(),
        7 => of("connection lost before creation, redelivered", 1).with(Trouble::Closed).again(),
        8 => {
            let case = "function killed in mid-call, run created, redelivered";
            Row { killed: true, ..of(case, 2).with(Trouble::Hang).again() }
        }
        _ => of("the service hangs, the delivery times out and comes again", 2)
            .with(Trouble::Hang)
            .again(),
    }
}

/// With every door and the reconciler in one process, that process is the one that hangs in the call. `refit` is built
/// for tests with the cloud only.
#[cfg(feature = "gcp")]
#[tokio::test(flavor = "multi_thread")]
async fn one_process_answers_while_the_service_hangs() {
    let row = row(9);
    let mut world = World::new(row.kfp(Some(2))).await;
    let applied = world.apply(&world.rules(Api::V2beta1, "", &row.rule())).await;
    assert!(applied.ok, "{}", applied.message);
    world.kill_tick().await;
    let serve = world.serve().await;
    let send = async |body: &Value| {
        let body = body.to_string();
        call(&serve.place, "POST /object", JSON, body.as_bytes()).await.unwrap().status
    };
    for body in row.bodies() {
        assert_eq!(send(&body).await, 204);
    }
    soon("a start hangs", world.kfp.held(1)).await;
    for body in row.bodies() {
        let asked = SystemClock.elapsed();
        assert_eq!(send(&body).await, 204);
        let is_prompt = SystemClock.elapsed() < asked + ANSWERED_WITHIN;
        assert!(is_prompt, "not answered within {ANSWERED_WITHIN}");
    }
    world.kfp.release();
}

/// Makes two tests of a row: with the ledger in a directory, and in a bucket.
macro_rules! deliveries {
    ($($number:literal $name:ident)*) => {
        $(mod $name {
            #[tokio::test(flavor = "multi_thread")]
            async fn in_a_directory() {
                super::play(super::row($number)).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn in_a_bucket_with_faults() {
                super::play_in_cloud(super::row($number)).await;
            }
        })*
    };
}

deliveries! {
    1 the_same_event_twice
    2 the_same_generation_under_two_message_ids
    3 a_burst_of_five_hundred_objects
    4 unavailable_once_and_not_redelivered
    5 unavailable_once_and_redelivered
    6 run_created_and_the_answer_lost
    7 connection_lost_before_creation
    8 killed_in_mid_call_with_the_run_created
    9 the_service_hangs
}
