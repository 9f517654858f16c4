//! Buckets of S3: what deletes in them, what they announce, and what their policies demand.

use ::http::Method;
use serde::Deserialize;

use super::access::Document;
use super::{Aws, Service, ask, ask_for_any, xml};
use crate::call::Call;
use crate::cloud::Read;
use crate::cloud::storage::LifecycleRule;
use crate::http::Request;

/// Storage from which nothing is read before somebody asks for it back.
const COLD: [&str; 2] = ["GLACIER", "DEEP_ARCHIVE"];
/// What rules and filters are called that are in force.
const ENABLED: &str = "Enabled";

/// What a bucket announces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// To queues, topics and functions.
    pub to: Vec<Announcement>,
    /// Whether EventBridge is told of everything.
    pub by_eventbridge: bool,
}

/// A notification of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcement {
    /// The queue, the topic or the function, by its ARN.
    pub target: String,
    /// What is announced, such as `s3:ObjectCreated:*`.
    pub events: Vec<String>,
    /// What the names of the objects begin with.
    pub prefix: String,
    /// What they end with.
    pub suffix: String,
}

impl Aws {
    /// The policy of a bucket.
    #[must_use]
    pub fn bucket_policy(&self, bucket: &str) -> Call<Read<Option<Document>>> {
        let codes = ("s3:GetBucketPolicy", "NoSuchBucketPolicy");
        ask_for_any(self.of_bucket(bucket, "policy"), codes, |response| {
            Document::of(response.json()?)
        })
    }

    /// What a bucket deletes by itself, or moves to where it cannot be read.
    #[must_use]
    pub fn lifecycle(&self, bucket: &str) -> Call<Read<Option<Vec<LifecycleRule>>>> {
        let codes = ("s3:GetLifecycleConfiguration", "NoSuchLifecycleConfiguration");
        ask_for_any(self.of_bucket(bucket, "lifecycle"), codes, |response| {
            let Lifecycle { rules } = xml(response)?;
            Some(
                rules
                    .into_iter()
                    .filter(|rule| rule.status == ENABLED)
                    .flat_map(Rule::read)
                    .collect(),
            )
        })
    }

    /// What a bucket announces.
    #[must_use]
    pub fn announced(&self, bucket: &str) -> Call<Read<Announced>> {
        let request = self.of_bucket(bucket, "notification");
        ask(request, "s3:GetBucketNotification", |response| {
            let found: Notifications = xml(response)?;
            let all = [found.queues, found.topics, found.functions].into_iter().flatten();
            let by_eventbridge = found.eventbridge.is_some();
            Some(Announced { to: all.map(Configured::read).collect(), by_eventbridge })
        })
    }

    fn of_bucket(&self, bucket: &str, what: &str) -> Request {
        let mut request = self.request(Service::S3, Method::GET, &[bucket]);
        request.url.query_pairs_mut().append_key_only(what);
        request
    }
}

