//! Whether every watched bucket announces what is watched in it.

use refit_wire::cloud::Unread;
use refit_wire::cloud::storage::Notification;

use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

/// What is announced of a new object.
const FINALIZED: &str = "OBJECT_FINALIZE";

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for watched in facts.watched().into_iter().filter(|watched| watched.scheme == "gs") {
        let at = format!("gs://{}/{}", watched.bucket, watched.of.prefix);
        match facts.announced.get(watched.bucket) {
            Some(Ok(all)) => {
                judge((watched.bucket, &watched.of.prefix), (all, topic(facts)), notes)
            }
            Some(Err(Unread::Missing)) => {
                let create = format!("gcloud storage buckets create gs://{}", watched.bucket);
                notes.error(&at, "there is no such bucket", create);
            }
            Some(Err(why)) => notes.unchecked(&at, why),
            None => {}
        }
    }
}

/// The topic a cure names: one that another bucket announces to, else a placeholder.
fn topic(facts: &Facts) -> &str {
    facts.topics().first().map_or("projects/PROJECT/topics/refit-object", |(_, topic)| topic)
}

fn judge(
    (bucket, prefix): (&str, &str),
    (all, topic): (&[Notification], &str),
    notes: &mut Notes<'_>,
) {
    let at = format!("gs://{bucket}/{prefix}");
    let announcing: Vec<&Notification> = all
        .iter()
        .filter(|it| it.events.is_empty() || it.events.iter().any(|event| event == FINALIZED))
        .collect();
    let narrow =
        if prefix.is_empty() { String::new() } else { format!(" --object-prefix={prefix}") };
    let cure = format!(
        "gcloud storage buckets notifications create gs://{bucket} --topic={topic} --event-types={FINALIZED} --payload-format=json{narrow}"
    );
    if announcing.iter().any(|it| prefix.starts_with(&it.prefix)) {
        notes.fine(&at);
    } else if all.is_empty() {
        notes.error(
            &at,
            "the bucket announces nothing: new objects are found by the daily sweep only",
            cure,
        );
    } else if announcing.is_empty() {
        notes.error(
            &at,
            format!(
                "the bucket announces no {FINALIZED}: new objects are found by the daily sweep only"
            ),
            cure,
        );
    } else if announcing.iter().any(|it| it.prefix.starts_with(prefix)) {
        let covered: Vec<&str> = announcing.iter().map(|it| it.prefix.as_str()).collect();
        let what = format!("only a part is announced, what begins with {}", covered.join(", "));
        notes.warn(&at, what, cure);
    } else {
        notes.error(&at, "the bucket announces other prefixes than this one", cure);
    }
}
