//! Much at once, and a store that is down.

use refit_core::reason::Refusal;
use refit_core::rules::{Budget, Overlap};
use refit_core::time::Span;
use refit_core::timing::COMMIT_LAUNCHES_MAX;
use refit_sim::rules::{BY_FOLDER, rules_of};
use refit_sim::script::{Opening, Script, object, uploaded};

use super::{is_clean, launched, trigger, under};

/// 18: 787 objects are done; a pass reads none of them again.
#[test]
fn what_is_done_is_not_read_again() {
    let mut script = Script::new(trigger());
    script.runs_take(30.0);
    let all = (0..787).map(|number| uploaded(object(&format!("{number:03}"))));
    script.send(10.0, all.collect());
    script.play(3000.0);
    assert_eq!(launched(&script).iter().map(|(_, all)| all.len()).collect::<Vec<_>>(), [787]);
    let before = script.counts();
    script.play(3600.0);
    let after = script.counts();
    let passes = after.passes - before.passes;
    assert_eq!((after.lists - before.lists, after.gets - before.gets), (passes, passes));
    is_clean(&script);
}

/// 33: the store is down for ten minutes: sources are told to come again, tries are few, nothing is lost.
#[test]
fn a_store_that_is_down_loses_nothing() {
    let mut script = Script::new(trigger());
    script.uploads(10.0, &["before"]);
    script.play(20.0).faults(|faults| faults.error_before = 1000);
    script.uploads(100.0, &["during"]);
    let before = script.counts();
    script.play(600.0);
    let passes = script.counts().passes - before.passes;
    assert!(passes <= 580 / 5 + 1, "{passes} passes in 580 s");
    assert_eq!(script.stage.outside.outstanding(), 1, "not acknowledged");
    assert_eq!(script.counts().creates(), before.creates(), "nothing was stored");
    script.faults(|faults| faults.error_before = 0);
    script.runs_take(30.0);
    script.play(2000.0);
    assert_eq!(script.stage.outside.outstanding(), 0, "acknowledged");
    let members: Vec<String> = launched(&script).into_iter().flat_map(|(_, all)| all).collect();
    assert_eq!(members, ["before", "during"]);
    is_clean(&script);
}

/// Partitions that change at once, where the scenario has 3,500: those take a minute, and show the same longest pass.
const PARTITIONS: usize = 1000;
/// Commits of one pass at the most.
const PASS_COMMITS_MAX: usize = 8;

/// 35: many partitions change at once: commits and passes stay small, and another trigger is not kept waiting.
#[test]
fn many_partitions_at_once_keep_nobody_waiting() {
    let mut many = under("p");
    many.batch.by.clone_from(&BY_FOLDER);
    many.overlap = Overlap::Allow;
    many.budget = Budget { runs: 10_000, per: Span::hours(24) };
    let mut script = Script::open(Opening::of(rules_of([("many", many), ("one", under("x"))])));
    script.runs_take(60.0);
    let all = (0..PARTITIONS).map(|number| uploaded(object(&format!("p{number:04}/data"))));
    for events in all.collect::<Vec<_>>().chunks(500) {
        script.send(10.0, events.to_vec());
    }
    script.uploads(10.5, &["x"]);
    let mut passes = 0;
    for minute in 1..=60 {
        script.play(60.0 * f64::from(minute) + 5.0);
        let before = std::mem::replace(&mut passes, script.counts().passes);
        assert!(passes > before, "no pass in minute {minute}: pings go on");
    }
    assert_eq!(script.runs().len(), PARTITIONS + 1);
    for commit in script.commits() {
        assert!(commit.intents().count() <= COMMIT_LAUNCHES_MAX, "{}", commit.seq);
    }
    // A pass has no length in a world where calls take no time: its calls are counted. A commit is one, its manifests are
    // the others, and now and then there is a snapshot.
    let longest = script.longest_pass();
    tell!("the longest pass of {PARTITIONS} partitions: {longest:?}");
    assert!(longest.creates <= PASS_COMMITS_MAX * (COMMIT_LAUNCHES_MAX + 1) + 1, "{longest:?}");
    assert!(longest.lists <= 3 && longest.gets <= 30, "{longest:?}");
    let all = launched(&script);
    let (other, _) = all.iter().find(|(_, members)| members == &["x"]).expect("it is launched");
    assert!(*other < 71.0, "at {other} s, due at 70.5 s");
    is_clean(&script);
}

/// Of a hundred segments never all are read by one pass while one call in eight fails: those that are make commits.
#[test]
fn a_store_that_fails_now_and_then_lets_a_burst_through() {
    let mut script = Script::new(trigger());
    script.runs_take(30.0);
    script.play(5.0);
    script.stage.kill(1);
    for number in 0..100 {
        script.uploads(10.0 + f64::from(number), &[&format!("{number:02}")]);
    }
    script.play(200.0).faults(|faults| faults.error_before = 125);
    script.stage.start(1);
    script.play(1800.0).faults(|faults| faults.error_before = 0);
    assert_eq!(script.refused(Refusal::Duplicate), 0);
    let joined = launched(&script).into_iter().map(|(_, all)| all.len()).sum::<usize>();
    assert_eq!(joined, 100, "launched while it was so");
    script.play(3000.0);
    is_clean(&script);
}
