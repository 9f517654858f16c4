//! When schedules start what.

use expect_test::expect;
use refit_core::schedule::Zone;
use refit_core::time::Timestamp;
use refit_core::window::Window;

use crate::check;
use crate::events::restore;
use crate::world::World;

#[test]
fn a_schedule_starts_a_run_at_its_time_and_never_for_the_past() {
    check(
        "rule t cron='0 6 * * *@UTC' quiet=0s
         10:00 apply
         1d05:59 tick
         1d06:00 tick
         1d06:01 started b2; succeeded b2
         1d06:02 tick
         2d06:00:30 tick",
        &expect![[r#"
            10:00 ok: applied: triggers=`1`, added=`t`
            10:00 t begins at 10:00: 0 6 * * * UTC
            1d06:00 t 2026-03-02T06:00[UTC] -> b2
            1d06:00 b2 closed: 2026-03-02T06:00[UTC]
            1d06:00 b2/1 intended
            1d06:01 b2/1 started
            1d06:01 b2/1 ended: succeeded
            1d06:01 b2 finished: succeeded
            2d06:00:30 t 2026-03-03T06:00[UTC] -> b4
            2d06:00:30 b4 closed: 2026-03-03T06:00[UTC]
            2d06:00:30 b4/1 intended
        "#]],
    );
}

#[test]
fn a_time_that_was_missed_is_made_up_for_once() {
    check(
        "rule t cron='0 6 * * *@UTC@last' quiet=0s overlap=allow
         rule u cron='0 6 * * *@UTC@none' quiet=0s overlap=allow
         rule v cron='0 6 * * *@UTC@2' quiet=0s overlap=allow
         10:00 tick
         4d12:00 tick
         4d12:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`3`, added=`t, u, v`
            00:00 t begins at 00:00: 0 6 * * * UTC
            00:00 u begins at 00:00: 0 6 * * * UTC
            00:00 v begins at 00:00: 0 6 * * * UTC
            10:00 t 2026-03-01T06:00[UTC] -> b2
            10:00 u missed after 00:00 before 09:50
            10:00 v 2026-03-01T06:00[UTC] -> b2.1
            10:00 b2 closed: 2026-03-01T06:00[UTC]
            10:00 b2/1 intended
            10:00 b2.1 closed: 2026-03-01T06:00[UTC]
            10:00 b2.1/1 intended
            4d12:00 t missed after 06:00 before 4d06:00
            4d12:00 t 2026-03-05T06:00[UTC] -> b3
            4d12:00 u missed after 09:49:59 before 4d11:50
            4d12:00 v missed after 06:00 before 3d06:00
            4d12:00 v 2026-03-04T06:00[UTC] -> b3.1
            4d12:00 v 2026-03-05T06:00[UTC] -> b3.1
            4d12:00 b3 closed: 2026-03-05T06:00[UTC]
            4d12:00 b3/1 intended
            4d12:00 b3.1 closed: 2026-03-04T06:00[UTC] 2026-03-05T06:00[UTC]
            4d12:00 b3.1/1 intended
        "#]],
    );
}

#[test]
fn the_clock_changes_and_every_civil_time_comes_once() {
    check(
        "rule t cron='30 2 * * *@Europe/Berlin' quiet=0s overlap=allow
         27d12:00 apply
         28d00:59 tick
         28d01:00 tick
         28d01:30 tick
         28d02:00 tick
         -- back again in October: 00:30Z is the first half past two, 01:30Z the second
         237d12:00 tick
         238d00:29 tick
         238d00:30 tick
         238d01:30 tick
         239d01:30 tick",
        &expect![[r#"
            27d12:00 ok: applied: triggers=`1`, added=`t`
            27d12:00 t begins at 27d12:00: 30 2 * * * Europe/Berlin
            28d01:00 t 2026-03-29T02:30[Europe/Berlin] -> b2
            28d01:00 b2 closed: 2026-03-29T02:30[Europe/Berlin]
            28d01:00 b2/1 intended
            237d12:00 t missed after 28d01:00 before 237d00:30
            237d12:00 t 2026-10-24T02:30[Europe/Berlin] -> b3
            237d12:00 b3 closed: 2026-10-24T02:30[Europe/Berlin]
            237d12:00 b3/1 intended
            238d00:30 t 2026-10-25T02:30[Europe/Berlin] -> b4
            238d00:30 b4 closed: 2026-10-25T02:30[Europe/Berlin]
            238d00:30 b4/1 intended
            239d01:30 t 2026-10-26T02:30[Europe/Berlin] -> b5
            239d01:30 b5 closed: 2026-10-26T02:30[Europe/Berlin]
            239d01:30 b5/1 intended
        "#]],
    );
}

#[test]
fn one_time_of_two_schedules_of_a_trigger_comes_once() {
    check(
        "rule t cron='0 6 * * *@UTC' cron='0 6 * * SUN@UTC' quiet=0s
         10:00 tick
         7d06:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            00:00 t begins at 00:00: 0 6 * * * UTC
            00:00 t begins at 00:00: 0 6 * * 0 UTC
            10:00 t 2026-03-01T06:00[UTC] -> b2
            10:00 t 2026-03-01T06:00[UTC] passed: duplicate
            10:00 b2 closed: 2026-03-01T06:00[UTC]
            10:00 b2/1 intended
            7d06:00 t missed after 06:00 before 7d06:00
            7d06:00 t 2026-03-08T06:00[UTC] -> b3
            7d06:00 t 2026-03-08T06:00[UTC] passed: duplicate
            7d06:00 b3 held: active_run
        "#]],
    );
}

#[test]
fn a_schedule_that_changes_begins_anew() {
    check(
        "rule t cron='0 6 * * *@UTC' quiet=0s
         10:00 tick
         rule t cron='0 4 * * *@UTC' quiet=0s
         1d05:00 apply
         1d06:00 tick
         drop t
         1d07:00 apply
         rule t cron='0 4 * * *@UTC' quiet=0s
         5d05:00 apply
         5d06:00 tick
         6d04:00 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            00:00 t begins at 00:00: 0 6 * * * UTC
            10:00 t 2026-03-01T06:00[UTC] -> b2
            10:00 b2 closed: 2026-03-01T06:00[UTC]
            10:00 b2/1 intended
            1d05:00 ok: applied: triggers=`1`
            1d05:00 t ends: 0 6 * * * UTC
            1d05:00 t begins at 1d05:00: 0 4 * * * UTC
            1d07:00 ok: applied: triggers=`0`, removed=`t`
            5d05:00 ok: applied: triggers=`1`, added=`t`
            5d05:00 t begins at 5d05:00: 0 4 * * * UTC
            6d04:00 t 2026-03-07T04:00[UTC] -> b6
            6d04:00 b6 held: active_run
        "#]],
    );
}

#[test]
fn a_paused_trigger_keeps_its_time_or_lets_it_pass() {
    check(
        "rule t cron='0 6 * * *@UTC' quiet=0s
         rule u cron='0 6 * * *@UTC' quiet=0s
         05:00 pause t; pause u ignore
         06:00 tick
         06:10 resume t coalesce; resume u coalesce",
        &expect![[r#"
            00:00 ok: applied: triggers=`2`, added=`t, u`
            00:00 t begins at 00:00: 0 6 * * * UTC
            00:00 u begins at 00:00: 0 6 * * * UTC
            05:00 ok: paused: trigger=`t`
            05:00 ok: paused: trigger=`u`
            06:00 t 2026-03-01T06:00[UTC] -> b3
            06:00 u 2026-03-01T06:00[UTC] passed: paused
            06:00 b3 held: paused
            06:10 ok: resumed: trigger=`t`
            06:10 ok: resumed: trigger=`u`
            06:10 b3 closed: 2026-03-01T06:00[UTC]
            06:10 b3/1 intended
        "#]],
    );
}

#[test]
fn a_time_is_an_event_to_conditions_and_joins_what_arrived() {
    check(
        "rule t bucket=b cron='0 6 * * *@UTC' quiet=5m when='event.type == \"dev.refit.schedule.v1\" || object.size > 5'
         05:58 put a#1; put b#1 size=1
         06:00 tick
         06:05 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            00:00 t begins at 00:00: 0 6 * * * UTC
            05:58 a#1 -> t b2
            05:58 b#1 refused by t: filtered
            05:58 b2 held: quiet until 06:03
            06:00 t 2026-03-01T06:00[UTC] -> b2
            06:00 b2 held: quiet until 06:05
            06:05 b2 closed: a#1 2026-03-01T06:00[UTC]
            06:05 b2/1 intended
        "#]],
    );
}

#[test]
fn runs_start_within_the_hours_and_days_of_the_window_only() {
    check(
        "rule t bucket=b quiet=1m window=Europe/Berlin@22:00-06:00 overlap=allow
         -- the first day is a Sunday, and Berlin is an hour ahead
         10:00 put a#1
         10:05 message m
         1d20:59 tick
         1d21:00 tick
         2d04:58 put b#1
         2d04:59 tick
         2d05:00 put c#1
         2d05:01 tick",
        &expect![[r#"
            00:00 ok: applied: triggers=`1`, added=`t`
            10:00 a#1 -> t b2
            10:00 b2 held: quiet until 10:01
            10:05 m refused: no_match
            10:05 b2 held: window until 1d21:00
            1d21:00 b2 closed: a#1
            1d21:00 b2/1 intended
            2d04:58 b#1 -> t b5
            2d04:58 b5 held: quiet until 2d04:59
            2d04:59 b5 closed: b#1
            2d04:59 b5/1 intended
            2d05:00 c#1 -> t b7
            2d05:00 b7 held: quiet until 2d05:01
        "#]],
    );
}

/// When runs may be started in Berlin from `now` on, every day within these hours; `now` where it may be at once.
fn opens(hours: &str, now: &str) -> String {
    let (from, to) = hours.split_once('-').unwrap();
    let week = jiff::civil::Weekday::Monday.cycle_forward().take(7);
    let window = Window {
        zone: Zone::new("Europe/Berlin").unwrap(),
        days: week.collect(),
        from: from.parse().unwrap(),
        to: to.parse().unwrap(),
    };
    let now: Timestamp = now.parse().unwrap();
    window.opens(now).map_or_else(|| "now".to_owned(), |at| at.to_string())
}

#[test]
fn a_window_opens_and_closes_at_its_civil_times_when_the_clock_changes() {
    // On 29 March 01:00Z is three o'clock, and two has not been; on 25 October 00:00Z and 01:00Z are both two o'clock.
    let cases = [
        // It begins in the hour that is left out: at the moment of the gap.
        ("02:00-06:00", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00.000Z"),
        ("02:30-06:00", "2026-03-29T00:59:59Z", "2026-03-29T01:00:00.000Z"),
        ("02:30-06:00", "2026-03-29T01:00:00Z", "now"),
        ("02:30-06:00", "2026-03-29T03:59:59Z", "now"),
        ("02:30-06:00", "2026-03-29T04:00:00Z", "2026-03-30T00:30:00.000Z"),
        // It ends in that hour.
        ("22:00-02:30", "2026-03-29T00:59:59Z", "now"),
        ("22:00-02:30", "2026-03-29T01:00:00Z", "2026-03-29T20:00:00.000Z"),
        // All of it is left out: that day it is never open.
        ("02:15-02:45", "2026-03-29T01:00:00Z", "2026-03-30T00:15:00.000Z"),
        // It begins in the hour that comes twice: the first time.
        ("02:30-06:00", "2026-10-25T00:29:59Z", "2026-10-25T00:30:00.000Z"),
        ("02:30-06:00", "2026-10-25T00:30:00Z", "now"),
        ("02:30-06:00", "2026-10-25T01:00:00Z", "now"),
        ("02:30-06:00", "2026-10-25T05:00:00Z", "2026-10-26T01:30:00.000Z"),
        // It ends in that hour: the first time as well.
        ("22:00-02:30", "2026-10-25T00:29:59Z", "now"),
        ("22:00-02:30", "2026-10-25T00:30:00Z", "2026-10-25T21:00:00.000Z"),
        ("02:15-02:45", "2026-10-25T01:20:00Z", "2026-10-26T01:15:00.000Z"),
    ];
    for (hours, now, expected) in cases {
        assert_eq!(opens(hours, now), expected, "{hours} at {now}");
    }
}

#[test]
fn a_restored_ledger_makes_up_for_no_time_it_may_have_acted_on() {
    let mut world = World::new();
    world.lines(
        "rule t cron='0 6 * * *@UTC@last' cron='0 12 * * *@UTC@last' quiet=0s overlap=allow
         05:00 tick",
    );
    restore(&mut world, "06:05");
    let shown = world.shown("06:06 tick\n06:07 tick\n12:00 tick\n1d06:00 tick");
    expect![[r#"
        06:06 t missed after 00:00 before 06:05
        12:00 t 2026-03-01T12:00[UTC] -> b4
        12:00 b4 closed: 2026-03-01T12:00[UTC]
        12:00 b4/1 intended
        1d06:00 t 2026-03-02T06:00[UTC] -> b5
        1d06:00 b5 closed: 2026-03-02T06:00[UTC]
        1d06:00 b5/1 intended
    "#]]
    .assert_eq(shown);
}
