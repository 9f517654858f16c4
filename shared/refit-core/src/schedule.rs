//! Times to start at: cron expressions in a zone, where every civil time happens once.
//!
//! A civil time that the clock repeats happens when it is shown first. One that the clock leaves out happens at the
//! moment it is left out; where several are, or one is due at that moment anyway, they happen together. The rules of
//! the zones are those compiled in, so that every process of a version knows the same.

#[cfg(test)]
mod tests;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use serde::{Deserialize, Serialize};

use crate::key::{Hash128, hash128};
use crate::mutant::{self, Mutant};
use crate::time::{Span, Timestamp};

/// Civil times tried for one that lies ahead: more than a clock ever repeats.
const REPEATED_MAX: usize = 10_000;

/// A cron expression in a zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    cron: Cron,
    zone: Zone,
    misfire: Misfire,
}

/// A zone of the IANA database.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// What becomes of times that were missed: nothing was there to judge them until long after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Misfire {
    /// They are left out.
    None,
    /// The newest is made up for, unless one is due by now.
    Last,
    /// The newest are made up for, so many at the most.
    All(u32),
}

/// One time of a schedule: an instant, and what the clocks of the zone show first.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Slot {
    /// The instant.
    pub at: Timestamp,
    /// The civil time, such as `2026-03-29T02:30[Europe/Berlin]`.
    pub civil: String,
}

/// What is due of a schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Set where times before this one were missed and are left out.
    pub missed: Option<Timestamp>,
    /// The times to act on, oldest first.
    pub slots: Vec<Slot>,
}

impl Schedule {
    /// Reads five fields: minute, hour, day of month, month, day of week.
    ///
    /// # Errors
    /// Says what is wrong with the expression, or that it never comes.
    pub fn new(cron: &str, zone: Zone, misfire: Misfire) -> Result<Self, String> {
        let parser =
            CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let parsed = parser.parse(cron).map_err(|error| fragment(&error.to_string()))?;
        let text = format!("{} {}", parsed.as_str(), zone.name);
        let schedule = Self { text, cron: parsed, zone, misfire };
        match schedule.next(Timestamp::EPOCH) {
            Some(_) => Ok(schedule),
            None => Err("there is no such day".to_owned()),
        }
    }

    /// The expression and the zone: what the schedule is known by.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What becomes of times that were missed.
    #[must_use]
    pub fn misfire(&self) -> Misfire {
        self.misfire
    }

    /// The first time after `after`.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Slot> {
        let mut civil = self.zone.civil(after);
        for _ in 0..REPEATED_MAX {
            civil = self.cron.find_next_occurrence(&civil, false).ok()?;
            let at = self.zone.instant(civil, after)?;
            if at > after {
                let civil = format!("{}[{}]", civil.strftime("%Y-%m-%dT%H:%M"), self.zone.name);
                return Some(Slot { at, civil });
            }
        }
        None
    }

    /// What is due at `now`, where everything up to `after` was judged; what is older than `grace` was missed.
    #[must_use]
    pub fn due(&self, after: Timestamp, now: Timestamp, grace: Span) -> Due {
        let instant = Span::from_millis(1);
        let late = after.max(now - grace - instant);
        let mut slots = self.walk(late, now);
        let made_up = match self.misfire {
            Misfire::None => 0,
            Misfire::Last => usize::from(slots.is_empty()),
            Misfire::All(most) => most as usize,
        };
        let missed = self.newest(after, late, made_up + 1);
        let left_out = missed.len() > made_up;
        let kept = missed.into_iter().skip(usize::from(left_out));
        slots.splice(0..0, kept);
        let until = || slots.first().map_or(late + instant, |slot| slot.at);
        Due { missed: left_out.then(until), slots }
    }

    /// The newest times after `after` up to `until`, so many at the most, oldest first.
    fn newest(&self, after: Timestamp, until: Timestamp, most: usize) -> Vec<Slot> {
        let mut back = Span::hours(1);
        loop {
            let from = after.max(until - back);
            let mut slots = self.walk(from, until);
            if from == after || slots.len() >= most {
                return slots.split_off(slots.len().saturating_sub(most));
            }
            back = back.times(2);
        }
    }

    /// Every time after `after` up to `until`.
    fn walk(&self, after: Timestamp, until: Timestamp) -> Vec<Slot> {
        let next = |last: &Timestamp| self.next(*last).filter(|slot| slot.at <= until);
        let first = next(&after);
        std::iter::successors(first, |slot| next(&slot.at)).collect()
    }
}

/// The end of a message of several parts, as messages are written here.
fn fragment(message: &str) -> String {
    let end = message.rsplit(": ").next().unwrap_or(message).trim_end_matches('.');
    let mut letters = end.chars();
    letters.next().map(|first| first.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl PartialEq for Schedule {
    fn eq(&self, other: &Self) -> bool {
        (&self.text, self.misfire) == (&other.text, other.misfire)
    }
}

impl Slot {
    /// The identity of what happens at this time by a trigger: whatever expression it is of, the trigger has it once.
    #[must_use]
    pub fn id(&self, trigger: &str) -> Hash128 {
        hash128(["schedule", trigger, &self.civil])
    }
}

impl Zone {
    /// The zone of that name, such as `Europe/Berlin` or `UTC`.
    ///
    /// # Errors
    /// There is none.
    pub fn new(name: &str) -> Result<Self, String> {
        let rules = TimeZoneDatabase::bundled().get(name);
        let rules = rules.map_err(|_| format!("there is no such zone: zone=`{name}`"))?;
        let name = rules.iana_name().unwrap_or(name).to_owned();
        Ok(Self { name, rules })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Names of zones, for those who misspell one.
    #[must_use]
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect()
    }

    /// What the clocks there show.
    pub(crate) fn civil(&self, at: Timestamp) -> DateTime {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        self.rules.to_datetime(at)
    }

    /// When the clocks there first show this, or leave it out; `after` is what the mutant goes by.
    pub(crate) fn instant(&self, civil: DateTime, after: Timestamp) -> Option<Timestamp> {
        let ambiguous = self.rules.to_ambiguous_timestamp(civil);
        let instant = |at: jiff::Timestamp| Timestamp::from_millis(at.as_millisecond());
        match ambiguous.offset() {
            AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(civil).ok().map(instant),
            AmbiguousOffset::Fold { before, after: second } => {
                let first = before.to_timestamp(civil).ok().map(instant)?;
                let again = mutant::is(Mutant::ScheduleFiresTwice) && first <= after;
                match again {
                    true => second.to_timestamp(civil).ok().map(instant),
                    false => Some(first),
                }
            }
            AmbiguousOffset::Gap { before, .. } => {
                let late = before.to_timestamp(civil).ok()?;
                let beyond = late.checked_add(jiff::SignedDuration::from_secs(1)).ok()?;
                self.rules.preceding(beyond).next().map(|change| instant(change.timestamp()))
            }
        }
    }
}
