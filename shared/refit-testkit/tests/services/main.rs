//! Every service through every trouble with a start, by the real engine: two reconcilers at once on one ledger, and an
//! event that is delivered twice. One run is to survive.
//!
//! The services are stand-ins of ours. That of Kubeflow listens as well, with tests beside the functions.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod agenda;
mod deployed;
mod guards;
mod held;
mod hidden;
mod line;
mod models;
mod notices;
mod post;
mod reading;
mod reopened;
mod restored;
mod shelf;
mod sweeping;
mod world;

use std::fmt::Write as _;

use refit_core::run::Phase;
use refit_core::time::Span;
use refit_testkit::fake::stage::{
    CloudBuild, CloudRun, CloudRunService, Described, Double, Github, Kubeflow, Mage, Phase as At,
    Trouble, Vertex, VertexEndpoint,
};

use crate::world::World;

/// A service in a rule file, what a run is of, and what stands in for it.
struct Case {
    name: &'static str,
    /// How many runs there are in the end where a start takes effect after it was given up: one where the key is
    /// known, or where the late request is of a kind the server refuses.
    late_runs: usize,
    service: &'static str,
    run: &'static str,
    double: fn() -> Box<dyn Double + Sync>,
}

const STATUS: &str = "status: { path: \"/runs/{run}\", state: /state, states: { succeeded: [done], failed: [error], \
                      cancelled: [stopped], running: [active] } }, cancel: { path: \"/runs/{run}/stop\" }";

const GITHUB: &str = "github_actions: { repository: acme/training, auth: { bearer: { env: T } } }";

const KUBEFLOW: &str = "kubeflow: { endpoint: \"http://kfp\" }";
const KUBEFLOW_BEFORE_2: &str = "kubeflow: { endpoint: \"http://kfp\", api: v1beta1 }";
const CHURN: &str = "pipeline: churn, parameters: { manifest: \"${ batch.manifest }\" }";

const CASES: [Case; 13] = [
    Case {
        name: "vertex",
        late_runs: 1,
        service: "vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme }",
        run: "template: https://europe-west4-kfp.pkg.dev/acme/pipelines/churn/stable, \
              parameters: { manifest: \"${ batch.manifest }\" }",
        double: || Box::new(Vertex),
    },
    Case {
        name: "vertex_endpoint",
        late_runs: 2,
        service: "vertex_endpoint: { project: acme, location: europe-west4 }",
        run: "name: \"4567\", parameters: { model: \"churn@${ batch.count }\" }",
        double: || Box::new(VertexEndpoint),
    },
    Case {
        name: "cloud_build",
        late_runs: 2,
        service: "cloud_build: { project: acme }",
        run: "trigger: train, parameters: { _DATA: \"${ batch.manifest }\" }",
        double: || Box::new(CloudBuild),
    },
    Case {
        name: "cloud_run",
        late_runs: 2,
        service: "cloud_run: { project: acme, location: europe-west4 }",
        run: "job: train, parameters: { DATA: \"${ batch.manifest }\" }",
        double: || Box::new(CloudRun),
    },
    Case {
        name: "cloud_run_service",
        late_runs: 1,
        service: "cloud_run_service: { project: acme, location: europe-west4 }",
        run: "name: churn-api, parameters: { DATA: \"${ batch.manifest }\" }",
        double: || Box::new(CloudRunService),
    },
    Case {
        name: "github, with run details",
        late_runs: 2,
        service: GITHUB,
        run: "workflow: retrain.yml, ref: main",
        double: || Box::new(Github { details: true }),
    },
    Case {
        name: "github, an older server",
        late_runs: 1,
        service: GITHUB,
        run: "workflow: retrain.yml, ref: main",
        double: || Box::new(Github { details: false }),
    },
    Case {
        name: "github, by event",
        late_runs: 2,
        service: GITHUB,
        run: "workflow: retrain.yml, event_type: retrain",
        double: || Box::new(Github { details: true }),
    },
    Case {
        name: "kubeflow, v2beta1",
        late_runs: 2,
        service: KUBEFLOW,
        run: CHURN,
        double: || Box::new(Kubeflow::wanting("manifest")),
    },
    Case {
        name: "kubeflow, v1beta1",
        late_runs: 2,
        service: KUBEFLOW_BEFORE_2,
        run: CHURN,
        double: || Box::new(Kubeflow::wanting("manifest")),
    },
    Case {
        name: "mage",
        late_runs: 2,
        service: "mage: { endpoint: \"http://127.0.0.1:6789\" }",
        run: "schedule: 7, token: { env: T }",
        double: || Box::new(Mage),
    },
    Case {
        name: "http, with keys",
        late_runs: 1,
        service: "http: { endpoint: \"http://127.0.0.1\", repeatable: true, \
                  start: { path: \"/runs/{key}\", run: /id }, \
                  find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }",
        run: "parameters: {}",
        double: || Box::new(Described { takes_keys: true }),
    },
    Case {
        name: "http, without keys",
        late_runs: 2,
        service: "http: { endpoint: \"http://127.0.0.1\", start: { path: \"/runs/{key}\", run: /id }, \
                  find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }",
        run: "parameters: {}",
        double: || Box::new(Described { takes_keys: false }),
    },
];

