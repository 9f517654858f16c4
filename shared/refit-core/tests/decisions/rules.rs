//! How rules take effect, pauses and decisions of people.

use std::sync::Arc;

use expect_test::expect;

use crate::check;
use crate::world::World;

#[test]
fn nothing_starts_because_rules_were_applied() {
    check(
        "rule t bucket=b quiet=1h max_wait=2h
         10:00 put a#1
         10:05 tick
         rule t bucket=b quiet=1m max_wait=2h
         10:10 apply
         10:11 put b#1
         10:20 tick
         10:30 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 11:00
            10:10 ok: applied: triggers=`1`; batches that wait for a decision: count=`1`
            10:10 b2 asks
            10:10 b2 held: ask
            10:11 b#1 -> t b4
            10:11 b4 held: quiet until 10:12
            10:20 b4 closed: b#1
            10:20 b4/1 intended
            10:30 ok: resumed: trigger=`t`
            10:30 b2 may go on
            10:30 b2 held: active_run
        "#]],
    );
}

#[test]
fn apply_with_start_starts_what_is_due() {
    check(
        "rule t bucket=b quiet=1h max_wait=2h
         10:00 put a#1
         rule t bucket=b quiet=1m max_wait=2h
         10:10 apply start",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 11:00
            10:10 ok: applied: triggers=`1`; what is due may start
            10:10 b2 closed: a#1
            10:10 b2/1 intended
        "#]],
    );
}

#[test]
fn rules_written_against_others_are_a_conflict() {
    check(
        "rule t bucket=b
         10:00 apply
         10:01 apply stale",
        &expect![[r#"
            10:00 ok: applied: triggers=`1`, added=`t`
            10:01 no: conflict: other rules were applied meanwhile: current=`rev1`, applied=`rev2`
        "#]],
    );
}

#[test]
fn rules_that_are_in_force_already_are_no_conflict_and_change_nothing() {
    check(
        "rule t bucket=b quiet=1m max_wait=2h
         10:00 put a#1
         10:00:30 apply again
         10:05 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:30 ok: applied: triggers=`1`
            10:05 b2 closed: a#1
            10:05 b2/1 intended
        "#]],
    );
}

#[test]
fn events_are_judged_by_the_rules_in_force_at_their_place() {
    check(
        "rule t bucket=b prefix=x/
         10:00 put a#1
         rule t bucket=b
         10:01 put b#1; apply; put c#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 refused: no_match
            10:01 b#1 refused: no_match
            10:01 ok: applied: triggers=`1`
            10:01 c#1 -> t b3
            10:01 b3 held: quiet until 10:02
        "#]],
    );
}

#[test]
fn batches_of_a_removed_trigger_wait_until_it_is_back() {
    check(
        "rule t bucket=b quiet=1m
         rule u bucket=b quiet=1m
         10:00 put a#1
         drop t
         10:00:30 apply
         10:01 put b#1
         10:02 tick
         rule t bucket=b quiet=1m
         10:10 apply
         10:11 put c#1
         10:12 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 a#1 -> u b2.1
            10:00 b2 held: quiet until 10:01
            10:00 b2.1 held: quiet until 10:01
            10:00:30 ok: applied: triggers=`1`, removed=`t`
            10:00:30 b2 held: trigger_removed
            10:01 b#1 -> u b2.1
            10:01 b2.1 held: quiet until 10:02
            10:02 b2.1 closed: a#1 b#1
            10:02 b2.1/1 intended
            10:10 ok: applied: triggers=`2`, added=`t`; batches that wait for a decision: count=`1`
            10:10 b2 asks
            10:10 b2 held: ask
            10:11 c#1 -> t b7
            10:11 c#1 -> u b7.1
            10:11 b7 held: quiet until 10:12
            10:11 b7.1 held: quiet until 10:12
            10:12 ok: resumed: trigger=`t`
            10:12 b2 may go on
            10:12 b2 moved to b7
            10:12 b7.1 held: active_run
            10:12 b7 closed: c#1 a#1
            10:12 b7/1 intended
        "#]],
    );
}

#[test]
fn batches_of_a_removed_trigger_can_be_discarded() {
    check(
        "rule t bucket=b quiet=1m
         rule u bucket=z
         10:00 put a#1
         drop t
         10:00:30 apply
         10:02 resume t discard
         10:03 resume t",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:00:30 ok: applied: triggers=`1`, removed=`t`
            10:00:30 b2 held: trigger_removed
            10:02 ok: discarded: trigger=`t`, batches=`1`
            10:02 b2 dropped: discarded
            10:03 no: unknown trigger: name=`t`, known=`u`
        "#]],
    );
}

#[test]
fn what_waits_for_an_active_run_is_not_started_by_rules_that_allow_another() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:01 started b2
         10:02 put b#1
         10:03 tick
         rule t bucket=b quiet=1m overlap=allow
         10:04 apply
         10:05 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:02 b#1 -> t b5
            10:02 b5 held: quiet until 10:03
            10:04 ok: applied: triggers=`1`; batches that wait for a decision: count=`1`
            10:04 b5 asks
            10:04 b5 held: ask
            10:05 ok: resumed: trigger=`t`
            10:05 b5 may go on
            10:05 b5 closed: b#1
            10:05 b5/1 intended
        "#]],
    );
}

