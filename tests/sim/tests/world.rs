//! That the world goes wrong as it says: a fault that changes nothing proves nothing.

use std::sync::Arc;

use bytes::Bytes;
use futures::FutureExt as _;
use refit_core::rules::{Budget, Trigger};
use refit_core::time::Span;
use refit_engine::layout;
use refit_engine::port::Store as _;
use refit_engine::record::read_snapshot;
use refit_sim::executor::Executor;
use refit_sim::faults::{Fault, Faults};
use refit_sim::random::Random;
use refit_sim::rules::after_a_minute;
use refit_sim::script::Script;
use refit_sim::store::{Calls, RawStore, SimStore};
use refit_sim::world::World;

/// Three days, in milliseconds.
const DAYS: i64 = 259_200_000;

#[test]
fn a_delete_that_loses_its_answer_has_had_its_effect() {
    let faults = Faults { error_after: 1000, ..Faults::default() };
    let world = World::new(Executor::default().time().clone(), Random::new(0), faults);
    let raw = RawStore(world.clone());
    raw.create("parts/x", Bytes::from("x")).now_or_never().unwrap().unwrap();
    let store = SimStore::new(world.clone(), Arc::from("who"), Arc::<Calls>::default());
    assert!(store.delete("parts/x").now_or_never().unwrap().is_err());
    assert_eq!(raw.get("parts/x").now_or_never().unwrap().unwrap(), None);
    assert_eq!(world.lock().injected.of(Fault::AnswerLost), 1);
}

/// A segment is named by the clock of its process, and written again where that is far from the store's time.
#[test]
fn a_clock_jumps_and_is_corrected_while_its_process_runs() {
    let mut script = Script::new(after_a_minute());
    script.uploads(10.0, &["right"]);
    script.play(20.0);
    assert_eq!(script.counts().misnamed, 0);
    script.stage.set_clock(0, DAYS);
    script.uploads(30.0, &["wrong"]);
    script.play(40.0);
    assert_eq!(script.counts().misnamed, 1);
    script.stage.set_clock(0, 0);
    script.uploads(50.0, &["corrected"]);
    script.play(60.0);
    assert_eq!(script.counts().misnamed, 1);
}

/// Half of them are cut, half are of a newer version; neither can be read, and the log serves instead.
#[test]
fn a_spoilt_snapshot_is_passed_over() {
    let budget = Budget { runs: 1000, per: Span::hours(24) };
    let mut script = Script::new(Trigger { budget, ..after_a_minute() });
    script.runs_take(1.0);
    script.faults(|faults| faults.spoilt_snapshots = 1000);
    for number in 0..300 {
        script.uploads(10.0 + 100.0 * f64::from(number), &[&number.to_string()]);
    }
    script.play(30_000.0);
    let mut errors: Vec<String> = Vec::new();
    for (name, stored) in &script.stage.world.lock().objects {
        if name.starts_with(layout::SNAPSHOT) {
            errors.push(read_snapshot(name, &stored.body).unwrap_err().to_string());
        }
    }
    let newer = errors.iter().filter(|error| error.contains("version")).count();
    assert!(newer > 0 && newer < errors.len(), "{errors:?}");
    script.stage.kill(1);
    script.stage.start(1);
    script.uploads(30_010.0, &["more"]);
    script.play(30_200.0);
    assert_eq!(script.launched().len(), 301);
}
