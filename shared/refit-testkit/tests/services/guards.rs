//! Pipelines whose first step is a guard, on services that know no keys: one run has effect, whatever goes wrong with
//! its start and whichever run comes to its guard first, and that run is the one that is followed.
//!
//! The store of the claims and the guards are ours; the program of `examples/guard` has tests of its own.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use refit_core::event::Command;
use refit_core::run::Phase;
use refit_engine::port::Transport;
use refit_testkit::fake::stage::{
    CloudBuild, CloudRun, Described, Github, Kubeflow, Mage, Phase as At, Run, Stage, Trouble,
};
use refit_wire::http::{Reply, Request, Response};
use serde_json::json;

use crate::shelf::Shelf;
use crate::world::World;
use crate::{Case, GITHUB, KUBEFLOW, KUBEFLOW_BEFORE_2, STATUS};

/// Where claims are read.
const HOST: &str = "storage.googleapis.com";
/// Where the claims of the tests lie.
const BUCKET: &str = "gs://acme-guards/";

/// The bucket of the claims, and everything behind it.
pub(crate) struct Guards {
    behind: Arc<Shelf>,
    /// Who has made each claim: the key it was started under, and its id.
    claims: Mutex<BTreeMap<String, (String, String)>>,
    is_closed: AtomicBool,
}

impl Guards {
    pub(crate) fn new(behind: Arc<Shelf>) -> Self {
        Self { behind, claims: Mutex::default(), is_closed: AtomicBool::new(false) }
    }

    /// Has the bucket answer with 503, or answer again.
    fn close(&self, is_closed: bool) {
        self.is_closed.store(is_closed, Ordering::SeqCst);
    }

    /// The ids of the runs that have effect.
    fn effective(&self) -> Vec<String> {
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        claims.values().map(|(_, id)| id.clone()).collect()
    }

    /// The first step of a run: it makes the claim it was told to, or stands down.
    fn step(&self, run: &Run, stage: &Stage) {
        let claim = told(run);
        let mut claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, holder) = claims.entry(claim).or_insert_with(|| (run.key.clone(), run.id.clone()));
        if *holder != run.id {
            stage.end_one(&run.id, At::Succeeded);
        }
    }

    /// The first steps of all runs that are under way.
    fn step_all(&self, stage: &Stage, newest_first: bool) {
        let mut runs = stage.runs();
        if newest_first {
            runs.reverse();
        }
        runs.iter().filter(|run| run.phase == At::Running).for_each(|run| self.step(run, stage));
    }
}

/// The claim a run was told to make, wherever its service has put it.
fn told(run: &Run) -> String {
    let text = run.body.to_string();
    let from = text.find(BUCKET).unwrap_or_else(|| panic!("no claim: {text}"));
    text[from..].split(['"', '\\']).next().unwrap().to_owned()
}

/// What a guard is to call its run: on Cloud Run `JOB/EXECUTION`, elsewhere the service's id.
fn called(id: &str) -> String {
    if id.starts_with("train-") { format!("train/{id}") } else { id.to_owned() }
}

#[async_trait]
impl Transport for Guards {
    async fn send(&self, request: Request) -> Reply {
        if request.url.host_str() != Some(HOST) {
            return self.behind.send(request).await;
        }
        if self.is_closed.load(Ordering::SeqCst) {
            return Ok(Response { status: 503, ..Response::default() });
        }
        let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
        let path: Vec<_> = request.url.path_segments().unwrap().map(decode).collect();
        let [.., bucket, _, name] = path.as_slice() else { panic!("{path:?}") };
        let claims = self.claims.lock().unwrap_or_else(PoisonError::into_inner);
        let claim = claims.get(&format!("gs://{bucket}/{name}"));
        Ok(claim.map_or(Response { status: 404, ..Response::default() }, |(key, run)| {
            let body = json!({ "v": 1, "key": key, "run": called(run) }).to_string().into();
            Response { status: 200, body, ..Response::default() }
        }))
    }
}

const DESCRIBED: &str = "http: { endpoint: \"http://127.0.0.1\", \
     start: { path: \"/runs/{key}\", run: /id, body: { with: \"{parameters}\" } }, \
     find: { path: \"/runs?key={key}\", list: /runs, key: /key, run: /id }, STATUS }";

const TOLD: &str = "parameters: { claim: \"${ run.claim }\" }";

