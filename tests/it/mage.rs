//! Runs on Mage itself, which is independent of us.

use refit_core::run::Phase;
use refit_testkit::counterpart::Kind;
use refit_testkit::fake::kfp::{Kfp, Options};
use serde_json::{Value, json};

use crate::patience::call;
use crate::world::{World, upload};

/// The API trigger of `counterparts/mage/serve`, whose token is the secret that `tick` knows under this name.
fn rules(place: &str) -> String {
    format!(
        "services:\n\
         \x20 mage: {{ mage: {{ endpoint: \"http://{place}\" }} }}\n\
         triggers:\n\
         \x20 churn:\n\
         \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
         \x20   batch: {{ quiet: 1s, max_wait: 1m }}\n\
         \x20   run:\n\
         \x20     service: mage\n\
         \x20     schedule: 1\n\
         \x20     token: {{ env: KFP_TOKEN }}\n\
         \x20     parameters: {{ manifest: \"${{ batch.manifest }}\" }}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_mage_is_started_once_and_followed_to_its_end() {
    let test = "mage::a_run_of_mage_is_started_once_and_followed_to_its_end";
    let Some(mage) = Kind::Mage.start(test) else { return };
    let world = World::new(Kfp::closed(Options::default())).await;
    let applied = world.apply(&rules(mage.place())).await;
    assert!(applied.ok, "{}", applied.message);
    for name in ["churn/a", "churn/b"] {
        let reply = world.deliver(&upload(name, 1, name)).await;
        assert_eq!(reply.status, 204, "{}", reply.body);
    }
    let report = world.settle().await;
    assert_eq!(report.runs, 1);
    let state = world.state().await;
    let run = state.runs.values().next().unwrap();
    assert_eq!(run.finished.map(|it| it.phase), Some(Phase::Succeeded), "{run:#?}");
    let listed = call(mage.place(), "GET /api/pipeline_runs?pipeline_schedule_id=1", "", b"").await;
    let listed: Value = listed.unwrap().json();
    let found = listed["pipeline_runs"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{listed}");
    assert_eq!(found[0]["status"], "completed");
    assert_eq!(found[0]["variables"]["refit_key"], json!(run.attempt().key));
}
