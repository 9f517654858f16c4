//! Who is told of what, once, and what came of it.

use std::sync::Arc;

use expect_test::expect;
use refit_core::key::hash128;
use refit_core::notice::{Letter, Notice};
use refit_core::timing::LETTERS_MAX;

use crate::check;
use crate::world::{World, clock};

#[test]
fn a_run_that_fails_is_told_once_and_until_it_is_delivered_under_one_letter() {
    check(
        "receiver ml
         rule t bucket=b quiet=1m notify=ml
         10:00 put a#1
         10:01 started b2
         10:20 failed b2
         10:20:01 lost ml
         10:20:05 lost ml
         10:20:10 delivered ml
         10:30 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:20 b2/1 ended: failed
            10:20 b2 finished: failed
            10:20 ml letter 1 at 10:20: failure b2/1
            10:20:01 ml letter 1 again at 10:20:03: no answer
            10:20:05 ml letter 1 again at 10:20:09: no answer
            10:20:10 ml letter 1 delivered
        "#]],
    );
}

#[test]
fn every_step_of_a_run_is_told_to_whoever_asks_for_it() {
    check(
        "receiver bus on=batch_closed,launch,success,failure,cancelled alone
         receiver ml
         rule t bucket=b quiet=1m retry=2/1m/1h notify=bus,ml
         10:00 put a#1
         10:01 started b2
         10:20 failed b2
         10:21 started b2
         10:30 succeeded b2",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 bus letter 1 at 10:01: batch_closed b2
            10:01 b2/1 started
            10:01 bus letter 2 at 10:01: launch b2/1
            10:20 b2/1 ended: failed
            10:21 b2/2 intended
            10:21 b2/2 started
            10:21 bus letter 3 at 10:21: launch b2/2
            10:30 b2/2 ended: succeeded
            10:30 b2 finished: succeeded
            10:30 bus letter 4 at 10:30: success b2/2
        "#]],
    );
}

#[test]
fn a_run_that_is_cancelled_is_told_when_it_has_ended() {
    check(
        "receiver bus on=launch,success,failure,cancelled alone
         rule t bucket=b quiet=1m notify=bus
         10:00 put a#1
         10:01 started b2
         10:10 cancel b2
         10:11 cancelled b2
         10:12 delivered bus
         10:20 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 bus letter 1 at 10:01: launch b2/1
            10:10 ok: to be cancelled: run=`b2`
            10:10 b2 to be cancelled: asked
            10:11 b2/1 ended: cancelled
            10:11 b2 finished: cancelled
            10:11 bus letter 2 at 10:11: cancelled b2/1
            10:12 bus letter 1 delivered
        "#]],
    );
}

#[test]
fn a_run_that_somebody_cancels_at_its_service_is_told_and_not_tried_again() {
    check(
        "receiver ml
         rule t bucket=b quiet=1m notify=ml retry=3/1m/1h
         10:00 put a#1
         10:01 started b2
         10:10 cancelled b2
         11:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:10 b2/1 ended: cancelled
            10:10 b2 finished: cancelled
            10:10 ml letter 1 at 10:10: cancelled b2/1 (it was cancelled at its service, and not by refit)
        "#]],
    );
}

#[test]
fn only_who_a_trigger_names_is_told() {
    check(
        "receiver ml on=launch
         receiver ops on=launch
         rule t bucket=b quiet=1m notify=ops
         rule u bucket=b quiet=1m
         10:00 put a#1
         10:01 started b2; started b2.1",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 a#1 -> u b2.1
            10:00 b2 held: quiet until 10:01
            10:00 b2.1 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2.1 closed: a#1
            10:01 b2.1/1 intended
            10:01 b2/1 started
            10:01 b2.1/1 started
            10:01 ops letter 1 at 10:01: launch b2/1
        "#]],
    );
}

