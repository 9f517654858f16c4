//! Which events are refused, and why.

use expect_test::expect;
use refit_core::commit::{Change, Commit, Decision, InboxChange};
use refit_core::fold::fold;
use refit_core::memory::Fresh;

use crate::check;
use crate::world::{World, clock};

#[test]
fn the_same_fact_is_one_member_however_often_it_arrives() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1; put a#1
         10:00:30 put a#1
         3d10:00 put a#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 a#1 refused: duplicate
            10:00 b2 held: quiet until 10:01
            10:00:30 a#1 refused: duplicate
            3d10:00 a#1 refused: duplicate
            3d10:00 b2 closed: a#1
            3d10:00 b2/1 intended
        "#]],
    );
}

#[test]
fn after_the_window_an_old_fact_is_late() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1
         10:01 started b2; succeeded b2
         40d10:00 put a#1 time=10:00
         40d10:01 put b#1 time=10:00
         40d10:02 put c#1 time=5d10:00",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            40d10:00 a#1 refused: duplicate
            40d10:01 b#1 refused: late
            40d10:02 c#1 refused: late
        "#]],
    );
}

/// The ledger was restored from a copy, and is marked so at this time.
pub(crate) fn restore(world: &mut World, time: &str) {
    let stamp = world.log.last().unwrap().clone();
    let changes = vec![Change::Inbox(InboxChange::Restored)];
    let (seq, now) = (world.state.seq + 1, clock(time));
    let (segments, decisions) = (Vec::new(), Vec::new());
    let marks = Commit { seq, now, changes, segments, decisions, fresh: Fresh::default(), ..stamp };
    fold(&mut world.state, &marks);
}

/// What is late of two events in a ledger that was restored at 11:00, one from before and one from after.
pub(crate) fn late_after_restoring() -> String {
    let mut world = World::new();
    world.lines("rule t bucket=b quiet=1m\n10:00 apply\n11:00 put in/x#1");
    restore(&mut world, "11:00");
    let before = world.log.len();
    world.lines("11:01 put in/a#1 time=10:59; put in/b#1 time=11:00");
    let refused = world.log[before..].iter().flat_map(|commit| &commit.decisions);
    let refused = refused.filter_map(|decision| match decision {
        Decision::Refused { reason, events, .. } => {
            Some(format!("{reason:?} {}", events.contains(0, 0)))
        }
        Decision::Accepted { .. } | Decision::Answered { .. } => None,
    });
    refused.collect::<Vec<_>>().join(", ")
}

#[test]
fn what_a_restored_ledger_may_have_forgotten_is_late() {
    assert_eq!(late_after_restoring(), "Late true");
}

#[test]
fn an_event_ahead_of_the_clock_counts() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1 time=12:00
         10:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
        "#]],
    );
}

#[test]
fn a_replay_starts_nothing_for_what_had_a_run() {
    check(
        "rule t bucket=b quiet=1m when='object.size > 5'
         10:00 put a#1; put b#1 size=1
         10:01 started b2; succeeded b2
         11:00 put a#1 again; put b#1 size=1 again
         rule t bucket=b quiet=1m
         12:00 apply
         12:01 put a#1 again; put b#1 size=1 again
         12:02 put b#1 size=1 again",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b#1 refused by t: filtered
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            11:00 a#1 refused: duplicate
            11:00 b#1 refused by t: filtered
            12:00 ok: applied: triggers=`1`
            12:01 b#1 -> t b7
            12:01 a#1 refused: duplicate
            12:01 b7 held: quiet until 12:02
            12:02 b#1 refused: duplicate
            12:02 b7 closed: b#1
            12:02 b7/1 intended
        "#]],
    );
}

#[test]
fn a_forced_replay_is_a_new_fact_however_old() {
    check(
        "rule t bucket=b quiet=1m
         10:00 put a#1 sum=x
         10:01 started b2; succeeded b2
         40d10:00 put a#1 sum=x time=10:00 forced
         40d10:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            40d10:00 a#1 -> t b5
            40d10:00 b5 held: quiet until 40d10:01
            40d10:01 b5 closed: a#1
            40d10:01 b5/1 intended
        "#]],
    );
}
