//! What goes on once its trigger is taken out of the rules, or is called otherwise.

use expect_test::expect;

use crate::check;

/// A run that its trigger allows three days, of a trigger that is taken out of the rules in the meantime.
pub(crate) const LONG: &str = "rule t bucket=b quiet=0s timeout=3d notify=ml
     rule u bucket=z
     receiver ml on=failure
     10:00 put a#1
     10:01 started b2
     drop t
     1d10:02 apply
     3d10:02 tick
     3d10:03 failed b2";

#[test]
fn a_run_keeps_its_time_and_its_end_is_told() {
    check(
        LONG,
        &expect![[r#"
        00:00 ok: applied: triggers=`2`, added=`t, u`
        10:00 a#1 -> t b2
        10:00 b2 closed: a#1
        10:00 b2/1 intended
        10:01 b2/1 started
        1d10:02 ok: applied: triggers=`1`, removed=`t`
        3d10:02 b2 to be cancelled: timed_out
        3d10:03 b2/1 ended: timed out
        3d10:03 b2 finished: timed out
        3d10:03 ml letter 1 at 3d10:03: failure b2/1
    "#]],
    );
}

#[test]
fn a_version_is_promoted_by_the_trigger_that_promotes_its_model_now() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn manual'
         10:00 put a#1
         10:01 started b2
         drop t
         rule t2 bucket=b quiet=0s overlap=allow promote='churn manual'
         10:02 apply
         10:03 succeeded b2; registered b2 1
         10:04 request churn 1 ann; entered b2
         10:05 request churn 1 ann; entered b2
         10:10 put b#1
         10:11 started b11; succeeded b11; registered b11 2
         10:12 request churn 2 ann; entered b11
         10:13 request churn 2 ann; entered b11
         10:14 rollback churn 2 ann; entered b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 ok: applied: triggers=`1`, added=`t2`, removed=`t`
            10:03 b2/1 ended: succeeded
            10:03 b2 finished: succeeded
            10:03 churn b2 to be registered
            10:03 churn b2 registered as 1
            10:04 ok: requested: model=`churn`, version=`1`, stage=`staging`, person=`ann`
            10:04 churn b2 staging requested by ann
            10:04 churn b2 to enter
            10:04 churn b2 entered
            10:04 churn b2 accepted without a test
            10:05 ok: requested: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:05 churn b2 production requested by ann
            10:05 churn b2 to enter
            10:05 churn b2 entered
            10:10 b#1 -> t2 b11
            10:10 b11 closed: b#1
            10:10 b11/1 intended
            10:11 b11/1 started
            10:11 b11/1 ended: succeeded
            10:11 b11 finished: succeeded
            10:11 churn b11 to be registered
            10:11 churn b11 registered as 2
            10:12 ok: requested: model=`churn`, version=`2`, stage=`staging`, person=`ann`
            10:12 churn b11 staging requested by ann
            10:12 churn b11 to enter
            10:12 churn b11 entered
            10:12 churn b11 accepted without a test
            10:13 ok: requested: model=`churn`, version=`2`, stage=`production`, person=`ann`
            10:13 churn b11 production requested by ann
            10:13 churn b11 to enter
            10:13 churn b11 entered
            10:14 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:14 churn b2 production again requested by ann
            10:14 churn b2 to enter
            10:14 churn b2 entered
        "#]],
    );
}

#[test]
fn what_no_rule_could_grant_is_refused() {
    check(
        "rule t bucket=b quiet=0s promote='churn manual'
         rule u bucket=z
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1
         drop t
         10:02 apply
         10:03 request churn 1 ann",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 1
            10:02 ok: applied: triggers=`1`, removed=`t`
            10:03 no: no trigger of the rules in force promotes this model: apply rules with one that does: model=`churn`
        "#]],
    );
}

/// A version that waits to be asked for, and one that waits for an approval, while rules are applied that ask for less.
pub(crate) const LAXER: &str =
    "rule t bucket=b quiet=0s overlap=allow promote='churn staging=1 manual'
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1
     10:02 put b#1
     10:03 started b5; succeeded b5; registered b5 2
     10:04 request churn 2 ann
     rule t bucket=b quiet=0s overlap=allow promote='churn'
     10:05 apply
     10:06 tick";

#[test]
fn rules_that_are_applied_promote_nothing_by_themselves() {
    check(
        LAXER,
        &expect![[r#"
        00:00 ok: applied: triggers=`1`, added=`t`
        10:00 a#1 -> t b2
        10:00 b2 closed: a#1
        10:00 b2/1 intended
        10:01 b2/1 started
        10:01 b2/1 ended: succeeded
        10:01 b2 finished: succeeded
        10:01 churn b2 to be registered
        10:01 churn b2 registered as 1
        10:02 b#1 -> t b5
        10:02 b5 closed: b#1
        10:02 b5/1 intended
        10:03 b5/1 started
        10:03 b5/1 ended: succeeded
        10:03 b5 finished: succeeded
        10:03 churn b5 to be registered
        10:03 churn b5 registered as 2
        10:04 ok: requested: model=`churn`, version=`2`, stage=`staging`, person=`ann`
        10:04 churn b5 staging requested by ann
        10:05 ok: applied: triggers=`1`
    "#]],
    );
}

#[test]
fn rules_that_are_applied_to_start_what_is_due_ask_for_what_waits() {
    check(
        "rule t bucket=b quiet=0s promote='churn manual'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1
         rule t bucket=b quiet=0s promote='churn'
         10:05 apply start",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 1
            10:05 ok: applied: triggers=`1`; what is due may start
            10:05 churn b2 staging requested
            10:05 churn b2 to enter
        "#]],
    );
}

#[test]
fn a_rule_of_another_trigger_promotes_nothing_by_itself() {
    check(
        "rule t bucket=b quiet=0s promote='churn staging=2 manual' notify=ml
         rule u bucket=z promote='churn' notify=them
         receiver ml on=requested
         receiver them on=requested
         10:00 put a#1
         10:01 started b2
         drop t
         10:02 apply
         10:03 succeeded b2; registered b2 1
         10:04 request churn 1 ann",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:02 ok: applied: triggers=`1`, removed=`t`
            10:03 b2/1 ended: succeeded
            10:03 b2 finished: succeeded
            10:03 churn b2 to be registered
            10:03 churn b2 registered as 1
            10:04 ok: requested: model=`churn`, version=`1`, stage=`staging`, person=`ann`
            10:04 churn b2 staging requested by ann
            10:04 churn b2 to enter
        "#]],
    );
}
