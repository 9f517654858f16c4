//! Versions of models through every trouble with their registry, by the real engine: two reconcilers at once.

use refit_core::event::Command;
use refit_core::mutant::{Mutant, activate};
use refit_core::promotion::{PromotionPhase, Says, Stage, Statement};
use refit_core::state::State;
use refit_testkit::fake::mlflow::Mishap;
use refit_testkit::fake::stage::Described;

use crate::STATUS;
use crate::world::{Extra, World};

const SERVICE: &str = "http: { endpoint: \"http://127.0.0.1\", repeatable: true, \
                       start: { path: \"/runs/{key}\", run: /id }, \
                       find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }";

const REGISTRY: &str =
    "registries: { models: { mlflow: { endpoint: \"http://mlflow:5000\", experiment: churn } } }\n";
/// The same, where the stages of old are given as well.
const WITH_STAGES: &str = "registries: { models: { mlflow: { endpoint: \"http://mlflow:5000\", experiment: churn, stages: true } } }\n";

/// What becomes of a version, and what listens to it.
const PROMOTE: &str =
    "    promote: { registry: models, model: churn, gate: { auc: { min: 0.9, drop: 0.1 } },
      staging: { approvals: 0 }, acceptance: test, production: { approvals: 0 } }
  test:
    on: { model: { model: churn, stage: staging } }
    run: { service: x, parameters: {} }
  deploy:
    on: { model: { model: churn, stage: production } }
    run: { service: x, parameters: {} }
";

/// How what changes the registry goes wrong.
const MISHAPS: [Option<Mishap>; 5] = [
    None,
    Some(Mishap::TooMany),
    Some(Mishap::Closed),
    Some(Mishap::AnswerLost),
    Some(Mishap::FailedAfter),
];

async fn world(registry: &str) -> World {
    let extra = Extra { top: registry, of_trigger: PROMOTE };
    let service = SERVICE.replace("STATUS", STATUS);
    let double = Box::new(Described { takes_keys: true });
    World::with(double, &service, "parameters: {}", extra).await
}

/// Whether a version was promoted, and what was deployed of it runs no more.
fn is_over(state: &State) -> bool {
    let promoted = |state: &State| {
        let mut all = state.models.values().flat_map(|model| model.promotions.values());
        all.any(|promotion| promotion.phase == PromotionPhase::Promoted)
    };
    promoted(state) && state.runs.values().all(|run| run.finished.is_some())
}

/// Has a version made and promoted while the registry goes wrong; how many versions there are then.
async fn promoted(registry: &str, mishap: Option<Mishap>) -> (World, usize) {
    let world = world(registry).await;
    // One for each of what changes the registry: a version, and two stages, each an alias and a stage of old.
    (0..5).filter_map(|_| mishap).for_each(|mishap| world.shelf.mlflow.mishap(mishap));
    for path in [
        "model-versions/create",
        "registered-models/get",
        "registered-models/alias",
        "model-versions/transition-stage",
    ] {
        world.shelf.refuse(path);
    }
    world.deliver("1").await;
    world.until_over("it is promoted", is_over).await;
    let versions = world.shelf.mlflow.versions();
    (world, versions)
}

#[tokio::test]
async fn one_version_is_registered_whatever_goes_wrong() {
    let both = [(REGISTRY, "None"), (WITH_STAGES, "Production")];
    let cases = both.into_iter().flat_map(|row| MISHAPS.map(|mishap| (row, mishap)));
    for ((registry, stage), mishap) in cases {
        let (world, versions) = promoted(registry, mishap).await;
        assert_eq!(versions, 1, "{mishap:?}");
        assert_eq!(world.shelf.mlflow.stage("1"), stage, "{mishap:?}");
        assert_eq!(world.shelf.mlflow.alias("production").as_deref(), Some("1"), "{mishap:?}");
        assert_eq!(world.shelf.mlflow.alias("staging").as_deref(), Some("1"), "{mishap:?}");
        let runs: Vec<String> =
            world.state().await.runs.values().map(|run| run.trigger.clone()).collect();
        assert_eq!(runs, ["churn", "test", "deploy"], "{mishap:?}");
        assert_eq!(world.stage.runs().len(), 3, "{mishap:?}: each is started once");
    }
}

/// The simulation draws no registries: this is what kills the mutant.
#[tokio::test]
async fn without_a_look_up_a_version_is_registered_twice() {
    activate(Some(Mutant::RegisteredWithoutLookUp));
    let (_, versions) = promoted(REGISTRY, Some(Mishap::AnswerLost)).await;
    activate(None);
    assert!(versions > 1, "the mutant is noticed: {versions}");
}

#[tokio::test]
async fn what_a_person_moves_is_noted_and_a_rollback_takes_it_back() {
    let (world, _) = promoted(WITH_STAGES, None).await;
    world.shelf.mlflow.set_alias("production", "7");
    let holder = |state: &State| {
        state.models["churn"].holders.get(&Stage::Production).map(|it| it.version.clone())
    };
    world.until_over("it is noted", |state| holder(state).as_deref() == Some("7")).await;
    assert_eq!(world.stage.runs().len(), 3, "that starts nothing");
    let says = Statement {
        model: "churn".to_owned(),
        version: "7".to_owned(),
        says: Says::Rollback,
        stage: None,
        request: None,
        person: "ann".to_owned(),
        reason: String::new(),
    };
    world.command(Command::Promotion(says)).await;
    world.until_over("it is back", |state| holder(state).as_deref() == Some("1")).await;
    assert_eq!(world.shelf.mlflow.alias("production").as_deref(), Some("1"));
    assert_eq!(world.shelf.mlflow.stage("1"), "Production");
    world
        .until_over("it is deployed again", |state| {
            is_over(state) && state.runs.values().filter(|run| run.trigger == "deploy").count() == 2
        })
        .await;
}
