//! Segments that listings do not show or that reads damage, and what becomes of them.

use std::sync::Arc;

use refit_core::run::Phase;
use refit_core::time::Span;
use refit_testkit::fake::stage::Vertex;

use crate::held::Held;
use crate::world::World;

const VERTEX: &str = "vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme }";
const RUN: &str = "template: https://europe-west4-kfp.pkg.dev/acme/pipelines/churn/stable, parameters: { manifest: \"${ batch.manifest }\" }";

#[tokio::test]
async fn what_no_listing_shows_is_found_once_by_the_pass_of_a_day() {
    let world = World::new(Box::new(Vertex), VERTEX, RUN).await;
    world.passes(4).await;
    world.hide("late", Span::days(3)).await;
    world.passes(20).await;
    assert!(world.state().await.runs.is_empty(), "no listing reaches so far back");
    world.rest(Span::hours(25));
    world.until("it has a run", |run| run.attempt().phase != Phase::Pending).await;
    assert_eq!(world.run().await.facts.count, 1);
    world.stage.finish();
    for _ in 0..2 {
        world.rest(Span::hours(25));
        world.passes(20).await;
    }
    let run = world.run().await;
    assert_eq!(run.finished.unwrap().phase, Phase::Succeeded, "the next days know it");
}

#[tokio::test]
async fn a_segment_that_one_read_damages_is_read_again() {
    let rules = format!(
        "services:\n  x: {{ {VERTEX} }}\ntriggers:\n  churn:\n    on: {{ message: {{ type: new }} }}\n    \
         batch: {{ quiet: 1s, max_wait: 1m }}\n    run: {{ service: x, {RUN} }}\n"
    );
    let mut between = None;
    let world = World::under(Box::new(Vertex), &rules, |store| {
        let held = Arc::new(Held::new(store));
        between = Some(Arc::clone(&held));
        held
    });
    let world = world.await;
    world.deliver("1").await;
    between.unwrap().damage_next_segment();
    world.until("it has a run", |run| run.facts.count == 1).await;
}
