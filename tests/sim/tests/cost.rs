//! What is paid for: calls to the store per event, per idle hour, per commit and per cold start.
//!
//! That a commit costs two creates on the log at the most is said of each process: its own try and one more, made or
//! lost. So with one reconciler, which is how `tick` is deployed, it is one create per commit; n of them at once may
//! make up to 2 n, and what they make is bounded here by figures.

use std::fmt::Arguments;
use std::io::Write as _;

use refit_core::commit::Commit;
use refit_core::fold::fold;
use refit_core::state::VERSION;
use refit_core::time::{Span, Timestamp};
use refit_engine::layout;
use refit_engine::record::{write_commit, write_snapshot};
use refit_sim::rules::plain;
use refit_sim::script::{Opening, Script, object, uploaded};
use refit_sim::world::Counts;

/// Reads of a tail of the log, at the most.
const TAIL_MAX: u64 = 64;
/// Other calls of a cold start, one after another.
const COLD_MAX: u64 = 6;

/// The figures are the result: they are shown whatever becomes of the test.
fn figure(figure: Arguments<'_>) {
    writeln!(std::io::stderr(), "{figure}").expect("stderr is there");
}

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
        data_lists: after.data_lists - before.data_lists,
        passes: after.passes - before.passes,
    }
}

#[test]
fn an_idle_hour_is_a_listing_and_a_read_per_ping() {
    let mut script = patient();
    script.uploads(10.0, &["x"]);
    script.play(100.0);
    let hour = during(&mut script, 3700.0);
    figure(format_args!("an idle hour: {hour:?}"));
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
    figure(format_args!("100 events, 30 s apart: {all:?}"));
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
    figure(format_args!("1,000 events in one request: {all:?}"));
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
    figure(format_args!("500 requests within half a second: {all:?}"));
    assert_eq!(all.requests, 500);
    assert!(all.segments <= 10 && all.commits <= all.segments, "{all:?}");
}

#[test]
fn more_instances_make_few_more_creates() {
    for (ticks, most) in [(1, 1.1), (2, 1.5), (3, 2.0)] {
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
        figure(format_args!("{ticks} instances: {per_commit:.2} creates on the log per commit"));
        assert!(per_commit <= most, "{ticks} instances: {per_commit}");
    }
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
        figure(format_args!("a cold start on {commits} commits: {cold:?}"));
        assert_eq!((cold.passes, cold.creates()), (1, 0));
        assert!(cold.lists + cold.gets <= COLD_MAX + TAIL_MAX, "{cold:?}");
    }
}

/// How many processes take events in, where the number may matter.
const INSTANCES: [usize; 3] = [1, 50, 500];

/// A world that is patient, with so many processes that take events in.
fn with_doors(doors: usize) -> Script {
    let mut script = Script::open(Opening { doors, ..Opening::with(patient_trigger()) });
    script.uploads(10.0, &["x"]);
    script.play(100.0);
    script
}

#[test]
fn an_idle_day_costs_the_same_however_many_instances() {
    let days = INSTANCES.map(|doors| {
        let mut script = with_doors(doors);
        let day = during(&mut script, 100.0 + 86_400.0);
        let (a, b) = (day.class_a(), day.class_b());
        figure(format_args!("an idle day of {doors} instances: class A {a}, class B {b}: {day:?}"));
        // A listing and a read per ping; once a day what housekeeping looks at, the commit that says so, and a look at the
        // one before it.
        assert_eq!(day.passes, 1440);
        assert!((1440..=1440 + 16).contains(&day.lists), "{day:?}");
        assert!((1440..=1440 + 16).contains(&day.gets), "{day:?}");
        assert!(day.creates() <= 4 && day.segments == 0, "{day:?}");
        assert!(a <= 1445 && b <= 1441, "{day:?}");
        day
    });
    assert!(days.iter().all(|day| day == &days[0]), "who takes events in costs nothing when idle");
}

