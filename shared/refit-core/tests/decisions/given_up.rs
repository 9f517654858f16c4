//! Runs of which nothing more is heard.

use expect_test::expect;

use crate::check;

#[test]
fn a_run_at_a_service_that_says_nothing_more_is_given_up_by_a_person() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2; running b2
         10:02 put b#1
         10:03 settle b2
         10:04 cancel b2
         10:05 settle b2
         10:20 settle b2
         10:21 started b4
         11:00 cancelled b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 running
            10:02 b#1 -> t b4
            10:02 b4 held: active_run
            10:03 no: the service has it: cancel it first, and settle it if the service says nothing for `10m` after that: run=`b2`
            10:04 ok: to be cancelled: run=`b2`
            10:04 b2 to be cancelled: asked
            10:05 no: the service has it: cancel it first, and settle it if the service says nothing for `10m` after that: run=`b2`
            10:20 ok: given up: run=`b2`
            10:20 b2/1 abandoned
            10:20 b2 finished: cancelled
            10:20 b4 closed: b#1
            10:20 b4/1 intended
            10:21 b4/1 started
            11:00 b2/1 unwatched
        "#]],
    );
}

#[test]
fn what_an_earlier_call_may_yet_start_is_watched_for() {
    check(
        "rule t bucket=b quiet=0s class=A
         10:00 put a#1
         10:01 unclear b2
         10:10 absent b2
         10:11 busy b2
         10:11:01 cancel b2
         10:12 found b2/1
         10:13 cancelled b2/1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 unclear
            10:10 b2/1 intended again
            10:11 b2/1 postponed until 10:11:01
            10:11:01 ok: to be cancelled: run=`b2`
            10:11:01 b2 to be cancelled: asked
            10:11:01 b2/1 abandoned
            10:11:01 b2 finished: cancelled
            10:12 b2/1 late twin
            10:13 b2/1 unwatched
        "#]],
    );
}

#[test]
fn a_run_that_made_the_claim_is_given_up_as_well() {
    check(
        "rule t bucket=b quiet=0s class=C guard=gs://g/t
         10:00 put a#1
         10:01 started b2
         10:02 claim b2/1; put b#1
         10:03 cancel b2
         10:20 settle b2 ",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b4
            10:02 b4 held: active_run
            10:03 ok: to be cancelled: run=`b2`
            10:03 b2 to be cancelled: asked
            10:20 ok: given up: run=`b2`
            10:20 b2/1 abandoned
            10:20 b2 finished: cancelled
            10:20 b4 closed: b#1
            10:20 b4/1 intended
        "#]],
    );
}

#[test]
fn one_that_took_too_long_and_is_given_up_counts_as_tried() {
    check(
        "rule t bucket=b quiet=0s timeout=1h
         10:00 put a#1
         10:01 started b2
         11:01 tick
         11:15 settle b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            11:01 b2 to be cancelled: timed_out
            11:15 ok: given up: run=`b2`
            11:15 b2/1 abandoned
            11:15 b2 finished: failed
        "#]],
    );
}

#[test]
fn one_that_is_seen_never_again_is_let_go_of() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:04 cancel b2
         10:20 settle b2
         1d10:21 tick
         2d10:21 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:04 ok: to be cancelled: run=`b2`
            10:04 b2 to be cancelled: asked
            10:20 ok: given up: run=`b2`
            10:20 b2/1 abandoned
            10:20 b2 finished: cancelled
            2d10:21 b2/1 unwatched
        "#]],
    );
}
