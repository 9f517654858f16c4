//! Which of several runs has effect, where pipelines have a guard.
//!
//! ```text
//! 10:04 claim b2/1              the guard of that attempt's run makes the claim
//! 10:04 claim b2/1 x-9          another run that was started under the same key makes it
//! 10:04 strange b2/1            a run nobody knows makes it
//! 10:04 unreadable b2/1 why     the claim cannot be read
//! 10:05 readable b2/1           it can be read, and nobody has made it
//! ```

use expect_test::expect;
use refit_core::run::Claim;
use refit_core::state::State;

use crate::check;
use crate::world::World;

/// What lies where a claim is made.
pub(crate) type Read = Result<Option<Claim>, String>;

/// The URI of a claim, and what is read there.
pub(crate) fn claim(state: &State, verb: &str, args: &[String]) -> (String, Read) {
    let (batch, number) = args[0].split_once('/').unwrap();
    let run = &state.runs[&batch.parse().unwrap()];
    let attempt = run.attempt_numbered(number.parse().unwrap()).unwrap();
    let said = || args.get(1).cloned();
    let made = |key: String, run: String| Ok(Some(Claim { v: 1, key, run }));
    let read = match verb {
        "claim" => {
            let run = said().unwrap_or_else(|| format!("x-{batch}-{number}"));
            made(attempt.key.to_string(), run)
        }
        "strange" => made("rf-0".into(), "x-0".into()),
        "unreadable" => Err(said().unwrap()),
        _ => Ok(None),
    };
    (run.claim(attempt.round).unwrap(), read)
}

/// A run whose key was given up, and whose successor was started.
const SUCCEEDED: &str = "rule t bucket=b quiet=1m class=C guard=gs://g/t retry=2/1m/1m
     10:00 put a#1
     10:05 absent b2
     10:15 absent b2
     10:16 started b2";

fn after(text: &str, wanted: &expect_test::Expect) {
    let shown = crate::world::run(&format!("{SUCCEEDED}\n{text}"));
    let (_, shown) = shown.split_once("b2/2 started\n").unwrap();
    wanted.assert_eq(shown);
}

