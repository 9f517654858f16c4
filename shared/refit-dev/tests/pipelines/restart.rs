//! What a run survives.

use std::fs::{self, File};
use std::io::Write as _;

use refit_dev::pipelines::State;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::world::{GRACE, Open, POLL, World, hold, id, let_go, let_through};

/// Does something with the service, then takes the process away under it: nothing of it goes on, but its children do.
fn killed_after<T>(world: &World, work: impl AsyncFnOnce(&Open) -> T) -> T {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let open = world.open().await;
        work(&open).await
    })
}

/// Opens the service while time passes as it is waited for.
async fn open_over_time(world: &World) -> Open {
    tokio::select! {
        open = world.open() => open,
        never = world.clock.tick(POLL) => never,
    }
}

/// Holds a named pipe and never ends, the first time; ends at once, from the second time on.
const ONCE: &str = "echo x >>$REFIT_BUCKETS/marks
    [ $(wc -l <$REFIT_BUCKETS/marks) -gt 1 ] && exit 0
    exec 3>$REFIT_BUCKETS/held; sleep 1000 & echo ::progress 0.5 ready; wait";

#[test]
fn a_step_under_way_is_ended_and_run_again_but_none_that_had_succeeded() {
    let world = World::new();
    let fifo = world.fifo("held");
    let first =
        ("first", "echo x >>$REFIT_BUCKETS/first; echo kept >$REFIT_RUN_DIR/artifacts/kept");
    world.pipeline(
        "long",
        &[first, ("second", ONCE), ("third", "test -e $REFIT_RUN_DIR/artifacts/kept")],
    );
    let held = killed_after(&world, async |open| {
        let held = File::options().read(true).write(true).open(&fifo);
        let run = open.start(1, "long").await;
        open.says(run, "ready").await;
        held.unwrap()
    });
    Runtime::new().unwrap().block_on(async {
        let receiver = hold(&fifo);
        drop(held);
        let open = open_over_time(&world).await;
        let_go(receiver).await;
        let run = open.ends(id(1), State::Succeeded).await;
        assert_eq!(run.artifacts, ["kept"]);
        assert!(run.started_at.unwrap() <= run.ended_at.unwrap());
    });
    assert_eq!((world.marks("first"), world.marks("marks")), (1, 2));
}

/// The first time, leaves behind what holds a named pipe, and waits at another; ends at once, from the second time on.
const LEAVES: &str = "echo x >>$REFIT_BUCKETS/marks
    [ $(wc -l <$REFIT_BUCKETS/marks) -gt 1 ] && exit 0
    exec 3>$REFIT_BUCKETS/held; sleep 1000 & exec 3>$REFIT_BUCKETS/leads
    echo ::progress 0.5 ready; read go <$REFIT_BUCKETS/go";

#[cfg(target_os = "linux")]
#[test]
fn what_a_step_left_behind_when_it_ended_with_nobody_there_is_ended_too() {
    let world = World::new();
    let [held, leads, go] = ["held", "leads", "go"].map(|name| world.fifo(name));
    world.pipeline("leaves", &[("a", LEAVES)]);
    let open_both =
        || [&held, &leads].map(|fifo| File::options().read(true).write(true).open(fifo).unwrap());
    let both = killed_after(&world, async |open| {
        let both = open_both();
        let run = open.start(1, "leaves").await;
        open.says(run, "ready").await;
        both
    });
    Runtime::new().unwrap().block_on(async {
        let [worker, leader] = [&held, &leads].map(|fifo| hold(fifo));
        drop(both);
        let_through(go).await;
        let_go(leader).await;
        let open = open_over_time(&world).await;
        let_go(worker).await;
        open.ends(id(1), State::Succeeded).await;
    });
    assert_eq!(world.marks("marks"), 2);
}

#[test]
fn a_step_that_will_not_end_is_killed_before_it_runs_again() {
    let world = World::new();
    let fifo = world.fifo("held");
    let deaf = "trap '' TERM; ".to_owned()
        + &ONCE.replace("sleep 1000 &", "").replace("wait", "while :; do sleep 0.01; done");
    world.pipeline("deaf", &[("a", &deaf)]);
    let held = killed_after(&world, async |open| {
        let held = File::options().read(true).write(true).open(&fifo);
        let run = open.start(1, "deaf").await;
        open.says(run, "ready").await;
        held.unwrap()
    });
    Runtime::new().unwrap().block_on(async {
        let receiver = hold(&fifo);
        drop(held);
        let patience = async {
            world.clock.asleep(POLL).await;
            world.clock.advance(GRACE);
            world.clock.tick(POLL).await
        };
        let open = tokio::select! {
            open = world.open() => open,
            never = patience => never,
        };
        let_go(receiver).await;
        open.ends(id(1), State::Succeeded).await;
    });
    assert_eq!(world.marks("marks"), 2);
}