const CASES: [Case; 9] = [
    Case {
        name: "cloud_build",
        late_runs: 2,
        service: "cloud_build: { project: acme }",
        run: "trigger: train, parameters: { _CLAIM: \"${ run.claim }\" }",
        double: || Box::new(CloudBuild),
    },
    Case {
        name: "cloud_run",
        late_runs: 2,
        service: "cloud_run: { project: acme, location: europe-west4 }",
        run: "job: train, parameters: { CLAIM: \"${ run.claim }\" }",
        double: || Box::new(CloudRun),
    },
    Case {
        name: "github, with run details",
        late_runs: 2,
        service: GITHUB,
        run: "workflow: retrain.yml, ref: main, TOLD",
        double: || Box::new(Github { details: true }),
    },
    Case {
        name: "github, an older server",
        late_runs: 1,
        service: GITHUB,
        run: "workflow: retrain.yml, ref: main, TOLD",
        double: || Box::new(Github { details: false }),
    },
    Case {
        name: "github, by event",
        late_runs: 2,
        service: GITHUB,
        run: "workflow: retrain.yml, event_type: retrain, TOLD",
        double: || Box::new(Github { details: true }),
    },
    Case {
        name: "mage",
        late_runs: 2,
        service: "mage: { endpoint: \"http://127.0.0.1:6789\" }",
        run: "schedule: 7, token: { env: T }, TOLD",
        double: || Box::new(Mage),
    },
    Case {
        name: "http, without keys",
        late_runs: 2,
        service: DESCRIBED,
        run: "TOLD",
        double: || Box::new(Described { takes_keys: false }),
    },
    Case {
        name: "kubeflow, v2beta1",
        late_runs: 2,
        service: KUBEFLOW,
        run: "pipeline: churn, TOLD",
        double: || Box::new(Kubeflow::wanting("claim")),
    },
    Case {
        name: "kubeflow, v1beta1",
        late_runs: 2,
        service: KUBEFLOW_BEFORE_2,
        run: "pipeline: churn, TOLD",
        double: || Box::new(Kubeflow::wanting("claim")),
    },
];

/// How a start goes wrong, and from how many looks its run hides.
const TROUBLES: [(&str, Option<Trouble>, u32); 6] = [
    ("nothing goes wrong", None, 0),
    ("done, no answer", Some(Trouble::AnswerLost), 0),
    ("done, 500", Some(Trouble::FailedAfter), 0),
    ("done, no answer, hidden for a while", Some(Trouble::AnswerLost), 3),
    ("done late, by when it was given up", Some(Trouble::Late), 0),
    ("done twice", Some(Trouble::Twice), 0),
];

/// Which run comes to its guard first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    /// Each as soon as it begins, so that what comes late finds the claim made.
    Early,
    /// The oldest of all that have begun.
    Oldest,
    /// The newest of all that have begun.
    Newest,
}

async fn world_of(case: &Case) -> World {
    let service = case.service.replace("STATUS", STATUS);
    let run = format!("guard: {BUCKET}churn, {}", case.run.replace("TOLD", TOLD));
    World::new((case.double)(), &service, &run).await
}

/// Plays one case, and answers with the runs that began and those that had effect.
async fn play(
    case: &Case,
    (trouble, hidden): (Option<Trouble>, u32),
    first: First,
) -> (usize, usize) {
    let world = world_of(case).await;
    let guards = &world.guards;
    trouble.into_iter().for_each(|trouble| world.stage.trouble(trouble));
    world.stage.hide_next(hidden);
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    if first == First::Early {
        guards.step_all(&world.stage, false);
    }
    world.stage.release();
    world.deliver("1").await;
    world.passes(80).await;
    guards.step_all(&world.stage, first == First::Newest);
    world.passes(80).await;
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    let (run, runs) = (world.run().await, world.stage.runs());
    let effective = guards.effective();
    let words = format!("{}: {trouble:?}, {first:?}: {runs:#?}\n{run:#?}", case.name);
    assert_eq!(run.finished.unwrap().phase, Phase::Succeeded, "{words}");
    let followed = run.attempt().external.as_ref().unwrap();
    let ended = runs.iter().filter(|run| effective.contains(&run.id));
    assert!(ended.clone().all(|run| run.phase == At::Succeeded), "it was let alone: {words}");
    assert!(effective.iter().all(|id| followed.is_called(id)), "it is followed: {words}");
    (runs.len(), ended.count())
}

/// Whether a guard can help: two runs of one id, which one start that is sent twice makes there, both hold the claim.
fn can_be_guarded(case: &Case, trouble: Option<Trouble>) -> bool {
    case.service != KUBEFLOW || trouble != Some(Trouble::Twice)
}

