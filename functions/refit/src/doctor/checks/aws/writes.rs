//! Whether the bucket of a ledger in S3 demands that every write is a conditional one: the right to create is there also
//! that to write over what is recorded.

use refit_engine::layout;
use refit_wire::cloud::aws::access::Document;
use serde_json::json;

use crate::doctor::facts::{Facts, arn_of};
use crate::doctor::report::Notes;

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let Some((bucket, folder)) = facts.ledger.in_s3() else { return };
    let at = format!("s3://{bucket}");
    let policy = match facts.aws.policies.get(bucket) {
        Some(Ok(policy)) => &policy.clone().unwrap_or_default(),
        Some(Err(why)) => return notes.unchecked(&at, why),
        None => return,
    };
    let folders = [layout::INBOX, layout::LOG, layout::SNAPSHOT, layout::RULES];
    let mut folders = folders.into_iter().chain(layout::COMMIT_OBJECTS);
    match folders.all(|name| policy.keeps(&arn_of(&format!("{bucket}/{folder}{name}0")))) {
        true => notes.fine(&at),
        false => notes.warn(
            &at,
            "its policy does not demand that writes are conditional: whoever may append may also write over what is recorded",
            cure(bucket, policy),
        ),
    }
}

fn cure(bucket: &str, policy: &Document) -> String {
    let statement = json!({
        "Sid": "OnlyNewObjects", "Effect": "Deny", "Principal": "*", "Action": "s3:PutObject",
        "Resource": arn_of(&format!("{bucket}/*")),
        "Condition": {
            "Null": { "s3:if-none-match": "true" }, "Bool": { "s3:ObjectCreationOperation": "true" },
        },
    });
    format!("aws s3api put-bucket-policy --bucket {bucket} --policy '{}'", policy.with(statement))
}