#[test]
fn a_storm_becomes_one_letter_a_minute() {
    check(
        "receiver ml on=batch_closed
         rule t bucket=b each overlap=allow notify=ml
         10:00 put a#1; put b#1; put c#1; put d#1; put e#1; put f#1; put g#1
         10:00:30 put h#1
         10:01:30 put i#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b#1 -> t b2.1
            10:00 c#1 -> t b2.2
            10:00 d#1 -> t b2.3
            10:00 e#1 -> t b2.4
            10:00 f#1 -> t b2.5
            10:00 g#1 -> t b2.6
            10:00 b2 sealed: each
            10:00 b2.1 sealed: each
            10:00 b2.2 sealed: each
            10:00 b2.3 sealed: each
            10:00 b2.4 sealed: each
            10:00 b2.5 sealed: each
            10:00 b2.6 sealed: each
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:00 b2.1 closed: b#1
            10:00 b2.1/1 intended
            10:00 b2.2 closed: c#1
            10:00 b2.2/1 intended
            10:00 b2.3 closed: d#1
            10:00 b2.3/1 intended
            10:00 b2.4 closed: e#1
            10:00 b2.4/1 intended
            10:00 b2.5 closed: f#1
            10:00 b2.5/1 intended
            10:00 b2.6 closed: g#1
            10:00 b2.6/1 intended
            10:00 ml letter 1 at 10:00: batch_closed b2
            10:00 ml letter 2 at 10:00: batch_closed b2.1
            10:00 ml letter 3 at 10:00: batch_closed b2.2
            10:00 ml letter 4 at 10:00: batch_closed b2.3
            10:00 ml letter 5 at 10:00: batch_closed b2.4
            10:00 ml letter 6 at 10:01: batch_closed b2.5
            10:00 ml letter 6 at 10:01: batch_closed b2.6
            10:00:30 h#1 -> t b3
            10:00:30 b3 sealed: each
            10:00:30 b3 closed: h#1
            10:00:30 b3/1 intended
            10:00:30 ml letter 6 at 10:01: batch_closed b3
            10:01:30 i#1 -> t b4
            10:01:30 b4 sealed: each
            10:01:30 b4 closed: i#1
            10:01:30 b4/1 intended
            10:01:30 ml letter 6 sealed
            10:01:30 ml letter 7 at 10:01:30: batch_closed b4
        "#]],
    );
}

#[test]
fn in_a_storm_every_version_is_asked_for_in_a_letter_of_its_own() {
    let mut world = World::new();
    world.lines(
        "receiver ml on=requested
         rule t bucket=b each overlap=allow promote='churn staging=1' notify=ml
         10:00 put a#1; put b#1; put c#1; put d#1; put e#1; put f#1; put g#1",
    );
    for (number, run) in ["b2", "b2.1", "b2.2", "b2.3", "b2.4", "b2.5", "b2.6"].iter().enumerate() {
        let ends = format!("10:00 started {run}; succeeded {run}; registered {run} {number}");
        world.lines(&ends);
    }
    let letters = world.state.outboxes["ml"].letters.values();
    let told: Vec<usize> = letters.map(|letter| letter.notices.len()).collect();
    assert_eq!(told, [1; 7], "each has room for its link");
}

