//! Whether every function of this ledger has the rights on buckets that it needs.

use refit_wire::cloud::functions::Function;

use crate::doctor::facts::{Facts, Thing, takes_events};
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

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (project, why) in
        facts.functions.iter().filter_map(|(id, read)| Some((id, read.as_ref().err()?)))
    {
        notes.unchecked(project, why);
    }
    let ledger = facts.ledger.in_storage().map(|(bucket, _)| bucket);
    for (_, function) in facts.functions() {
        let takes_events = takes_events(function);
        let needed = if takes_events { APPEND } else { RECONCILE };
        if let Some(bucket) = ledger {
            judge(facts, function, (bucket, needed), notes);
        }
        for bucket in facts.watched_buckets().into_iter().filter(|_| !takes_events) {
            judge(facts, function, (bucket, SWEEP), notes);
        }
    }
}

fn judge(
    facts: &Facts,
    function: &Function,
    (bucket, needed): (&str, &[&str]),
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
    let unknown = all.iter().find_map(|(_, may)| match may {
        May::Unknown(why) => Some(why),
        May::Yes | May::No => None,
    });
    if !missing.is_empty() {
        let what = format!("{account} lacks {}", missing.join(", "));
        let role = role_of(&missing);
        let cure = format!(
            "gcloud storage buckets add-iam-policy-binding gs://{bucket} --member={member} --role={role}"
        );
        return notes.error(&at, what, cure);
    }
    match unknown {
        Some(why) => notes.unchecked(&at, why),
        None => notes.fine(&at),
    }
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
