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
