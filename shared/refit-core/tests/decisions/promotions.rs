//! What becomes of the models that runs make.

use expect_test::expect;

use crate::check;

#[test]
fn a_version_goes_to_production_by_way_of_its_test() {
    check(
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1! acceptance=test gate=auc:min:0.9'
         rule test model=churn:staging
         rule deploy model=churn:production
         10:00 put a#1
         10:01 started b2; succeeded b2
         10:02 registered b2 3 auc=0.93
         10:03 approve churn 3 ann stage=staging
         10:04 entered b2
         10:05 approve churn 3 ann
         10:06 started b6; succeeded b6
         10:07 approve churn 3 ann
         10:08 approve churn 3 bob
         10:09 entered b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`3`, added=`deploy, t, test`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:02 churn b2 registered as 3
            10:02 churn b2 staging requested
            10:03 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`ann`
            10:03 churn b2 approved by ann
            10:03 churn b2 to enter
            10:04 churn b2 entered
            10:04 b6 sealed: each
            10:04 test churn/3 staging x1 -> b6
            10:04 churn b2 tested by b6
            10:04 b6 closed: churn/3 staging x1
            10:04 b6/1 intended
            10:05 no: nothing is asked for it that could be approved: version=`3`, phase=`testing`
            10:06 b6/1 started
            10:06 b6/1 ended: succeeded
            10:06 b6 finished: succeeded
            10:06 churn b2 accepted by b6
            10:06 churn b2 production requested
            10:07 no: it takes another person than who asked for it or approved it before: person=`ann`
            10:08 ok: approved: model=`churn`, version=`3`, stage=`production`, person=`bob`
            10:08 churn b2 approved by bob
            10:08 churn b2 to enter
            10:09 churn b2 entered
            10:09 b11 sealed: each
            10:09 deploy churn/3 production x1 -> b11
            10:09 b11 closed: churn/3 production x1
            10:09 b11/1 intended
        "#]],
    );
}

#[test]
fn the_gate_refuses_what_is_not_good_enough_or_not_known() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn gate=auc:min:0.9 gate=auc:drop:0.01 gate=loss:max:1'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3 auc=0.89
         10:10 put b#1
         10:11 started b5; succeeded b5; registered b5 4 auc=0.95 loss=0.1 production=2:auc=0.97
         10:20 put c#1
         10:21 started b8; succeeded b8; registered b8 5 auc=0.96 loss=0.1 production=2:auc=0.97",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 3
            10:01 churn b2 refused: it is too low: metric=`auc`, value=`0.89`, limit=`0.9`; it was not measured: metric=`loss`
            10:10 b#1 -> t b5
            10:10 b5 closed: b#1
            10:10 b5/1 intended
            10:11 b5/1 started
            10:11 b5/1 ended: succeeded
            10:11 b5 finished: succeeded
            10:11 churn b5 to be registered
            10:11 churn b5 registered as 4
            10:11 churn b5 refused: it is lower than in production by too much: metric=`auc`, value=`0.95`, limit=`0.96`
            10:20 c#1 -> t b8
            10:20 b8 closed: c#1
            10:20 b8/1 intended
            10:21 b8/1 started
            10:21 b8/1 ended: succeeded
            10:21 b8 finished: succeeded
            10:21 churn b8 to be registered
            10:21 churn b8 registered as 5
            10:21 churn b8 staging requested
            10:21 churn b8 to enter
        "#]],
    );
}

#[test]
fn stages_are_asked_for_by_a_person_where_the_rule_does_not() {
    check(
        "rule t bucket=b quiet=0s promote='churn manual'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3
         10:02 request churn 3 ann stage=production
         10:03 request churn 3 ann why=ready
         10:04 entered b2
         10:05 request churn 3 ann
         10:06 entered b2
         10:07 request churn 3 ann; request churn 9 ann; request other 1 ann; request churn 3 ' '",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 3
            10:02 no: the stage that comes next is staging: version=`3`, phase=`candidate`
            10:03 ok: requested: model=`churn`, version=`3`, stage=`staging`, person=`ann`
            10:03 churn b2 staging requested by ann
            10:03 churn b2 to enter
            10:04 churn b2 entered
            10:04 churn b2 accepted without a test
            10:05 ok: requested: model=`churn`, version=`3`, stage=`production`, person=`ann`
            10:05 churn b2 production requested by ann
            10:05 churn b2 to enter
            10:06 churn b2 entered
            10:07 no: no stage can be asked for it now: version=`3`, phase=`promoted`
            10:07 no: no such version is known: version=`9`, known=`3`
            10:07 no: no version of such a model is known: model=`other`, known=`churn`
            10:07 no: nobody is named who says so
        "#]],
    );
}

