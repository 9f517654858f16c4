//! One trigger.

use refit_core::event::PauseMode;
use refit_core::rules::{
    Budget, Idempotency, On, OnUnknown, Overlap, Retry, ServiceProfile, Trigger,
};
use refit_core::time::Span;
use refit_core::timing::BUDGET_PER_MAX;

use super::super::document::NodeId;
use super::super::located::{Located, given};
use super::super::report::Notes;
use super::super::v1;
use super::expression::Scene;
use super::models::Registries;
use super::{ANY, Services, batch, models, on, run, span, timed};

/// Attempts at the most.
const ATTEMPTS_MAX: u64 = 20;

pub(super) fn rule(
    notes: &mut Notes<'_>,
    (services, registries): (&Services, &Registries),
    rule: &v1::Trigger,
    at: NodeId,
) -> Option<Trigger> {
    let on = on::entries(notes, &rule.on, at);
    let scene = Scene::of_events(&on);
    let when = rule.when.as_ref().and_then(|when| scene.condition(notes, when));
    let batch = batch::rule(notes, rule, &on, &scene);
    let (run, service) = run::rule(notes, services, rule, (&batch, &on), at);
    let profile = service.map(|service| service.profile);
    let trigger = Trigger {
        when,
        cooldown: span(notes, &rule.cooldown, Span::ZERO, ANY),
        window: timed::window(notes, &rule.window),
        overlap: overlap(notes, &rule.overlap, profile, (is_of_models(&on), batch.each)),
        budget: budget(notes, &rule.budget),
        retry: retry(notes, &rule.retry),
        timeout: span(notes, &rule.timeout, Span::hours(24), (Span::mins(1), Span::days(30))),
        pause: given(&rule.pause).map(|(pause, _)| match pause {
            v1::Pause::Hold => PauseMode::Hold,
            v1::Pause::Ignore => PauseMode::Ignore,
        }),
        on_unknown: on_unknown(notes, &rule.on_unknown, profile),
        promote: models::promote(notes, registries, &rule.promote, service),
        batch,
        ..Trigger::new(on, run?)
    };
    Some(trigger)
}

/// Whether a trigger listens to models.
pub(super) fn is_of_models(on: &[On]) -> bool {
    on.iter().any(|on| matches!(on, On::Model(_)))
}

fn overlap(
    notes: &mut Notes<'_>,
    setting: &Option<Located<v1::Overlap>>,
    service: Option<ServiceProfile>,
    (is_of_models, is_each): (bool, bool),
) -> Overlap {
    let Some((overlap, at)) = given(setting) else {
        return Overlap::Forbid;
    };
    let others = match (is_of_models, is_each) {
        (true, _) => "write `forbid`, or `allow` with a `budget`",
        (false, true) => {
            "write `forbid`, or `allow` with a `budget`, or gather events: `batch: {}`"
        }
        (false, false) => "write `forbid` or `{ queue: N }`",
    };
    let mut refuse = |message| _ = notes.refuse(at, message).cured_by(others);
    match overlap {
        v1::Overlap::Allow => Overlap::Allow,
        v1::Overlap::Forbid => Overlap::Forbid,
        v1::Overlap::Queue(places) => {
            if is_each {
                refuse("every batch is closed at once here: all of them wait in line");
            }
            Overlap::Queue(queue(notes, places))
        }
        v1::Overlap::Replace => {
            if is_of_models {
                refuse("a version that is tested or deployed is not replaced by another");
            } else if is_each {
                refuse(
                    "`replace` gives a run the members of the one it cancels, and a run of `each` has one member",
                );
            } else if service.is_some_and(|service| !service.cancels) {
                refuse("`replace` cancels runs, which this service cannot");
            }
            Overlap::Replace
        }
    }
}

