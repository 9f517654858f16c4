//! What becomes of runs.

use expect_test::expect;

use crate::check;

#[test]
fn a_held_batch_coalesces_while_a_run_is_active() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:10 put c#1
         10:12 tick
         10:20 succeeded b2
         10:21 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:10 c#1 -> t b5
            10:10 b5 held: quiet until 10:11
            10:20 b2/1 ended: succeeded
            10:20 b2 finished: succeeded
            10:20 b5 closed: b#1 c#1
            10:20 b5/1 intended
        "#]],
    );
}

#[test]
fn a_full_queue_coalesces() {
    check(
        "rule t bucket=b quiet=1m overlap=queue:1
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         10:04 put c#1
         10:05 tick
         10:06 put d#1
         10:07 tick
         10:10 succeeded b2
         10:11 started b5; succeeded b5",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b5 sealed: queued
            10:03 b5 held: active_run
            10:04 c#1 -> t b7
            10:04 b7 held: quiet until 10:05
            10:06 d#1 -> t b7
            10:06 b7 held: quiet until 10:07
            10:10 b2/1 ended: succeeded
            10:10 b2 finished: succeeded
            10:10 b5 closed: b#1
            10:10 b5/1 intended
            10:10 b7 sealed: queued
            10:10 b7 held: active_run
            10:11 b5/1 started
            10:11 b5/1 ended: succeeded
            10:11 b5 finished: succeeded
            10:11 b7 closed: c#1 d#1
            10:11 b7/1 intended
        "#]],
    );
}

#[test]
fn replace_waits_until_the_old_run_has_ended_and_takes_its_members() {
    check(
        "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1; put b#1
         10:01 started b2
         10:02 put b#2
         10:03 tick
         10:04 running b2
         10:05 failed b2
         10:06 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 b#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1 b#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#2 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b2 to be cancelled: {"replaced_by":"b5"}
            10:03 b5 held: replacing
            10:04 b2/1 running
            10:05 b2/1 ended: cancelled
            10:05 b2 finished: cancelled
            10:05 b2 moved to b5
            10:05 b5 closed: b#2 a#1 (1 superseded, 0 gone)
            10:05 b5/1 intended
        "#]],
    );
}

#[test]
fn replace_leaves_the_members_of_a_run_that_succeeded_after_all() {
    check(
        "rule t bucket=b quiet=1m overlap=replace
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         10:04 succeeded b2",
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
            10:04 b2/1 ended: succeeded
            10:04 b2 finished: succeeded
            10:04 b5 closed: b#1
            10:04 b5/1 intended
        "#]],
    );
}

#[test]
fn a_failed_run_is_tried_again_under_a_new_key() {
    check(
        "rule t bucket=b quiet=1m retry=3/2m/3m param=key:${run.key}
         10:00 put a#1
         10:01 started b2
         10:05 failed b2
         10:06:59 tick
         10:07 started b2; failed b2
         10:08 started b2
         10:09 failed b2
         10:12 started b2
         10:13 failed b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:05 b2/1 ended: failed
            10:07 b2/2 intended
            10:07 b2/2 started
            10:07 b2/2 ended: failed
            10:12 b2/3 intended
            10:12 b2/3 started
            10:13 b2/3 ended: failed
            10:13 b2 finished: failed
        "#]],
    );
}

#[test]
fn a_run_that_takes_too_long_is_cancelled_and_tried_again_once_it_has_ended() {
    check(
        "rule t bucket=b quiet=1m timeout=1h retry=2/1m/1m
         10:00 put a#1
         10:01 started b2
         11:01 tick
         11:30 running b2
         11:40 failed b2
         11:41 started b2
         11:42 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            11:01 b2 to be cancelled: timed_out
            11:30 b2/1 running
            11:40 b2/1 ended: timed out
            11:41 b2/2 intended
            11:41 b2/2 started
            11:42 b2/2 ended: succeeded
            11:42 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_refused_start_is_not_tried_again() {
    check(
        "rule t bucket=b quiet=1m retry=3/1m/1m
         10:00 put a#1
         10:01 rejected b2
         10:10 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 ended: failed
            10:01 b2 finished: failed
        "#]],
    );
}

#[test]
fn the_budget_counts_every_attempt() {
    check(
        "rule t bucket=b quiet=1m retry=9/1m/1m budget=2/1h
         10:00 put a#1
         10:01 started b2
         10:02 failed b2
         10:03 started b2
         10:04 failed b2
         10:05 put b#1
         11:01 tick
         11:02 started b2
         11:03 succeeded b2
         12:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b2/1 ended: failed
            10:03 b2/2 intended
            10:03 b2/2 started
            10:04 b2/2 ended: failed
            10:05 b#1 -> t b9
            10:05 b9 held: quiet until 10:06
            11:01 b2/3 intended
            11:01 b9 held: budget until 11:03
            11:02 b2/3 started
            11:03 b2/3 ended: succeeded
            11:03 b2 finished: succeeded
            11:03 b9 closed: b#1
            11:03 b9/1 intended
        "#]],
    );
}

#[test]
fn class_a_is_called_again_under_the_same_key() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:01 unclear b2
         10:05 absent b2
         10:06 found b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 unclear
            10:05 b2/1 intended again
            10:06 b2/1 adopted
        "#]],
    );
}

