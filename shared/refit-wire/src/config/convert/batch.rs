//! How events become batches.

use refit_core::rules::{BatchRule, ObjectMatch, On};
use refit_core::time::Span;
use refit_core::timing::{BATCH_COUNT_DEFAULT, BATCH_COUNT_MAX};

use super::super::document::NodeId;
use super::super::located::{Located, given};
use super::super::report::Notes;
use super::super::v1::{self, BatchSettings};
use super::expression::Scene;
use super::on::Place;
use super::trigger::is_of_models;
use super::{ANY, span};

pub(super) fn rule(
    notes: &mut Notes<'_>,
    trigger: &v1::Trigger,
    on: &[On],
    scene: &Scene,
) -> BatchRule {
    let timed = !on.is_empty() && on.iter().all(|on| matches!(on, On::Schedule(_)));
    let quiet = if timed { Span::ZERO } else { Span::mins(1) };
    if is_of_models(on) {
        if let Some(batch) = &trigger.batch {
            let message = "every version that is given a stage is a run of its own";
            notes.refuse(batch.at, message).cured_by("remove it");
        }
        return BatchRule { each: true, ..BatchRule::default() };
    }
    match given(&trigger.batch) {
        None => BatchRule { quiet: Some(quiet), ..BatchRule::default() },
        Some((v1::Batch::Each, at)) => each(notes, trigger, at),
        Some((v1::Batch::Settings(settings), _)) => gathered(notes, settings, (on, quiet), scene),
    }
}

fn each(notes: &mut Notes<'_>, trigger: &v1::Trigger, at: NodeId) -> BatchRule {
    for (name, missing, cure) in [
        ("overlap", trigger.overlap.is_none(), "`overlap: forbid`, or `allow`"),
        (
            "budget",
            trigger.budget.is_none(),
            "`budget: { runs: 24, per: 24h }`, or what you can afford",
        ),
    ] {
        if missing {
            let message = format!("a run for every event needs `{name}` to be written out");
            notes.refuse(at, message).cured_by(format!("add {cure}"));
        }
    }
    BatchRule { each: true, ..BatchRule::default() }
}

fn gathered(
    notes: &mut Notes<'_>,
    settings: &BatchSettings,
    (on, quiet): (&[On], Span),
    scene: &Scene,
) -> BatchRule {
    let (quiet, max_wait) = waits(notes, settings, quiet);
    let min_count = given(&settings.min_count).map_or(0, |(count, _)| count.0);
    let max_count = max_count(notes, settings);
    if let Some((_, at)) = given(&settings.min_count).filter(|_| min_count > max_count) {
        let message = format!("a batch is closed before it has so many: max_count=`{max_count}`");
        notes.refuse(at, message).cured_by("set `max_count` to at least as many");
    }
    BatchRule {
        each: false,
        quiet,
        max_wait: Some(max_wait),
        min_count,
        min_bytes: min_bytes(notes, settings, on),
        max_count,
        by: settings.by.as_ref().and_then(|by| scene.key(notes, by)),
        until: settings.until.as_ref().and_then(|until| marker(notes, until, on)),
    }
}

fn waits(notes: &mut Notes<'_>, settings: &BatchSettings, quiet: Span) -> (Option<Span>, Span) {
    let waits_for_more = settings.min_count.is_some() || settings.min_bytes.is_some();
    let usual_wait = match waits_for_more || settings.until.is_some() {
        true => Span::hours(24),
        false => Span::hours(1),
    };
    let usual_quiet = settings.until.is_none().then_some(quiet);
    let max_wait =
        span(notes, &settings.max_wait, usual_wait, (Span::secs(1), Span::from_millis(i64::MAX)));
    let quiet = match &settings.quiet {
        Some(_) => Some(span(notes, &settings.quiet, Span::ZERO, ANY)),
        None => usual_quiet,
    };
    let blamed = settings.quiet.as_ref().or(settings.max_wait.as_ref());
    if let (Some(quiet), Some(at)) = (quiet, blamed.map(|setting| setting.at))
        && quiet > max_wait
    {
        let message =
            format!("`quiet` is above `max_wait`: quiet=`{quiet}`, max_wait=`{max_wait}`");
        let cure = match settings.quiet {
            Some(_) => format!("set `max_wait` to at least {quiet}"),
            None => format!("add `quiet`, at most {max_wait}"),
        };
        notes.refuse(at, message).cured_by(cure);
    }
    (quiet, max_wait)
}

fn min_bytes(notes: &mut Notes<'_>, settings: &BatchSettings, on: &[On]) -> u64 {
    let Some((v1::Bytes(bytes), at)) = given(&settings.min_bytes) else {
        return 0;
    };
    if !on.is_empty() && !on.iter().any(|on| matches!(on, On::Objects(_))) {
        let message = "only objects have bytes, and `on` has none: they would never be enough";
        notes.refuse(at, message).cured_by("write `min_count`, or leave it out");
    }
    *bytes
}

fn max_count(notes: &mut Notes<'_>, settings: &BatchSettings) -> u64 {
    let Some((v1::Count(count), at)) = given(&settings.max_count) else {
        return BATCH_COUNT_DEFAULT;
    };
    if *count > BATCH_COUNT_MAX {
        notes.refuse(at, format!("this is too many: most=`{BATCH_COUNT_MAX}`"));
    }
    *count
}

fn marker(notes: &mut Notes<'_>, until: &Located<v1::Marker>, on: &[On]) -> Option<ObjectMatch> {
    let marker = until.value.as_ref()?;
    if marker.prefix.is_none() && marker.suffix.is_none() && marker.glob.is_none() {
        let cure = "add at least one of them, such as `suffix: _SUCCESS`";
        notes
            .refuse(until.at, "every object would be a marker without `prefix`, `suffix` or `glob`")
            .cured_by(cure);
    }
    let place = Place {
        bucket: &marker.bucket,
        prefix: &marker.prefix,
        suffix: &marker.suffix,
        glob: &marker.glob,
    };
    let matching = place.matching(notes);
    if marker.bucket.is_some() {
        return Some(matching);
    }
    let first = on.iter().find_map(|on| match on {
        On::Objects(objects) => Some(objects.bucket.clone()),
        On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
    });
    if first.is_none() && !on.is_empty() {
        let cure = "add `bucket` to `until`";
        notes.refuse(until.at, "a marker needs a bucket, and `on` has none").cured_by(cure);
    }
    first.map(|bucket| ObjectMatch { bucket, ..matching })
}
