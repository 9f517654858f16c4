//! Starts of which nothing is ever heard.

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
