//! Runs that their services start again after they had ended badly.

use expect_test::expect;

use crate::check;

#[test]
fn a_run_that_its_service_starts_again_goes_on_and_its_end_counts() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 running b2
         10:31 put b#1; running b2
         10:32 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:30 b2/1 reopened: x-b2-1
            10:31 b#1 -> t b6
            10:31 b6 held: active_run
            10:31 b2/1 running
            10:32 b2/1 ended: succeeded
            10:32 b2 finished: succeeded
            10:32 b6 closed: b#1
            10:32 b6/1 intended
        "#]],
    );
}

#[test]
fn it_is_told_of_again_under_other_ids() {
    check(
        "receiver ml on=launch,failure
         rule t bucket=b quiet=0s notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 running b2
         10:31 failed b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 ml letter 1 at 10:01: launch b2/1
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:02 ml letter 2 at 10:02: failure b2/1
            10:30 b2/1 reopened: x-b2-1
            10:30 ml letter 3 at 10:30: launch b2/1 (its service started it again)
            10:31 b2/1 ended: failed
            10:31 b2 finished: failed
            10:31 ml letter 4 at 10:31: failure b2/1
        "#]],
    );
}

#[test]
fn one_that_ended_well_before_anybody_looked_again_counts_as_well() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 succeeded b2
         10:31 failed b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:30 b2/1 reopened: x-b2-1
            10:30 b2/1 ended: succeeded
            10:30 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn it_goes_on_once_no_other_of_its_trigger_runs() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:03 put b#1
         10:04 started b5
         10:30 running b2
         10:31 succeeded b5
         10:40 running b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:03 b#1 -> t b5
            10:03 b5 closed: b#1
            10:03 b5/1 intended
            10:04 b5/1 started
            10:31 b5/1 ended: succeeded
            10:31 b5 finished: succeeded
            10:40 b2/1 reopened: x-b2-1
        "#]],
    );
}

#[test]
fn where_runs_may_overlap_it_goes_on_beside_others() {
    check(
        "rule t bucket=b quiet=0s overlap=allow
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:03 put b#1
         10:04 started b5
         10:30 running b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:03 b#1 -> t b5
            10:03 b5 closed: b#1
            10:03 b5/1 intended
            10:04 b5/1 started
            10:30 b2/1 reopened: x-b2-1
        "#]],
    );
}

#[test]
fn what_succeeded_stays_so_and_what_was_retried_is_not_taken_up() {
    check(
        "rule t bucket=b quiet=0s retry=2/1m/1h
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:10 tick
         10:11 started b2
         10:12 running b2/1
         10:13 succeeded b2
         10:14 running b2; running b2/1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:10 b2/2 intended
            10:11 b2/2 started
            10:13 b2/2 ended: succeeded
            10:13 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_run_that_a_person_ended_goes_on_and_may_be_ended_again() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 cancel b2
         10:03 cancelled b2
         10:30 running b2
         10:31 cancel b2
         10:32 failed b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 ok: to be cancelled: run=`b2`
            10:02 b2 to be cancelled: asked
            10:03 b2/1 ended: cancelled
            10:03 b2 finished: cancelled
            10:30 b2/1 reopened: x-b2-1
            10:31 ok: to be cancelled: run=`b2`
            10:31 b2 to be cancelled: asked
            10:32 b2/1 ended: cancelled
            10:32 b2 finished: cancelled
        "#]],
    );
}

#[test]
fn a_run_that_was_replaced_has_no_members_left() {
    check(
        "rule t bucket=b quiet=0s overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 cancelled b2
         10:04 started b4
         10:05 succeeded b4
         10:30 running b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b4
            10:02 b2 to be cancelled: {"replaced_by":"b4"}
            10:02 b4 held: replacing
            10:03 b2/1 ended: cancelled
            10:03 b2 finished: cancelled
            10:03 b2 moved to b4
            10:03 b4 closed: b#1 a#1
            10:03 b4/1 intended
            10:04 b4/1 started
            10:05 b4/1 ended: succeeded
            10:05 b4 finished: succeeded
        "#]],
    );
}

#[test]
fn it_is_looked_at_for_a_day() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         1d10:02 tick
         1d10:03 running b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            1d10:02 b2/1 unwatched
        "#]],
    );
}

#[test]
fn the_run_a_service_makes_in_its_place_is_followed() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 superseded b2 y-1
         10:03 running b2 of=x-b2-1; running b2
         10:04 failed b2
         10:30 superseded b2 y-1
         10:31 superseded b2 y-2
         10:32 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 reopened: y-1
            10:03 b2/1 running
            10:04 b2/1 ended: failed
            10:04 b2 finished: failed
            10:31 b2/1 reopened: y-2
            10:32 b2/1 ended: succeeded
            10:32 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn behind_a_guard_only_the_run_that_made_the_claim_goes_on() {
    check(
        "rule t bucket=b quiet=0s class=C guard=gs://g/t
         10:00 put a#1
         10:01 started b2; claim b2/1
         10:02 superseded b2 y-1
         10:03 superseded b2 y-1
         10:30 running b2
         10:31 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:30 b2/1 reopened: x-b2-1
            10:31 b2/1 ended: succeeded
            10:31 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_retry_that_stands_down_at_the_guard_is_not_followed() {
    check(
        "rule t bucket=b quiet=0s guard=gs://claims
         10:00 put a#1
         10:01 started b2
         10:02 superseded b2 y-1
         10:03 claim b2/1 y-1; superseded b2 y-2
         10:30 superseded b2 y-3",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 reopened: y-1
            10:03 b2/1 ended: failed
            10:03 b2 finished: failed
        "#]],
    );
}

#[test]
fn before_its_next_attempt_it_goes_on_instead() {
    check(
        "rule t bucket=b quiet=0s retry=2/1h/1h
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 running b2
         10:31 failed b2
         11:31 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:30 b2/1 reopened: x-b2-1
            10:31 b2/1 ended: failed
            11:31 b2/2 intended
        "#]],
    );
}

#[test]
fn it_has_its_own_time() {
    check(
        "rule t bucket=b quiet=0s timeout=1h
         10:00 put a#1
         10:01 started b2
         11:01 tick
         11:02 cancelled b2
         11:30 running b2
         12:20 running b2
         12:30 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            11:01 b2 to be cancelled: timed_out
            11:02 b2/1 ended: timed out
            11:02 b2 finished: timed out
            11:30 b2/1 reopened: x-b2-1
            12:20 b2/1 running
            12:30 b2 to be cancelled: timed_out
        "#]],
    );
}

#[test]
fn what_was_said_before_it_ended_or_was_started_again_does_not_count() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:30 running b2 early
         10:31 running b2
         10:32 failed b2 early; running b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:02 b2 finished: failed
            10:31 b2/1 reopened: x-b2-1
            10:32 b2/1 running
        "#]],
    );
}
