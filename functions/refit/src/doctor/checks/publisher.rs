//! Whether Cloud Storage may publish to the topics that buckets announce to.

use refit_wire::cloud::storage::Bucket;

use crate::doctor::cures::let_publish;
use crate::doctor::facts::Facts;
use crate::doctor::report::Notes;

pub(super) fn check(facts: &Facts, notes: &mut Notes<'_>) {
    for (bucket, topic) in facts.topics() {
        let number = match facts.buckets.get(bucket) {
            Some(Ok(Bucket { project: Some(number), .. })) => number,
            Some(Err(why)) => {
                notes.unchecked(topic, format!("the project of gs://{bucket} is not known, {why}"));
                continue;
            }
            Some(Ok(Bucket { project: None, .. })) | None => {
                notes.unchecked(topic, format!("the project of gs://{bucket} is not known"));
                continue;
            }
        };
        let agent =
            format!("serviceAccount:service-{number}@gs-project-accounts.iam.gserviceaccount.com");
        let what = format!(
            "the agent of Cloud Storage may not publish to it: what gs://{bucket} announces is lost"
        );
        notes.right(topic, facts.may_publish(&agent, topic), (what, let_publish(topic, &agent)));
    }
}
