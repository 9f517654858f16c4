//! `overlap: replace`, while other things happen to the run, the batch that replaces it, and the rules.

use expect_test::expect;

use crate::check;

#[test]
fn members_move_although_the_rules_replace_nothing_any_more() {
    check(
        "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         rule t bucket=b quiet=1m overlap=allow
         10:04 apply start
         10:05 cancelled b2
         10:06 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b2 to be cancelled: {"replaced_by":"b5"}
            10:03 b5 held: replacing
            10:04 ok: applied: triggers=`1`; what is due may start
            10:05 b2/1 ended: cancelled
            10:05 b2 finished: cancelled
            10:05 b2 moved to b5
            10:05 b5 closed: b#1 a#1
            10:05 b5/1 intended
        "#]],
    );
}

#[test]
fn members_move_on_with_the_batch_that_was_to_get_them() {
    check(
        "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         10:04 pause t
         10:04:10 resume t
         10:04:20 put c#1
         10:04:30 resume t coalesce
         10:05 cancelled b2
         10:06 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b2 to be cancelled: {"replaced_by":"b5"}
            10:03 b5 held: replacing
            10:04 ok: paused: trigger=`t`
            10:04 b5 held: paused
            10:04:10 ok: resumed: trigger=`t`, batches that wait for a decision=`1`
            10:04:10 b5 asks
            10:04:10 b5 held: ask
            10:04:20 c#1 -> t b9
            10:04:20 b9 held: quiet until 10:05:20
            10:04:30 ok: resumed: trigger=`t`
            10:04:30 b5 may go on
            10:04:30 b5 moved to b9
            10:05 b2/1 ended: cancelled
            10:05 b2 finished: cancelled
            10:05 b2 moved to b9
            10:06 b9 closed: c#1 b#1 a#1
            10:06 b9/1 intended
        "#]],
    );
}

#[test]
fn who_discards_a_batch_discards_what_it_was_to_take_over() {
    check(
        "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         10:04 pause t
         10:04:10 resume t discard
         10:05 cancelled b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b2 to be cancelled: {"replaced_by":"b5"}
            10:03 b5 held: replacing
            10:04 ok: paused: trigger=`t`
            10:04 b5 held: paused
            10:04:10 ok: discarded: trigger=`t`, batches=`1`, with the members of runs that are being replaced=`1`
            10:04:10 b2 to be cancelled: asked
            10:04:10 b5 dropped: discarded
            10:05 b2/1 ended: cancelled
            10:05 b2 finished: cancelled
        "#]],
    );
}

#[test]
fn a_run_is_replaced_by_a_batch_of_its_own_key() {
    check(
        "rule t bucket=b quiet=1m overlap=replace by='object.name.split(\"/\")[0]'
         10:00 put x/a#1
         10:01 started b2
         10:02 put y/a#1
         10:03 tick
         10:04 put x/b#1
         10:05 tick
         10:06 cancelled b2
         10:07 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 x/a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: x/a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 y/a#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:04 x/b#1 -> t b6
            10:04 b5 held: active_run
            10:04 b6 held: quiet until 10:05
            10:05 b2 to be cancelled: {"replaced_by":"b6"}
            10:05 b6 held: replacing
            10:06 b2/1 ended: cancelled
            10:06 b2 finished: cancelled
            10:06 b2 moved to b6
            10:06 b5 closed: y/a#1
            10:06 b5/1 intended
            10:06 b6 held: active_run
        "#]],
    );
}
