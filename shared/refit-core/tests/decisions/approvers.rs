//! Who may say what of a version that waits.

use expect_test::expect;

use crate::check;
use crate::world::World;

#[test]
fn where_the_rule_names_who_may_approve_accounts_are_theirs_and_nobody_else_approves() {
    check(
        "rule t bucket=b quiet=0s promote='churn staging=2 approvers=ann:octocat,bob'
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 3
         10:02 approve churn 3 eve
         10:03 approve churn 3 github:mallory; reject churn 3 github:mallory
         10:04 approve churn 3 github:OctoCat request=1
         10:05 approve churn 3 ann
         10:06 approve churn 3 bob request=2
         10:07 approve churn 3 Bob request=1",
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
            10:02 no: the rule names who may approve, and not this person: person=`eve`
            10:03 no: no approver of the rule has this account: person=`github:mallory`
            10:03 no: no approver of the rule has this account: person=`github:mallory`
            10:04 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`ann`
            10:04 churn b2 approved by ann
            10:05 no: this person has approved it already: person=`ann`
            10:06 no: what this is about is no longer asked for: version=`3`, phase=`requested`
            10:07 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`bob`
            10:07 churn b2 approved by bob
            10:07 churn b2 to enter
        "#]],
    );
}

#[test]
fn a_link_speaks_for_whom_the_rule_names_and_of_an_open_request_only() {
    let shown = after_registering(
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1 acceptance=test approvers=ann,bob'
         rule test model=churn:staging",
        "10:02 approve churn 3 eve request=1 stage=staging; reject churn 3 eve request=1
         10:03 approve churn 3 ann request=1 stage=staging
         10:04 entered b2
         10:05 reject churn 3 bob request=1 stage=staging
         10:06 reject churn 3 eve",
    );
    expect![[r#"
        10:02 no: the rule does not name whom the link was for: person=`eve`
        10:02 no: the rule does not name whom the link was for: person=`eve`
        10:03 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`ann`
        10:03 churn b2 approved by ann
        10:03 churn b2 to enter
        10:04 churn b2 entered
        10:04 b7 sealed: each
        10:04 test churn/3 staging x1 -> b7
        10:04 churn b2 tested by b7
        10:04 b7 closed: churn/3 staging x1
        10:04 b7/1 intended
        10:05 no: nothing is asked for it that could be rejected: version=`3`, phase=`testing`
        10:06 ok: rejected: model=`churn`, version=`3`, stage=`staging`, person=`eve`
        10:06 churn b2 rejected by eve: 
    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_names_another_stage_or_was_said_before_the_request_is_no_word_on_it() {
    let shown = after_registering(
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1 approvers=ann:octocat,bob'",
        "10:02 reject churn 3 ann stage=production
         10:03 approve churn 3 bob
         10:04 entered b2
         10:05 approve churn 3 github:octocat time=10:02; reject churn 3 github:octocat time=10:02
         10:06 reject churn 3 ann stage=staging
         10:07 approve churn 3 github:octocat time=10:04",
    );
    expect![[r#"
        10:02 no: the stage it is about now is staging: version=`3`, phase=`requested`
        10:03 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`bob`
        10:03 churn b2 approved by bob
        10:03 churn b2 to enter
        10:04 churn b2 entered
        10:04 churn b2 accepted without a test
        10:04 churn b2 production requested
        10:05 no: this was said before what is asked for now was asked for: version=`3`, phase=`requested`
        10:05 no: this was said before what is asked for now was asked for: version=`3`, phase=`requested`
        10:06 no: the stage it is about now is production: version=`3`, phase=`requested`
        10:07 ok: approved: model=`churn`, version=`3`, stage=`production`, person=`ann`
        10:07 churn b2 approved by ann
        10:07 churn b2 to enter
    "#]]
    .assert_eq(&shown);
}

#[test]
fn what_is_written_at_the_registry_counts_in_one_name_and_where_one_person_is_enough() {
    let shown = after_registering(
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1 approvers=ann@mlflow,bob'",
        "10:02 approve churn 3 mlflow:anybody time=10:00
         10:03 approve churn 3 mlflow:anybody time=10:03
         10:04 entered b2
         10:05 reject churn 3 mlflow:anybody time=10:05",
    );
    expect![[r#"
        10:02 no: this was said before what is asked for now was asked for: version=`3`, phase=`requested`
        10:03 ok: approved: model=`churn`, version=`3`, stage=`staging`, person=`ann`
        10:03 churn b2 approved by ann
        10:03 churn b2 to enter
        10:04 churn b2 entered
        10:04 churn b2 accepted without a test
        10:04 churn b2 production requested
        10:05 ok: rejected: model=`churn`, version=`3`, stage=`production`, person=`ann`
        10:05 churn b2 rejected by ann: 
    "#]]
    .assert_eq(&shown);
    for stages in ["staging=1 production=2", "staging=1 production=1!", "staging=2 production=1"] {
        let rule =
            format!("rule t bucket=b quiet=0s promote='churn {stages} approvers=ann@mlflow,bob'");
        let shown = after_registering(&rule, "10:02 approve churn 3 mlflow:anybody time=10:02");
        expect![[r#"
            10:02 no: it is not said who wrote this, and a stage takes more than one person: version=`3`, phase=`requested`
        "#]]
        .assert_eq(&shown);
    }
    let nobodys = "rule t bucket=b quiet=0s promote='churn staging=1 production=1'";
    let shown = after_registering(nobodys, "10:02 approve churn 3 mlflow:anybody time=10:02");
    expect![[r#"
        10:02 no: no approver of the rule has this account: person=`mlflow:anybody`
    "#]]
    .assert_eq(&shown);
}

/// A request keeps what its stage took: rules that ask for less later do not let one person do for two.
#[test]
fn what_is_written_at_the_registry_is_no_word_on_a_request_that_took_two() {
    let shown = after_registering(
        "rule t bucket=b quiet=0s promote='churn staging=2 production=1 approvers=ann@mlflow,bob'",
        "rule t bucket=b quiet=0s promote='churn staging=1 production=1 approvers=ann@mlflow,bob'
         10:02 apply
         10:03 approve churn 3 mlflow:anybody time=10:03",
    );
    expect![[r#"
        10:02 ok: applied: triggers=`1`
        10:03 no: it is not said who wrote this, and a stage takes more than one person: version=`3`, phase=`requested`
    "#]]
    .assert_eq(&shown);
}

/// What is decided after version 3 was registered.
fn after_registering(rules: &str, text: &str) -> String {
    let mut world = World::new();
    world
        .lines(&format!("{rules}\n10:00 put a#1\n10:01 started b2; succeeded b2; registered b2 3"));
    let shown = world.shown(text).to_owned();
    assert_eq!(world.violations, [], "{shown}");
    shown
}