#[test]
fn a_test_that_fails_rejects() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn acceptance=test'
         rule test model=churn:staging
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3; entered b2
         10:02 started b5; failed b5",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, test`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 3
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 b5 sealed: each
            10:01 test churn/3 staging x1 -> b5
            10:01 churn b2 tested by b5
            10:01 b5 closed: churn/3 staging x1
            10:01 b5/1 intended
            10:02 b5/1 started
            10:02 b5/1 ended: failed
            10:02 b5 finished: failed
            10:02 churn b2 rejected: its acceptance test ended: run=`b5`, phase=`failed`
        "#]],
    );
}

#[test]
fn a_test_that_is_dropped_or_not_taken_rejects() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn acceptance=test'
         rule test model=churn:staging
         10:10 pause test
         10:11 put b#1
         10:12 started b3; succeeded b3; registered b3 4; entered b3
         10:13 resume test discard
         10:20 pause test ignore
         10:21 put c#1
         10:22 started b9; succeeded b9; registered b9 5; entered b9",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, test`
            10:10 ok: paused: trigger=`test`
            10:11 b#1 -> t b3
            10:11 b3 closed: b#1
            10:11 b3/1 intended
            10:12 b3/1 started
            10:12 b3/1 ended: succeeded
            10:12 b3 finished: succeeded
            10:12 churn b3 to be registered
            10:12 churn b3 registered as 4
            10:12 churn b3 staging requested
            10:12 churn b3 to enter
            10:12 churn b3 entered
            10:12 b6 sealed: each
            10:12 test churn/4 staging x1 -> b6
            10:12 churn b3 tested by b6
            10:12 b6 held: paused
            10:13 ok: discarded: trigger=`test`, batches=`1`
            10:13 b6 dropped: discarded
            10:13 churn b3 rejected: its acceptance test was dropped: batch=`b6`
            10:20 ok: paused: trigger=`test`
            10:21 c#1 -> t b9
            10:21 b9 closed: c#1
            10:21 b9/1 intended
            10:22 b9/1 started
            10:22 b9/1 ended: succeeded
            10:22 b9 finished: succeeded
            10:22 churn b9 to be registered
            10:22 churn b9 registered as 5
            10:22 churn b9 staging requested
            10:22 churn b9 to enter
            10:22 churn b9 entered
            10:22 test churn/5 staging x1 passed: paused
            10:22 churn b9 rejected: `test` did not take it for a test
        "#]],
    );
}

#[test]
fn a_test_that_takes_nothing_rejects() {
    check(
        "rule t bucket=b quiet=0s promote='churn acceptance=test'
         rule test model=churn:staging pause=ignore
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3; entered b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, test`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 3
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 test churn/3 staging x1 passed: paused
            10:01 churn b2 rejected: `test` did not take it for a test
        "#]],
    );
}

#[test]
fn a_newer_version_takes_the_stage_and_a_rollback_gives_it_back_once() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn'
         rule deploy model=churn:production overlap=allow
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
         10:10 put b#1
         10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
         10:20 rollback churn 1 ann
         10:21 rollback churn 2 ann why=worse; rollback churn 2 bob
         10:22 entered b2; stages churn staging=2 production=1
         10:23 rollback churn 1 ann",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`deploy, t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 1
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 churn b2 accepted without a test
            10:01 churn b2 production requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 b6 sealed: each
            10:01 deploy churn/1 production x1 -> b6
            10:01 b6 closed: churn/1 production x1
            10:01 b6/1 intended
            10:10 b#1 -> t b7
            10:10 b7 closed: b#1
            10:10 b7/1 intended
            10:11 b7/1 started
            10:11 b7/1 ended: succeeded
            10:11 b7 finished: succeeded
            10:11 churn b7 to be registered
            10:11 churn b7 registered as 2
            10:11 churn b7 staging requested
            10:11 churn b7 to enter
            10:11 churn b7 entered
            10:11 churn b7 accepted without a test
            10:11 churn b7 production requested
            10:11 churn b7 to enter
            10:11 churn b7 entered
            10:11 b11 sealed: each
            10:11 deploy churn/2 production x1 -> b11
            10:11 b11 closed: churn/2 production x1
            10:11 b11/1 intended
            10:20 no: conflict: another version is in production: version=`1`, production=`2`
            10:21 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:21 no: it is asked for already: version=`1`, phase=`requested`
            10:21 churn b2 production again requested by ann
            10:21 churn b2 to enter
            10:22 churn b2 entered
            10:22 b14 sealed: each
            10:22 deploy churn/1 production x2 -> b14
            10:22 b14 closed: churn/1 production x2
            10:22 b14/1 intended
            10:23 no: no version is known that was in production before
        "#]],
    );
}

