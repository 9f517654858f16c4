//! What a ledger lives through in months: the same things told often, noise, clocks and zones that are put right.

use expect_test::expect;
use refit_core::time::Span;

use crate::check;
use crate::world::{World, clock};

#[test]
fn what_is_told_to_many_batches_is_kept_once() {
    let told = |count: usize| {
        let mut world = World::new();
        world.lines("rule t bucket=b each budget=1/24h");
        let put = |generation: usize| {
            let all = (0..count).map(|at| format!("put o{at}#{generation} sum=x{at}"));
            all.collect::<Vec<_>>().join(";")
        };
        world.lines(&format!("10:00 {}", put(1)));
        let before = world.stored_bytes();
        world.lines(&format!("11:00 {}", put(2)));
        assert_eq!(world.violations, []);
        world.stored_bytes() - before
    };
    let (few, many) = (told(20), told(80));
    assert!(many < 5 * few, "it grows with batches times files: {few}, {many}");
}

#[test]
fn a_batch_is_told_what_concerns_its_member_and_runs_with_that() {
    check(
        "rule t bucket=b each overlap=allow budget=1/1h
         10:00 put a#1 sum=x; put c#1 sum=y; put d#1 sum=z
         10:10 put c#2 sum=y; delete d#1
         11:10 started b2; succeeded b2
         12:20 started b2.1; succeeded b2.1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 c#1 -> t b2.1
            10:00 d#1 -> t b2.2
            10:00 b2 sealed: each
            10:00 b2.1 sealed: each
            10:00 b2.2 sealed: each
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:00 b2.1 held: budget until 11:00
            10:00 b2.2 held: budget until 11:00
            10:10 d#1 refused: deletion
            10:10 c#2 refused by t: identical_bytes
            11:10 b2.1 closed: c#2
            11:10 b2.1/1 intended
            11:10 b2.2 held: budget until 12:10
            11:10 b2/1 started
            11:10 b2/1 ended: succeeded
            11:10 b2 finished: succeeded
            12:20 b2.2 dropped: empty
            12:20 b2.1/1 started
            12:20 b2.1/1 ended: succeeded
            12:20 b2.1 finished: succeeded
        "#]],
    );
}

#[test]
fn a_deletion_that_is_read_before_its_upload_is_heard() {
    check(
        "rule t bucket=b quiet=1m
         10:00 delete a#1; put a#1; put c#1
         10:02 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 c#1 -> t b2
            10:00 a#1 refused: deletion
            10:00 b2 held: quiet until 10:01
            10:02 b2 closed: c#1 (0 superseded, 1 gone)
            10:02 b2/1 intended
        "#]],
    );
}

#[test]
fn an_event_that_outlives_what_is_known_of_it_is_not_replayed_twice_for_a_trigger() {
    check(
        "rule t message when='event.type == \"no\"' quiet=1m
         rule u message quiet=1m
         10:00 message m
         rule t message quiet=1m
         30d10:00 apply
         30d10:01 message m again for=t
         rule t message pause=ignore quiet=1m
         rule u message pause=ignore quiet=1m
         36d10:00 apply
         36d10:01 message m
         rule t message quiet=1m
         rule u message quiet=1m
         37d10:00 apply
         37d10:01 message m again",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 m -> u b2
            10:00 m refused by t: filtered
            10:00 b2 held: quiet until 10:01
            30d10:00 ok: applied: triggers=`2`
            30d10:00 b2 closed: m
            30d10:00 b2/1 intended
            30d10:01 m -> t b4
            30d10:01 b4 held: quiet until 30d10:02
            36d10:00 ok: applied: triggers=`2`
            36d10:00 b4 held: paused
            36d10:01 m refused by t: paused
            36d10:01 m refused by u: paused
            37d10:00 ok: applied: triggers=`2`; batches that wait for a decision: count=`1`
            37d10:00 b4 asks
            37d10:00 b4 held: ask
            37d10:01 m -> u b8
            37d10:01 m refused by t: duplicate
            37d10:01 b8 held: quiet until 37d10:02
        "#]],
    );
}

