//! Runs that a person has run again at their service, under the id they have.

use refit_core::run::Phase;
use refit_testkit::fake::stage::Github;

use crate::GITHUB;
use crate::world::World;

async fn started() -> World {
    let double = Box::new(Github { details: true });
    let world = World::new(double, GITHUB, "workflow: retrain.yml, ref: main").await;
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().phase == Phase::Running).await;
    world
}

#[tokio::test]
async fn a_run_that_runs_again_before_its_end_was_seen_is_followed_to_its_new_end() {
    let world = started().await;
    world.stage.fail();
    world.stage.reopen();
    world.passes(20).await;
    assert!(world.run().await.is_active(), "its first end was not its end");
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Succeeded);
    assert_eq!(world.stage.starts(), 1);
}

#[tokio::test]
async fn an_end_that_was_seen_stays_the_end_of_a_run_that_runs_again() {
    let world = started().await;
    world.stage.fail();
    world.until("it is over", |run| run.finished.is_some()).await;
    let known = world.run().await;
    world.stage.reopen();
    world.passes(20).await;
    world.stage.finish();
    world.passes(20).await;
    assert_eq!(world.run().await, known);
    assert_eq!((known.attempt().phase, world.stage.starts()), (Phase::Failed, 1));
}
