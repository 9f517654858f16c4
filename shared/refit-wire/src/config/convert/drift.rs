//! Which drift reports a trigger minds.

use refit_core::rules::DriftMatch;

use super::super::document::NodeId;
use super::super::located::{given, text};
use super::super::report::Notes;
use super::super::v1;

/// Reports in a row at the most.
const CONSECUTIVE_MAX: u64 = 1000;

/// The entry that stands at `at`.
pub(super) fn entry(notes: &mut Notes<'_>, drift: &v1::Drift, at: NodeId) -> Option<DriftMatch> {
    if drift.model.is_none() {
        notes.refuse_missing(at, "model", "name it, such as `model: churn`");
    }
    if let Some((_, at)) = given(&drift.model).filter(|(model, _)| model.is_empty()) {
        notes.refuse(at, "no report is about a model without a name: it can never fire");
    }
    let features = given(&drift.features);
    if let Some((_, at)) = features.filter(|(features, _)| features.is_empty()) {
        notes.refuse(at, "the list is empty: it can never fire").cured_by("remove it");
    }
    let features = features.map(|(features, _)| features.as_slice()).unwrap_or_default();
    let consecutive = given(&drift.consecutive).map_or(1, |(count, at)| {
        if count.0 > CONSECUTIVE_MAX {
            notes.refuse(at, format!("this is too many: most=`{CONSECUTIVE_MAX}`"));
        }
        u32::try_from(count.0).unwrap_or(u32::MAX)
    });
    let misfits = [
        drift.model.as_ref().is_some_and(|it| it.value.is_none()),
        drift.min_share.as_ref().is_some_and(|it| it.value.is_none()),
        drift.features.as_ref().is_some_and(|it| it.value.is_none()),
        drift.consecutive.as_ref().is_some_and(|it| it.value.is_none()),
    ];
    if misfits.contains(&true) || text(&drift.model).is_empty() {
        return None;
    }
    Some(DriftMatch {
        model: text(&drift.model).to_owned(),
        min_share: given(&drift.min_share).map(|(share, _)| share.0),
        features: features.iter().filter_map(|feature| feature.value.clone()).collect(),
        consecutive,
    })
}
