//! Whether what buckets announce and monitoring reports reaches a function of this ledger, and stays until it is recorded.

use refit_wire::cloud::Unread;
use refit_wire::cloud::aws::functions::{Lambda, Mapping};
use refit_wire::cloud::aws::queues::Queue;
use serde_json::json;

use super::set_queue;
use crate::doctor::facts::{Facts, arn_of, is_function, is_queue, short};
use crate::doctor::report::Notes;

/// Who sends on behalf of a bucket, and what it does.
const SENDS: (&str, &str) = ("s3.amazonaws.com", "sqs:SendMessage");
/// How many times what an invocation may take a message is to be hidden, as Amazon advises.
const TIMES: u64 = 6;

pub(in super::super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for arn in &facts.event_queues() {
        match facts.aws.queues.get(arn) {
            Some(Err(Unread::Missing)) => notes.error(
                arn,
                "there is no such queue: what is announced to it is lost",
                format!("aws sqs create-queue --queue-name {}", short(arn)),
            ),
            Some(Err(why)) => notes.unchecked(arn, why),
            Some(Ok(queue)) => judge(facts, (arn, queue), notes),
            None => {}
        }
    }
    for (bucket, to) in facts.announcements() {
        let target = &to.target;
        if is_function(target) {
            invokes(facts, (bucket, target), notes);
        } else if !is_queue(target) {
            notes.unchecked(target, "who has subscribed to a topic of SNS is not looked at");
        }
    }
}

fn judge(facts: &Facts, (arn, queue): (&str, &Queue), notes: &mut Notes<'_>) {
    let announcements = facts.announcements();
    for (bucket, _) in announcements.iter().filter(|(_, to)| to.target == arn) {
        let policy = queue.policy.clone().unwrap_or_default();
        if !policy.lets(SENDS, &arn_of(bucket)) {
            let statement = json!({
                "Effect": "Allow", "Principal": { "Service": SENDS.0 }, "Action": SENDS.1, "Resource": arn,
                "Condition": { "ArnEquals": { "aws:SourceArn": arn_of(bucket) } },
            });
            let cure = set_queue(arn, &json!({ "Policy": policy.with(statement).to_string() }));
            notes.error(
                arn,
                format!("S3 may not send to it: what s3://{bucket} announces is lost"),
                cure,
            );
        }
    }
    let mappings = facts.mappings();
    let taking: Vec<_> =
        mappings.into_iter().filter(|(mapping, _)| mapping.source == arn).collect();
    for pair in &taking {
        takes(*pair, (arn, queue), notes);
    }
    let unread = [
        facts.aws.lambdas.as_ref().and_then(|it| it.as_ref().err()),
        facts.aws.mappings.as_ref().and_then(|it| it.as_ref().err()),
    ];
    if !taking.is_empty() {
        notes.fine(arn);
    } else if let Some(why) = unread.into_iter().flatten().next() {
        notes.unchecked(arn, why);
    } else {
        notes.error(
            arn,
            "no function of this ledger takes its messages: what comes by it is lost once it is too old",
            format!("aws lambda create-event-source-mapping --event-source-arn {arn} --function-name FUNCTION --function-response-types ReportBatchItemFailures"),
        );
    }
}

fn takes(
    (mapping, lambda): (&Mapping, &Lambda),
    (arn, queue): (&str, &Queue),
    notes: &mut Notes<'_>,
) {
    let name = &lambda.function.name;
    let update = format!("aws lambda update-event-source-mapping --uuid {}", mapping.id);
    if !mapping.is_enabled {
        notes.error(
            arn,
            format!("{name} is not invoked with its messages"),
            format!("{update} --enabled"),
        );
    }
    if !mapping.is_partial {
        notes.error(
            arn,
            format!("{name} is taken to have done whole batches: what it says it could not record is lost"),
            format!("{update} --function-response-types ReportBatchItemFailures"),
        );
    }
    let hidden = TIMES * lambda.timeout;
    if queue.visibility < hidden {
        notes.warn(
            arn,
            format!("messages come again after {}s, and an invocation of {name} may take {}s: one that waits its turn is recorded again, and counted towards dead letters", queue.visibility, lambda.timeout),
            set_queue(arn, &json!({ "VisibilityTimeout": hidden.to_string() })),
        );
    }
}

/// Whether a bucket that invokes a function invokes one of ours.
fn invokes(facts: &Facts, (bucket, target): (&str, &str), notes: &mut Notes<'_>) {
    let ours = facts.lambdas();
    match (&facts.aws.lambdas, facts.lambda(target)) {
        (Some(Err(why)), _) => notes.unchecked(target, why),
        (_, Some(lambda)) if ours.contains(&lambda) => notes.fine(target),
        (_, _) => notes.unchecked(
            target,
            format!("s3://{bucket} invokes it, and it is no function of this ledger"),
        ),
    }
}
