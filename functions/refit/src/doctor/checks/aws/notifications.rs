//! Whether every watched bucket of S3 announces what is watched in it. It is not swept: what is not announced stays unknown.

use refit_core::rules::ObjectMatch;
use refit_wire::cloud::Unread;
use refit_wire::cloud::aws::buckets::{Announced, Announcement};
use serde_json::json;

use crate::doctor::facts::{Facts, Watched};
use crate::doctor::report::Notes;

/// What is announced of a new object, in one of several ways.
const CREATED: &str = "s3:ObjectCreated:";
/// The same, in whatever way.
const CREATED_ANYHOW: &str = "s3:ObjectCreated:*";

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for watched in facts.watched().into_iter().filter(|watched| watched.scheme == "s3") {
        let at = format!("s3://{}/{}", watched.bucket, watched.of.prefix);
        match facts.aws.announced.get(watched.bucket) {
            Some(Ok(announced)) => judge(facts, (&at, &watched), announced, notes),
            Some(Err(Unread::Missing)) => {
                let create = format!("aws s3api create-bucket --bucket {}", watched.bucket);
                notes.error(&at, "there is no such bucket", create);
            }
            Some(Err(why)) => notes.unchecked(&at, why),
            None => notes.unchecked(&at, "AWS_REGION is not set: it says where the bucket is"),
        }
    }
}

fn judge(
    facts: &Facts,
    (at, watched): (&str, &Watched<'_>),
    announced: &Announced,
    notes: &mut Notes<'_>,
) {
    let of = watched.of;
    let creating: Vec<&Announcement> = announced
        .to
        .iter()
        .filter(|it| it.events.iter().any(|event| event.starts_with(CREATED)))
        .collect();
    let is_whole = |it: &&&Announcement| it.events.iter().any(|event| event == CREATED_ANYHOW);
    let cure = cure(facts, watched.bucket, &of.prefix);
    if creating.iter().filter(is_whole).any(|it| covers(it, of)) {
        notes.fine(at);
    } else if announced.by_eventbridge {
        notes.unchecked(at, "the bucket announces to EventBridge, whose rules are not looked at");
    } else if creating.is_empty() {
        notes.error(at, "the bucket announces no new objects: nothing is known of them", cure);
    } else if creating.iter().any(|it| covers(it, of)) {
        let what =
            format!("some ways to upload are not announced, as not all of {CREATED_ANYHOW} is");
        notes.warn(at, what, cure);
    } else if creating
        .iter()
        .any(|it| it.prefix.starts_with(&of.prefix) || of.prefix.starts_with(&it.prefix))
    {
        let part: Vec<String> =
            creating.iter().map(|it| format!("{}*{}", it.prefix, it.suffix)).collect();
        notes.warn(at, format!("only a part is announced: {}", part.join(", ")), cure);
    } else {
        notes.error(at, "the bucket announces other prefixes than this one", cure);
    }
}

/// Whether everything that is watched is announced by this.
fn covers(it: &Announcement, of: &ObjectMatch) -> bool {
    of.prefix.starts_with(&it.prefix) && of.suffix.ends_with(&it.suffix)
}

/// Adds to what the bucket announces, of which S3 keeps one configuration.
fn cure(facts: &Facts, bucket: &str, prefix: &str) -> String {
    let queue = facts.event_queues().pop_first().unwrap_or_else(|| "QUEUE_ARN".to_owned());
    let filter = json!({ "Key": { "FilterRules": [{ "Name": "prefix", "Value": prefix }] } });
    let mut added = json!({ "QueueArn": queue, "Events": [CREATED_ANYHOW] });
    if !prefix.is_empty() {
        added["Filter"] = filter;
    }
    format!(
        "aws s3api get-bucket-notification-configuration --bucket {bucket} | jq -n '[inputs][0] // {{}} | .QueueConfigurations += [{added}]' > announced.json && aws s3api put-bucket-notification-configuration --bucket {bucket} --notification-configuration file://announced.json"
    )
}
