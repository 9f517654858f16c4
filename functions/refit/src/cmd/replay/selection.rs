//! Which events are sent again.

use std::str::FromStr;

use refit_core::event::{Event, Fact};
use refit_core::rules::{Rules, Trigger};
use refit_core::time::{Span, Timestamp};

use crate::exit::{Exit, Failure};

/// A time, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    At(Timestamp),
    Ago(Span),
}

/// Filters; an event is sent again if all of those that are set let it pass.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Filters {
    /// Only what the ledger recorded since then, or what samples say happened since then: a time such as
    /// 2026-01-05T12:00:00Z, or how long ago, such as 7d
    #[arg(long, value_name = "TIME|SPAN")]
    pub(super) since: Option<Moment>,
    /// Only what came before that time
    #[arg(long, value_name = "TIME|SPAN")]
    pub(super) until: Option<Moment>,
    /// For this trigger alone: no other one is told of it
    #[arg(long, value_name = "NAME")]
    pub(super) trigger: Option<String>,
    /// Only this object, or what lies below this folder, which ends in a slash
    #[arg(long, value_name = "URI")]
    pub(super) object: Option<String>,
}

/// The filters, with times instead of lengths of time.
#[derive(Debug)]
pub(super) struct Selection {
    pub(super) since: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) trigger: Option<String>,
    object: Option<String>,
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ago = || text.parse().map(Self::Ago);
        let at = text.parse().map(Self::At);
        at.or_else(|_| ago().map_err(|_| format!("neither a time nor a length of time: `{text}`")))
    }
}

impl Moment {
    fn from(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => now - span,
        }
    }
}

impl Filters {
    /// Whether none is set.
    pub(super) fn is_empty(&self) -> bool {
        let Self { since, until, trigger, object } = self;
        since.is_none() && until.is_none() && trigger.is_none() && object.is_none()
    }

    /// Refuses filters that let everything pass or nothing.
    pub(super) fn check(&self) -> Result<(), Failure> {
        let texts = [("--trigger", &self.trigger), ("--object", &self.object)];
        match texts.iter().find(|(_, text)| text.as_deref() == Some("")) {
            Some((option, _)) => {
                Err(Failure::new(Exit::Usage, format!("it is empty: option=`{option}`")))
            }
            None => Ok(()),
        }
    }

    /// The filters as they are at that time.
    pub(super) fn at(&self, now: Timestamp) -> Result<Selection, Failure> {
        let from = |moment: Option<Moment>| moment.map(|moment| moment.from(now));
        let (since, until) = (from(self.since), from(self.until));
        if let (Some(since), Some(until)) = (since, until)
            && since >= until
        {
            let message = format!("no time is in it: since=`{since}`, until=`{until}`");
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(Selection { since, until, trigger: self.trigger.clone(), object: self.object.clone() })
    }
}

impl Selection {
    /// Whether a time lies within it; one that is not known lies within no bounds.
    pub(super) fn has_time(&self, time: Option<Timestamp>) -> bool {
        let Some(time) = time else { return self.since.is_none() && self.until.is_none() };
        self.since.is_none_or(|since| time >= since) && self.until.is_none_or(|until| time < until)
    }

    /// Whether an event is about the object that is asked for, and for the trigger.
    pub(super) fn has_event(&self, event: &Event, rules: Option<&Rules>) -> bool {
        let rule = |name: &String| rules.and_then(|rules| rules.triggers.get(name));
        let concerned = self.trigger.as_ref().and_then(rule);
        self.has_object(event) && concerned.is_none_or(|rule| concerns(rule, event))
    }

    fn has_object(&self, event: &Event) -> bool {
        let Some(wanted) = &self.object else { return true };
        let Fact::Object(change) = &event.fact else { return false };
        let uri = change.object.uri();
        uri == *wanted || (wanted.ends_with('/') && uri.starts_with(wanted))
    }
}

/// Whether a trigger looks at such events at all.
fn concerns(rule: &Trigger, event: &Event) -> bool {
    match &event.fact {
        Fact::Object(change) => {
            let until = rule.batch.until.as_ref();
            rule.watches(&change.object) || until.is_some_and(|until| until.matches(&change.object))
        }
        Fact::Message(message) => rule.hears(message),
        Fact::Drift(report) => rule.minds(report).next().is_some(),
        Fact::Command(_) | Fact::Invalid(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_time_or_a_length_of_time() {
        let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
        let of = |text: &str| text.parse::<Moment>().map(|moment| moment.from(now).to_string());
        assert_eq!(of("2h").unwrap(), "2026-01-05T10:00:00.000Z");
        assert_eq!(of("2026-01-04T00:00:00Z").unwrap(), "2026-01-04T00:00:00.000Z");
        assert!(of("yesterday").is_err());
    }

    #[test]
    fn bounds_hold_their_beginning_and_not_their_end() {
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let (since, until) = (at("2026-01-05T10:00:00Z"), at("2026-01-05T12:00:00Z"));
        let filters = Filters { since: Some(Moment::At(since)), ..Filters::default() };
        let both = Filters { until: Some(Moment::At(until)), ..filters.clone() };
        let selection = both.at(until).unwrap();
        assert!(selection.has_time(Some(since)) && !selection.has_time(Some(until)));
        assert!(!selection.has_time(None) && filters.at(until).unwrap().has_time(Some(until)));
        let nothing = Filters { since: Some(Moment::At(until)), ..both };
        assert!(nothing.at(until).is_err());
    }
}
