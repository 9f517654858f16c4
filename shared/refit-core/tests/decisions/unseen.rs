//! Starts of which nothing is ever heard, and runs that nobody may look at.

use expect_test::expect;

use crate::check;

#[test]
fn a_look_up_that_never_finds_anything_is_not_believed_for_ever() {
    check(
        "rule t bucket=b quiet=1m class=C retry=3/1m/1m
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:20 absent b2
         10:30 absent b2
         10:35 absent b2
         10:45 absent b2
         10:46 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 not found
            10:15 b2/1 abandoned
            10:15 b2/2 intended
            10:20 b2/2 not found
            10:30 b2/2 abandoned
            10:30 b2/3 intended
            10:35 b2/3 not found
            10:45 b2/3 uncertain
        "#]],
    );
}

#[test]
fn a_start_nothing_is_heard_of_is_settled_once_it_cannot_take_effect_any_more() {
    check(
        "rule t bucket=b quiet=1m class=C
         10:00 put a#1
         10:01 tick
         10:01:10 settle b2
         10:30 settle b2
         10:31 started b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01:10 no: it may be starting yet: run=`b2`, until=`2026-03-01T10:13:00.000Z`
            10:30 ok: settled as not started: run=`b2`
            10:30 b2/1 abandoned
            10:30 b2/2 intended
            10:31 b2/2 started
        "#]],
    );
}

#[test]
fn a_run_that_may_not_be_looked_at_goes_on_says_so_and_is_told_of_when_its_time_is_over() {
    check(
        "receiver ml on=stuck
         rule t bucket=b quiet=1m timeout=1h notify=ml
         10:00 put a#1
         10:01 started b2
         10:10 running b2
         10:20 barred b2
         10:30 barred b2
         10:40 running b2
         10:50 barred b2
         11:10 barred b2
         11:20 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:10 b2/1 running
            10:20 b2/1 running
            10:40 b2/1 running
            10:50 b2/1 running
            11:10 b2 to be cancelled: timed_out
            11:10 ml letter 1 at 11:10: stuck b2/1 (it takes longer than its trigger allows, and is to be cancelled: it cannot be looked at: the token has expired)
            11:20 b2/1 ended: succeeded
            11:20 b2 finished: succeeded
        "#]],
    );
}
