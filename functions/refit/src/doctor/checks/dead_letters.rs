//! Whether what cannot be delivered is kept: a topic for it, a subscription to that, and the right to move it there.

use refit_wire::cloud::Unread;

use super::listeners::look_at;
use crate::doctor::cures::{create_topic, subscribe};
use crate::doctor::facts::{Facts, Thing, project_of, short};
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (name, read) in facts.all_subscriptions() {
        let Ok(subscription) = read else { continue };
        match &subscription.dead_letters {
            Some(dead) => judge(facts, (name, dead), notes),
            None => notes.warn(
                name,
                "it has no dead letters: what cannot be delivered is lost once it is too old",
                format!(
                    "gcloud pubsub subscriptions update {} --project={} --dead-letter-topic=TOPIC --max-delivery-attempts=100",
                    short(name),
                    project_of(name)
                ),
            ),
        }
    }
}

fn judge(facts: &Facts, (name, dead): (&str, &str), notes: &mut Notes<'_>) {
    match facts.listeners.get(dead) {
        Some(Ok(names)) if names.is_empty() => notes.error(
            dead,
            "nobody has subscribed to the topic of dead letters: they are lost",
            subscribe(dead),
        ),
        Some(Err(Unread::Missing)) => notes.error(
            dead,
            format!("there is no such topic, although {name} sends its dead letters there"),
            create_topic(dead),
        ),
        Some(Err(why)) => notes.unchecked(dead, why),
        Some(Ok(_)) => notes.fine(dead),
        None => {}
    }
    for (name, read) in facts.heard_by(dead) {
        look_at(name, read, notes);
    }
    let agent = match facts.number(project_of(name)) {
        Ok(number) => pubsub(number),
        Err(why) => return notes.unchecked(name, why),
    };
    let mut grant = |(thing, kind, role): (Thing, &str, &str), permission: &str, at: &str| {
        let on = [thing, Thing::Project(project_of(at).to_owned())];
        let what =
            format!("the agent of Pub/Sub lacks {role}, which it takes to move dead letters");
        let cure = format!(
            "gcloud pubsub {kind} add-iam-policy-binding {} --project={} --member={agent} --role={role}",
            short(at),
            project_of(at)
        );
        notes.right(at, facts.may(&agent, permission, &on), (what, cure));
    };
    let topic = (Thing::Topic(dead.to_owned()), "topics", "roles/pubsub.publisher");
    grant(topic, "pubsub.topics.publish", dead);
    let from = (Thing::Subscription(name.to_owned()), "subscriptions", "roles/pubsub.subscriber");
    grant(from, "pubsub.subscriptions.consume", name);
}

/// The agent of Pub/Sub in the project of this number, as policies name it.
pub(super) fn pubsub(number: &str) -> String {
    format!("serviceAccount:service-{number}@gcp-sa-pubsub.iam.gserviceaccount.com")
}
