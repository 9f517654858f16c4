//! What versions get in each other's way: rollbacks, tests and requests that meet, and rules that come and go meanwhile.

use expect_test::expect;

/// A rollback that is rejected and asked for again in one commit, and rejected again while the first word of it is
/// still on its way.
pub(crate) const REJECTED_TWICE: &str =
    "rule t bucket=b quiet=0s overlap=allow promote='churn production=0!' notify=ml
     receiver ml on=refused
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
     10:10 put b#1
     10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
     10:20 rollback churn 2 ann
     10:21 reject churn 1 bob; rollback churn 2 ann
     10:22 lost ml
     10:23 reject churn 1 bob";

/// What is decided from that time on.
fn from<'t>(text: &'t str, time: &str) -> Vec<&'t str> {
    let at = text.lines().position(|line| line.starts_with(time)).unwrap();
    text.lines().skip(at).collect()
}

fn check_from(text: &str, time: &str, expected: &expect_test::Expect) {
    expected.assert_eq(&from(&crate::world::run(text), time).join("\n"));
}

#[test]
fn what_is_rejected_twice_is_told_twice() {
    check_from(
        REJECTED_TWICE,
        "10:20",
        &expect![[r#"
        10:20 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
        10:20 churn b2 production again requested by ann
        10:21 ok: rejected: model=`churn`, version=`1`, stage=`production`, person=`bob`
        10:21 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
        10:21 churn b2 rejected by bob: 
        10:21 churn b2 production again requested by ann
        10:21 ml letter 1 at 10:21: refused b2 (churn 1 was rejected by bob)
        10:22 ml letter 1 again at 10:22:02: no answer
        10:23 ok: rejected: model=`churn`, version=`1`, stage=`production`, person=`bob`
        10:23 churn b2 rejected by bob: 
        10:23 ml letter 2 at 10:23: refused b2 (churn 1 was rejected by bob)"#]],
    );
}

#[test]
fn a_start_that_is_taken_back_is_told_again() {
    check_from(
        "receiver ml on=launch
         rule t bucket=b quiet=0s timeout=1h retry=2/1d/1d notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 lost ml
         11:01 tick
         11:12 settle b2
         11:13 found b2/1",
        "11:01",
        &expect![[r#"
            11:01 b2 to be cancelled: timed_out
            11:12 ok: given up: run=`b2`
            11:12 b2/1 abandoned
            11:13 b2/1 adopted
            11:13 ml letter 2 at 11:13: launch b2/1"#]],
    );
}

/// A version that enters staging while its rule is taken out, and a rule that comes again.
pub(crate) const AWAY: &str = "rule t bucket=b quiet=0s promote='churn'
     rule u bucket=z
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1
     drop t
     10:02 apply
     10:03 entered b2
     rule t bucket=b quiet=0s promote='churn'
     10:04 apply
     10:05 tick";

#[test]
fn rules_that_come_again_accept_and_ask_for_nothing() {
    let asked = format!("{AWAY}\n10:06 request churn 1 ann");
    check_from(
        &asked,
        "10:02",
        &expect![[r#"
            10:02 ok: applied: triggers=`1`, removed=`t`
            10:03 churn b2 entered
            10:04 ok: applied: triggers=`2`, added=`t`
            10:04 churn b2 accepted without a test
            10:06 ok: requested: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:06 churn b2 production requested by ann
            10:06 churn b2 to enter"#]],
    );
}

#[test]
fn a_test_that_ends_while_no_rule_says_what_follows_asks_for_nothing_later() {
    check_from(
        "rule t bucket=b quiet=0s promote='churn acceptance=test'
         rule test model=churn:staging
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1; entered b2
         drop t
         10:02 apply
         10:03 started b5; succeeded b5
         rule t bucket=b quiet=0s promote='churn acceptance=test'
         10:04 apply
         10:05 apply again start",
        "10:02",
        &expect![[r#"
            10:02 ok: applied: triggers=`1`, removed=`t`
            10:03 b5/1 started
            10:03 b5/1 ended: succeeded
            10:03 b5 finished: succeeded
            10:04 ok: applied: triggers=`2`, added=`t`
            10:04 churn b2 accepted by b5
            10:05 ok: applied: triggers=`2`; what is due may start
            10:05 churn b2 production requested
            10:05 churn b2 to enter"#]],
    );
}

/// A rollback that waits while another version goes to production than the one it names.
pub(crate) const OVERTAKEN: &str =
    "rule t bucket=b quiet=0s overlap=allow promote='churn' notify=ml
     receiver ml on=refused
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
     10:10 put b#1
     10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
     10:20 put c#1
     10:21 started b12; succeeded b12; registered b12 3; entered b12
     10:22 rollback churn 2 ann
     10:23 entered b12";

#[test]
fn a_rollback_throws_out_no_version_it_does_not_name() {
    let again = format!("{OVERTAKEN}\n10:24 rollback churn 3 ann\n10:25 entered b7");
    check_from(
        &again,
        "10:22",
        &expect![[r#"
            10:22 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:22 churn b2 production again requested by ann
            10:23 churn b12 entered
            10:23 churn b2 rejected: conflict: another version is in production: version=`2`, production=`3`
            10:23 ml letter 1 at 10:23: refused b2 (churn 1 was rejected: conflict: another version is in production: version=`2`, production=`3`)
            10:24 ok: to be in production again: model=`churn`, version=`2`, stage=`production`, person=`ann`
            10:24 churn b7 production again requested by ann
            10:24 churn b7 to enter
            10:25 churn b7 entered"#]],
    );
}

#[test]
fn a_rollback_that_waits_for_another_person_ends_with_what_it_was_about() {
    check_from(
        "rule t bucket=b quiet=0s overlap=allow promote='churn production=0!'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1; entered b2; entered b2
         10:10 put b#1
         10:11 started b7; succeeded b7; registered b7 2; entered b7; entered b7
         10:20 rollback churn 2 ann
         10:21 stages churn staging=1 production=9
         10:22 approve churn 1 bob
         10:23 rollback churn 9 ann
         10:24 stages churn
         10:25 approve churn 2 bob",
        "10:20",
        &expect![[r#"
            10:20 ok: to be in production again: model=`churn`, version=`1`, stage=`production`, person=`ann`
            10:20 churn b2 production again requested by ann
            10:21 churn moved: production is 9
            10:21 churn b2 rejected: conflict: another version is in production: version=`2`, production=`9`
            10:22 no: nothing is asked for it that could be approved: version=`1`, phase=`archived`
            10:23 ok: to be in production again: model=`churn`, version=`2`, stage=`production`, person=`ann`
            10:23 churn b7 production again requested by ann
            10:24 churn moved: production is nobody's
            10:25 ok: approved: model=`churn`, version=`2`, stage=`production`, person=`bob`
            10:25 churn b7 approved by bob
            10:25 churn b7 to enter"#]],
    );
}
