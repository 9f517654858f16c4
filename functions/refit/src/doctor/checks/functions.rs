//! Whether every function of this ledger has the rights on buckets that it needs.

use std::collections::{BTreeMap, BTreeSet};

use refit_wire::cloud::functions::Function;

use crate::doctor::facts::{Facts, Thing, reads_reports_in, reconciles, takes_events};
use crate::doctor::report::Notes;
use crate::doctor::rights::May;

/// What those need that take events.
const APPEND: &[&str] = &["storage.objects.create"];
/// What a reconciler needs.
const RECONCILE: &[&str] = &[
    "storage.objects.create",
    "storage.objects.get",
    "storage.objects.list",
    "storage.objects.delete",
];
/// What a reconciler needs of the buckets that are watched, to find what was not announced.
const SWEEP: &[&str] = &["storage.objects.list"];
/// What those need that read reports, of the bucket they land in: without the right to list, one that is gone is
/// refused.
const READ: &[&str] = &["storage.objects.get", "storage.objects.list"];
/// What is said of a function whose name is none of the Terraform modules'.
pub(super) const UNKNOWN_PROGRAM: &str = "which program it runs is not known by its name, which ends in none of -object, -drift, -hook, -tick and -refit";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (project, why) in
        facts.functions.iter().filter_map(|(id, read)| Some((id, read.as_ref().err()?)))
    {
        notes.unchecked(project, why);
    }
    for (_, function) in facts.functions() {
        if function.program().is_none() {
            notes.unchecked(&function.name, UNKNOWN_PROGRAM);
        }
        for (bucket, needed) in needs(facts, function) {
            judge(facts, function, (bucket, &needed), notes);
        }
    }
}

/// What a function needs of which bucket.
fn needs<'f>(
    facts: &'f Facts,
    function: &'f Function,
) -> BTreeMap<&'f str, BTreeSet<&'static str>> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut add = |bucket, rights: &[&'static str]| {
        needs.entry(bucket).or_default().extend(rights);
    };
    let ledger = facts.ledger.in_storage().map(|(bucket, _)| bucket);
    if takes_events(function) {
        ledger.into_iter().for_each(|bucket| add(bucket, APPEND));
    }
    if reconciles(function) {
        ledger.into_iter().for_each(|bucket| add(bucket, RECONCILE));
        facts.watched_in("gs").into_iter().for_each(|bucket| add(bucket, SWEEP));
    }
    reads_reports_in(function).into_iter().for_each(|bucket| add(bucket, READ));
    needs
}

fn judge(
    facts: &Facts,
    function: &Function,
    (bucket, needed): (&str, &BTreeSet<&str>),
    notes: &mut Notes<'_>,
) {
    let at = format!("{} on gs://{bucket}", function.name);
    let Some((account, member)) = acts_as(function, &at, notes) else { return };
    let project = facts.buckets.get(bucket).and_then(|read| read.as_ref().ok()?.project.clone());
    let on: Vec<Thing> =
        [Thing::Bucket(bucket.to_owned())].into_iter().chain(project.map(Thing::Project)).collect();
    let all: Vec<(&str, May)> =
        needed.iter().map(|it| (*it, facts.may(&member, it, &on))).collect();
    let missing: Vec<&str> =
        all.iter().filter(|(_, may)| *may == May::No).map(|(name, _)| *name).collect();
    let what = format!("{account} lacks {}", missing.join(", "));
    let role = role_of(&missing);
    let cure = format!(
        "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member={member} --role={role}"
    );
    let unsure = all.into_iter().map(|(_, may)| may).find(|may| matches!(may, May::Unknown(_)));
    let may = if missing.is_empty() { unsure.unwrap_or(May::Yes) } else { May::No };
    notes.right(&at, may, (what, cure));
}

/// The account a function acts as, and how policies name that; said to be unchecked where it is not known.
pub(super) fn acts_as<'a>(
    function: &'a Function,
    at: &str,
    notes: &mut Notes<'_>,
) -> Option<(&'a str, String)> {
    match &function.account {
        Some(account) => Some((account, format!("serviceAccount:{account}"))),
        None => {
            notes.unchecked(at, "it acts as the project's usual account");
            None
        }
    }
}

/// The least role of Google's that holds these permissions.
fn role_of(permissions: &[&str]) -> &'static str {
    let all_in = |held: &[&str]| permissions.iter().all(|permission| held.contains(permission));
    if all_in(APPEND) {
        "roles/storage.objectCreator"
    } else if all_in(&["storage.objects.get", "storage.objects.list"]) {
        "roles/storage.objectViewer"
    } else {
        "roles/storage.objectUser"
    }
}