#[test]
fn an_idle_day_costs_a_listing_and_a_read_for_every_ping_of_every_reconciler() {
    for ticks in [1_u64, 50] {
        let instances = usize::try_from(ticks).expect("it is small");
        let opening = Opening { ticks: instances, ..Opening::with(patient_trigger()) };
        let mut script = Script::open(opening);
        script.uploads(10.0, &["x"]);
        script.play(100.0);
        let day = during(&mut script, 100.0 + 86_400.0);
        let (a, b) = (day.class_a(), day.class_b());
        figure(format_args!(
            "an idle day of {ticks} reconcilers: class A {a}, class B {b}: {day:?}"
        ));
        assert_eq!((day.passes, day.segments), (1440 * ticks, 0));
        // The daily look of housekeeping; what one of them commits of it, the others read.
        assert!((1440 * ticks..=(1440 + 16) * ticks).contains(&day.lists), "{day:?}");
        assert!((1440 * ticks..=(1440 + 32) * ticks).contains(&day.gets), "{day:?}");
        assert!(day.creates() <= 4 * ticks, "{day:?}");
    }
}

#[test]
fn housekeeping_that_takes_several_passes_reads_the_inbox_again_once() {
    let mut script = patient();
    for number in 0..700_u32 {
        script.uploads(10.0 + 5.0 * f64::from(number), &[&number.to_string()]);
    }
    // What lost writers left is looked for a week later, two hundred commits at a time.
    script.play(7.0 * 86_400.0);
    let day = during(&mut script, 8.5 * 86_400.0);
    figure(format_args!("a day and a half that keeps 700 commits: {day:?}"));
    assert!(day.lists <= day.passes + 40, "{day:?}");
}

#[test]
fn a_sweep_adds_a_listing_a_day_for_a_thousand_objects_however_many_instances() {
    for (older, pages) in [(10, 1), (25_000, 25)] {
        let days = INSTANCES.map(|doors| {
            let trigger = patient_trigger();
            let mut script = Script::open(Opening { doors, older, ..Opening::with(trigger) });
            script.uploads(10.0, &["x"]);
            script.play(100.0);
            let day = during(&mut script, 100.0 + 86_400.0);
            let (a, b) = (day.class_a(), day.class_b());
            figure(format_args!(
                "an idle day of {doors} instances that sweeps {older} objects: class A {a}, class B {b}: {day:?}"
            ));
            assert_eq!(day.data_lists, pages);
            assert_eq!(day.segments, 0, "what is older than its trigger is not recorded");
            assert!(a <= 1445 + 2 * pages && b <= 1440 + 16, "{day:?}");
            day
        });
        assert!(days.iter().all(|day| day == &days[0]), "only who reconciles sweeps");
    }
}

#[test]
fn an_event_costs_one_write_and_its_share_of_a_commit_however_many_instances() {
    for doors in INSTANCES {
        let mut script = with_doors(doors);
        for number in 0..100 {
            script.uploads(200.0 + 30.0 * f64::from(number), &[&number.to_string()]);
        }
        let all = during(&mut script, 3300.0);
        let (a, b) = (all.class_a() as f64 / 100.0, all.class_b() as f64 / 100.0);
        figure(format_args!(
            "an event alone, {doors} instances: class A {a:.2}, class B {b:.2}: {all:?}"
        ));
        assert_eq!((all.segments, all.commits), (100, 100), "a write and a commit each");
        assert!(all.others <= 110, "a part each, now and then a merge or a snapshot: {all:?}");
        // Pings go on beside: a listing and a read each.
        assert!(all.lists <= 100 + all.passes && all.gets <= 3 * 100 + 2 * all.passes, "{all:?}");
        // One of the reads is of the commit before, which a process that goes on looks at again.
        assert!(a <= 4.2 && b <= 3.8, "{all:?}");
    }
}

