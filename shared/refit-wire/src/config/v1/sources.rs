//! What a trigger listens to beside objects and messages, and the hours it may start in.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, Error, Unexpected, Visitor};

use super::super::located::Located;
use super::Count;

/// Drift reports: all conditions must hold. What a report leaves open never fires.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Drift {
    /// The model, its deployment or endpoint, or the monitor, by the name the reports give it.
    #[schemars(required)]
    pub(in super::super) model: Option<Located<String>>,
    /// The least share of columns that drifted, above 0 and at most 1. Default: any.
    pub(in super::super) min_share: Option<Located<Share>>,
    /// Features of which at least one must have drifted. A report that lists no columns leaves that open; so does an
    /// alarm or incident, which names a metric or condition, unless that name is asked for. Default: any.
    pub(in super::super) features: Option<Located<Vec<Located<String>>>>,
    /// So many reports in a row must say so; those that led to a run are used up. Default: 1.
    pub(in super::super) consecutive: Option<Located<Count>>,
}

/// Times: a civil time that the clock repeats comes once, one that it leaves out comes at that moment.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Schedule {
    /// Minute, hour, day of month, month and day of week, such as `30 2 * * MON`; or `@daily` and its like.
    #[schemars(required)]
    pub(in super::super) cron: Option<Located<String>>,
    /// The zone of the IANA database, such as `Europe/Berlin` or `UTC`.
    #[schemars(required)]
    pub(in super::super) zone: Option<Located<String>>,
    /// What becomes of times that were missed by more than ten minutes. Default: `last`.
    pub(in super::super) misfire: Option<Located<Misfire>>,
}

/// What becomes of times that were missed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Misfire {
    /// They are left out.
    None,
    /// The newest is made up for, unless one is due by now.
    Last,
    /// The newest are made up for: so many at the most, up to 1000.
    All(Located<Count>),
}

/// The hours and days within which runs may be started. Retries do not wait for them.
#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(deny_unknown_fields)]
pub(in super::super) struct Window {
    /// When it begins, such as `22:00`.
    #[schemars(required)]
    pub(in super::super) from: Option<Located<Clock>>,
    /// When it ends, such as `06:00`; on the next day where that is not later than it begins.
    #[schemars(required)]
    pub(in super::super) to: Option<Located<Clock>>,
    /// The zone of the IANA database, such as `Europe/Berlin` or `UTC`.
    #[schemars(required)]
    pub(in super::super) zone: Option<Located<String>>,
    /// The days it begins on. Default: every day.
    pub(in super::super) days: Option<Located<Vec<Located<Day>>>>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(in super::super) enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A share: above 0 and at most 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Share(pub(in super::super) f64);

/// Hours and minutes, such as `06:00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Clock {
    pub(in super::super) hour: i8,
    pub(in super::super) minute: i8,
}

impl<'de> Deserialize<'de> for Share {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Part;

        impl Visitor<'_> for Part {
            type Value = Share;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a share above 0 and at most 1, such as 0.3")
            }

            fn visit_f64<E: Error>(self, share: f64) -> Result<Share, E> {
                let wrong = || E::invalid_value(Unexpected::Float(share), &self);
                (share > 0.0 && share <= 1.0).then_some(Share(share)).ok_or_else(wrong)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Share, E> {
                let wrong = || E::invalid_value(Unexpected::Unsigned(number), &self);
                (number == 1).then_some(Share(1.0)).ok_or_else(wrong)
            }
        }

        deserializer.deserialize_any(Part)
    }
}

impl JsonSchema for Share {
    fn schema_name() -> Cow<'static, str> {
        "Share".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "exclusiveMinimum": 0, "maximum": 1 })
    }
}

impl<'de> Deserialize<'de> for Clock {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OfDay;

        impl Visitor<'_> for OfDay {
            type Value = Clock;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time of day such as 06:00")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Clock, E> {
                clock(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
            }
        }

        deserializer.deserialize_any(OfDay)
    }
}

/// Two digits, a colon, two digits.
fn clock(text: &str) -> Option<Clock> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let number = |part: &str, below: i8| part.parse().ok().filter(|number| *number < below);
    let is_written = digits(hour) && digits(minute);
    let (hour, minute) = (number(hour, 24)?, number(minute, 60)?);
    is_written.then_some(Clock { hour, minute })
}

impl JsonSchema for Clock {
    fn schema_name() -> Cow<'static, str> {
        "Clock".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$" })
    }
}