/// How a start goes wrong, and from how many looks its run hides.
const TROUBLES: [(&str, Option<Trouble>, u32); 9] = [
    ("nothing goes wrong", None, 0),
    ("connection refused", Some(Trouble::Refused), 0),
    ("503, nothing done", Some(Trouble::Unavailable), 0),
    ("429, nothing done", Some(Trouble::TooMany), 0),
    ("no answer, nothing done", Some(Trouble::Closed), 0),
    ("done, no answer", Some(Trouble::AnswerLost), 0),
    ("done, 500", Some(Trouble::FailedAfter), 0),
    ("done, no answer, hidden for a while", Some(Trouble::AnswerLost), 3),
    ("done late, by when it was given up", Some(Trouble::Late), 0),
];

/// What came of one case with one trouble.
struct Played {
    runs: usize,
    surviving: usize,
}

async fn play(case: &Case, trouble: Option<Trouble>, hidden: u32) -> Played {
    let service = case.service.replace("STATUS", STATUS);
    let world = World::new((case.double)(), &service, case.run).await;
    trouble.into_iter().for_each(|trouble| world.stage.trouble(trouble));
    world.stage.hide_next(hidden);
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.release();
    world.deliver("1").await;
    world.passes(80).await;
    let run = world.run().await;
    let id = run.attempt().external.clone().unwrap().id;
    let runs = world.stage.runs();
    let surviving: Vec<_> = runs.iter().filter(|run| run.phase == At::Running).collect();
    assert!(surviving.iter().all(|run| id.ends_with(&run.id)), "{}: {runs:?}", case.name);
    let result = Played { runs: runs.len(), surviving: surviving.len() };
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    let phase = world.run().await.finished.unwrap().phase;
    assert_eq!(phase, Phase::Succeeded, "{}", case.name);
    result
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table is the result")]
async fn one_run_survives_whatever_goes_wrong_with_its_start() {
    let mut table =
        format!("{:<28} {:<40} {:>5} {:>10}\n", "service", "trouble", "runs", "surviving");
    for case in CASES {
        for (words, trouble, hidden) in TROUBLES {
            let Played { runs, surviving } = play(&case, trouble, hidden).await;
            let _ = writeln!(table, "{:<28} {words:<40} {runs:>5} {surviving:>10}", case.name);
            assert_eq!(surviving, 1, "{}: {words}", case.name);
            let wanted = if trouble == Some(Trouble::Late) { case.late_runs } else { 1 };
            assert_eq!(runs, wanted, "{}: {words}", case.name);
        }
    }
    println!("{table}");
}

#[tokio::test]
async fn a_shadow_that_a_start_sent_twice_on_its_way_leaves_at_kubeflow_is_seen_here() {
    let world = World::new(Box::new(Kubeflow::wanting("manifest")), KUBEFLOW, CHURN).await;
    world.stage.trouble(Trouble::Twice);
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    let runs = world.stage.runs();
    assert_eq!((world.stage.starts(), runs.len()), (1, 2), "a shadow does not go unseen");
    assert_eq!(runs[0].id, runs[1].id);
}

#[tokio::test]
async fn a_service_without_look_up_leaves_an_unclear_start_to_a_person() {
    let service = "http: { endpoint: \"http://127.0.0.1\", start: { path: \"/runs/{key}\", run: /id }, STATUS }";
    let service = service.replace("STATUS", STATUS);
    let double = Box::new(Described { takes_keys: false });
    let world = World::new(double, &service, "parameters: {}").await;
    world.stage.trouble(Trouble::AnswerLost);
    world.deliver("1").await;
    world.until("nobody knows", |run| run.attempt().phase == Phase::Uncertain).await;
    world.passes(80).await;
    assert_eq!((world.stage.runs().len(), world.stage.starts()), (1, 1), "it is not started again");
}

#[tokio::test]
async fn an_answer_is_waited_for_as_long_as_whoever_asks_will() {
    let Case { service, run, double, .. } = &CASES[0];
    let world = World::new(double(), service, run).await;
    let answer = world.answered(Span::mins(5), Span::mins(6)).await.unwrap();
    assert_eq!((answer.ok, answer.message.as_str()), (true, "paused: trigger=`churn`"));
    assert_eq!(world.answered(Span::mins(5), Span::mins(4)).await, None);
}
