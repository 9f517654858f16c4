//! A life of `refit dev` that ends at a point, in a process of its own.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use refit_core::run::Phase;
use refit_core::state::State;
use refit_core::time::Span;
use refit_dev::news::Teller;
use refit_dev::world::{Config, World};
use refit_engine::ledger::Ledger;
use refit_engine::port::Clock as _;
use refit_platform::clock::SystemClock;
use refit_platform::store::LocalStore;

use super::LONG;
use super::killing::{Point, dress};

/// How long it may take to come to its point, on a machine that does other things.
const BOUND: Span = Span::secs(30);
const LOOK_EVERY: Span = Span::from_millis(50);
/// The test that is run in a process of its own.
const TEST: &str = "points::lives_until_a_point";

/// A life in this folder that ends at the point.
pub(super) fn process(folder: &Path, point: &Point) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    // The steps of a pipeline look for their shell.
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.args(["--exact", TEST, "--ignored", "--nocapture"]).arg(folder);
    command.arg(point.to_string());
    command
}

/// What [`process`] gave this one; nothing where the test is run among others.
pub(super) fn given() -> Option<(String, Point)> {
    let mut given = std::env::args().skip_while(|argument| argument != "--nocapture").skip(1);
    Some((given.next()?, given.next()?.parse().unwrap()))
}

/// Lives until the point is met, or long enough to say that it is not.
pub(super) async fn live(folder: &Path, point: Point) {
    let config = Config {
        folder: folder.to_owned(),
        ledger: folder.join(".refit").to_str().unwrap().to_owned(),
        port: 0,
        program: env!("CARGO_BIN_EXE_refit").into(),
    };
    let mut world = World::open_on(&config, |base| dress(base, point)).await.unwrap();
    let rules = fs::read_to_string(folder.join("refit.yaml")).unwrap();
    let read = refit_wire::config::read(&rules).0.expect("the rules are right");
    world.apply(&rules, &read.rules.revision).await.unwrap();
    let (teller, _news) = Teller::new();
    world.begin(&teller).await.unwrap();

    let ledger = Ledger::new(Arc::new(LocalStore::open(&config.ledger).await.unwrap()));
    let end = SystemClock.elapsed() + BOUND;
    while SystemClock.elapsed() < end {
        let state = ledger.load().await.unwrap().unwrap().state;
        upload_more(folder, &state);
        SystemClock.sleep(LOOK_EVERY).await;
    }
}

/// Uploads a second file to the trigger of long runs once its first run runs: it is replaced.
fn upload_more(folder: &Path, state: &State) {
    let file = folder.join("buckets").join(LONG).join("2.csv");
    let runs = state.active_runs(LONG).any(|run| run.attempt().phase == Phase::Running);
    if runs && !file.exists() {
        fs::write(file, "more").unwrap();
    }
}