fn on_unknown(
    notes: &mut Notes<'_>,
    setting: &Option<Located<v1::OnUnknown>>,
    service: Option<ServiceProfile>,
) -> OnUnknown {
    let Some((on_unknown, at)) = given(setting) else { return OnUnknown::Relaunch };
    let (is_safe, finds) =
        service.map_or((false, true), |service| (service.class == Idempotency::A, service.finds));
    if is_safe {
        let message = "this service starts no run twice: a call of unknown fate is made again";
        notes.refuse(at, message).cured_by("leave it out");
    }
    match on_unknown {
        v1::OnUnknown::Ask => OnUnknown::Ask,
        v1::OnUnknown::Relaunch => {
            if !is_safe && !finds {
                let message = "this service cannot look a run up, so a person is always asked";
                notes.refuse(at, message).cured_by("write `ask`, or leave it out");
            }
            OnUnknown::Relaunch
        }
    }
}

fn queue(notes: &mut Notes<'_>, places: &Located<v1::Count>) -> u32 {
    let count = places.value.map_or(1, |count| count.0);
    u32::try_from(count).unwrap_or_else(|_| {
        notes.refuse(places.at, format!("this is too many: most=`{}`", u32::MAX));
        u32::MAX
    })
}

fn budget(notes: &mut Notes<'_>, setting: &Option<Located<v1::Budget>>) -> Budget {
    let usual = Budget { runs: 24, per: Span::hours(24) };
    let Some((budget, at)) = given(setting) else {
        return usual;
    };
    for (name, missing) in [("runs", budget.runs.is_none()), ("per", budget.per.is_none())] {
        if missing {
            let cure = "write it out, such as `{ runs: 4, per: 24h }`";
            notes.refuse_missing(at, name, cure);
        }
    }
    let runs = given(&budget.runs).map_or(usual.runs, |(runs, at)| {
        u32::try_from(runs.0).unwrap_or_else(|_| {
            notes.refuse(at, format!("this is too many: most=`{}`", u32::MAX));
            u32::MAX
        })
    });
    let per = span(notes, &budget.per, usual.per, (Span::secs(1), BUDGET_PER_MAX));
    Budget { runs, per }
}

fn retry(notes: &mut Notes<'_>, setting: &Option<Located<v1::Retry>>) -> Retry {
    let usual = Retry { attempts: 1, backoff: Span::mins(1), max_backoff: Span::hours(1) };
    let Some((retry, _)) = given(setting) else {
        return usual;
    };
    let attempts = attempts(notes, retry);
    let backoff = span(notes, &retry.backoff, usual.backoff, ANY);
    let max_backoff = span(notes, &retry.max_backoff, usual.max_backoff, ANY);
    let at = retry.backoff.as_ref().or(retry.max_backoff.as_ref()).map(|setting| setting.at);
    let is_once = retry.attempts.is_none() || (given(&retry.attempts).is_some() && attempts == 1);
    if let Some(at) = at.filter(|_| is_once) {
        let message = "there is one attempt, so nothing is ever waited for";
        notes
            .refuse(at, message)
            .cured_by("write `attempts: 3`, which is two more, or leave it out");
    } else if let Some(at) = at.filter(|_| backoff > max_backoff) {
        let message = format!("the first wait is above the longest: max_backoff=`{max_backoff}`");
        notes.refuse(at, message).cured_by(format!("set `max_backoff` to at least {backoff}"));
    }
    Retry { attempts, backoff, max_backoff }
}

fn attempts(notes: &mut Notes<'_>, retry: &v1::Retry) -> u32 {
    let Some((v1::Count(attempts), at)) = given(&retry.attempts) else {
        return 1;
    };
    if *attempts > ATTEMPTS_MAX {
        notes.refuse(at, format!("this is too many: most=`{ATTEMPTS_MAX}`"));
    }
    u32::try_from(*attempts).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::super::document::Document;
    use super::super::super::report::Report;
    use super::*;

    #[test]
    fn a_run_is_replaced_only_where_the_service_can_cancel() {
        for cancels in [true, false] {
            let mut report = Report::new("replace");
            let document = Document::read("replace", &mut report).unwrap();
            let mut notes = Notes::new(&document, report);
            let written = notes.read(document.root());
            let profile = ServiceProfile { class: Idempotency::A, finds: true, cancels };
            overlap(&mut notes, &written, Some(profile), (false, false));
            assert_eq!(notes.finish().is_empty(), cancels);
        }
    }
}
