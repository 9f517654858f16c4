//! A version that is deployed to an endpoint, and the one that was there before it.

use refit_core::event::Command;
use refit_core::run::Phase;
use refit_core::state::State;
use refit_testkit::fake::stage::{Phase as At, VertexEndpoint};

use crate::world::World;

fn finished(state: &State) -> Vec<Phase> {
    state.runs.values().filter_map(|run| Some(run.finished?.phase)).collect()
}

/// An endpoint to which a version is deployed.
async fn deployed() -> World {
    let service = "vertex_endpoint: { project: acme, location: europe-west4 }";
    let run = "name: \"4567\", parameters: { model: \"churn@${ batch.count }\" }";
    let world = World::new(Box::new(VertexEndpoint), service, run).await;
    world.deliver("1").await;
    world.until_over("it is deployed", |state| finished(state) == [Phase::Succeeded]).await;
    world
}

fn seen(world: &World) -> Vec<At> {
    world.stage.runs().iter().map(|run| run.phase).collect()
}

#[tokio::test]
async fn a_deployment_takes_the_place_of_the_one_before_it() {
    let world = deployed().await;
    assert_eq!(seen(&world), [At::Succeeded], "nothing is taken out before");
    world.deliver("2").await;
    world.until_over("the next is deployed", |state| finished(state).len() == 2).await;
    assert_eq!(finished(&world.state().await), [Phase::Succeeded, Phase::Succeeded]);
    assert_eq!(seen(&world), [At::Cancelled, At::Succeeded], "the first is undeployed");
}

#[tokio::test]
async fn a_deployment_that_is_ended_leaves_the_one_before_it() {
    let world = deployed().await;
    world.deliver("2").await;
    world.until("it is made", |run| run.is_active() && run.attempt().external.is_some()).await;
    let state = world.state().await;
    let made = state.runs.values().find(|run| run.is_active()).unwrap().batch;
    world.command(Command::Cancel { run: made.to_string() }).await;
    world.passes(20).await;
    assert_eq!(finished(&world.state().await), [Phase::Succeeded, Phase::Cancelled]);
    assert_eq!(seen(&world), [At::Succeeded, At::Cancelled]);
}
