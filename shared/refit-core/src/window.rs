//! Hours of days in a zone within which runs may be started.

use jiff::ToSpan as _;
use jiff::civil::{Time, Weekday};

use crate::schedule::Zone;
use crate::time::Timestamp;

/// Days that are looked at for the next hour to start in: a week, and the days at both ends of it.
const DAYS: i64 = 9;

/// From when to when, on which days.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The zone of the days and hours.
    pub zone: Zone,
    /// The days it begins on.
    pub days: Vec<Weekday>,
    /// When it begins.
    pub from: Time,
    /// When it ends: on the next day where that is not later than it begins.
    pub to: Time,
}

impl Window {
    /// When a run may be started: none where it may be now.
    #[must_use]
    pub fn opens(&self, now: Timestamp) -> Option<Timestamp> {
        let today = self.zone.civil(now).date();
        let spans = (-1..DAYS).filter_map(|day| {
            let begins = today.checked_add(day.days()).ok()?;
            let over_night = i64::from(self.to <= self.from);
            let ends = begins.checked_add(over_night.days()).ok()?;
            let from = self.zone.instant(begins.to_datetime(self.from), Timestamp::MAX)?;
            let to = self.zone.instant(ends.to_datetime(self.to), Timestamp::MAX)?;
            self.days.contains(&begins.weekday()).then_some((from, to))
        });
        let (from, _) = spans.into_iter().find(|(_, to)| now < *to)?;
        (now < from).then_some(from)
    }
}
