//! A ledger that is replaced by an older copy of itself while processes go on.

use refit_core::mutant::{Mutant, activate};
use refit_testkit::fake::stage::Vertex;

use crate::world::World;

const VERTEX: &str = "vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme }";
const RUN: &str = "template: https://europe-west4-kfp.pkg.dev/acme/pipelines/churn/stable, parameters: { manifest: \"${ batch.manifest }\" }";

/// A world that two processes know, of which the last commits are gone.
async fn restored() -> World {
    let world = World::new(Box::new(Vertex), VERTEX, RUN).await;
    world.deliver("1").await;
    world.until("it runs", |run| run.attempt().external.is_some()).await;
    world.passes(4).await;
    let seen = world.state().await.seq;
    world.forget(seen - 1).await;
    world
}

/// Has the process that knows more make a pass with something to write down, and says why it did not.
async fn refused(world: &World) -> String {
    world.deliver("2").await;
    let before = world.state().await.seq;
    let error = world.pass_of_first().await.unwrap_err();
    assert_eq!(world.state().await.seq, before, "it wrote nothing");
    error.to_string()
}

#[tokio::test]
async fn a_process_that_has_seen_more_refuses_a_shorter_log() {
    let world = restored().await;
    world.pass_of_first().await.unwrap();
    let said = refused(&world).await;
    assert!(said.contains("`refit fsck --restored`"), "{said}");
    assert!(refused(&world).await.contains("shorter"), "as long as it goes on");
}

#[tokio::test]
async fn a_process_that_has_seen_other_commits_refuses_a_log_that_has_grown_again() {
    let world = restored().await;
    world.deliver("3").await;
    world.within_time(world.begin("cold").pass()).await.unwrap();
    let said = refused(&world).await;
    assert!(said.contains("or another"), "{said}");
    assert!(refused(&world).await.contains("or another"), "as long as it goes on");
}

/// No schedule restores a ledger: this is what kills the mutant.
#[tokio::test]
async fn without_a_look_at_the_log_a_gap_is_written() {
    activate(Some(Mutant::RestorationUnseen));
    let world = restored().await;
    let seen = world.state().await.seq;
    world.deliver("2").await;
    let passed = world.pass_of_first().await;
    let beyond = world.is_written(seen + 3).await;
    activate(None);
    assert!(passed.is_ok() && beyond, "the mutant is noticed");
}