#[test]
fn a_summary_takes_nothing_more_once_a_commit_says_that_its_time_has_come() {
    let told = crate::world::run(
        "receiver ml on=batch_closed
         rule t bucket=b each overlap=allow notify=ml
         10:00 put a#1; put b#1; put c#1; put d#1; put e#1; put f#1
         10:01 tick
         10:01 put g#1",
    );
    let told: Vec<&str> = told.lines().filter(|line| line.contains("letter")).skip(5).collect();
    expect![[r#"
        10:00 ml letter 6 at 10:01: batch_closed b2.5
        10:01 ml letter 6 sealed
        10:01 ml letter 7 at 10:01: batch_closed b4"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn what_must_stay_by_itself_is_not_gathered() {
    check(
        "receiver bus on=batch_closed alone
         rule t bucket=b each overlap=allow notify=bus
         10:00 put a#1; put b#1; put c#1; put d#1; put e#1; put f#1; put g#1",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b#1 -> t b2.1
            10:00 c#1 -> t b2.2
            10:00 d#1 -> t b2.3
            10:00 e#1 -> t b2.4
            10:00 f#1 -> t b2.5
            10:00 g#1 -> t b2.6
            10:00 b2 sealed: each
            10:00 b2.1 sealed: each
            10:00 b2.2 sealed: each
            10:00 b2.3 sealed: each
            10:00 b2.4 sealed: each
            10:00 b2.5 sealed: each
            10:00 b2.6 sealed: each
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:00 b2.1 closed: b#1
            10:00 b2.1/1 intended
            10:00 b2.2 closed: c#1
            10:00 b2.2/1 intended
            10:00 b2.3 closed: d#1
            10:00 b2.3/1 intended
            10:00 b2.4 closed: e#1
            10:00 b2.4/1 intended
            10:00 b2.5 closed: f#1
            10:00 b2.5/1 intended
            10:00 b2.6 closed: g#1
            10:00 b2.6/1 intended
            10:00 bus letter 1 at 10:00: batch_closed b2
            10:00 bus letter 2 at 10:00: batch_closed b2.1
            10:00 bus letter 3 at 10:00: batch_closed b2.2
            10:00 bus letter 4 at 10:00: batch_closed b2.3
            10:00 bus letter 5 at 10:00: batch_closed b2.4
            10:00 bus letter 6 at 10:00: batch_closed b2.5
            10:00 bus letter 7 at 10:00: batch_closed b2.6
        "#]],
    );
}

#[test]
fn a_letter_is_given_up_when_it_is_refused_or_was_tried_too_often() {
    let tries: Vec<String> = (1..=24).map(|n| format!("{n}d00:00 lost ml")).collect();
    let world = format!(
        "receiver ml on=launch
         rule t bucket=b quiet=1m overlap=allow notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 refused ml
         10:03 put b#1
         10:04 started b6
         {}",
        tries.join("\n")
    );
    let told = crate::world::run(&world);
    let told: Vec<&str> = told.lines().filter(|line| line.contains("letter")).collect();
    expect![[r#"
        10:01 ml letter 1 at 10:01: launch b2/1
        10:02 ml letter 1 given up: no such channel
        10:04 ml letter 2 at 10:04: launch b6/1
        1d00:00 ml letter 2 again at 1d00:00:02: no answer
        2d00:00 ml letter 2 again at 2d00:00:04: no answer
        3d00:00 ml letter 2 again at 3d00:00:08: no answer
        4d00:00 ml letter 2 again at 4d00:00:16: no answer
        5d00:00 ml letter 2 again at 5d00:00:32: no answer
        6d00:00 ml letter 2 again at 6d00:01:04: no answer
        7d00:00 ml letter 2 again at 7d00:02:08: no answer
        8d00:00 ml letter 2 again at 8d00:04:16: no answer
        9d00:00 ml letter 2 again at 9d00:08:32: no answer
        10d00:00 ml letter 2 again at 10d00:17:04: no answer
        11d00:00 ml letter 2 again at 11d00:34:08: no answer
        12d00:00 ml letter 2 again at 12d01:08:16: no answer
        13d00:00 ml letter 2 again at 13d01:08:16: no answer
        14d00:00 ml letter 2 again at 14d01:08:16: no answer
        15d00:00 ml letter 2 again at 15d01:08:16: no answer
        16d00:00 ml letter 2 again at 16d01:08:16: no answer
        17d00:00 ml letter 2 again at 17d01:08:16: no answer
        18d00:00 ml letter 2 again at 18d01:08:16: no answer
        19d00:00 ml letter 2 again at 19d01:08:16: no answer
        20d00:00 ml letter 2 again at 20d01:08:16: no answer
        21d00:00 ml letter 2 again at 21d01:08:16: no answer
        22d00:00 ml letter 2 again at 22d01:08:16: no answer
        23d00:00 ml letter 2 again at 23d01:08:16: no answer
        24d00:00 ml letter 2 given up: no answer; tries=`24`"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn a_receiver_may_ask_to_be_left_alone() {
    check(
        "receiver ml on=launch
         rule t bucket=b quiet=1m notify=ml
         10:00 put a#1
         10:01 started b2
         10:02 busy-for-10m ml",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 ml letter 1 at 10:01: launch b2/1
            10:02 ml letter 1 again at 10:12: too many
        "#]],
    );
}

#[test]
fn a_budget_that_is_used_up_is_told_once_for_every_time_it_has_room_again() {
    check(
        "receiver ml
         rule t bucket=b quiet=1m budget=1/24h notify=ml
         10:00 put a#1
         10:01 started b2; succeeded b2
         10:10 put b#1
         10:11 tick
         10:20 put c#1
         10:21 tick
         1d10:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 b2/1 ended: succeeded
            10:01 b2 finished: succeeded
            10:10 b#1 -> t b5
            10:10 b5 held: quiet until 10:11
            10:11 ml letter 1 at 10:11: budget
            10:11 b5 held: budget until 1d10:01
            10:20 c#1 -> t b5
            10:20 b5 held: quiet until 10:21
            1d10:01 b5 closed: b#1 c#1
            1d10:01 b5/1 intended
        "#]],
    );
}

#[test]
fn what_does_not_go_on_is_told_once() {
    check(
        "receiver ml
         rule t bucket=b quiet=1m timeout=2h notify=ml
         rule u bucket=b quiet=1m trouble=gone notify=ml
         10:00 put a#1
         10:01 started b2
         10:40 tick
         10:41 running b2
         12:01 tick
         12:02 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            10:00 a#1 -> t b2
            10:00 a#1 -> u b2.1
            10:00 b2 held: quiet until 10:01
            10:00 b2.1 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 u troubled: gone until 10:01:02
            10:01 b2.1 held: unprepared until 10:01:02
            10:01 b2/1 started
            10:40 b2/1 stuck: the service has not begun it
            10:40 u troubled: gone until 10:40:04
            10:40 ml letter 1 at 10:40: stuck b2/1 (the service has not begun it)
            10:40 b2.1 held: unprepared until 10:40:04
            10:41 u troubled: gone until 10:41:08
            10:41 b2.1 held: unprepared until 10:41:08
            10:41 b2/1 running
            12:01 b2 to be cancelled: timed_out
            12:01 u troubled: gone until 12:01:16
            12:01 ml letter 2 at 12:01: stuck b2/1 (it takes longer than its trigger allows, and is to be cancelled)
            12:01 b2.1 held: unprepared until 12:01:16
            12:02 u troubled: gone until 12:02:32
            12:02 b2.1 held: unprepared until 12:02:32
        "#]],
    );
}

#[test]
fn a_start_nobody_can_judge_and_an_event_nobody_can_read_are_told() {
    check(
        "receiver ml
         rule t message= when=event.data.n>1 quiet=0s class=C on_unknown=ask notify=ml
         10:00 message m1 data={\"n\":2}
         10:00 nolookup b2
         10:05 message m2 data={}; message m3 data={}",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 m1 -> t b2
            10:00 b2 closed: m1
            10:00 b2/1 intended
            10:00 b2/1 uncertain
            10:00 ml letter 1 at 10:00: uncertain b2/1 (the service cannot say whether it started)
            10:05 m2 m3 refused by t: filter_error (No such key: n)
            10:05 ml letter 2 at 10:05: quarantine (No such key: n)
        "#]],
    );
}

#[test]
fn what_a_receiver_was_to_be_told_ends_with_the_receiver() {
    check(
        "receiver ml on=launch
         rule t bucket=b quiet=1m notify=ml
         10:00 put a#1
         10:01 started b2
         dismiss ml
         10:02 apply
         10:03 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:01 b2 closed: a#1
            10:01 b2/1 intended
            10:01 b2/1 started
            10:01 ml letter 1 at 10:01: launch b2/1
            10:02 ok: applied: triggers=`1`
            10:02 ml closed
        "#]],
    );
}

#[test]
fn a_pipeline_that_cannot_be_prepared_is_told_after_some_tries() {
    let ticks: Vec<String> = (11..=19).map(|hour| format!("{hour}:00 tick")).collect();
    let ticks = ticks.join("\n");
    let world = format!(
        "receiver ml\nrule t bucket=b quiet=1m trouble=gone notify=ml\n10:00 put a#1\n{ticks}"
    );
    let told = crate::world::run(&world);
    let told: Vec<&str> = told.lines().filter(|line| line.contains("letter")).collect();
    expect!["18:00 ml letter 1 at 18:00: stuck (gone)"].assert_eq(&told.join("\n"));
}

#[test]
fn a_budget_that_changes_to_and_fro_is_told_again_and_stops_nothing() {
    check(
        "receiver ml on=budget
         rule t bucket=b quiet=0s overlap=allow budget=1/24h notify=ml
         10:00 put a#1
         10:01 started b2; put b#1
         10:02 lost ml
         rule t bucket=b quiet=0s overlap=allow budget=1/12h notify=ml
         10:02:01 apply
         rule t bucket=b quiet=0s overlap=allow budget=1/24h notify=ml
         10:02:02 apply",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 closed: a#1
            10:00 b2/1 intended
            10:01 b#1 -> t b3
            10:01 b2/1 started
            10:01 ml letter 1 at 10:01: budget
            10:01 b3 held: budget until 1d10:00
            10:02 ml letter 1 again at 10:02:02: no answer
            10:02:01 ok: applied: triggers=`1`
            10:02:01 ml letter 2 at 10:02:01: budget
            10:02:01 b3 held: budget until 22:00
            10:02:02 ok: applied: triggers=`1`
            10:02:02 ml letter 3 at 10:02:02: budget
            10:02:02 b3 held: budget until 1d10:00
        "#]],
    );
}

#[test]
fn where_too_many_letters_wait_a_new_one_takes_the_place_of_the_oldest() {
    let mut world = World::new();
    world.lines(
        "receiver ml on=batch_closed alone
         rule t bucket=b each overlap=allow notify=ml
         09:00 put first#1
         09:00:01 lost ml",
    );
    let outboxes = Arc::make_mut(&mut world.state.outboxes);
    let letters = &mut outboxes.get_mut("ml").unwrap().letters;
    let first = letters.values().next().unwrap().notices[0].clone();
    for number in 1..LETTERS_MAX {
        let (id, at) = (hash128([number.to_string().as_str()]), clock("09:00:01"));
        let notices = vec![Notice { id, at, ..first.clone() }];
        let (owner, beyond, tries, message) = (String::new(), 0, 0, None);
        letters.insert(id, Letter { notices, beyond, owner, due: at, tries, message });
    }
    let oldest = world.shown("09:00:02 put last#1").to_owned();
    assert!(oldest.contains("ml letter 1 given up: too many letters wait"), "{oldest}");
    let storm: Vec<String> = (0..8).map(|number| format!("put s{number}#1")).collect();
    let storm = format!("receiver ml on=batch_closed\n09:10 apply\n09:10 {}", storm.join("; "));
    let told = world.shown(&storm);
    let count = |word| told.lines().filter(|line| line.contains(word)).count();
    assert_eq!((count("batch_closed"), count("given up")), (8, 6), "five alone, three together");
    assert_eq!(world.violations, []);
}
