//! What is paid for: calls to the store per event, per idle hour, per commit and per cold start.
#![expect(clippy::print_stderr, reason = "the figures are the result")]

use refit_core::time::Span;
use refit_sim::rules::plain;
use refit_sim::script::{Opening, Script, object, uploaded};
use refit_sim::world::Counts;

/// Reads of a tail of the log, at the most.
const TAIL_MAX: u64 = 64;
/// Other calls of a cold start, one after another.
const COLD_MAX: u64 = 6;

/// A trigger that never comes due within a test.
fn patient() -> Script {
    Script::new(patient_trigger())
}

fn patient_trigger() -> refit_core::rules::Trigger {
    let mut trigger = plain("a");
    trigger.batch.quiet = Some(Span::days(2));
    trigger.batch.max_wait = Some(Span::days(2));
    trigger
}

/// The calls while the world goes on until then.
fn during(script: &mut Script, until: f64) -> Counts {
    let before = script.counts();
    script.play(until);
    let after = script.counts();
    Counts {
        requests: after.requests - before.requests,
        segments: after.segments - before.segments,
        misnamed: after.misnamed - before.misnamed,
        commits: after.commits - before.commits,
        others: after.others - before.others,
        lists: after.lists - before.lists,
        gets: after.gets - before.gets,
        deletes: after.deletes - before.deletes,
        passes: after.passes - before.passes,
    }
}

#[test]
fn an_idle_hour_is_a_listing_and_a_read_per_ping() {
    let mut script = patient();
    script.uploads(10.0, &["x"]);
    script.play(100.0);
    let hour = during(&mut script, 3700.0);
    eprintln!("an idle hour: {hour:?}");
    assert_eq!((hour.passes, hour.lists, hour.gets), (60, 60, 60));
    assert_eq!((hour.creates(), hour.deletes), (0, 0));
}

#[test]
fn an_event_alone_is_one_segment_and_its_commit() {
    let mut script = patient();
    script.play(10.0);
    for number in 0..100 {
        script.uploads(20.0 + 30.0 * f64::from(number), &[&number.to_string()]);
    }
    let all = during(&mut script, 3100.0);
    eprintln!("100 events, 30 s apart: {all:?}");
    assert_eq!((all.segments, all.commits), (100, 100));
    // A part beside every commit; now and then a merge of parts or a snapshot.
    assert!((100..=110).contains(&all.others), "{all:?}");
}

#[test]
fn events_together_are_one_segment_one_commit_one_part() {
    let mut script = patient();
    script.play(10.0);
    let all = (0..1000).map(|number| uploaded(object(&number.to_string())));
    script.send(20.0, all.collect());
    let all = during(&mut script, 40.0);
    eprintln!("1,000 events in one request: {all:?}");
    assert_eq!((all.segments, all.commits, all.others), (1, 1, 1));
}

#[test]
fn requests_during_a_write_share_the_next_segment() {
    let mut script = patient();
    script.play(10.0).faults(|faults| faults.delay_max = 200);
    for number in 0..500 {
        script.uploads(20.0 + 0.001 * f64::from(number), &[&number.to_string()]);
    }
    let all = during(&mut script, 60.0);
    eprintln!("500 requests within half a second: {all:?}");
    assert_eq!(all.requests, 500);
    assert!(all.segments <= 10 && all.commits <= all.segments, "{all:?}");
}

#[test]
fn more_instances_make_few_more_creates() {
    let mut worst = 0.0_f64;
    for ticks in 1..=3 {
        let (mut created, mut committed) = (0, 0);
        for seed in 0..100 {
            let opening = Opening { ticks, seed, ..Opening::with(plain("b")) };
            let mut script = Script::open(opening);
            script.faults(|faults| (faults.delay_max, faults.call_max) = (200, 200));
            for number in 0..10 {
                script.uploads(10.0 + 7.0 * f64::from(number), &[&number.to_string()]);
            }
            script.play(600.0);
            created += script.counts().commits;
            committed += script.commits().len() as u64;
            // That no pass makes more than two in vain is checked by every process of every world.
            let wrong = script.wrong();
            assert!(wrong.is_empty(), "ticks {ticks}, seed {seed}: {wrong:?}");
        }
        let per_commit = created as f64 / committed as f64;
        eprintln!("{ticks} instances: {per_commit:.2} creates on the log per commit");
        worst = worst.max(per_commit);
    }
    assert!(worst <= 2.0, "{worst}");
}

#[test]
fn a_cold_start_costs_the_same_however_long_the_log() {
    for commits in [50_u32, 300, 700] {
        let mut script = patient();
        for number in 0..commits {
            script.uploads(10.0 + 5.0 * f64::from(number), &[&number.to_string()]);
        }
        let end = 30.0 + 5.0 * f64::from(commits);
        script.play(end);
        assert!(script.commits().len() >= commits as usize);
        script.stage.kill(1);
        script.stage.start(1);
        let cold = during(&mut script, end + 0.05);
        eprintln!("a cold start on {commits} commits: {cold:?}");
        assert_eq!((cold.passes, cold.creates()), (1, 0));
        assert!(cold.lists + cold.gets <= COLD_MAX + TAIL_MAX, "{cold:?}");
    }
}
