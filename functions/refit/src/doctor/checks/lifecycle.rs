//! What deletes in the ledger beside the reconciler, and what keeps the reconciler from it.

use refit_wire::cloud::storage::{Bucket, LifecycleRule};

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let location = &facts.ledger.location;
    let Some((bucket, folder)) = facts.ledger.in_storage() else {
        if location.starts_with("s3://") {
            notes.unchecked(location, "rules of buckets of S3 are not looked at");
        }
        return;
    };
    match facts.buckets.get(bucket) {
        Some(Ok(found)) => judge(found, (bucket, &folder), notes),
        Some(Err(why)) => notes.unchecked(location, why),
        None => {}
    }
}

fn judge(found: &Bucket, (bucket, folder): (&str, &str), notes: &mut Notes<'_>) {
    let at = format!("gs://{bucket}");
    let update = format!("gcloud storage buckets update {at}");
    let deletes = found.rules.iter().any(|rule| deletes_in(rule, folder));
    if deletes {
        notes.error(
            &at,
            "a lifecycle rule deletes in the ledger: a stale writer could write history anew",
            // Those that concern other folders can be put back by a file.
            format!("{update} --clear-lifecycle"),
        );
    }
    if let Some(seconds) = &found.retention {
        notes.warn(
            &at,
            format!("nothing can be deleted for {seconds}s: what the ledger needs no more stays"),
            format!("{update} --clear-retention-period"),
        );
    }
    if found.is_held {
        notes.warn(
            &at,
            "every new object is held: what the ledger needs no more stays",
            format!("{update} --no-default-event-based-hold"),
        );
    }
    if !deletes && found.retention.is_none() && !found.is_held {
        notes.fine(&at);
    }
}

/// Whether a rule may delete something in the folder. What it deletes of overwritten versions is none of the ledger's,
/// which overwrites nothing.
fn deletes_in(rule: &LifecycleRule, folder: &str) -> bool {
    let overlaps =
        |prefix: &String| prefix.starts_with(folder) || folder.starts_with(prefix.as_str());
    rule.action == "Delete"
        && !rule.is_of_old_versions
        && (rule.prefixes.is_empty() || rule.prefixes.iter().any(overlaps))
}
