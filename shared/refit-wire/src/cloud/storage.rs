//! Buckets: what deletes in them, what they announce, and who may use them.

use serde_json::Value;

use super::access::{Policy, policy, queried};
use super::{Read, ask, text, texts};
use crate::call::Call;
use crate::listing::Buckets;

/// What a topic's name begins with where a notification names it.
const PUBSUB: &str = "//pubsub.googleapis.com/";

/// A bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bucket {
    /// The number of its project.
    pub project: Option<String>,
    /// Its lifecycle rules.
    pub rules: Vec<LifecycleRule>,
    /// How long its objects cannot be deleted, in seconds.
    pub retention: Option<String>,
    /// Whether what is written is held until somebody says otherwise.
    pub is_held: bool,
}

/// A lifecycle rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleRule {
    /// What is done, such as `Delete`.
    pub action: String,
    /// What the names of the objects begin with; any where empty.
    pub prefixes: Vec<String>,
    /// Whether it concerns what was overwritten or deleted only.
    pub is_of_old_versions: bool,
}

/// A notification configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Its number in the bucket.
    pub id: String,
    /// The topic, as `projects/P/topics/T`.
    pub topic: String,
    /// What is announced; everything where empty.
    pub events: Vec<String>,
    /// What the names of the objects begin with.
    pub prefix: String,
}

impl Buckets {
    /// A bucket.
    #[must_use]
    pub fn bucket(&self, bucket: &str) -> Call<Read<Bucket>> {
        let fields = "projectNumber,lifecycle,retentionPolicy,defaultEventBasedHold";
        let request = self.request(&[bucket], &[("fields", fields)]);
        ask(request, "storage.buckets.get", |body| {
            let rules = body.as_object()?.get("lifecycle").and_then(|it| it.get("rule"));
            let rules = rules.and_then(Value::as_array).into_iter().flatten();
            Some(Bucket {
                project: text(body, "/projectNumber"),
                rules: rules.map(rule).collect::<Option<_>>()?,
                retention: text(body, "/retentionPolicy/retentionPeriod"),
                is_held: body["defaultEventBasedHold"] == true,
            })
        })
    }

    /// What a bucket announces.
    #[must_use]
    pub fn notifications(&self, bucket: &str) -> Call<Read<Vec<Notification>>> {
        let request = self.request(&[bucket, "notificationConfigs"], &[]);
        ask(request, "storage.buckets.get", |body| {
            let items = body.as_object()?.get("items").and_then(Value::as_array);
            items.into_iter().flatten().map(notification).collect()
        })
    }

    /// Who may use a bucket.
    #[must_use]
    pub fn policy(&self, bucket: &str) -> Call<Read<Policy>> {
        let request = self.request(&[bucket, "iam"], &[]);
        policy(queried(request, "optionsRequestedPolicyVersion"), "storage.buckets.getIamPolicy")
    }
}

fn rule(rule: &Value) -> Option<LifecycleRule> {
    let condition = &rule["condition"];
    let old = ["daysSinceNoncurrentTime", "noncurrentTimeBefore", "numNewerVersions"];
    Some(LifecycleRule {
        action: text(rule, "/action/type")?,
        prefixes: texts(condition.get("matchesPrefix")),
        is_of_old_versions: condition["isLive"] == false
            || old.iter().any(|name| condition.get(name).is_some()),
    })
}

fn notification(item: &Value) -> Option<Notification> {
    let topic = text(item, "/topic")?;
    Some(Notification {
        id: text(item, "/id")?,
        topic: topic.strip_prefix(PUBSUB).unwrap_or(&topic).to_owned(),
        events: texts(item.get("event_types")),
        prefix: text(item, "/object_name_prefix").unwrap_or_default(),
    })
}