#[test]
fn a_burst_costs_a_write_per_instance_at_the_most() {
    for (doors, passes, most_a, most_b) in
        [(1, 8, 25, 20), (50, 8, 400, 400), (500, 35, 3000, 3200)]
    {
        let mut script = with_doors(doors);
        script.faults(|faults| faults.delay_max = 200);
        for number in 0..5000 {
            script.uploads(200.0 + 0.0002 * f64::from(number), &[&number.to_string()]);
        }
        let all = during(&mut script, 300.0);
        let (a, b) = (all.class_a() as f64 / 5000.0, all.class_b() as f64 / 5000.0);
        figure(format_args!(
            "5,000 events in a second, {doors} instances: class A {a:.4}, class B {b:.4} per event: {all:?}"
        ));
        assert_eq!(all.requests, 5000);
        // Each instance writes one segment after the other, of everything that came meanwhile.
        assert!(all.segments <= 5000.min(40 * doors as u64), "{all:?}");
        assert!(all.commits <= 30 && all.others <= 60, "{all:?}");
        // The more segments it makes, the more of them are read; passes and their listings are few.
        assert!(all.passes <= passes && all.lists <= 3 * passes, "{all:?}");
        assert!(all.class_a() <= most_a && all.class_b() <= most_b, "{all:?}");
    }
}

#[test]
fn many_reconcilers_at_once_make_two_creates_for_a_commit_each_at_the_most() {
    for (ticks, most) in [(1, 20), (50, 300), (500, 2000)] {
        let mut script = Script::open(Opening { ticks, ..Opening::with(plain("b")) });
        script.faults(|faults| faults.delay_max = 200);
        for number in 0..10 {
            script.uploads(10.0 + 7.0 * f64::from(number), &[&number.to_string()]);
        }
        script.play(600.0);
        let (created, commits) = (script.counts().commits, script.commits().len());
        figure(format_args!(
            "{ticks} reconcilers: {created} creates on the log for {commits} commits"
        ));
        assert!(commits >= 10 && created <= most, "{created} creates for {commits} commits");
        // Every pass of every process is held to two creates for a commit it makes or loses.
        let wrong = script.wrong();
        assert!(wrong.is_empty(), "{ticks} reconcilers: {wrong:?}");
    }
}

/// Makes the log of a world so long, of commits that change nothing, with a snapshot as far back as there may be.
fn lengthen(script: &Script, commits: u64) {
    let mut state = script.state();
    let first = state.seq + 1;
    for seq in first..first + commits {
        let commit = Commit {
            v: VERSION,
            seq,
            nonce: format!("long-{seq}"),
            now: state.now + Span::from_millis(1),
            segments: Vec::new(),
            changes: Vec::new(),
            decisions: Vec::new(),
            fresh: refit_core::memory::Fresh::default(),
            uses: Vec::new(),
            members: None,
        };
        script.put(&layout::commit(seq), write_commit(&commit));
        fold(&mut state, &commit);
        if seq + TAIL_MAX == first + commits - 1 {
            script.put(
                &layout::snapshot(seq),
                write_snapshot(&state).expect("a state can be written"),
            );
        }
    }
}

#[test]
fn a_cold_start_on_a_hundred_thousand_commits_keeps_its_budget() {
    const COMMITS: u64 = 100_000;
    let mut script = patient();
    // A state that is as large as one gets: thousands of members of an open batch, and what was seen in many parts.
    script.send(10.0, (0..5000).map(|number| uploaded(object(&format!("a{number}")))).collect());
    for number in 0..150 {
        script.uploads(20.0 + 5.0 * f64::from(number), &[&number.to_string()]);
    }
    script.play(1000.0);
    script.stage.kill(1);
    let before = script.state();
    assert!(before.now > Timestamp::EPOCH);
    lengthen(&script, COMMITS);
    script.stage.start(1);
    let cold = during(&mut script, 1000.05);
    figure(format_args!("a cold start on {COMMITS} commits: {cold:?}"));
    // The snapshot there is lies so far back that it writes one of its own.
    assert_eq!((cold.passes, cold.segments + cold.commits, cold.others), (1, 0, 1));
    assert!(cold.lists + cold.gets <= COLD_MAX + TAIL_MAX, "{cold:?}");
    // It goes on from the end of the log, not from the snapshot.
    script.uploads(1001.0, &["y"]);
    script.play(1030.0);
    assert_eq!(script.state().seq, before.seq + COMMITS + 1);
    // The batch waits for days, as its trigger says.
    let wrong = script.wrong().into_iter().filter(|text| !text.starts_with("liveness: batch b2 "));
    assert_eq!(wrong.collect::<Vec<_>>(), [""; 0]);
}
