//! What becomes of a run.

use std::fs;
use std::path::Path;

use refit_core::time::Span;
use refit_dev::pipelines::State;
use refit_testkit::skip::skipped;
use serde_json::json;

use crate::world::{GRACE, World, artifact, hold, id, let_go, let_through};

#[tokio::test]
async fn steps_run_in_order_and_share_what_they_make() {
    let world = World::new();
    let steps = json!([
        {"name": "one", "command": ["{refit}", "-c", "mkdir \"$REFIT_RUN_DIR/artifacts/deep\"; pwd >\"$REFIT_RUN_DIR/artifacts/deep/a\""]},
        {"name": "two", "command": ["/bin/sh", "-c", "cp \"$REFIT_PARAMETERS\" \"$REFIT_RUN_DIR/artifacts\"; echo $REFIT_STEP $REFIT_RUN_KEY $REFIT_BUCKETS; echo aside >&2"]},
    ]);
    let parameters =
        json!({"manifest": {"type": "string"}, "rate": {"type": "double", "default": 0.1}});
    world.definition("churn", &json!({"parameters": parameters, "steps": steps}).to_string());
    let open = world.open().await;
    let asked = json!({"id": id(1), "pipeline": "churn", "parameters": {"manifest": "file:///m"}, "labels": {"trigger": "t"}});
    let (status, run) = open.ask("POST", "runs", &asked.to_string()).await;
    assert_eq!(
        (status.as_u16(), &run["id"], &run["labels"]["trigger"]),
        (201, &json!(id(1)), &json!("t"))
    );
    let run = open.ends(id(1), State::Succeeded).await;
    assert_eq!(run.artifacts, ["deep/a", "parameters.json"]);
    assert!(run.started_at.is_some() && run.ended_at.is_some() && run.message.is_none());
    assert!(run.steps.iter().all(|step| step.state == State::Succeeded));
    let folder = fs::canonicalize(world.path("pipelines/churn")).unwrap();
    assert_eq!(artifact(&open, id(1), "deep/a").trim(), folder.to_str().unwrap());
    let given: serde_json::Value =
        serde_json::from_str(&artifact(&open, id(1), "parameters.json")).unwrap();
    assert_eq!(given, json!({"manifest": "file:///m", "rate": 0.1}));
    let buckets = fs::canonicalize(world.path("buckets")).unwrap();
    assert_eq!(
        open.log(id(1), "two").await,
        format!("two {} {}\naside\n", id(1), buckets.display())
    );
}

/// A message with the path of the log of a step in the place of `LOG`.
fn with_log(message: &str, folder: &Path, step: &str) -> String {
    let log = folder.join("logs").join(format!("{step}.log"));
    message.replace("LOG", &log.display().to_string())
}

#[tokio::test]
async fn a_step_that_fails_ends_the_run_and_says_why() {
    let world = World::new();
    let cases = [
        (
            "status",
            "echo first; echo boom >&2; exit 3",
            "step `status`: exit status: 3: log=`LOG`, said=`boom`",
        ),
        ("signal", "kill -9 $$", "step `signal`: signal: 9 (SIGKILL): log=`LOG`"),
        (
            "progress",
            "echo ::progress 0.9 nearly; exit 1",
            "step `progress`: exit status: 1: log=`LOG`",
        ),
    ];
    for (name, script, _) in cases {
        world.pipeline(name, &[(name, script), ("later", "echo never")]);
    }
    world.definition(
        "program",
        r#"{"steps": [{"name": "program", "command": ["/absent/program"]}]}"#,
    );
    let open = world.open().await;
    for (number, (name, _, expected)) in (1..).zip(cases) {
        let run = open.start(number, name).await;
        let run = open.ends(run, State::Failed).await;
        assert_eq!(run.message, Some(with_log(expected, &open.service.folder(run.id), name)));
        assert_eq!(
            run.steps.iter().map(|step| step.state).collect::<Vec<_>>(),
            [State::Failed, State::Pending]
        );
    }
    let run = open.start(9, "program").await;
    let run = open.ends(run, State::Failed).await;
    assert!(run.message.unwrap().contains("/absent/program"));
}

