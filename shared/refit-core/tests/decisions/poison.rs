//! A batch that cannot be started as it is: the others of its trigger can.

use expect_test::expect;

use crate::check;

/// Of two messages one has a number where it is wanted.
pub(crate) const POISON: &str = "rule t message quiet=0s each overlap=allow param='rows:${ int(member.message.data.rows) }' notify=ml
     receiver ml on=stuck
     10:00 message m1; message m2 data='{\"rows\":3}'
     10:01 tick
     10:02 message m3 data='{\"rows\":4}'
     10:03 resume t discard";

#[test]
fn one_that_lacks_a_parameter_is_held_alone_and_can_be_discarded() {
    check(
        POISON,
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 m1 -> t b2
            10:00 m2 -> t b2.1
            10:00 b2 sealed: each
            10:00 b2.1 sealed: each
            10:00 b2 in trouble: No such key: data: parameter=`rows`
            10:00 b2.1 closed: m2
            10:00 b2.1/1 intended
            10:00 ml letter 1 at 10:00: stuck b2 (No such key: data: parameter=`rows`)
            10:00 b2 held: unprepared until 11:00
            10:02 m3 -> t b3
            10:02 b3 sealed: each
            10:02 b3 closed: m3
            10:02 b3/1 intended
            10:03 ok: discarded: trigger=`t`, batches=`1`
            10:03 b2 dropped: discarded
        "#]],
    );
}

#[test]
fn what_was_gathered_before_the_rules_said_each_is_no_batch_of_one() {
    check(
        "rule t bucket=b quiet=1h
         10:00 put a#1; put b#1
         rule t bucket=b each param='file:${ member.uri }'
         10:01 apply
         10:02 put c#1
         10:03 resume t coalesce
         10:04 started b4; succeeded b4",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 b#1 -> t b2
            10:00 b2 held: quiet until 11:00
            10:01 ok: applied: triggers=`1`; batches that wait for a decision: count=`1`
            10:01 b2 asks
            10:01 b2 held: ask
            10:02 c#1 -> t b4
            10:02 b4 sealed: each
            10:02 b4 closed: c#1
            10:02 b4/1 intended
            10:03 ok: resumed: trigger=`t`
            10:03 b2 may go on
            10:03 b2 held: active_run
            10:04 b4/1 started
            10:04 b4/1 ended: succeeded
            10:04 b4 finished: succeeded
            10:04 b2 in trouble: `member` is of batches of one, as `each` makes them: members=`2`
            10:04 b2 held: unprepared until 11:04
        "#]],
    );
}

#[test]
fn what_takes_over_from_a_run_it_replaces_starts_with_its_own_member() {
    check(
        "rule t bucket=b each overlap=replace param='file:${ member.uri }'
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 cancelled b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 sealed: each
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b4
            10:02 b4 sealed: each
            10:02 b2 to be cancelled: {"replaced_by":"b4"}
            10:02 b4 held: replacing
            10:03 b2/1 ended: cancelled
            10:03 b2 finished: cancelled
            10:03 b2 moved to b4
            10:03 b4 closed: b#1 a#1
            10:03 b4/1 intended
        "#]],
    );
}