#[tokio::test]
#[expect(clippy::print_stdout, reason = "the table is the result")]
async fn one_run_has_effect_whatever_goes_wrong_with_its_start() {
    let mut table = format!(
        "{:<26} {:<36} {:<7} {:>5} {:>10}\n",
        "service", "trouble", "first", "runs", "effective"
    );
    for case in CASES {
        let troubles =
            TROUBLES.into_iter().filter(|(_, trouble, _)| can_be_guarded(&case, *trouble));
        for (words, trouble, hidden) in troubles {
            for first in [First::Early, First::Oldest, First::Newest] {
                let (runs, effective) = play(&case, (trouble, hidden), first).await;
                let _ = writeln!(
                    table,
                    "{:<26} {words:<36} {:<7} {runs:>5} {effective:>10}",
                    case.name,
                    format!("{first:?}")
                );
                assert_eq!(effective, 1, "{}: {words}, {first:?}", case.name);
                let wanted = match trouble {
                    Some(Trouble::Late | Trouble::Twice) => case.late_runs,
                    _ => 1,
                };
                assert_eq!(runs, wanted, "{}: {words}, {first:?}", case.name);
            }
        }
    }
    println!("{table}");
}

/// A start is given up and takes effect late, what follows it is put off, and a person cancels the run then: how it
/// ends, and how many had effect.
async fn cancelled_unstarted(case: &Case) -> (Phase, usize) {
    let world = world_of(case).await;
    world.stage.trouble(Trouble::Late);
    (0..40).for_each(|_| world.stage.trouble(Trouble::TooMany));
    world.deliver("1").await;
    let is_put_off =
        |run: &refit_core::run::Run| run.attempts.len() == 2 && run.attempt().not_before.is_some();
    world.until("its second start is put off", is_put_off).await;
    world.stage.release();
    world.guards.step_all(&world.stage, false);
    world.stage.finish();
    let run = world.run().await.batch.to_string();
    world.command(Command::Cancel { run }).await;
    world.until("it is over", |run| run.finished.is_some()).await;
    (world.run().await.finished.unwrap().phase, world.guards.effective().len())
}

#[tokio::test]
async fn what_had_effect_before_it_was_cancelled_is_not_taken_for_never_started() {
    for case in CASES {
        let wanted = match case.late_runs {
            2 => (Phase::Succeeded, 1),
            _ => (Phase::Cancelled, 0),
        };
        assert_eq!(cancelled_unstarted(&case).await, wanted, "{}", case.name);
    }
}

#[tokio::test]
async fn an_end_waits_until_the_claims_can_be_read() {
    let case = &CASES[6];
    let world = world_of(case).await;
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.guards.step_all(&world.stage, false);
    world.guards.close(true);
    world.stage.finish();
    world.until("it says why", |run| run.attempt().message.is_some()).await;
    world.passes(80).await;
    let run = world.run().await;
    let message = run.attempt().message.clone().unwrap();
    assert!(message.starts_with("the claim cannot be read: status=`503`: claim=`"), "{message}");
    assert!(run.is_active() && world.stage.starts() == 1);
    world.guards.close(false);
    world.until("it is over", |run| run.finished.is_some()).await;
    assert_eq!(world.run().await.finished.unwrap().phase, Phase::Succeeded);
}

/// How a run ends that failed before or after it came to its guard, where its service has made another in its place.
async fn retried((case, retry): (&Case, &str), is_claimed: bool) -> Phase {
    let world = world_of(case).await;
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    if is_claimed {
        world.guards.step_all(&world.stage, false);
    }
    world.stage.fail();
    world.stage.retry(retry);
    world.guards.step_all(&world.stage, false);
    world.passes(80).await;
    world.stage.finish();
    world.until("it is over", |run| run.finished.is_some()).await;
    world.passes(80).await;
    assert_eq!((world.guards.effective().len(), world.stage.starts()), (1, 1), "{}", case.name);
    world.run().await.finished.unwrap().phase
}

#[tokio::test]
async fn a_retry_is_followed_unless_it_stands_down() {
    for retry in [(&CASES[0], "b-2"), (&CASES[5], "2")] {
        assert_eq!(retried(retry, true).await, Phase::Failed, "{}", retry.0.name);
        assert_eq!(retried(retry, false).await, Phase::Succeeded, "{}", retry.0.name);
    }
}

/// What the run that is followed comes to where its twin made the claim, and whether the one with effect is it.
async fn stood_down() -> bool {
    let world = world_of(&CASES[6]).await;
    world.stage.trouble(Trouble::Late);
    world.deliver("1").await;
    world.until("a run is under way", |run| run.attempt().external.is_some()).await;
    world.stage.release();
    world.guards.step(&world.stage.runs()[1], &world.stage);
    world.guards.step_all(&world.stage, true);
    world
        .until_over("it is over", |state| state.runs.values().all(|run| run.finished.is_some()))
        .await;
    let (run, effective) = (world.run().await, world.guards.effective());
    run.attempt().external.as_ref().is_some_and(|run| effective.iter().all(|id| run.is_called(id)))
}

#[tokio::test]
async fn a_claim_that_is_not_read_is_noticed() {
    use refit_core::mutant::{Mutant, activate};
    assert!(stood_down().await);
    activate(Some(Mutant::ClaimUnread));
    let followed = stood_down().await;
    activate(None);
    assert!(!followed, "the run that stood down was believed");
}