#[tokio::test]
async fn a_pipeline_whose_folder_is_gone_fails_and_does_not_hang() {
    let world = World::new();
    world.pipeline("gone", &[("a", "echo never")]);
    let open = world.open().await;
    let (_, described) = open.ask("GET", "pipelines/gone", "").await;
    fs::remove_dir_all(world.path("pipelines/gone")).unwrap();
    let asked = json!({"id": id(1), "pipeline": "gone", "version": described["version"]});
    assert_eq!(open.ask("POST", "runs", &asked.to_string()).await.0, 201);
    let run = open.ends(id(1), State::Failed).await;
    assert!(run.message.unwrap().starts_with("step `a`: it cannot be started"));
}

#[tokio::test]
async fn a_step_that_takes_too_long_is_asked_to_end_and_may_clean_up() {
    let world = World::new();
    let script = "exec 2>/dev/null; trap 'echo clean >$REFIT_RUN_DIR/artifacts/up; exit 0' TERM
                  echo ::progress 0.5 ready; while :; do sleep 0.01; done";
    let step = json!({"name": "slow", "command": ["sh", "-c", script], "timeout": "5m"});
    world.definition("slow", &json!({ "steps": [step] }).to_string());
    let open = world.open().await;
    let run = open.start(1, "slow").await;
    open.says(run, "ready").await;
    world.clock.asleep(Span::mins(5)).await;
    world.clock.advance(Span::mins(5));
    let run = open.ends(run, State::Failed).await;
    let expected = "step `slow`: timed out after 5m: log=`LOG`";
    assert_eq!(run.message, Some(with_log(expected, &open.service.folder(run.id), "slow")));
    assert_eq!(run.artifacts, ["up"]);
    assert_eq!(run.ended_at.unwrap().since(run.started_at.unwrap()), Span::mins(5));
}

#[tokio::test]
async fn a_cancelled_run_ends_with_all_its_processes() {
    let world = World::new();
    let fifo = world.fifo("held");
    let script = "exec 3>$REFIT_BUCKETS/held; sleep 1000 & echo ::progress 0.5 ready; wait";
    world.pipeline("long", &[("a", script), ("b", "echo never")]);
    let open = world.open().await;
    let held = hold(&fifo);
    let run = open.start(1, "long").await;
    open.says(run, "ready").await;
    open.cancel(run).await;
    let ended = open.ends(run, State::Cancelled).await;
    let_go(held).await;
    assert_eq!(
        ended.steps.iter().map(|step| step.state).collect::<Vec<_>>(),
        [State::Cancelled, State::Pending]
    );
    assert_eq!(open.cancel(run).await, json!(ended), "once more changes nothing");
}

#[tokio::test]
async fn a_step_that_will_not_end_is_killed_after_the_grace() {
    let world = World::new();
    let fifo = world.fifo("held");
    let script = "exec 3>$REFIT_BUCKETS/held; trap '' TERM; echo ::progress 0.5 deaf; while :; do sleep 0.01; done";
    world.pipeline("deaf", &[("a", script)]);
    let open = world.open().await;
    let held = hold(&fifo);
    let run = open.start(1, "deaf").await;
    open.says(run, "deaf").await;
    let asked = open.cancel(run).await;
    assert_eq!(
        (&asked["state"], &asked["message"]),
        (&json!("running"), &json!("it was asked to end"))
    );
    world.clock.asleep(GRACE).await;
    assert_eq!(open.service.run(run).unwrap().state, State::Running);
    world.clock.advance(GRACE);
    open.ends(run, State::Cancelled).await;
    let_go(held).await;
}

