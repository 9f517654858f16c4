//! Runs that a person has run again at their service, under the id they have or as another run.

use refit_core::event::Command;
use refit_core::run::{Phase, Run};
use refit_testkit::fake::stage::{CloudBuild, Double, Github, Kubeflow, Mage, Phase as At, Stage};

use crate::world::World;
use crate::{CHURN, GITHUB, KUBEFLOW};

async fn started(double: Box<dyn Double + Sync>, service: &str, run: &str) -> World {
    let world = World::new(double, service, run).await;
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().phase == Phase::Running).await;
    world
}

async fn on_github() -> World {
    started(Box::new(Github { details: true }), GITHUB, "workflow: retrain.yml, ref: main").await
}

async fn on_mage() -> World {
    let service = "mage: { endpoint: \"http://127.0.0.1:6789\" }";
    started(Box::new(Mage), service, "schedule: 7, token: { env: T }").await
}

fn external(run: &Run) -> &str {
    &run.attempt().external.as_ref().unwrap().id
}

/// Has a run fail, and run again once it is known to be over; returns it once that is known.
async fn goes_on(world: &World, again: impl FnOnce(&Stage)) -> Run {
    world.stage.fail();
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Failed);
    again(&world.stage);
    world.until("it goes on", Run::is_active).await;
    world.run().await
}

/// Has a run that goes on end well: one run is known, of one attempt, of one start.
async fn ends_well(world: &World) -> Run {
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    let run = world.run().await;
    assert_eq!(run.finished.unwrap().phase, Phase::Succeeded);
    assert_eq!((run.attempts.len(), world.stage.starts()), (1, 1));
    run
}

#[tokio::test]
async fn a_run_that_runs_again_before_its_end_was_seen_is_followed_to_its_new_end() {
    let world = on_github().await;
    world.stage.fail();
    world.stage.reopen();
    world.passes(20).await;
    assert!(world.run().await.is_active(), "its first end was not its end");
    ends_well(&world).await;
}

#[tokio::test]
async fn a_run_of_github_that_runs_again_after_its_end_is_followed_to_its_new_end() {
    let world = on_github().await;
    let run = goes_on(&world, Stage::reopen).await;
    assert_eq!(external(&ends_well(&world).await), external(&run));
}

#[tokio::test]
async fn a_run_of_kubeflow_that_is_retried_after_its_end_is_followed_to_its_new_end() {
    let world = started(Box::new(Kubeflow::wanting("manifest")), KUBEFLOW, CHURN).await;
    let run = goes_on(&world, Stage::reopen).await;
    assert_eq!(external(&ends_well(&world).await), external(&run));
}

#[tokio::test]
async fn a_retry_of_mage_is_followed_in_place_of_the_run_that_was_over() {
    let world = on_mage().await;
    let run = goes_on(&world, |stage| stage.retry("2")).await;
    assert_eq!(external(&run), "2");
    assert_eq!(external(&ends_well(&world).await), "2");
}

#[tokio::test]
async fn a_retry_of_cloud_build_is_followed_in_place_of_the_build_that_was_over() {
    let service = "cloud_build: { project: acme }";
    let world = started(Box::new(CloudBuild), service, "trigger: train").await;
    let run = goes_on(&world, |stage| stage.retry("b-2")).await;
    assert_eq!(external(&run), "b-2");
    assert_eq!(external(&ends_well(&world).await), "b-2");
}

#[tokio::test]
async fn a_retry_that_is_made_before_the_end_was_seen_is_followed_at_once() {
    let world = on_mage().await;
    world.stage.fail();
    world.stage.retry("2");
    world.until("the retry is followed", |run| external(run) == "2").await;
    assert!(world.run().await.is_active(), "its first end was not its end");
    ends_well(&world).await;
}

#[tokio::test]
async fn a_retry_is_what_is_cancelled() {
    let world = on_mage().await;
    let run = goes_on(&world, |stage| stage.retry("2")).await;
    world.command(Command::Cancel { run: run.batch.to_string() }).await;
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Cancelled);
    let phases: Vec<At> = world.stage.runs().iter().map(|run| run.phase).collect();
    assert_eq!(phases, [At::Failed, At::Cancelled]);
}
