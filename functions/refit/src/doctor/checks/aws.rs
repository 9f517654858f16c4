//! The checks of what is set up in AWS. Each goes by the name of what it looks for, also elsewhere.

pub(super) mod concurrency;
pub(super) mod dead_letters;
pub(super) mod listeners;
pub(super) mod notifications;
pub(super) mod rights;
pub(super) mod wakes;
pub(super) mod writes;

use refit_wire::cloud::aws::parts_of;
use serde_json::Value;

/// A queue as a command names it.
fn queue_url(arn: &str) -> String {
    let [region, account, name] = parts_of(arn).unwrap_or_default();
    format!("https://sqs.{region}.amazonaws.com/{account}/{name}")
}

/// Sets something of a queue.
fn set_queue(arn: &str, attributes: &Value) -> String {
    format!(
        "aws sqs set-queue-attributes --queue-url {} --attributes '{attributes}'",
        queue_url(arn)
    )
}