#[test]
fn the_run_that_made_the_claim_is_followed_and_the_one_that_stood_down_is_not_believed() {
    after(
        "10:20 claim b2/1; succeeded b2
         10:21 running b2/1
         10:30 succeeded b2/1",
        &expect![[r#"
            10:20 b2/2 ended: succeeded
            10:20 b2/1 claimed: x-b2-1
            10:21 b2/1 running
            10:30 b2/1 ended: succeeded
            10:30 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_late_twin_that_made_the_claim_is_the_run_and_the_other_is_ended() {
    after(
        "10:20 claim b2/1; found b2/1
         10:21 cancelled b2/2
         10:30 succeeded b2/1",
        &expect![[r#"
            10:20 b2/1 claimed: x-b2-1
            10:21 b2/2 unwatched
            10:30 b2/1 ended: succeeded
            10:30 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_late_twin_is_ended_once_the_other_has_made_the_claim_and_not_before() {
    after(
        "10:20 found b2/1
         10:30 claim b2/2; found b2/1
         10:31 cancelled b2/1
         10:40 succeeded b2/2",
        &expect![[r#"
            10:30 b2/1 late twin
            10:31 b2/1 unwatched
            10:40 b2/2 ended: succeeded
            10:40 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_late_twin_of_an_earlier_round_is_ended_whatever_is_read_there() {
    let shown = crate::world::run(
        "rule t bucket=b quiet=1m class=C guard=gs://g/t retry=5/1m/1m
         10:00 put a#1
         10:05 absent b2
         10:15 absent b2
         10:20 claim b2/1; found b2/1
         10:21 failed b2/1
         10:22 started b2
         10:30 claim b2/2; found b2/2
         10:31 cancelled b2/2
         10:40 succeeded b2",
    );
    let (_, shown) = shown.split_once("b2/3 intended\n").unwrap();
    expect![[r#"
        10:22 b2/3 started
        10:30 b2/2 late twin
        10:31 b2/2 unwatched
        10:40 b2/3 ended: succeeded
        10:40 b2 finished: succeeded
    "#]]
    .assert_eq(shown);
}

#[test]
fn a_late_twin_of_a_run_that_is_over_is_ended() {
    after(
        "10:20 claim b2/2; succeeded b2
         10:30 found b2/1",
        &expect![[r#"
            10:20 b2/2 ended: succeeded
            10:20 b2 finished: succeeded
            10:30 b2/1 late twin
        "#]],
    );
}

#[test]
fn a_key_that_was_not_found_is_taken_back_where_its_run_made_the_claim() {
    check(
        "rule t bucket=b quiet=1m class=C guard=gs://g/t
         10:00 put a#1
         10:05 absent b2
         10:15 claim b2/1; absent b2
         10:20 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 not found
            10:15 b2/1 abandoned
            10:15 b2/1 claimed: x-b2-1
            10:20 b2/1 ended: succeeded
            10:20 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn of_two_runs_under_one_key_the_one_that_made_the_claim_is_followed() {
    check(
        "rule t bucket=b quiet=1m class=C guard=gs://g/t
         10:00 put a#1
         10:05 started b2
         10:10 claim b2/1 x-9; succeeded b2
         10:11 failed b2 of=x-b2-1
         10:12 vanished b2 of=x-b2-1
         10:20 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 b2 closed: a#1
            10:05 b2/1 intended
            10:05 b2/1 started
            10:10 b2/1 ended: succeeded
            10:10 b2/1 claimed: x-9
            10:20 b2/1 ended: succeeded
            10:20 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn an_end_is_not_believed_before_it_is_known_who_made_the_claim() {
    after(
        "10:20 unreadable b2/2 not-allowed; succeeded b2
         10:21 succeeded b2
         10:22 readable b2/2; claim b2/2; succeeded b2",
        &expect![[r#"
            10:20 b2/2 claim unknown: not-allowed: claim=`gs://g/t/ledger/b2-1`
            10:22 b2/2 ended: succeeded
            10:22 b2 finished: succeeded
        "#]],
    );
    after(
        "10:20 strange b2/2; succeeded b2
         10:21 cancel b2
         10:22 cancelled b2",
        &expect![[r#"
            10:20 b2/2 claim unknown: it was made by a run that is none of this batch: claim=`gs://g/t/ledger/b2-1`
            10:21 ok: to be cancelled: run=`b2`
            10:21 b2 to be cancelled: asked
            10:22 b2/2 ended: cancelled
            10:22 b2 finished: cancelled
        "#]],
    );
}

#[test]
fn no_successor_is_started_before_it_is_known_who_made_the_claim() {
    after(
        "10:20 failed b2
         10:21 unreadable b2/2 not-allowed
         10:22 readable b2/2
         10:23 started b2; claim b2/1; succeeded b2
         10:24 succeeded b2/1",
        &expect![[r#"
            10:20 b2/2 ended: failed
            10:21 b2/2 claim unknown: not-allowed: claim=`gs://g/t/ledger/b2-1`
            10:22 b2/3 intended
            10:23 b2/3 started
            10:23 b2/3 ended: succeeded
            10:23 b2/1 claimed: x-b2-1
            10:24 b2/1 ended: succeeded
            10:24 b2 finished: succeeded
        "#]],
    );
}

#[test]
fn a_run_that_failed_is_not_the_end_where_another_made_the_claim() {
    after(
        "10:20 failed b2
         10:21 claim b2/1
         10:30 failed b2/1",
        &expect![[r#"
            10:20 b2/2 ended: failed
            10:21 b2/1 claimed: x-b2-1
            10:30 b2/1 ended: failed
        "#]],
    );
}

#[test]
fn a_run_that_is_cancelled_by_a_person_waits_for_no_claim() {
    after(
        "10:20 unreadable b2/2 not-allowed; cancel b2
         10:21 cancelled b2",
        &expect![[r#"
            10:20 ok: to be cancelled: run=`b2`
            10:20 b2 to be cancelled: asked
            10:21 b2/2 ended: cancelled
            10:21 b2 finished: cancelled
        "#]],
    );
}

#[test]
fn a_run_that_stood_down_is_not_believed_where_a_person_or_a_batch_ended_it() {
    after(
        "10:20 claim b2/1; cancel b2
         10:21 succeeded b2
         10:22 cancelled b2/1",
        &expect![[r#"
            10:20 ok: to be cancelled: run=`b2`
            10:20 b2 to be cancelled: asked
            10:21 b2/2 ended: succeeded
            10:21 b2/1 claimed: x-b2-1
            10:22 b2/1 ended: cancelled
            10:22 b2 finished: cancelled
        "#]],
    );
    let replaced = format!("{} overlap=replace", SUCCEEDED.lines().next().unwrap());
    let shown = crate::world::run(&format!(
        "{replaced}\n{}
         10:20 claim b2/1; put b#1
         10:21 tick
         10:22 succeeded b2
         10:23 cancelled b2/1",
        SUCCEEDED.split_once('\n').unwrap().1
    ));
    let (_, shown) = shown.split_once("b2/2 started\n").unwrap();
    expect![[r#"
        10:20 b#1 -> t b7
        10:20 b7 held: quiet until 10:21
        10:21 b2 to be cancelled: {"replaced_by":"b7"}
        10:21 b7 held: replacing
        10:22 b2/2 ended: succeeded
        10:22 b2/1 claimed: x-b2-1
        10:23 b2/1 ended: cancelled
        10:23 b2 finished: cancelled
        10:23 b2 moved to b7
        10:23 b7 closed: b#1 a#1
        10:23 b7/1 intended
    "#]]
    .assert_eq(shown);
}

#[test]
fn what_was_cancelled_did_not_succeed_where_the_claim_cannot_be_read() {
    after(
        "10:20 unreadable b2/2 not-allowed; cancel b2
         10:21 succeeded b2",
        &expect![[r#"
            10:20 ok: to be cancelled: run=`b2`
            10:20 b2 to be cancelled: asked
            10:21 b2/2 ended: succeeded
            10:21 b2 finished: cancelled
        "#]],
    );
}

/// A run whose key was given up, and whose successor certainly did not start yet.
const POSTPONED: &str = "rule t bucket=b quiet=1m class=C guard=gs://g/t retry=2/1m/1m
     10:00 put a#1
     10:05 absent b2
     10:15 absent b2
     10:16 busy b2";

fn after_postponed(text: &str, wanted: &expect_test::Expect) {
    let shown = crate::world::run(&format!("{POSTPONED}{text}"));
    let (_, shown) = shown.split_once("b2/2 intended\n").unwrap();
    wanted.assert_eq(shown);
}

#[test]
fn what_is_cancelled_before_it_was_started_is_not_over_where_another_made_the_claim() {
    after_postponed(
        "; claim b2/1; cancel b2
         10:20 succeeded b2/1",
        &expect![[r#"
            10:16 ok: to be cancelled: run=`b2`
            10:16 b2 to be cancelled: asked
            10:16 b2/2 postponed until 10:16:01
            10:16 b2/2 ended: cancelled
            10:16 b2/1 claimed: x-b2-1
            10:20 b2/1 ended: succeeded
            10:20 b2 finished: succeeded
        "#]],
    );
    after_postponed(
        "; cancel b2",
        &expect![[r#"
        10:16 ok: to be cancelled: run=`b2`
        10:16 b2 to be cancelled: asked
        10:16 b2/2 postponed until 10:16:01
        10:16 b2/2 ended: cancelled
        10:16 b2 finished: cancelled
    "#]],
    );
    after_postponed(
        "; unreadable b2/1 not-allowed; cancel b2",
        &expect![[r#"
        10:16 ok: to be cancelled: run=`b2`
        10:16 b2 to be cancelled: asked
        10:16 b2/2 postponed until 10:16:01
        10:16 b2/2 ended: cancelled
        10:16 b2 finished: cancelled
    "#]],
    );
}

#[test]
fn what_is_replaced_before_it_was_started_keeps_its_members_where_another_made_the_claim() {
    let replaced = POSTPONED.replace("retry=", "overlap=replace retry=");
    let shown = crate::world::run(&format!(
        "{replaced}; claim b2/1; put b#1
         10:17:30 busy b2
         10:18 tick
         10:20 succeeded b2/1
         10:21 tick"
    ));
    let (_, shown) = shown.split_once("b2/2 intended\n").unwrap();
    expect![[r#"
        10:16 b#1 -> t b6
        10:16 b2/2 postponed until 10:16:01
        10:16 b6 held: quiet until 10:17
        10:17:30 b2/2 intended again
        10:17:30 b2 to be cancelled: {"replaced_by":"b6"}
        10:17:30 b6 held: replacing
        10:17:30 b2/2 postponed until 10:17:32
        10:17:30 b2/2 ended: cancelled
        10:17:30 b2/1 claimed: x-b2-1
        10:20 b2/1 ended: succeeded
        10:20 b2 finished: succeeded
        10:20 b6 closed: b#1
        10:20 b6/1 intended
    "#]]
    .assert_eq(shown);
}

/// The claims its attempts were given, and those that lie in the state.
fn claims(text: &str) -> Vec<String> {
    let mut world = World::new();
    world.lines(text);
    let run = world.state.runs.values().next().unwrap();
    let given = |attempt: &refit_core::run::Attempt| {
        let claim = attempt.parameters["claim"].as_str().unwrap().to_owned();
        assert_eq!(Some(&claim), run.claim(attempt.round).as_ref());
        assert_eq!(attempt.parameters["key"], attempt.key.to_string());
        claim
    };
    run.attempts.iter().map(given).collect()
}

#[test]
fn attempts_share_a_claim_until_whoever_made_it_was_seen_to_end() {
    let rule = "rule t bucket=b quiet=1m class=C guard=gs://g/t retry=5/1m/1m param=claim:${run.claim} \
                param=key:${run.key}";
    let start = "10:00 put a#1\n10:01 started b2";
    let [first, third] = ["gs://g/t/ledger/b2-1", "gs://g/t/ledger/b2-3"];
    let failed = format!("{rule}\n{start}\n10:02 failed b2\n10:03 tick");
    assert_eq!(claims(&failed), [first, first], "nobody made it");
    let claimed = format!("{failed}\n10:04 started b2; claim b2/2; failed b2\n10:05 tick");
    assert_eq!(claims(&claimed), [first, first, third]);
    let given_up = format!("{rule}\n10:00 put a#1\n10:05 absent b2\n10:15 absent b2");
    assert_eq!(claims(&given_up), [first, first]);
}
