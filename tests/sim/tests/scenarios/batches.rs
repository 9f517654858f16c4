//! When a batch closes, and what is in it.

use refit_core::rules::{Budget, Overlap};
use refit_core::time::Span;
use refit_core::timing::Timing;
use refit_sim::script::{Opening, Script};

use super::{batches, is_clean, launched, trigger};

/// 1: at most one run; what arrives during it is the second run, without a further event.
#[test]
fn what_arrives_during_a_run_is_the_next_run() {
    let mut script = Script::new(trigger());
    script.runs_take(600.0);
    script.uploads(10.0, &["1"]);
    for (at, name) in [(100.0, "2"), (200.0, "3"), (300.0, "4")] {
        script.uploads(at, &[name]);
    }
    script.play(1500.0);
    // The run that began at 70 s is looked at every 15 s, and seen to have ended at 670 s.
    assert_eq!(launched(&script), batches(&[(70.0, &["1"]), (670.0, &["2", "3", "4"])]));
    is_clean(&script);
}

/// 9: one event between the closing of a batch and the start of its run, one during the run: both are in the next.
#[test]
fn what_arrives_between_closing_and_start_is_in_the_next() {
    let mut script = Script::new(trigger());
    script.runs_take(600.0);
    script.uploads(10.0, &["1"]);
    script.play(69.0).faults(|faults| faults.call_max = 8_000);
    while script.launched().is_empty() {
        let now = script.stage.world.time().now();
        script.stage.play_until(now + 10);
    }
    assert!(script.runs().is_empty(), "closed, and not started");
    let closed = script.stage.world.time().now() as f64 / 1000.0;
    script.uploads(closed, &["2"]);
    script.play(closed + 200.0).faults(|faults| faults.call_max = 0);
    assert_eq!(script.runs().len(), 1);
    script.uploads(closed + 200.0, &["3"]);
    script.play(2000.0);
    let members: Vec<_> = launched(&script).into_iter().map(|(_, members)| members).collect();
    assert_eq!(members, [vec!["1".to_owned()], vec!["2".to_owned(), "3".to_owned()]]);
    is_clean(&script);
}

/// 10: a gap of 120 s between launches, 60 s of quiet, updates 5 s and 115 s after a launch: due at 175 s.
#[test]
fn quiet_and_cooldown_are_both_kept_to_the_second() {
    let mut trigger = trigger();
    trigger.cooldown = Span::secs(120);
    let mut script = Script::new(trigger);
    script.runs_take(10.0);
    script.uploads(10.0, &["1"]);
    script.uploads(70.0 + 5.0, &["2"]);
    script.uploads(70.0 + 115.0, &["3"]);
    script.play(600.0);
    assert_eq!(launched(&script), batches(&[(70.0, &["1"]), (70.0 + 175.0, &["2", "3"])]));
    is_clean(&script);
}

/// 11: an event every 30 s for ever, 60 s of quiet: it fires when the first has waited long enough.
#[test]
fn a_trickle_fires_at_the_longest_wait() {
    let mut trigger = trigger();
    trigger.batch.max_wait = Some(Span::secs(605));
    let mut script = Script::new(trigger);
    script.runs_take(10.0);
    for number in 0..60 {
        script.uploads(10.0 + 30.0 * f64::from(number), &[&format!("{number:02}")]);
    }
    script.play(2400.0);
    let at: Vec<_> = launched(&script).into_iter().map(|(at, all)| (at, all.len())).collect();
    assert_eq!(at, [(615.0, 21), (1245.0, 21), (1840.0, 18)]);
    is_clean(&script);
}

/// 12: a wait longer than every limit inside, the memory of the ledger included, is kept.
#[test]
fn a_wait_longer_than_the_memory_is_kept() {
    let mut trigger = trigger();
    trigger.batch.quiet = Some(Span::days(50));
    trigger.batch.max_wait = Some(Span::days(60));
    trigger.budget = Budget { runs: 1, per: Span::days(365) };
    let timing = Timing { ping: Span::hours(1), ..Timing::default() };
    let mut script = Script::open(Opening { timing, ..Opening::with(trigger) });
    script.uploads(10.0, &["x"]);
    script.play(51.0 * 86_400.0);
    assert_eq!(launched(&script), batches(&[(10.0 + 50.0 * 86_400.0, &["x"])]));
    is_clean(&script);
}

/// 13: batches of at most two, five events. A batch closes with the member that fills it.
#[test]
fn five_events_in_batches_of_two_are_three() {
    let mut trigger = trigger();
    trigger.batch.max_count = 2;
    trigger.overlap = Overlap::Allow;
    let mut script = Script::new(trigger);
    for number in 1..=5 {
        script.uploads(f64::from(10 + number), &[&number.to_string()]);
    }
    script.play(600.0);
    let expected: &[(f64, &[&str])] = &[(12.0, &["1", "2"]), (14.0, &["3", "4"]), (75.0, &["5"])];
    assert_eq!(launched(&script), batches(expected));
    is_clean(&script);
}
