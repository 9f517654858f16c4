//! What serves a model: kept running with the version in Production.

use std::fs::{self, File};
use std::sync::Arc;

use refit_core::time::Span;
use refit_dev::news::{News, Teller};
use refit_dev::pipelines::{Servers, State};
use refit_engine::port::Clock as _;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::world::{GRACE, Open, POLL, World, hold, id, let_go};

const LOOK: Span = Span::from_millis(250);
/// Serves for ever, and holds a pipe meanwhile; not alone, for a group is more than its leader.
const SERVE: &str = "exec 3>$REFIT_MODEL_DIR/../../../../../buckets/held
    echo $REFIT_MODEL at http://127.0.0.1:1/$REFIT_MODEL_VERSION/$(cat $REFIT_MODEL_DIR/artifacts/model)
    sleep 1000 & wait";

fn definition(serve: &str) -> String {
    let train = "echo $REFIT_RUN_KEY | tail -c 2 >$REFIT_RUN_DIR/artifacts/model";
    json!({
        "steps": [{"name": "train", "command": ["sh", "-c", train]}],
        "serve": {"command": ["{refit}", "-c", serve]},
    })
    .to_string()
}

/// A service with versions 1, 2, … of the model `churn`.
async fn trained(world: &World, serve: &str, versions: u32) -> Open {
    world.definition("churn", &definition(serve));
    let open = world.open().await;
    for number in 1..=versions {
        let run = open.start(number, "churn").await;
        open.ends(run, State::Succeeded).await;
        let asked = json!({"key": id(number), "run": run});
        assert_eq!(open.registry("POST", "churn/versions", &asked).await.0, 200);
    }
    open
}

async fn place(open: &Open, stage: &str, version: u32) {
    let asked = json!({"version": version.to_string()});
    let (status, answer) = open.registry("PUT", &format!("churn/stages/{stage}"), &asked).await;
    assert_eq!(status, 200, "{answer}");
}

/// What serves, under way.
struct Serving {
    news: UnboundedReceiver<News>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
    clock: JoinHandle<()>,
}

impl Serving {
    async fn begin(world: &World, open: &Open) -> Self {
        let (teller, news) = Teller::new();
        let servers = Servers::open(&open.service, teller).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(servers.run(stopped));
        let time = Arc::clone(&world.clock);
        let clock = tokio::spawn(async move { time.tick(LOOK).await });
        Self { news, stop, task, clock }
    }

    /// The next news, in words.
    async fn next(&mut self) -> String {
        match self.news.recv().await.unwrap() {
            News::Served { model, version, url } => format!("{model} {version} {url}"),
            News::NotServed { model, version, why } => format!("{model} {version} not: {why}"),
            other => panic!("{other:?}"),
        }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.unwrap();
        self.clock.abort();
    }
}

#[tokio::test]
async fn the_version_in_production_is_served_and_replaced_when_it_changes() {
    let world = World::new();
    let fifo = world.fifo("held");
    let receiver = hold(&fifo);
    let open = trained(&world, SERVE, 2).await;
    let mut serving = Serving::begin(&world, &open).await;
    place(&open, "staging", 2).await;
    place(&open, "production", 1).await;
    assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1");
    place(&open, "production", 2).await;
    assert_eq!(serving.next().await, "churn 2 http://127.0.0.1:1/2/2");
    place(&open, "production", 1).await;
    assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1", "back again");
    serving.end().await;
    let_go(receiver).await;
}

#[tokio::test]
async fn nothing_is_served_once_nothing_is_in_production_or_wanted() {
    let world = World::new();
    let fifo = world.fifo("held");
    let open = trained(&world, SERVE, 1).await;
    for end in ["staging", "definition"] {
        let receiver = hold(&fifo);
        place(&open, "production", 1).await;
        let mut serving = Serving::begin(&world, &open).await;
        assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1");
        match end {
            "staging" => place(&open, "staging", 1).await,
            _ => world.pipeline("churn", &[("train", "true")]),
        }
        let_go(receiver).await;
        serving.end().await;
    }
}

#[tokio::test]
async fn what_is_being_written_changes_nothing() {
    let world = World::new();
    let receiver = hold(&world.fifo("held"));
    let open = trained(&world, SERVE, 2).await;
    place(&open, "production", 1).await;
    let mut serving = Serving::begin(&world, &open).await;
    assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1");
    world.definition("churn", "serve: {");
    let looked_at = world.clock.elapsed() + LOOK.times(3);
    while world.clock.elapsed() < looked_at {
        tokio::task::yield_now().await;
    }
    world.definition("churn", &definition(SERVE));
    place(&open, "production", 2).await;
    assert_eq!(serving.next().await, "churn 2 http://127.0.0.1:1/2/2", "and 1 did not start anew");
    serving.end().await;
    let_go(receiver).await;
}

#[tokio::test]
async fn what_ends_by_itself_is_told_of_and_started_again_after_longer_and_longer_rests() {
    let world = World::new();
    let script =
        "echo x >>$REFIT_MODEL_DIR/../../../../../buckets/marks; echo no such port; exit 3";
    fs::create_dir_all(world.path("buckets")).unwrap();
    let open = trained(&world, script, 1).await;
    place(&open, "production", 1).await;
    let mut serving = Serving::begin(&world, &open).await;
    let began = world.clock.elapsed();
    for _ in 0..4 {
        let told = serving.next().await;
        assert_eq!(told, "churn 1 not: exit status: 3: said=`no such port`");
    }
    let rested = world.clock.elapsed();
    assert!(rested >= began + Span::secs(1 + 2 + 4), "{rested}");
    serving.end().await;
    assert!(world.marks("marks") >= 4);
}

#[test]
fn what_an_earlier_life_left_running_is_ended_first() {
    let world = World::new();
    let fifo = world.fifo("held");
    let held = Runtime::new().unwrap().block_on(async {
        let held = File::options().read(true).write(true).open(&fifo).unwrap();
        let open = trained(&world, SERVE, 1).await;
        place(&open, "production", 1).await;
        let mut serving = Serving::begin(&world, &open).await;
        assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1");
        held
    });
    Runtime::new().unwrap().block_on(async {
        let receiver = hold(&fifo);
        drop(held);
        let open = world.open().await;
        world.definition("churn", &definition("exit 1"));
        let (teller, _news) = Teller::new();
        let opened = tokio::select! {
            opened = Servers::open(&open.service, teller) => opened,
            never = world.clock.tick(POLL) => never,
        };
        opened.unwrap();
        let_go(receiver).await;
    });
}

#[tokio::test]
async fn one_that_will_not_end_is_killed() {
    let world = World::new();
    let fifo = world.fifo("held");
    let receiver = hold(&fifo);
    let deaf = format!(
        "trap '' TERM; {}",
        SERVE.replace("sleep 1000 & wait", "while :; do sleep 0.01; done")
    );
    let open = trained(&world, &deaf, 1).await;
    place(&open, "production", 1).await;
    let mut serving = Serving::begin(&world, &open).await;
    assert_eq!(serving.next().await, "churn 1 http://127.0.0.1:1/1/1");
    serving.stop.send_replace(true);
    world.clock.asleep(GRACE).await;
    world.clock.advance(GRACE);
    serving.end().await;
    let_go(receiver).await;
}
