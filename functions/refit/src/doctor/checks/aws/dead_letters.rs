//! Whether what cannot be delivered is kept, and for long enough.

use refit_wire::cloud::Unread;
use refit_wire::cloud::aws::queues::Queue;
use serde_json::json;

use super::{queue_url, set_queue};
use crate::doctor::facts::{Facts, is_function, short};
use crate::doctor::report::Notes;

/// How often a message may come before it is put aside, for a cure.
const RECEIVED_MAX: &str = "100";
/// The longest a queue keeps a message, in seconds.
const KEPT_MAX: u64 = 14 * 24 * 60 * 60;

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for arn in &facts.event_queues() {
        let Some(Ok(queue)) = facts.aws.queues.get(arn) else { continue };
        match &queue.dead_letters {
            Some(dead) => judge(facts, (arn, queue), dead, notes),
            None => {
                let dead =
                    json!({ "deadLetterTargetArn": "QUEUE_ARN", "maxReceiveCount": RECEIVED_MAX });
                let what =
                    "it has no dead letters: what cannot be delivered is lost once it is too old";
                notes.warn(
                    arn,
                    what,
                    set_queue(arn, &json!({ "RedrivePolicy": dead.to_string() })),
                );
            }
        }
    }
    for (bucket, to) in facts.announcements().into_iter().filter(|(_, to)| is_function(&to.target))
    {
        if let Some(lambda) = facts.lambda(&to.target).filter(|it| it.dead_letters.is_none()) {
            let name = &lambda.function.name;
            let what = format!(
                "s3://{bucket} invokes it without a queue, and it has no dead letters: what fails three times is lost, unless a destination takes it"
            );
            let cure = format!(
                "aws lambda update-function-configuration --function-name {name} --dead-letter-config TargetArn=QUEUE_ARN"
            );
            notes.warn(name, what, cure);
        }
    }
}

fn judge(facts: &Facts, (arn, queue): (&str, &Queue), dead: &str, notes: &mut Notes<'_>) {
    match facts.aws.queues.get(dead) {
        Some(Err(Unread::Missing)) => notes.error(
            dead,
            format!("there is no such queue, although {arn} sends its dead letters there: they stay, and come again until they are too old"),
            format!("aws sqs create-queue --queue-name {} --attributes MessageRetentionPeriod={KEPT_MAX}", short(dead)),
        ),
        Some(Err(why)) => notes.unchecked(dead, why),
        // The age of a message counts from when it was first sent.
        Some(Ok(kept)) if kept.retention < queue.retention => notes.warn(
            dead,
            format!("it keeps messages for {}s, and {arn} for {}s: what is put aside may be too old already", kept.retention, queue.retention),
            format!("aws sqs set-queue-attributes --queue-url {} --attributes MessageRetentionPeriod={KEPT_MAX}", queue_url(dead)),
        ),
        Some(Ok(_)) => notes.fine(dead),
        None => notes.unchecked(dead, "it is no queue"),
    }
}