#[test]
fn what_was_answered_is_there_after_the_process_was_killed() {
    let mut world = World::new();
    world.limits.runs_max = 0;
    world.pipeline("churn", &[("a", "echo $REFIT_RUN_KEY >>$REFIT_BUCKETS/marks")]);
    let before = killed_after(&world, async |open| {
        for number in [2, 1, 3] {
            open.start(number, "churn").await;
            world.clock.advance(POLL);
        }
        open.cancel(id(3)).await;
        open.service.runs(10)
    });
    let same = killed_after(&world, async |open| open.service.runs(10));
    assert_eq!(same, before);
    world.limits.runs_max = 1;
    killed_after(&world, async |open| {
        let asked = json!({"id": id(1), "pipeline": "churn"}).to_string();
        assert_eq!(open.ask("POST", "runs", &asked).await.0, 200, "the same run");
        open.ends(id(1), State::Succeeded).await;
        open.ends(id(2), State::Succeeded).await;
        assert_eq!(open.service.run(id(3)).unwrap().state, State::Cancelled);
    });
    let ran = fs::read_to_string(world.path("buckets/marks")).unwrap();
    assert_eq!(ran, format!("{}\n{}\n", id(2), id(1)), "in the order they were asked for");
}

#[test]
fn a_cancel_that_was_answered_is_not_forgotten() {
    let world = World::new();
    let script = "trap '' TERM; echo x >>$REFIT_BUCKETS/marks; echo ::progress 0 deaf; while :; do sleep 0.01; done";
    world.pipeline("deaf", &[("a", script)]);
    killed_after(&world, async |open| {
        let run = open.start(1, "deaf").await;
        open.says(run, "deaf").await;
        open.cancel(run).await;
    });
    Runtime::new().unwrap().block_on(async {
        let patience = async {
            world.clock.asleep(POLL).await;
            world.clock.advance(GRACE);
            world.clock.tick(POLL).await
        };
        let open = tokio::select! {
            open = world.open() => open,
            never = patience => never,
        };
        open.ends(id(1), State::Cancelled).await;
    });
    assert_eq!(world.marks("marks"), 1);
}

#[tokio::test]
async fn a_step_that_is_stopped_with_the_service_runs_again() {
    let world = World::new();
    world.pipeline("long", &[("a", &ONCE.replace("exec 3>$REFIT_BUCKETS/held;", ""))]);
    let open = world.open().await;
    let run = open.start(1, "long").await;
    open.says(run, "ready").await;
    open.service.shutdown().await;
    assert_eq!(open.service.run(run).unwrap().state, State::Running);
    let asked = json!({"id": id(2), "pipeline": "long"}).to_string();
    assert_eq!(open.ask("POST", "runs", &asked).await.0, 503, "nothing is accepted any more");
    let open = world.open().await;
    open.ends(run, State::Succeeded).await;
    assert_eq!(world.marks("marks"), 2);
    assert_eq!(open.log(run, "a").await, "::progress 0.5 ready\n-- run again --\n");
}

#[tokio::test]
async fn what_a_crash_cut_short_is_not_believed() {
    let world = World::new();
    world.pipeline("churn", &[("a", "echo x >>$REFIT_BUCKETS/marks")]);
    let runs = world.path("service/runs");
    let open = world.open().await;
    let run = open.start(1, "churn").await;
    let ended = open.ends(run, State::Succeeded).await;
    let folder = open.service.folder(run);
    open.close().await;
    let mut journal = File::options().append(true).open(folder.join("journal.jsonl")).unwrap();
    journal.write_all(br#"{"at":"2026-11-21T09"#).unwrap();
    fs::create_dir(runs.join(".draft-rf-1")).unwrap();
    fs::create_dir(runs.join(id(2).to_string())).unwrap();
    let open = world.open().await;
    assert_eq!(open.service.runs(10), [ended], "and a run that cannot be read is left out");
    assert!(!runs.join(".draft-rf-1").exists());
    open.start(3, "churn").await;
    open.ends(id(3), State::Succeeded).await;
}

#[tokio::test]
async fn a_journal_that_was_cut_short_is_gone_on_with() {
    let mut world = World::new();
    world.limits.runs_max = 0;
    world.pipeline("churn", &[("a", "true")]);
    let open = world.open().await;
    let run = open.start(1, "churn").await;
    let journal = open.service.folder(run).join("journal.jsonl");
    open.close().await;
    fs::write(&journal, br#"{"at":"2026"#.repeat(100)).unwrap();
    world.limits.runs_max = 1;
    let open = world.open().await;
    open.ends(run, State::Succeeded).await;
    open.close().await;
    let text = fs::read_to_string(&journal).unwrap();
    assert!(text.lines().count() == 2 && text.starts_with("{\"at\":\"2027"), "{text}");
    let again = world.open().await;
    assert_eq!(again.service.run(run).unwrap().state, State::Succeeded);
}