#[test]
fn a_trigger_that_is_taken_out_and_back_keeps_its_budget_and_its_pause() {
    check(
        "rule t bucket=b quiet=0s overlap=allow budget=1/1d
         rule u bucket=z
         10:00 put a#1
         10:01 started b2; succeeded b2
         10:02 pause t
         drop t
         10:03 apply
         rule t bucket=b quiet=0s overlap=allow budget=1/1d
         10:04 apply
         10:05 put b#1
         10:06 resume t coalesce
         drop t
         10:07 apply
         10:08 resume t discard
         60d10:00 tick
         60d10:01 resume t",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:02 ok: paused: trigger=`t`
            10:03 ok: applied: triggers=`1`, removed=`t`
            10:04 ok: applied: triggers=`2`, added=`t`
            10:05 b#1 -> t b7
            10:05 b7 held: paused
            10:06 ok: resumed: trigger=`t`
            10:06 b7 held: budget until 1d10:00
            10:07 ok: applied: triggers=`1`, removed=`t`
            10:07 b7 held: trigger_removed
            10:08 ok: discarded: trigger=`t`, batches=`1`
            10:08 b7 dropped: discarded
            60d10:01 no: unknown trigger: name=`t`, known=`u`
        "#]],
    );
}

#[test]
fn a_paused_trigger_keeps_its_events_and_starts_nothing_when_resumed() {
    check(
        "rule t bucket=b quiet=1m
         10:00 pause t
         10:01 put a#1; put b#1
         10:05 tick
         10:10 resume t
         10:11 put c#1
         10:12 started b5
         10:13 succeeded b5
         10:20 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 ok: paused: trigger=`t`
            10:01 a#1 b#1 -> t b3
            10:01 b3 held: paused
            10:10 ok: resumed: trigger=`t`, batches that wait for a decision=`1`
            10:10 b3 asks
            10:10 b3 held: ask
            10:11 c#1 -> t b5
            10:11 b5 held: quiet until 10:12
            10:12 b5 closed: c#1
            10:12 b5/1 intended
            10:12 b5/1 started
            10:13 b5/1 ended: succeeded
            10:13 b5 finished: succeeded
            10:20 ok: resumed: trigger=`t`
            10:20 b3 may go on
            10:20 b3 closed: a#1 b#1
            10:20 b3/1 intended
        "#]],
    );
}

#[test]
fn a_resumed_trigger_may_start_one_coalesced_run() {
    check(
        "rule t bucket=b quiet=1m
         10:00 pause t
         10:01 put a#1; put b#1
         10:10 resume t coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 ok: paused: trigger=`t`
            10:01 a#1 b#1 -> t b3
            10:01 b3 held: paused
            10:10 ok: resumed: trigger=`t`
            10:10 b3 closed: a#1 b#1
            10:10 b3/1 intended
        "#]],
    );
}

#[test]
fn what_was_held_can_be_discarded() {
    check(
        "rule t bucket=b quiet=1m
         10:00 pause t
         10:01 put a#1
         10:10 resume t discard
         10:11 put b#1
         10:12 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 ok: paused: trigger=`t`
            10:01 a#1 -> t b3
            10:01 b3 held: paused
            10:10 ok: discarded: trigger=`t`, batches=`1`
            10:10 b3 dropped: discarded
            10:11 b#1 -> t b5
            10:11 b5 held: quiet until 10:12
            10:12 b5 closed: b#1
            10:12 b5/1 intended
        "#]],
    );
}

#[test]
fn a_trigger_can_ignore_what_arrives_while_it_is_paused() {
    check(
        "rule t bucket=b quiet=1m
         10:00 pause t ignore
         10:01 put a#1
         10:10 resume t
         10:11 put b#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 ok: paused: trigger=`t`
            10:01 a#1 refused by t: paused
            10:10 ok: resumed: trigger=`t`, batches that wait for a decision=`0`
            10:11 b#1 -> t b5
            10:11 b5 held: quiet until 10:12
        "#]],
    );
}

#[test]
fn a_pause_in_the_rule_file_ends_as_a_question() {
    check(
        "rule t bucket=b quiet=1m pause=hold
         10:00 put a#1
         10:05 tick
         rule t bucket=b quiet=1m
         10:10 apply
         10:15 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: paused
            10:10 ok: applied: triggers=`1`; batches that wait for a decision: count=`1`
            10:10 b2 asks
            10:10 b2 held: ask
        "#]],
    );
}

#[test]
fn commands_about_what_does_not_exist_are_refused() {
    check(
        "rule t bucket=b
         10:00 pause x; resume t; resume t coalesce; settle b1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 no: unknown trigger: name=`x`, known=`t`
            10:00 no: it is not paused: trigger=`t`
            10:00 no: nothing waits for a decision: trigger=`t`
            10:00 no: unknown run: name=`b1`
        "#]],
    );
}

/// As where a newer version of the program refuses what an older one took: otherwise nobody could mend it.
#[test]
fn rules_that_can_no_longer_be_used_are_replaced_by_rules_that_can_and_nothing_is_lost() {
    let mut world = World::new();
    world.lines("rule t bucket=b quiet=1m\n10:00 put a#1");
    world.revisions.remove("rev1");
    world.revisions.insert("another".to_owned(), Arc::default());
    assert_eq!(world.shown("10:05 put b#1"), "", "nothing is decided");
    expect![[r#"
        10:10 c#1 -> t b2
        10:10 ok: applied: triggers=`1`
        10:10 d#1 -> t b2
        10:10 b2 held: quiet until 10:11
        10:20 b2 closed: a#1 c#1 d#1
        10:20 b2/1 intended
    "#]]
    .assert_eq(world.shown("10:10 put c#1; apply; put d#1\n10:20 tick"));
    let mut due = World::new();
    due.lines("rule t bucket=b quiet=1m\n10:00 put a#1");
    due.revisions.remove("rev1");
    due.revisions.insert("another".to_owned(), Arc::default());
    expect![[r#"
        10:10 ok: applied: triggers=`1`; batches that wait for a decision: count=`1`
        10:10 b2 asks
        10:10 b2 held: ask
    "#]]
    .assert_eq(due.shown("10:10 apply\n10:20 tick"));
}
