//! Both clock changes of eleven zones in 2026, by what the zones' own laws say.

use super::*;

fn schedule(cron: &str, zone: &str, misfire: Misfire) -> Schedule {
    Schedule::new(cron, Zone::new(zone).unwrap(), misfire).unwrap()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{error}"))
}

/// A zone with both of its changes: the day, an hour that is left out or repeated, when it then happens once, and how
/// many quarters of an hour that day has.
struct Change {
    zone: &'static str,
    day: &'static str,
    cron: &'static str,
    at: &'static str,
    quarters: usize,
}

const fn change(
    zone: &'static str,
    day: &'static str,
    cron: &'static str,
    at: &'static str,
    quarters: usize,
) -> Change {
    Change { zone, day, cron, at, quarters }
}

const CHANGES: &[Change] = &[
    change("Europe/Berlin", "2026-03-29", "30 2 * * *", "2026-03-29T01:00:00Z", 92),
    change("Europe/Berlin", "2026-10-25", "30 2 * * *", "2026-10-25T00:30:00Z", 96),
    change("Europe/London", "2026-03-29", "30 1 * * *", "2026-03-29T01:00:00Z", 92),
    change("Europe/London", "2026-10-25", "30 1 * * *", "2026-10-25T00:30:00Z", 96),
    change("America/New_York", "2026-03-08", "30 2 * * *", "2026-03-08T07:00:00Z", 92),
    change("America/New_York", "2026-11-01", "30 1 * * *", "2026-11-01T05:30:00Z", 96),
    change("America/St_Johns", "2026-03-08", "30 2 * * *", "2026-03-08T05:30:00Z", 92),
    change("America/St_Johns", "2026-11-01", "30 1 * * *", "2026-11-01T04:00:00Z", 96),
    change("America/Havana", "2026-03-08", "30 0 * * *", "2026-03-08T05:00:00Z", 92),
    change("America/Havana", "2026-11-01", "30 0 * * *", "2026-11-01T04:30:00Z", 96),
    change("America/Santiago", "2026-09-06", "30 0 * * *", "2026-09-06T04:00:00Z", 92),
    change("America/Santiago", "2026-04-04", "30 23 * * *", "2026-04-05T02:30:00Z", 96),
    change("Africa/Cairo", "2026-04-24", "30 0 * * *", "2026-04-23T22:00:00Z", 92),
    change("Africa/Cairo", "2026-10-29", "30 23 * * *", "2026-10-29T20:30:00Z", 96),
    change("Australia/Sydney", "2026-10-04", "30 2 * * *", "2026-10-03T16:00:00Z", 92),
    change("Australia/Sydney", "2026-04-05", "30 2 * * *", "2026-04-04T15:30:00Z", 96),
    change("Australia/Lord_Howe", "2026-10-04", "15 2 * * *", "2026-10-03T15:30:00Z", 94),
    change("Australia/Lord_Howe", "2026-04-05", "45 1 * * *", "2026-04-04T14:45:00Z", 96),
    change("Pacific/Auckland", "2026-09-27", "30 2 * * *", "2026-09-26T14:00:00Z", 92),
    change("Pacific/Auckland", "2026-04-05", "30 2 * * *", "2026-04-04T13:30:00Z", 96),
    change("Pacific/Chatham", "2026-09-27", "0 3 * * *", "2026-09-26T14:00:00Z", 92),
    change("Pacific/Chatham", "2026-04-05", "0 3 * * *", "2026-04-04T13:15:00Z", 96),
];

/// The times of a schedule within three days before and after noon of the day.
fn around(cron: &str, zone: &str, day: &str) -> Vec<Slot> {
    let noon = time(&format!("{day}T12:00:00Z"));
    schedule(cron, zone, Misfire::Last).walk(noon - Span::days(3), noon + Span::days(3))
}

#[test]
fn a_civil_time_happens_once_whatever_the_clock_does() {
    for Change { zone, day, cron, at, .. } in CHANGES {
        let slots = around(cron, zone, day);
        let that_day: Vec<&Slot> =
            slots.iter().filter(|slot| slot.civil.starts_with(day)).collect();
        assert_eq!(that_day.len(), 1, "{zone} {day}: {slots:?}");
        assert_eq!(that_day[0].at, time(at), "{zone} {day}");
        assert_eq!(slots.len(), 6, "once on every day around it: {zone} {day}");
    }
}

