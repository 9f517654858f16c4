//! What versions get in each other's way: rollbacks, tests and requests that meet, and rules that come and go meanwhile.

use std::sync::Arc;

use expect_test::expect;
use refit_core::promotion::PromotionPhase;
use refit_core::timing::PROMOTIONS_WAITING_MAX;

use crate::world::World;

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

/// Versions that are made faster than they are tested.
pub(crate) const CROWDED: &str =
    "rule t bucket=b quiet=0s overlap=allow promote='churn acceptance=test' notify=ml
     rule test model=churn:staging
     receiver ml on=refused
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1; entered b2
     10:10 put b#1
     10:11 started b6; succeeded b6; registered b6 2
     10:20 put c#1
     10:21 started b9; succeeded b9; registered b9 3";

#[test]
fn a_version_that_is_tested_is_tested_to_the_end_and_the_newest_follows() {
    let tested = format!("{CROWDED}\n10:30 started b5; succeeded b5\n10:31 entered b2; entered b9");
    check_from(
        &tested,
        "10:11",
        &expect![[r#"
            10:11 b6/1 started
            10:11 b6/1 ended: succeeded
            10:11 b6 finished: succeeded
            10:11 churn b6 to be registered
            10:11 churn b6 registered as 2
            10:11 churn b6 staging requested
            10:20 c#1 -> t b9
            10:20 b9 closed: c#1
            10:20 b9/1 intended
            10:21 b9/1 started
            10:21 b9/1 ended: succeeded
            10:21 b9 finished: succeeded
            10:21 churn b9 to be registered
            10:21 churn b9 registered as 3
            10:21 churn b9 staging requested
            10:21 churn b6 rejected: a newer version waits for staging: version=`3`
            10:21 ml letter 1 at 10:21: refused b6 (churn 2 was rejected: a newer version waits for staging: version=`3`)
            10:30 b5/1 started
            10:30 b5/1 ended: succeeded
            10:30 b5 finished: succeeded
            10:30 churn b2 accepted by b5
            10:30 churn b2 production requested
            10:30 churn b2 to enter
            10:31 churn b2 entered
            10:31 churn b9 to enter
            10:31 churn b9 entered
            10:31 b14 sealed: each
            10:31 test churn/3 staging x1 -> b14
            10:31 churn b9 tested by b14
            10:31 b14 closed: churn/3 staging x1
            10:31 b14/1 intended"#]],
    );
}

#[test]
fn a_person_may_replace_what_is_tested() {
    check_from(
        "rule t bucket=b quiet=0s overlap=allow promote='churn acceptance=test manual'
         rule test model=churn:staging
         10:00 put a#1
         10:01 started b2; succeeded b2; registered b2 1
         10:02 request churn 1 ann; entered b2
         10:10 put b#1
         10:11 started b7; succeeded b7; registered b7 2
         10:12 request churn 2 ann; entered b7",
        "10:12",
        &expect![[r#"
            10:12 ok: requested: model=`churn`, version=`2`, stage=`staging`, person=`ann`
            10:12 churn b7 staging requested by ann
            10:12 churn b7 to enter
            10:12 churn b7 entered
            10:12 b11 sealed: each
            10:12 test churn/2 staging x1 -> b11
            10:12 churn b7 tested by b11
            10:12 b11 held: active_run"#]],
    );
}

#[test]
fn versions_nobody_asks_for_are_given_up_oldest_first() {
    let mut world = World::new();
    world.lines("rule t bucket=b quiet=0s overlap=allow promote='churn manual'");
    let train = |world: &mut World, number: usize| {
        let time = format!("{}d10:00", number + 1);
        world.lines(&format!("{time} put x{number}#1"));
        let run = *world.state.runs.keys().next_back().unwrap();
        let lines = format!("{time} started {run}; succeeded {run}; registered {run} {number}");
        world.lines(&lines);
        run
    };
    let first = train(&mut world, 1);
    world.lines(&format!("2d11:00 request churn 1 ann; entered {first}"));
    for number in 2..2 + PROMOTIONS_WAITING_MAX {
        train(&mut world, number);
    }
    let phase =
        |world: &World, name: &str| world.state.models["churn"].version(name).map(|it| it.phase);
    assert_eq!(phase(&world, "2"), Some(PromotionPhase::Candidate), "there is room for it");
    world.lines(&format!("{}d09:00 request churn 3 ann", PROMOTIONS_WAITING_MAX + 3));
    train(&mut world, PROMOTIONS_WAITING_MAX + 2);
    train(&mut world, PROMOTIONS_WAITING_MAX + 3);
    train(&mut world, PROMOTIONS_WAITING_MAX + 4);
    let ended = |name: &str| {
        let version = world.state.models["churn"].version(name).unwrap();
        version.ended.as_ref().map(|ended| ended.reason.clone())
    };
    let why = Some(format!("{PROMOTIONS_WAITING_MAX} newer versions wait"));
    assert_eq!(
        (ended("1"), ended("2"), ended("3")),
        (None, why.clone(), None),
        "1 is in staging, 3 sets out"
    );
    assert_eq!((ended("4"), ended("5")), (why, None));
    assert_eq!(world.violations, []);
}

#[test]
fn a_plan_copies_neither_versions_nor_letters_that_stay_as_they_are() {
    let mut world = World::new();
    world.lines(&format!("{CROWDED}\n10:22 tick"));
    let before = world.state.clone();
    world.lines("11:00 put d#1");
    assert_ne!(before.seq, world.state.seq);
    assert!(Arc::ptr_eq(&before.models, &world.state.models));
    assert!(Arc::ptr_eq(&before.outboxes, &world.state.outboxes));
}

/// Of two versions that passed the gate, the better one is in production when the other one's turn comes.
pub(crate) const OUTDONE: &str =
    "rule t bucket=b quiet=0s overlap=allow promote='churn manual gate=auc:drop:0.01' notify=ml
     receiver ml on=refused
     10:00 put a#1
     10:01 started b2; succeeded b2; registered b2 1 auc=0.90
     10:02 put b#1
     10:03 started b5; succeeded b5; registered b5 2 auc=0.95
     10:04 request churn 2 ann
     10:05 entered b5
     10:06 request churn 2 ann
     10:07 entered b5
     10:08 request churn 1 ann
     10:09 entered b2
     10:10 request churn 1 ann";

#[test]
fn a_version_that_another_one_has_outdone_meanwhile_does_not_take_its_place() {
    check_from(
        OUTDONE,
        "10:07",
        &expect![[r#"
        10:07 churn b5 entered
        10:08 ok: requested: model=`churn`, version=`1`, stage=`staging`, person=`ann`
        10:08 churn b2 staging requested by ann
        10:08 churn b2 to enter
        10:09 churn b2 entered
        10:09 churn b2 accepted without a test
        10:10 ok: requested: model=`churn`, version=`1`, stage=`production`, person=`ann`
        10:10 churn b2 production requested by ann
        10:10 churn b2 refused: it is lower than in production by too much: metric=`auc`, value=`0.9`, limit=`0.94`
        10:10 ml letter 1 at 10:10: refused b2 (churn 1 is not good enough: it is lower than in production by too much: metric=`auc`, value=`0.9`, limit=`0.94`)"#]],
    );
}