#[test]
fn class_b_is_abandoned_after_two_empty_look_ups() {
    check(
        "rule t bucket=b quiet=1m class=B
         10:00 put a#1
         10:01 unclear b2
         10:05 absent b2
         10:14 absent b2
         10:15 absent b2
         10:16 started b2
         10:20 found b2/1
         10:21 cancelled b2/1
         10:30 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 unclear
            10:05 b2/1 not found
            10:15 b2/1 abandoned
            10:15 b2/2 intended
            10:16 b2/2 started
            10:20 b2/1 late twin
            10:21 b2/1 unwatched
            10:30 b2/2 ended: succeeded
            10:30 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn an_abandoned_key_that_appears_before_its_successor_is_adopted() {
    check(
        "rule t bucket=b quiet=1m class=C budget=1/1h
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:16 found b2/1
         10:20 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 not found
            10:15 b2/1 abandoned
            10:16 b2/1 adopted
            10:20 b2/1 ended: succeeded
            10:20 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn an_abandoned_key_is_looked_up_for_a_day() {
    check(
        "rule t bucket=b quiet=1m class=C
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:16 started b2; succeeded b2
         10:17 succeeded b2
         1d10:15 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 not found
            10:15 b2/1 abandoned
            10:15 b2/2 intended
            10:16 b2/2 started
            10:16 b2/2 ended: succeeded
            10:16 b2 finished: succeeded
            1d10:15 b2/1 unwatched
        "#]],
    );
}

#[test]
fn where_a_person_is_to_decide_nothing_is_started_twice() {
    check(
        "rule t bucket=b quiet=1m class=C on_unknown=ask
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:16 put b#1
         10:20 tick
         10:30 settle b2 x-1
         10:31 succeeded b2
         10:32 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 not found
            10:15 b2/1 uncertain
            10:16 b#1 -> t b6
            10:16 b6 held: quiet until 10:17
            10:30 ok: settled as started: run=`b2`, id=`x-1`
            10:30 b2/1 adopted
            10:30 b6 held: active_run
            10:31 b2/1 ended: succeeded
            10:31 b2 finished: succeeded
            10:31 b6 closed: b#1
            10:31 b6/1 intended
        "#]],
    );
}

#[test]
fn settled_as_not_started_means_another_attempt() {
    check(
        "rule t bucket=b quiet=1m class=C
         10:00 put a#1
         10:05 nolookup b2
         10:30 settle b2
         10:31 started b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 uncertain
            10:30 ok: settled as not started: run=`b2`
            10:30 b2/1 abandoned
            10:30 b2/2 intended
            10:31 b2/2 started
        "#]],
    );
}

#[test]
fn what_was_certainly_not_started_is_called_again_later() {
    check(
        "rule t bucket=b quiet=1m class=B
         10:00 put a#1
         10:01 busy b2
         10:01:01 tick
         10:01:02 busy b2
         10:01:03 tick
         10:01:10 started b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 postponed until 10:01:01
            10:01:01 b2/1 intended again
            10:01:02 b2/1 postponed until 10:01:04
            10:01:10 b2/1 intended again
            10:01:10 b2/1 started
        "#]],
    );
}

#[test]
fn a_run_can_be_cancelled_in_every_phase() {
    check(
        "rule t bucket=b quiet=1m class=B overlap=allow
         10:00 put a#1
         10:01 busy b2; cancel b2
         10:02 put b#1
         10:03 unclear b5; cancel b5
         10:05 absent b5
         10:15 absent b5
         10:16 put c#1
         10:17 started b10
         10:18 cancel b10
         10:19 cancelled b10
         10:20 cancel b10; cancel nope",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 ok: to be cancelled: run=`b2`
            10:01 b2 to be cancelled: asked
            10:01 b2/1 postponed until 10:01:01
            10:01 b2/1 ended: cancelled
            10:01 b2 finished: cancelled
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:03 b5 closed: b#1
            10:03 b5/1 intended
            10:03 ok: to be cancelled: run=`b5`
            10:03 b5 to be cancelled: asked
            10:03 b5/1 unclear
            10:05 b5/1 not found
            10:15 b5/1 abandoned
            10:15 b5 finished: cancelled
            10:16 c#1 -> t b10
            10:16 b10 held: quiet until 10:17
            10:17 b10 closed: c#1
            10:17 b10/1 intended
            10:17 b10/1 started
            10:18 ok: to be cancelled: run=`b10`
            10:18 b10 to be cancelled: asked
            10:19 b10/1 ended: cancelled
            10:19 b10 finished: cancelled
            10:20 no: it is over: run=`b10`, phase=`cancelled`
            10:20 no: unknown run: name=`nope`
        "#]],
    );
}

#[test]
fn a_run_the_service_forgot_fails_when_it_stays_so() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:01 started b2
         10:05 vanished b2
         10:06 running b2
         10:07 vanished b2
         10:16 vanished b2
         10:17 vanished b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:05 b2/1 not found
            10:06 b2/1 running
            10:07 b2/1 not found
            10:17 b2/1 ended: failed
            10:17 b2 finished: failed
        "#]],
    );
}

#[test]
fn a_pipeline_that_cannot_be_prepared_holds_the_batch() {
    check(
        "rule t bucket=b quiet=1m trouble='not reachable'
         10:00 put a#1
         10:01 tick
         10:01:02 tick
         10:01:06 put b#1
         rule t bucket=b quiet=1m
         10:02 apply
         10:03 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 t troubled: not reachable until 10:01:02
            10:01 b2 held: unprepared until 10:01:02
            10:01:02 t troubled: not reachable until 10:01:06
            10:01:02 b2 held: unprepared until 10:01:06
            10:01:06 b#1 -> t b2
            10:01:06 b2 held: quiet until 10:02:06
            10:02 ok: applied: triggers=`1`
            10:03 no: nothing waits for a decision: trigger=`t`
            10:03 b2 closed: a#1 b#1
            10:03 b2/1 intended
        "#]],
    );
}