#[test]
fn with_four_eyes_a_rollback_takes_another_person() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn production=0!'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
         10:10 put b#1
         10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
         10:20 rollback churn 2 ann
         10:21 approve churn 1 Ann
         10:22 reject churn 1 bob why=no
         10:23 rollback churn 2 ann
         10:24 approve churn 1 bob
         10:25 entered b2",
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
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 churn b2 accepted without a test
            10:01 churn b2 production requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:10 b#1 -> t b7
            10:10 b7 closed: b#1
            10:10 b7/1 intended
            10:11 b7/1 started
            10:11 b7/1 ended: succeeded
            10:11 b7 finished: succeeded
            10:11 churn b7 to be registered
            10:11 churn b7 registered as 2
            10:11 churn b7 staging requested
            10:11 churn b7 to enter
            10:11 churn b7 entered
            10:11 churn b7 accepted without a test
            10:11 churn b7 production requested
            10:11 churn b7 to enter
            10:11 churn b7 entered
            10:20 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:20 churn b2 production again requested by ann
            10:21 no: it takes another person than who asked for it or approved it before: person=`Ann`
            10:22 ok: rejected: model=`churn`, version=`1`, stage=`production`, person=`bob`
            10:22 churn b2 rejected by bob: no
            10:23 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:23 churn b2 production again requested by ann
            10:24 ok: approved: model=`churn`, version=`1`, stage=`production`, person=`bob`
            10:24 churn b2 approved by bob
            10:24 churn b2 to enter
            10:25 churn b2 entered
        "#]],
    );
}

#[test]
fn what_the_registry_does_not_do_is_tried_again_or_given_up() {
    check(
        "rule t bucket=b quiet=0s promote='churn'
         10:00 put a#1
         10:01 started b2; succeeded b2; undone b2
         10:02 unseen b2
         10:03 registered b2 1; undone b2
         10:04 denied b2
         10:05 request churn 1 ann; reject churn 1 ann",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 postponed until 10:01:01
            10:02 churn b2 to be tried again
            10:02 churn b2 postponed until 10:02:02
            10:03 churn b2 to be tried again
            10:03 churn b2 registered as 1
            10:03 churn b2 staging requested
            10:03 churn b2 to enter
            10:03 churn b2 postponed until 10:03:01
            10:04 churn b2 to be tried again
            10:04 churn b2 failed: no such version
            10:05 no: no stage can be asked for it now: version=`1`, phase=`failed`
            10:05 no: it cannot be rejected now: version=`1`, phase=`failed`
        "#]],
    );
}

#[test]
fn what_a_person_moves_at_the_registry_is_noted_and_not_fought() {
    check(
        "rule t bucket=b quiet=0s overlap=allow promote='churn'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
         10:02 stages churn staging=1 production=1
         10:03 stages churn production=7
         10:04 stages churn production=7
         10:05 rollback churn 7 ann
         10:06 entered b2
         10:07 stages churn",
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
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 churn b2 accepted without a test
            10:01 churn b2 production requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:03 churn moved: production is 7
            10:05 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:05 churn b2 production again requested by ann
            10:05 churn b2 to enter
            10:06 churn b2 entered
            10:07 churn moved: production is nobody's
        "#]],
    );
}

#[test]
fn people_are_told_what_waits_for_them_and_what_came_of_it() {
    check(
        "receiver ml on=requested,promoted,refused
         rule t bucket=b quiet=0s overlap=allow notify=ml promote='churn production=1'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3; entered b2
         10:02 delivered ml
         10:03 reject churn 3 ann why=no",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:01 churn b2 to be registered
            10:01 churn b2 registered as 3
            10:01 churn b2 staging requested
            10:01 churn b2 to enter
            10:01 churn b2 entered
            10:01 churn b2 accepted without a test
            10:01 churn b2 production requested
            10:01 ml letter 1 at 10:01: promoted b2 (churn 3 is in staging)
            10:01 ml letter 2 at 10:01: requested b2 (churn 3 is to be in production)
            10:02 ml letter 1 delivered
            10:03 ok: rejected: model=`churn`, version=`3`, stage=`production`, person=`ann`
            10:03 churn b2 rejected by ann: no
            10:03 ml letter 3 at 10:03: refused b2 (churn 3 was rejected by ann: no)
        "#]],
    );
}

#[test]
fn rules_that_begin_to_promote_leave_runs_that_are_over() {
    check(
        "rule t bucket=b quiet=0s
         10:00 put a#1
         10:01 started b2; succeeded b2
         rule t bucket=b quiet=0s promote='churn'
         10:02 apply start
         10:03 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:02 ok: applied: triggers=`1`; what is due may start
        "#]],
    );
}
