//! What deletes in the ledger beside the reconciler, and what keeps the reconciler from it.

use refit_wire::cloud::storage::{Bucket, LifecycleRule};

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

/// What a rule does that deletes.
const DELETE: &str = "Delete";
/// What a rule does after which nobody can read.
const ARCHIVE: &str = "Archive";
/// What comes of a rule that deletes.
const DELETES: &str =
    "a lifecycle rule deletes in the ledger: a stale writer could write history anew";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let location = &facts.ledger.location;
    if let Some((bucket, folder)) = facts.ledger.in_storage() {
        match facts.buckets.get(bucket) {
            Some(Ok(found)) => judge(found, (bucket, &folder), notes),
            Some(Err(why)) => notes.unchecked(location, why),
            None => {}
        }
    }
    if let Some((bucket, folder)) = facts.ledger.in_s3() {
        match facts.aws.rules.get(bucket) {
            Some(Ok(rules)) => {
                judge_s3(rules.as_deref().unwrap_or_default(), (bucket, &folder), notes);
            }
            Some(Err(why)) => notes.unchecked(location, why),
            None => {}
        }
    }
}

fn judge_s3(rules: &[LifecycleRule], (bucket, folder): (&str, &str), notes: &mut Notes<'_>) {
    let at = format!("s3://{bucket}");
    // Those that concern other folders can be put back by a file.
    let cure = || format!("aws s3api delete-bucket-lifecycle --bucket {bucket}");
    let does = |action| rules.iter().any(|rule| touches(rule, action, folder));
    if does(DELETE) {
        notes.error(&at, DELETES, cure());
    } else if does(ARCHIVE) {
        let what = "a lifecycle rule moves the ledger to where it cannot be read: nothing can be decided any more";
        notes.error(&at, what, cure());
    } else {
        notes.fine(&at);
    }
}

fn judge(found: &Bucket, (bucket, folder): (&str, &str), notes: &mut Notes<'_>) {
    let at = format!("gs://{bucket}");
    let update = format!("gcloud storage buckets update {at}");
    let deletes = found.rules.iter().any(|rule| touches(rule, DELETE, folder));
    if deletes {
        notes.error(
            &at,
            DELETES,
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

/// Whether a rule may do this to something in the folder. What it does to overwritten versions does not concern the ledger,
/// which overwrites nothing.
fn touches(rule: &LifecycleRule, action: &str, folder: &str) -> bool {
    let overlaps =
        |prefix: &String| prefix.starts_with(folder) || folder.starts_with(prefix.as_str());
    rule.action == action
        && !rule.is_of_old_versions
        && (rule.prefixes.is_empty() || rule.prefixes.iter().any(overlaps))
}
