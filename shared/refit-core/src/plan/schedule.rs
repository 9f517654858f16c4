//! Which times of schedules have come.

use std::collections::BTreeSet;

use super::Desk;
use super::events::{Entrant, Named, Refused};
use crate::commit::TriggerChange;
use crate::member::{Firing, Member};
use crate::mutant::{self, Mutant};
use crate::reason::Refusal;
use crate::rules::Rules;
use crate::schedule::{Schedule, Slot};
use crate::scope::scope_of_firing;
use crate::time::{Span, Timestamp};

impl Desk<'_> {
    /// Acts on the times that have come since they were last judged. A schedule begins when it is first seen.
    pub(super) fn judge_schedules(&mut self, rules: &Rules) {
        for named in &rules.triggers {
            self.forget_schedules(named);
            for schedule in named.1.schedules() {
                self.judge_schedule(named, schedule);
            }
        }
        self.flush();
    }

    /// Schedules the rule no longer has: should they come back, they begin anew.
    fn forget_schedules(&mut self, (name, rule): Named<'_>) {
        let current: BTreeSet<&str> = rule.schedules().map(Schedule::text).collect();
        let known = self.state.triggers.get(name).map(|standing| standing.schedules.keys());
        let gone = known.into_iter().flatten().filter(|text| !current.contains(text.as_str()));
        for schedule in gone.cloned().collect::<Vec<_>>() {
            self.change_trigger(name, TriggerChange::Unscheduled(schedule));
        }
    }

    fn judge_schedule(&mut self, named: Named<'_>, schedule: &Schedule) {
        let (name, _) = named;
        let Some(standing) = self.state.triggers.get(name) else { return };
        let text = schedule.text().to_owned();
        let Some(mark) = standing.schedules.get(&text) else {
            let early = if mutant::is(Mutant::ScheduleFiresForThePast) {
                Span::days(1)
            } else {
                Span::ZERO
            };
            let from = self.now - early;
            self.change_trigger(name, TriggerChange::Scheduled { schedule: text, from });
            self.wake_for(schedule);
            return;
        };
        let (judged, acted_on) = (mark.until, mark.civil.clone());
        let after = self.judged_before(name, schedule, judged);
        let due = schedule.due(after, self.now, self.state.timing.grace);
        if let Some(until) = due.missed {
            let missed = TriggerChange::Missed { schedule: text.clone(), after, until };
            self.change_trigger(name, missed);
        }
        // Where a zone is known to lie farther west than it was, a civil time comes again.
        let comes_again =
            |slot: &Slot| slot.civil <= acted_on && !mutant::is(Mutant::ScheduleFiresTwice);
        for slot in due.slots.into_iter().filter(|slot| !comes_again(slot)) {
            self.fire(named, Firing { schedule: text.clone(), slot });
        }
        self.wake_for(schedule);
    }

    /// Up to when a schedule was judged: of times before a ledger was restored from a copy it has perhaps forgotten that
    /// it acted on them.
    fn judged_before(&mut self, trigger: &str, schedule: &Schedule, after: Timestamp) -> Timestamp {
        let restored = self.restored().filter(|restored| *restored > after);
        let Some(restored) = restored else { return after };
        let until = restored + Span::from_millis(1);
        if schedule.next(after).is_some_and(|slot| slot.at < until) {
            let schedule = schedule.text().to_owned();
            self.change_trigger(trigger, TriggerChange::Missed { schedule, after, until });
        }
        restored
    }

    fn wake_for(&mut self, schedule: &Schedule) {
        if let Some(slot) = schedule.next(self.now) {
            self.wake(slot.at);
        }
    }

    /// A time that has come becomes a member, once, or is passed over with a reason.
    fn fire(&mut self, named: Named<'_>, firing: Firing) {
        let (name, _) = named;
        let id = firing.slot.id(name);
        let admitted = match self.known(id) {
            Some(_) if !mutant::is(Mutant::ScheduleFiresTwice) => {
                Err(Refused::new(Refusal::Duplicate))
            }
            Some(_) | None => self.admit_firing(named, &firing),
        };
        self.fresh.insert(id, admitted.is_ok());
        let change = match admitted {
            Ok(key) => {
                let member = Member::of_firing(id, &firing);
                let entrant = Entrant { member, arrived: self.now, place: None };
                let batch = self.join(named, key, entrant);
                TriggerChange::Fired { firing, batch }
            }
            Err(Refused { reason, detail }) => TriggerChange::Passed { firing, reason, detail },
        };
        self.change_trigger(name, change);
    }

    fn admit_firing(&self, named: Named<'_>, firing: &Firing) -> Result<String, Refused> {
        self.admit_scope(named, || scope_of_firing(named.0, firing))
    }
}
