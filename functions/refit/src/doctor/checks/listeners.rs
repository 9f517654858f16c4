//! Whether somebody listens to the topics that events come by, and is one of ours.

use refit_wire::cloud::messages::Subscription;
use refit_wire::cloud::{Read, Unread};

use crate::doctor::cures::{create_topic, subscribe_function};
use crate::doctor::facts::{Facts, project_of, short};
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    let of_drift = facts.drift_topics();
    for topic in &facts.event_topics() {
        match facts.listeners.get(topic) {
            Some(Err(Unread::Missing)) => {
                let what = match of_drift.contains(topic) {
                    true => "there is no such topic: nobody can report drift by it",
                    false => "there is no such topic, although a bucket announces to it",
                };
                notes.error(topic, what, create_topic(topic));
            }
            Some(Err(why)) => notes.unchecked(topic, why),
            Some(Ok(names)) if names.is_empty() => {
                notes.error(
                    topic,
                    "nobody has subscribed to it: what is announced is lost",
                    subscribe_function(topic),
                );
            }
            Some(Ok(_)) => judge(facts, topic, notes),
            None => {}
        }
    }
    for (name, read) in facts.all_subscriptions() {
        look_at(name, read, notes);
    }
}

/// Looks at one subscription, wherever it leads.
pub(super) fn look_at(name: &str, read: &Read<Subscription>, notes: &mut Notes<'_>) {
    match read {
        Ok(subscription) => judge_one(name, subscription, notes),
        Err(why) => notes.unchecked(name, why),
    }
}

/// Whether any subscription of a topic leads to a function of this ledger.
fn judge(facts: &Facts, topic: &str, notes: &mut Notes<'_>) {
    let ours = facts.functions();
    let is_ours = |subscription: &Subscription| match &subscription.push {
        // Who pulls is not known.
        None => true,
        Some(push) => facts.at(&push.endpoint).is_some_and(|found| ours.contains(&found)),
    };
    let heard = facts.heard_by(topic);
    if ours.is_empty() {
        notes.unchecked(topic, "no function is known that writes to this ledger");
    } else if heard.iter().any(|(_, read)| read.as_ref().is_ok_and(is_ours)) {
        notes.fine(topic);
    } else if heard.iter().any(|(_, read)| read.is_err()) {
        notes.unchecked(topic, "not all of its subscriptions can be read");
    } else {
        let what = "none of its subscriptions leads to a function of this ledger";
        notes.error(topic, what, subscribe_function(topic));
    }
}

fn judge_one(name: &str, subscription: &Subscription, notes: &mut Notes<'_>) {
    let (id, project) = (short(name), project_of(name));
    if let Some(push) = subscription.push.as_ref().filter(|push| push.account.is_none()) {
        notes.error(
            name,
            "it pushes without a token: a function that is closed refuses it, and one that is open is open to all",
            format!(
                "gcloud pubsub subscriptions modify-push-config {id} --project={project} --push-endpoint={} --push-auth-service-account=ACCOUNT",
                push.endpoint
            ),
        );
    }
    if let Some(after) = &subscription.expires {
        notes.warn(
            name,
            format!("it is deleted when nothing happens for {after}"),
            format!(
                "gcloud pubsub subscriptions update {id} --project={project} --expiration-period=never"
            ),
        );
    }
}