#[derive(Deserialize)]
struct Lifecycle {
    #[serde(rename = "Rule", default)]
    rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Rule {
    status: String,
    prefix: Option<String>,
    filter: Option<RuleFilter>,
    expiration: Option<Expiration>,
    #[serde(rename = "Transition", default)]
    transitions: Vec<Transition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RuleFilter {
    prefix: Option<String>,
    and: Option<Both>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Both {
    prefix: Option<String>,
}

/// Where it has neither, it takes marks of deletions away, and no data.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Expiration {
    days: Option<String>,
    date: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Transition {
    storage_class: String,
}

impl Rule {
    fn read(self) -> Vec<LifecycleRule> {
        let filtered = self.filter.and_then(|it| it.prefix.or_else(|| it.and?.prefix));
        let prefix = self.prefix.or(filtered).filter(|prefix| !prefix.is_empty());
        let prefixes: Vec<String> = prefix.into_iter().collect();
        let deletes = self.expiration.is_some_and(|it| it.days.or(it.date).is_some());
        let freezes = self.transitions.iter().any(|it| COLD.contains(&it.storage_class.as_str()));
        let actions = [(deletes, "Delete"), (freezes, "Archive")].into_iter();
        let rule = |action: &str| LifecycleRule {
            action: action.to_owned(),
            prefixes: prefixes.clone(),
            is_of_old_versions: false,
        };
        actions.filter(|(is_so, _)| *is_so).map(|(_, action)| rule(action)).collect()
    }
}

#[derive(Deserialize)]
struct Notifications {
    #[serde(rename = "QueueConfiguration", default)]
    queues: Vec<Configured>,
    #[serde(rename = "TopicConfiguration", default)]
    topics: Vec<Configured>,
    #[serde(rename = "CloudFunctionConfiguration", default)]
    functions: Vec<Configured>,
    #[serde(rename = "EventBridgeConfiguration")]
    eventbridge: Option<Empty>,
}

#[derive(Deserialize)]
struct Empty {}

#[derive(Deserialize)]
struct Configured {
    #[serde(rename = "Queue", alias = "Topic", alias = "CloudFunction")]
    target: String,
    #[serde(rename = "Event", default)]
    events: Vec<String>,
    #[serde(rename = "Filter")]
    filter: Option<NameFilter>,
}

#[derive(Deserialize)]
struct NameFilter {
    #[serde(rename = "S3Key")]
    key: Option<KeyFilter>,
}

#[derive(Deserialize)]
struct KeyFilter {
    #[serde(rename = "FilterRule", default)]
    rules: Vec<FilterRule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct FilterRule {
    name: String,
    #[serde(default)]
    value: String,
}

impl Configured {
    fn read(self) -> Announcement {
        let rules = self.filter.and_then(|it| it.key).map_or_else(Vec::new, |key| key.rules);
        let of = |name: &str| {
            let found = rules.iter().find(|rule| rule.name.eq_ignore_ascii_case(name));
            found.map(|rule| rule.value.clone()).unwrap_or_default()
        };
        let (prefix, suffix) = (of("prefix"), of("suffix"));
        Announcement { target: self.target, events: self.events, prefix, suffix }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Step;
    use crate::http::Response;

    fn read<T: 'static>(call: Call<Read<T>>, body: &str) -> T {
        let response =
            Response { status: 200, body: body.to_owned().into(), ..Response::default() };
        let Step::Done(read) = call.read(Ok(response)) else { panic!("it is asked once") };
        read.unwrap()
    }

    fn aws() -> Aws {
        Aws::new("eu-central-1", |_| None).unwrap()
    }

    #[test]
    fn rules_that_delete_or_freeze_what_is_current_are_read() {
        let call = aws().lifecycle("b");
        assert_eq!(call.request.url.as_str(), "https://s3.eu-central-1.amazonaws.com/b?lifecycle");
        let rules = read(
            call,
            r#"<?xml version="1.0"?><LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <Rule><ID>1</ID><Status>Enabled</Status><Filter><Prefix>prod/</Prefix></Filter><Expiration><Days>9</Days></Expiration></Rule>
            <Rule><Status>Enabled</Status><Filter><And><Prefix>a/</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>
              <Transition><Days>1</Days><StorageClass>DEEP_ARCHIVE</StorageClass></Transition></Rule>
            <Rule><Status>Enabled</Status><Filter></Filter><Expiration><Date>2026-01-05T00:00:00Z</Date></Expiration></Rule>
            <Rule><Status>Disabled</Status><Prefix></Prefix><Expiration><Days>1</Days></Expiration></Rule>
            <Rule><Status>Enabled</Status><Prefix></Prefix><Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>
              <NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays></NoncurrentVersionExpiration>
              <Transition><Days>1</Days><StorageClass>STANDARD_IA</StorageClass></Transition></Rule>
            </LifecycleConfiguration>"#,
        );
        let found: Vec<_> = rules.unwrap().into_iter().map(|it| (it.action, it.prefixes)).collect();
        let rule = |action: &str, prefixes: &[&str]| {
            (action.to_owned(), prefixes.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(
            found,
            [rule("Delete", &["prod/"]), rule("Archive", &["a/"]), rule("Delete", &[])]
        );
    }

    #[test]
    fn what_is_announced_to_whom_is_read() {
        let all = read(
            aws().announced("b"),
            r#"<NotificationConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
            <QueueConfiguration><Id>1</Id><Queue>arn:aws:sqs:r:1:q</Queue><Event>s3:ObjectCreated:Put</Event><Event>s3:ObjectRemoved:*</Event>
              <Filter><S3Key><FilterRule><Name>Prefix</Name><Value>churn/</Value></FilterRule>
              <FilterRule><Name>suffix</Name><Value>.csv</Value></FilterRule></S3Key></Filter></QueueConfiguration>
            <CloudFunctionConfiguration><CloudFunction>arn:aws:lambda:r:1:function:f</CloudFunction><Event>s3:ObjectCreated:*</Event></CloudFunctionConfiguration>
            <EventBridgeConfiguration></EventBridgeConfiguration></NotificationConfiguration>"#,
        );
        let [queue, function] = &all.to[..] else { panic!("{all:?}") };
        assert_eq!((queue.prefix.as_str(), queue.suffix.as_str()), ("churn/", ".csv"));
        assert_eq!((queue.events.len(), queue.target.as_str()), (2, "arn:aws:sqs:r:1:q"));
        assert_eq!(function.target, "arn:aws:lambda:r:1:function:f");
        assert!(all.by_eventbridge);
        let none = read(aws().announced("b"), "<NotificationConfiguration/>");
        assert_eq!(none, Announced::default());
    }
}