#[tokio::test]
async fn what_a_step_leaves_behind_is_ended_with_it() {
    let world = World::new();
    let fifo = world.fifo("held");
    world.pipeline("messy", &[("a", "exec 3>$REFIT_BUCKETS/held; sleep 1000 & echo done")]);
    let open = world.open().await;
    let held = hold(&fifo);
    let run = open.start(1, "messy").await;
    open.ends(run, State::Succeeded).await;
    let_go(held).await;
    assert_eq!(open.log(run, "a").await, "done\n");
}

#[tokio::test]
async fn runs_beyond_the_limit_wait_their_turn() {
    let world = World::new();
    world.pipeline("long", &[("a", "echo ::progress 0 ready; exec sleep 1000")]);
    let open = world.open().await;
    let [first, second] = [open.start(1, "long").await, open.start(2, "long").await];
    let [third, fourth] = [open.start(3, "long").await, open.start(4, "long").await];
    open.says(first, "ready").await;
    open.says(second, "ready").await;
    for waiting in [third, fourth] {
        assert_eq!(open.service.run(waiting).unwrap().state, State::Pending);
    }
    assert_eq!(open.cancel(fourth).await["state"], "cancelled", "one that waits ends at once");
    assert_eq!(open.service.run(fourth).unwrap().started_at, None);
    open.cancel(first).await;
    open.says(third, "ready").await;
    let newest: Vec<_> = open.service.runs(3).iter().map(|run| run.id).collect();
    assert_eq!(newest, [fourth, third, second]);
    open.service.shutdown().await;
}

#[tokio::test]
async fn progress_is_shown_while_a_step_runs() {
    let world = World::new();
    let gate = world.fifo("gate");
    let script =
        "echo ::progress 0.4 two words; cat $REFIT_BUCKETS/gate; echo ::progress 1 all done";
    world.pipeline("told", &[("a", script)]);
    let open = world.open().await;
    let run = open.start(1, "told").await;
    let running = open.says(run, "two words").await;
    assert_eq!((running.state, running.steps[0].progress), (State::Running, Some(0.4)));
    let_through(gate).await;
    let ended = open.ends(run, State::Succeeded).await;
    assert_eq!(ended.steps[0].progress, None);
    assert_eq!(ended.steps[0].message.as_deref(), Some("all done"));
}

#[tokio::test]
async fn a_log_is_bounded_and_keeps_the_end() {
    let mut world = World::new();
    world.limits.log_bytes_max = 10_000;
    let script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; exit 1";
    world.pipeline("chatty", &[("a", script)]);
    let open = world.open().await;
    let run = open.start(1, "chatty").await;
    let ended = open.ends(run, State::Failed).await;
    let expected = "step `a`: exit status: 1: log=`LOG`, said=`line 4999`";
    assert_eq!(ended.message, Some(with_log(expected, &open.service.folder(run), "a")));
    let log = open.log(run, "a").await;
    assert!(log.len() <= 10_000 && log.ends_with("line 4998\nline 4999\n"), "{} bytes", log.len());
    let files = fs::read_dir(open.service.folder(run).join("logs")).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes <= 10_000, "{bytes}");
}

#[tokio::test]
async fn a_run_does_not_wait_for_what_escaped_its_group() {
    let setsid = std::process::Command::new("setsid").arg("true").status();
    if !setsid.is_ok_and(|status| status.success()) {
        skipped("a_run_does_not_wait_for_what_escaped_its_group", "no program `setsid`");
        return;
    }
    let world = World::new();
    let gate = world.fifo("gate");
    let script = "setsid sh -c 'touch $REFIT_RUN_DIR/away; cat $REFIT_BUCKETS/gate' &
                  while [ ! -e $REFIT_RUN_DIR/away ]; do sleep 0.01; done";
    world.pipeline("escape", &[("a", script)]);
    let open = world.open().await;
    let run = open.start(1, "escape").await;
    world.clock.asleep(Span::secs(1)).await;
    world.clock.advance(Span::secs(1));
    open.ends(run, State::Succeeded).await;
    let_through(gate).await;
}
