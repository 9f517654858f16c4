//! How a batch becomes one run, whoever dies on the way.

use refit_core::rules::Budget;
use refit_core::run::Phase;
use refit_core::time::Span;
use refit_sim::rules::{plain, rules_of};
use refit_sim::script::{Opening, Script};

use super::{batches, is_clean, launched, trigger, under};

/// 3: two reconcilers and one batch, in many interleavings: one launch.
#[test]
fn two_reconcilers_launch_a_batch_once() {
    for seed in 0..300 {
        let mut script = Script::open(Opening { seed, ticks: 2, ..Opening::with(plain("b")) });
        script.faults(|faults| (faults.delay_max, faults.call_max) = (300, 300));
        script.uploads(10.0, &["x"]);
        script.play(600.0);
        assert_eq!(script.runs().len(), 1, "seed {seed}");
        assert_eq!(launched(&script).len(), 1, "seed {seed}");
        is_clean(&script);
    }
}

/// 19: the same specification again is a second run; a start that was accepted and timed out is the same run.
#[test]
fn a_second_batch_is_a_second_run_and_a_lost_answer_is_not() {
    for class in ["a", "b", "c"] {
        let mut script = Script::new(plain(class));
        script.runs_take(600.0);
        script.faults(|faults| faults.start_lost = 1000);
        script.uploads(10.0, &["x"]);
        script.play(30.0).faults(|faults| faults.start_lost = 0);
        script.uploads(2000.0, &["y"]);
        script.play(4000.0);
        let runs = script.runs();
        assert_eq!(runs.len(), 2, "class {class}");
        assert_ne!(runs[0].key, runs[1].key);
        // The same parameters but for the manifest, and both succeed: nothing was taken for done.
        assert!(runs.iter().all(|run| run.succeeds && !run.cancelled), "class {class}");
        is_clean(&script);
    }
}

/// Plays until the intent of a run is committed and its call is not yet made.
fn until_intended(script: &mut Script) {
    script.faults(|faults| faults.call_max = 8_000);
    while script.launched().is_empty() {
        let now = script.stage.world.time().now();
        script.stage.play_until(now + 10);
    }
    assert!(script.runs().is_empty(), "intended, and not started");
}

/// 24: a crash between "seen" and "launched": the batch is launched once.
#[test]
fn a_crash_between_seen_and_launched_loses_no_launch() {
    for class in ["a", "b", "c"] {
        let mut script = Script::new(plain(class));
        script.uploads(10.0, &["x"]);
        until_intended(&mut script);
        script.stage.kill(1);
        script.faults(|faults| faults.call_max = 0);
        script.play(100.0).stage.start(1);
        script.play(4000.0);
        assert_eq!(script.runs().len(), 1, "class {class}");
        assert_eq!(launched(&script).len(), 1, "class {class}");
        is_clean(&script);
    }
}

/// 34: a crash while holding the right to call: it passes on when the lease is over, and not before.
#[test]
fn the_right_to_call_passes_on_after_its_lease() {
    let mut script = Script::new(plain("a"));
    script.uploads(10.0, &["x"]);
    until_intended(&mut script);
    script.stage.kill(1);
    script.faults(|faults| faults.call_max = 0);
    script.stage.start(1);
    let state = script.state();
    let run = state.runs.values().next().expect("a run is intended");
    assert_eq!(run.attempt().phase, Phase::Launching);
    let intended = script.launched()[0].at;
    script.play(4000.0);
    let [run] = &script.runs()[..] else { panic!("one run") };
    let waited = run.began - intended;
    let timing = refit_core::timing::Timing::default();
    let least = (timing.lease + timing.margin).as_millis();
    assert!((least..=least + timing.ping.as_millis()).contains(&waited), "{waited} ms");
    is_clean(&script);
}

/// 32: what one trigger's runs write starts the other, and back: the budget ends it.
#[test]
fn a_loop_between_two_triggers_ends_itself() {
    let mut there = under("a/");
    there.budget = Budget { runs: 3, per: Span::hours(24) };
    let mut back = under("b/");
    back.budget = there.budget;
    let mut script = Script::open(Opening::of(rules_of([("t", there), ("u", back)])));
    script.runs_take(30.0);
    script.uploads(10.0, &["a/0"]);
    let mut answered = 0;
    for minute in 1..240_u32 {
        let now = 60.0 * f64::from(minute);
        script.play(now);
        for run in script.runs().iter().skip(answered) {
            answered += 1;
            let folder = if run.trigger == "t" { "b" } else { "a" };
            script.uploads(now + 40.0, &[&format!("{folder}/{answered}")]);
        }
    }
    assert_eq!(script.runs().len(), 6, "three of each");
    // The seventh is held, not lost: it starts when the day of the first is over.
    assert_eq!(
        script.state().triggers.values().map(|standing| standing.open.len()).sum::<usize>(),
        1
    );
    is_clean(&script);
}

/// The plain case, for comparison: a batch is due, and its run begins in the same millisecond.
#[test]
fn a_launch_waits_for_nothing() {
    let mut script = Script::new(trigger());
    script.uploads(10.0, &["x"]);
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["x"])]));
    assert_eq!(script.runs()[0].began, 70_000);
    is_clean(&script);
}
