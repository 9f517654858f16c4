//! `refit worker` against Google's own Pub/Sub in memory: killed and asked to end while messages flow, it loses none, and
//! makes one run.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::StreamExt as _;
use refit_core::event::{Event, Fact};
use refit_core::key::Hash128;
use refit_engine::layout;
use refit_engine::port::Store;
use refit_engine::record::read_segment;
use refit_platform::clock::SystemClock;
use refit_platform::topic::{Message, PubSubTopic, Topic as _};
use refit_platform::transport::{HttpTransport, Options as Ways};
use refit_testkit::counterpart::Kind;
use refit_testkit::fake::kfp::{Kfp, Options};
use tokio::process::Command;

use crate::ground::Ground;
use crate::patience::soon;
use crate::process::{Process, program};
use crate::world::{Api, World};

const MESSAGES: usize = 400;
/// Lives of the worker that are ended as a power cut would.
const KILLS: usize = 4;
/// What the worker logs of every message it has recorded.
const RECORDED: &str = "events recorded";

/// The notification of an upload.
fn notification(number: usize) -> Message {
    let name = format!("churn/part-{number:03}");
    let attributes = [
        ("eventType", "OBJECT_FINALIZE"),
        ("payloadFormat", "NONE"),
        ("bucketId", "acme-data"),
        ("objectId", name.as_str()),
        ("objectGeneration", "1"),
    ];
    let owned = attributes.map(|(name, value)| (name.to_owned(), value.to_owned()));
    Message { attributes: owned.into(), ..Message::default() }
}

/// A message that says it is a CloudEvent, and is none.
fn poison() -> Message {
    let attributes = [("ce-specversion".to_owned(), "1.0".to_owned())];
    Message { attributes: attributes.into(), data: "{".into() }
}

async fn topic(server: &str) -> PubSubTopic {
    let clock = Arc::new(SystemClock);
    let ways = HttpTransport::new(Arc::<SystemClock>::clone(&clock), Ways::default()).unwrap();
    let name = "projects/refit/topics/t0";
    PubSubTopic::open(name, Some(server), clock, &Arc::new(ways)).await.unwrap()
}

fn worker(ledger: &str, server: &str) -> Process {
    let mut command = Command::new(program("refit"));
    let subscription = "projects/refit/subscriptions/s0";
    command.args(["worker", "--subscription", subscription, "--at-once", "20"]);
    command.args(["--ledger", ledger]);
    Process::spawn(command, &[("PUBSUB_EMULATOR_HOST", server)])
}

/// Everything in the inbox.
async fn recorded(store: &dyn Store) -> Vec<Event> {
    let mut events = Vec::new();
    let mut from = layout::INBOX.to_owned();
    loop {
        let page = store.list(layout::INBOX, &from, 1000).await.unwrap();
        for entry in page.entries {
            let body = store.get(&entry.name).await.unwrap().unwrap();
            events.extend(read_segment(&entry.name, &body).unwrap());
        }
        let Some(next) = page.next else { return events };
        from = next;
    }
}

/// It is asked to end, and does in an orderly way.
async fn ends_well(worker: Process) {
    worker.terminate();
    let ended = worker.ended().await;
    assert!(ended.status.success(), "{:#?}", ended.lines);
    let last = ended.lines.last().unwrap();
    assert!(last.contains("\"ended\""), "{last}");
}

/// Whether messages still flow, so that the end of a worker can lose some.
async fn is_early(store: &dyn Store) {
    let known = uploads(&recorded(store).await).len();
    assert!(known < MESSAGES, "it ended too late to tell: {known}");
}

fn uploads(events: &[Event]) -> BTreeSet<Hash128> {
    let uploads = events.iter().filter(|event| matches!(event.fact, Fact::Object(_)));
    uploads.map(Event::id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_while_messages_flow_loses_none_and_one_run_has_them_all() {
    let test =
        "worker::a_worker_that_is_killed_while_messages_flow_loses_none_and_one_run_has_them_all";
    let Some(messages) = Kind::PubSub.start(test) else { return };
    let server = messages.place().to_owned();
    let world = World::new(Kfp::start(Options { looks: Some(2), ..Options::default() })).await;
    let rules = world.rules(Api::V2beta1, "", "batch: { quiet: 5s, max_wait: 1h }");
    assert!(world.apply(&rules).await.ok);
    let (ledger, store) = (world.ledger_folder().display().to_string(), world.ledger.store());
    let topic = topic(&server).await;
    let publishing = tokio::spawn(async move {
        topic.publish(poison()).await.unwrap();
        // Every other twice, under two ids, as a bucket with two notifications does: what comes once is lost if its only
        // message is acknowledged too early.
        let numbers = (0..MESSAGES).flat_map(|number| vec![number; 1 + number % 2]);
        let publishes = numbers.map(|number| topic.publish(notification(number)));
        let published = futures::stream::iter(publishes).buffer_unordered(8);
        published.for_each(|id| async { drop(id.unwrap()) }).await;
    });
    for life in 1..=KILLS {
        let mut worker = worker(&ledger, &server);
        worker.until_logged(RECORDED, 10 * life).await;
        worker.kill().await;
        is_early(&**store).await;
    }
    let mut stopped = worker(&ledger, &server);
    stopped.until_logged(RECORDED, 10 * KILLS).await;
    ends_well(stopped).await;
    is_early(&**store).await;
    soon("everything is published", publishing).await.unwrap();
    let mut worker = worker(&ledger, &server);
    let everything = async {
        let mut lines = 0;
        while uploads(&recorded(&**store).await).len() < MESSAGES {
            lines += 1;
            worker.until_logged(RECORDED, lines).await;
        }
    };
    soon("every message is recorded", everything).await;
    let events = recorded(&**store).await;
    let poisoned = events.iter().filter(|event| matches!(event.fact, Fact::Invalid(_))).count();
    assert!(poisoned >= 1, "what cannot be understood is in quarantine");
    ends_well(worker).await;
    let report = world.settle().await;
    assert_eq!((report.accepted, report.runs), (MESSAGES as u64, 1));
    let runs = world.runs();
    let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
    assert_eq!(world.members(run).await.len(), MESSAGES);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_that_is_not_there_ends_the_worker_with_its_name() {
    let test = "worker::a_subscription_that_is_not_there_ends_the_worker_with_its_name";
    let Some(messages) = Kind::PubSub.start(test) else { return };
    let ground = Ground::directory().await;
    let mut command = Command::new(program("refit"));
    command.args(["worker", "--subscription", "projects/refit/subscriptions/none"]);
    command.args(["--ledger", &ground.location]);
    let ended = Process::spawn(command, &[("PUBSUB_EMULATOR_HOST", messages.place())]);
    let ended = ended.ended().await;
    assert!(!ended.status.success());
    let named = "subscription=`projects/refit/subscriptions/none`";
    assert!(ended.lines.iter().any(|line| line.contains(named)), "{:#?}", ended.lines);
}