#[test]
fn a_civil_time_that_comes_again_in_a_zone_that_moved_is_passed_over() {
    let mut world = World::new();
    world.lines("rule t cron='0 10 * * *@UTC' quiet=0s\n10:00 tick");
    // What a process would find that knows the zone an hour farther west.
    let standing = world.state.triggers.get_mut("t").unwrap();
    standing.schedules.values_mut().for_each(|mark| mark.until = clock("09:00"));
    expect![[r#"
        1d10:00 t missed after 09:00 before 1d10:00
        1d10:00 t 2026-03-02T10:00[UTC] -> b3
        1d10:00 b3 held: active_run
    "#]]
    .assert_eq(world.shown("10:30 tick\n1d10:00 tick"));
    assert_eq!(world.violations, []);
}

#[test]
fn noise_is_forgotten_as_well() {
    let mut world = World::new();
    world.lines("rule t message when='event.type == \"no\"'");
    for day in 0..90 {
        world.lines(&format!("{day}d10:00 message m{day}"));
    }
    let kept = world.state.timing.window.as_millis() / Span::days(1).as_millis();
    assert!(world.state.memory.len() as i64 <= kept + 2, "{}", world.state.memory.len());
}

#[test]
fn a_run_that_timed_out_and_is_given_up_is_over_though_it_made_the_claim() {
    check(
        "rule t bucket=b quiet=1m class=C guard=gs://g/t timeout=1h
         10:00 put a#1
         10:02 started b2
         10:03 claim b2/1
         11:05 tick
         11:20 settle b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:02 b2 closed: a#1
            10:02 b2/1 intended
            10:02 b2/1 started
            11:05 b2 to be cancelled: timed_out
            11:20 ok: given up: run=`b2`
            11:20 b2/1 abandoned
            11:20 b2 finished: failed
        "#]],
    );
}

#[test]
fn a_claim_that_cannot_be_read_or_is_of_a_stranger_is_told() {
    check(
        "receiver ml
         rule t bucket=b quiet=1m class=C guard=gs://g/t notify=ml
         10:00 put a#1
         10:02 started b2
         10:03 running b2
         10:03 strange b2/1
         11:00 succeeded b2
         11:01 succeeded b2
         11:02 succeeded b2
         11:03 cancel b2
         11:04 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:02 b2 closed: a#1
            10:02 b2/1 intended
            10:02 b2/1 started
            10:03 b2/1 running
            11:00 b2/1 claim unknown: it was made by a run that is none of this batch: claim=`gs://g/t/ledger/b2-1`
            11:01 b2/1 stuck: it is not known whether its end is the end; `refit cancel` lets go of it: it was made by a run that is none of this batch: claim=`gs://g/t/ledger/b2-1`
            11:01 ml letter 1 at 11:01: stuck b2/1 (it is not known whether its end is the end; `refit cancel` lets go of it: it was made by a run that is none of this batch: claim=`gs://g/t/ledger/b2-1`)
            11:03 ok: to be cancelled: run=`b2`
            11:03 b2 to be cancelled: asked
            11:04 b2/1 ended: succeeded
            11:04 b2 finished: cancelled
            11:04 ml letter 2 at 11:04: cancelled b2/1
        "#]],
    );
}

#[test]
fn a_report_about_the_far_future_does_not_outdate_all_others() {
    check(
        "rule t drift=churn consecutive=2 quiet=1m
         10:00 drift r1 end=400d00:00
         1d10:01 drift r2 end=1d10:00
         2d10:02 drift r3 end=2d10:00",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 r1 refused by t: unconfirmed (1 of 2 consecutive)
            1d10:01 r2 refused by t: outdated
            2d10:02 r3 -> t b4
            2d10:02 b4 held: quiet until 2d10:03
        "#]],
    );
}

#[test]
fn bytes_whose_deletion_was_read_first_are_new_when_they_come_again() {
    check(
        "rule t bucket=b quiet=0s
         10:00 delete a#1 overwritten=2; put a#1 sum=x
         10:01 put a#2 sum=x
         10:02 put a#3 sum=x",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 a#1 refused: deletion
            10:00 b2 dropped: empty
            10:01 a#2 -> t b3
            10:01 b3 closed: a#2
            10:01 b3/1 intended
            10:02 a#3 refused by t: identical_bytes
        "#]],
    );
}
