//! A segment that a wrong clock hid from the listings, and the pass of a day that looks for such.

use refit_core::run::Phase;
use refit_core::time::Span;
use refit_testkit::fake::stage::Vertex;

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
