//! What a drift report comes to.

use super::Desk;
use super::events::{Item, Named, Refused, triggers_for};
use crate::commit::TriggerChange;
use crate::drift::DriftReport;
use crate::key::Hash128;
use crate::mutant::{self, Mutant};
use crate::reason::Refusal;
use crate::rules::{DriftMatch, Rules};
use crate::state::Streak;
use crate::time::Span;
use crate::timing::STREAKS_MAX;

impl Desk<'_> {
    pub(super) fn judge_drift(
        &mut self,
        rules: &Rules,
        item: Item<'_>,
        report: &DriftReport,
    ) -> bool {
        let concerned =
            triggers_for(rules, item.event).filter(|(_, rule)| rule.minds(report).next().is_some());
        let verdicts = concerned.map(|named| {
            let verdict = self.admit_report(named, item, report);
            self.settle_verdict(named, item, verdict)
        });
        let verdicts: Vec<bool> = verdicts.collect();
        self.sum_up(&verdicts, item)
    }

    /// The key of the batch a report belongs to. Every entry that minds it counts it, and any of them will do.
    fn admit_report(
        &mut self,
        named: Named<'_>,
        item: Item<'_>,
        report: &DriftReport,
    ) -> Result<String, Refused> {
        let (name, rule) = named;
        let key = self.admit(named, item.event)?;
        let judged = rule.minds(report).map(|entry| self.count(name, entry, item, report));
        let judged: Vec<Result<(), Refused>> = judged.collect();
        let accepted = judged.iter().any(Result::is_ok);
        let first = judged.into_iter().find_map(Result::err);
        match first.filter(|_| !accepted) {
            Some(refused) => Err(refused),
            None => Ok(key),
        }
    }

    /// Judges a report, in a row with those before it where the entry wants several.
    fn count(
        &mut self,
        trigger: &str,
        entry: &DriftMatch,
        item: Item<'_>,
        report: &DriftReport,
    ) -> Result<(), Refused> {
        let judged = entry.judge(report).map_err(|(reason, detail)| Refused { reason, detail });
        if entry.consecutive <= 1 {
            return judged;
        }
        let series = entry.series(report);
        let standing = self.state.triggers.get(trigger);
        let last = standing.and_then(|standing| standing.streaks.get(&series)).copied();
        let at = report.window.end.or(item.event.time).unwrap_or(item.arrived);
        // A time far ahead would make all that follows outdated.
        let at = at.min(item.arrived + Span::days(1));
        let old =
            |last: Streak| if report.window.end.is_some() { at <= last.at } else { at < last.at };
        if last.is_some_and(old) {
            return Err(Refused::new(Refusal::Outdated));
        }
        let before = last.map_or(0, |last| last.count);
        let (count, judged) = match judged {
            Ok(()) if before + 1 >= entry.consecutive => (0, Ok(())),
            Ok(()) => {
                let detail = format!("{} of {} consecutive", before + 1, entry.consecutive);
                (before + 1, Err(Refused::because(Refusal::Unconfirmed, &detail)))
            }
            Err(refused) if refused.reason == Refusal::Undecided => return Err(refused),
            Err(refused) if mutant::is(Mutant::RowGoesOn) => (before, Err(refused)),
            Err(refused) => (0, Err(refused)),
        };
        self.note_streak(trigger, series, Streak { count, at });
        judged
    }

    /// Writes a row down; where there are too many, the oldest is forgotten, and first of all those that count nothing.
    fn note_streak(&mut self, trigger: &str, series: Hash128, streak: Streak) {
        let standing = self.state.triggers.get(trigger);
        let rows = standing.map(|standing| &standing.streaks);
        let full = rows.filter(|rows| rows.len() >= STREAKS_MAX && !rows.contains_key(&series));
        let oldest = full.and_then(|rows| {
            rows.iter().map(|(series, row)| (row.count != 0, row.at, *series)).min()
        });
        if let Some((.., oldest)) = oldest {
            self.change_trigger(trigger, TriggerChange::StreakForgotten(oldest));
        }
        self.change_trigger(trigger, TriggerChange::Streak { series, streak });
    }
}
