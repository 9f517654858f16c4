//! The commands that mend what more than one check finds.

use refit_wire::cloud::functions::Function;

use super::facts::{project_of, short};

/// Makes a topic.
pub(super) fn create_topic(topic: &str) -> String {
    format!("gcloud pubsub topics create {} --project={}", short(topic), project_of(topic))
}

/// Keeps what a topic is told until somebody asks for it.
pub(super) fn subscribe(topic: &str) -> String {
    let (name, project) = (short(topic), project_of(topic));
    format!(
        "gcloud pubsub subscriptions create {name} --project={project} --topic={name} --expiration-period=never"
    )
}

/// Pushes what a topic is told to a function.
pub(super) fn subscribe_function(topic: &str) -> String {
    format!("{} --push-endpoint=URL --push-auth-service-account=ACCOUNT", subscribe(topic))
}

/// Lets somebody publish to a topic.
pub(super) fn let_publish(topic: &str, member: &str) -> String {
    format!(
        "gcloud pubsub topics add-iam-policy-binding {} --project={} --member={member} --role=roles/pubsub.publisher",
        short(topic),
        project_of(topic)
    )
}

/// Lets somebody call a function.
pub(super) fn let_call((project, function): (&str, &Function), member: &str) -> String {
    format!(
        "gcloud run services add-iam-policy-binding {} --project={project} --region={} --member={member} --role=roles/run.invoker",
        function.name, function.location
    )
}