#[test]
fn quarters_of_an_hour_are_as_many_as_the_clock_shows_different_ones() {
    for Change { zone, day, quarters, .. } in CHANGES {
        let slots = around("*/15 * * * *", zone, day);
        let that_day = slots.iter().filter(|slot| slot.civil.starts_with(day)).count();
        assert_eq!(that_day, *quarters, "{zone} {day}");
        let rises = |pair: &[Slot]| pair[0].at < pair[1].at && pair[0].civil < pair[1].civil;
        assert!(slots.windows(2).all(rises), "{zone} {day}");
    }
}

#[test]
fn lists_and_ranges_are_not_lost_in_the_hour_that_is_left_out() {
    let day = |cron: &str| {
        let slots = around(cron, "Europe/Berlin", "2026-03-29");
        let that_day = slots.into_iter().filter(|slot| slot.civil.starts_with("2026-03-29"));
        that_day.map(|slot| slot.at.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(day("0,30 2 * * *"), ["2026-03-29T01:00:00.000Z"]);
    assert_eq!(day("0 2,3 * * *"), ["2026-03-29T01:00:00.000Z"]);
    assert_eq!(day("0 1-4 * * *").len(), 3, "two and three o'clock are one moment");
}

#[test]
fn expressions_that_are_none_or_never_come_are_refused() {
    let zone = || Zone::new("UTC").unwrap();
    for cron in [
        "",
        "* * * *",
        "0 0 31 2 *",
        "0 24 * * *",
        "60 * * * *",
        "* * * * * *",
        "@every 5m",
        "5/5 * * * *",
        "H 2 * * *",
        "0 0 0 * *",
    ] {
        assert!(Schedule::new(cron, zone(), Misfire::Last).is_err(), "{cron}");
    }
    for cron in
        ["@daily", "0 0 L * *", "0 9 15W * *", "0 9 * * MON-FRI", "0 9 * JAN 7", "0 0 29 2 *"]
    {
        assert!(Schedule::new(cron, zone(), Misfire::Last).is_ok(), "{cron}");
    }
    assert!(Zone::new("Europe/Berlim").is_err());
    assert_eq!(Zone::new("europe/berlin").unwrap().name(), "Europe/Berlin");
}

#[test]
fn what_was_missed_is_made_up_for_as_asked() {
    let due = |misfire, after: &str, now: &str| {
        let hourly = schedule("0 * * * *", "UTC", misfire);
        let time = |text: &str| time(&format!("2026-01-05T{text}:00Z"));
        let due = hourly.due(time(after), time(now), Span::mins(10));
        let clock = |time: Timestamp| time.to_string()[11..16].to_owned();
        let slots: Vec<String> = due.slots.iter().map(|slot| clock(slot.at)).collect();
        (due.missed.map(clock), slots.join(" "))
    };
    let said = |missed: &str, slots: &str| {
        ((!missed.is_empty()).then(|| missed.to_owned()), slots.to_owned())
    };
    assert_eq!(due(Misfire::Last, "09:00", "10:00"), said("", "10:00"), "on time");
    assert_eq!(due(Misfire::None, "09:00", "10:10"), said("", "10:00"), "late, not missed");
    assert_eq!(due(Misfire::None, "09:00", "10:11"), said("10:01", ""), "missed");
    assert_eq!(due(Misfire::Last, "09:00", "10:11"), said("", "10:00"));
    assert_eq!(due(Misfire::Last, "06:00", "10:11"), said("10:00", "10:00"), "the newest only");
    assert_eq!(due(Misfire::Last, "06:00", "10:05"), said("10:00", "10:00"), "one is due by now");
    assert_eq!(due(Misfire::All(2), "06:00", "10:11"), said("09:00", "09:00 10:00"));
    assert_eq!(due(Misfire::All(2), "06:00", "10:05"), said("08:00", "08:00 09:00 10:00"));
    assert_eq!(due(Misfire::All(9), "06:00", "10:11"), said("", "07:00 08:00 09:00 10:00"));
    assert_eq!(due(Misfire::All(9), "06:00", "06:59"), said("", ""));
}
