//! Schedules, and the hours runs may start in.

use jiff::civil::{Time, Weekday};
use refit_core::schedule::{Misfire, Schedule, Zone};
use refit_core::window::Window;

use super::super::document::NodeId;
use super::super::likely::did_you_mean;
use super::super::located::{Located, given};
use super::super::report::Notes;
use super::super::v1;

/// Missed times that may be made up for.
const MISFIRES_MAX: u64 = 1000;
/// What to write where a zone is missing.
const ZONE: &str = "name it, such as `zone: Europe/Berlin` or `zone: UTC`";
/// The days of the week.
const WEEK: [Weekday; 7] = [
    Weekday::Monday,
    Weekday::Tuesday,
    Weekday::Wednesday,
    Weekday::Thursday,
    Weekday::Friday,
    Weekday::Saturday,
    Weekday::Sunday,
];

/// The schedule that stands at `at`.
pub(super) fn schedule(
    notes: &mut Notes<'_>,
    schedule: &v1::Schedule,
    at: NodeId,
) -> Option<Schedule> {
    let zone = zone(notes, &schedule.zone, at);
    let misfire = given(&schedule.misfire).map_or(Misfire::Last, |(it, _)| misfire(notes, it));
    if schedule.cron.is_none() {
        notes.refuse_missing(at, "cron", "write when, such as `cron: 30 2 * * *`");
    }
    let (cron, cron_at) = given(&schedule.cron)?;
    // What is wrong with the expression is said whatever is wrong with the zone.
    let any = || Zone::new("UTC");
    match Schedule::new(cron, zone.clone().map_or_else(any, Ok).ok()?, misfire) {
        Ok(schedule) => zone.map(|_| schedule),
        Err(message) => {
            let cure =
                "write minute, hour, day of month, month and day of week, such as `30 2 * * MON`";
            notes.refuse(cron_at, format!("not a time that ever comes: {message}")).cured_by(cure);
            None
        }
    }
}

fn misfire(notes: &mut Notes<'_>, misfire: &v1::Misfire) -> Misfire {
    match misfire {
        v1::Misfire::None => Misfire::None,
        v1::Misfire::Last => Misfire::Last,
        v1::Misfire::All(most) => {
            let count = most.value.map_or(1, |count| count.0);
            if count > MISFIRES_MAX {
                notes.refuse(most.at, format!("this is too many: most=`{MISFIRES_MAX}`"));
            }
            Misfire::All(u32::try_from(count.min(MISFIRES_MAX)).unwrap_or(1))
        }
    }
}

fn zone(notes: &mut Notes<'_>, setting: &Option<Located<String>>, at: NodeId) -> Option<Zone> {
    if setting.is_none() {
        notes.refuse_missing(at, "zone", ZONE);
    }
    let (name, at) = given(setting)?;
    match Zone::new(name) {
        Ok(zone) => Some(zone),
        Err(message) => {
            let names = Zone::names();
            let likely = did_you_mean(name, names.iter().map(String::as_str));
            notes.refuse(at, message).cured_by(likely.unwrap_or_else(|| ZONE.to_owned()));
            None
        }
    }
}

/// The hours and days runs may start in.
pub(super) fn window(
    notes: &mut Notes<'_>,
    setting: &Option<Located<v1::Window>>,
) -> Option<Window> {
    let (window, at) = given(setting)?;
    let zone = zone(notes, &window.zone, at);
    for (name, missing) in [("from", window.from.is_none()), ("to", window.to.is_none())] {
        if missing {
            notes.refuse_missing(at, name, "write both, such as `from: 22:00` and `to: 06:00`");
        }
    }
    let days = given(&window.days);
    if let Some((_, at)) = days.filter(|(days, _)| days.is_empty()) {
        notes.refuse(at, "the list is empty: nothing can ever start");
    }
    let named = days.map(|(days, _)| days.iter().filter_map(|day| day.value).map(weekday));
    let days = named.map_or_else(|| WEEK.to_vec(), Iterator::collect);
    let time = |setting| given(setting).map(|(clock, _): (&v1::Clock, _)| time_of(*clock));
    Some(Window { zone: zone?, days, from: time(&window.from)?, to: time(&window.to)? })
}

fn weekday(day: v1::Day) -> Weekday {
    WEEK[day as usize]
}

fn time_of(clock: v1::Clock) -> Time {
    Time::constant(clock.hour, clock.minute, 0, 0)
}
