//! Services in trouble: what waits is held with its reason, and goes on by itself.

use refit_core::reason::Hold;
use refit_core::run::Phase;
use refit_core::state::State;
use refit_testkit::fake::kfp::{Ask, Kfp, Options, Phase as At, Trouble};
use refit_testkit::fake::metadata::Metadata;

use crate::world::{Api, World, upload};

const GENERATION: u64 = 1_767_614_397_000_000;
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";

async fn applied(world: &World, service: &str) {
    let answer = world.apply(&world.rules(Api::V2beta1, service, RULE)).await;
    assert!(answer.ok, "{}", answer.message);
}

async fn uploaded(world: &World, name: &str) {
    let reply = world.deliver(&upload(name, GENERATION, name)).await;
    assert_eq!(reply.status, 204, "{}", reply.body);
}

fn held(state: &State) -> Option<Hold> {
    let batch = state.triggers.get("churn")?.open.values().next()?;
    batch.held.map(|held| held.reason)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_waits_for_a_service_that_cannot_be_reached_and_starts_once_it_can() {
    let world = World::new(Kfp::closed(Options::default())).await;
    applied(&world, "").await;
    uploaded(&world, "churn/a").await;
    let is_held = |state: &State| held(state) == Some(Hold::Unprepared);
    let state = world.until("the batch is held", is_held).await;
    let trouble = state.triggers["churn"].trouble.clone().expect("the trouble is stated");
    assert!(trouble.message.contains("no connection"), "{}", trouble.message);
    uploaded(&world, "churn/b").await;
    world.kfp.open();
    let report = world.settle().await;
    assert_eq!((report.runs, world.runs().len()), (1, 1));
    assert_eq!(world.members(&world.runs()[0]).await.len(), 2, "what came meanwhile is in");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_asks_to_wait_is_left_alone_and_then_asked_again() {
    let world = World::new(Kfp::start(Options::default())).await;
    applied(&world, "").await;
    world.kfp.trouble(Ask::Start, Trouble::TooMany(1));
    world.kfp.trouble(Ask::Start, Trouble::TooMany(1));
    uploaded(&world, "churn/a").await;
    world.settle().await;
    let starts = world.kfp.seen().iter().filter(|seen| seen.ask == Ask::Start).count();
    assert_eq!((world.runs().len(), starts), (1, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_hides_for_a_while_is_not_started_again() {
    let world = World::new(Kfp::start(Options::default())).await;
    applied(&world, "").await;
    world.kfp.trouble(Ask::Start, Trouble::AnswerLost);
    world.kfp.hide_next(3);
    uploaded(&world, "churn/a").await;
    world.settle().await;
    assert_eq!(world.runs().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_takes_effect_late_is_ended_when_it_shows_itself() {
    let world = World::new(Kfp::start(Options { looks: None, ..Options::default() })).await;
    applied(&world, "").await;
    world.kfp.trouble(Ask::Start, Trouble::Late);
    uploaded(&world, "churn/a").await;
    let second = |state: &State| {
        state.runs.values().any(|run| run.attempts.len() == 2 && run.attempt().is_live())
    };
    world.until("the key is given up, and a new attempt runs", second).await;
    world.kfp.release();
    let both = || world.kfp.runs().len() == 2;
    let ended = |_: &State| both() && world.kfp.runs()[1].phase() == At::Failed;
    world.until("the late one is ended", ended).await;
    let runs = world.runs();
    assert_eq!(runs[0].phase(), At::Running, "the one that counts goes on");
    world.kfp.end(&runs[0].id, At::Succeeded);
    world.settle().await;
    let state = world.state().await;
    let run = state.runs.values().next().unwrap();
    assert_eq!(run.finished.map(|finished| finished.phase), Some(Phase::Succeeded));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_expired_is_replaced() {
    let metadata = Metadata::start();
    let judge = Some(metadata.judge());
    let options = Options { judge, looks: None, login_status: 401, ..Options::default() };
    let world = World::with_metadata(Kfp::start(options), metadata).await;
    applied(&world, ", auth: { id_token: { audience: \"http://127.0.0.1\" } }").await;
    uploaded(&world, "churn/a").await;
    let runs = |state: &State| state.runs.values().any(|run| run.attempt().is_live());
    world.until("a run is under way", runs).await;
    let before = world.metadata.given();
    world.metadata.expire();
    world.kfp.end(&world.kfp.runs()[0].id, At::Succeeded);
    world.settle().await;
    assert_eq!(world.runs().len(), 1);
    assert_eq!(world.metadata.given(), before + 1, "one new token was asked for");
}
