//! What is known of what is set up in AWS.

use std::collections::{BTreeMap, BTreeSet};

use refit_engine::layout;
use refit_wire::cloud::Read;
use refit_wire::cloud::aws::access::Document;
use refit_wire::cloud::aws::buckets::{Announced, Announcement};
use refit_wire::cloud::aws::functions::{Lambda, Mapping};
use refit_wire::cloud::aws::queues::Queue;
use refit_wire::cloud::storage::LifecycleRule;

use super::{DRIFT, Facts, REPORTS, reconciles, takes_events, wakes};

/// What takes messages out of a queue.
const RECEIVE: &[&str] = &["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"];
/// What makes one function wake another.
pub(crate) const INVOKE: &[&str] = &["lambda:InvokeFunction"];
const APPEND: &[&str] = &["s3:PutObject"];
const COMMIT: &[&str] = &["s3:GetObject", "s3:PutObject"];
const TIDY: &[&str] = &["s3:DeleteObject", "s3:GetObject", "s3:PutObject"];
const READ: &[&str] = &["s3:GetObject"];
const LIST: &[&str] = &["s3:ListBucket"];

/// Everything that was gathered of AWS.
#[derive(Debug, Default)]
pub(crate) struct AwsFacts {
    /// Policies of buckets, by the names of these.
    pub(crate) policies: BTreeMap<String, Read<Option<Document>>>,
    /// Lifecycle rules, by the names of buckets.
    pub(crate) rules: BTreeMap<String, Read<Option<Vec<LifecycleRule>>>>,
    /// What buckets announce, by their names.
    pub(crate) announced: BTreeMap<String, Read<Announced>>,
    /// All functions of the region.
    pub(crate) lambdas: Option<Read<Vec<Lambda>>>,
    /// What invokes them with messages.
    pub(crate) mappings: Option<Read<Vec<Mapping>>>,
    /// How often reconcilers may run at a time, by their names.
    pub(crate) reserved: BTreeMap<String, Read<Option<u64>>>,
    /// Where functions answer requests by themselves, by their names.
    pub(crate) urls: BTreeMap<String, Read<Option<String>>>,
    /// Queues, by their ARNs.
    pub(crate) queues: BTreeMap<String, Read<Queue>>,
    /// What functions need and may not do, by what they need.
    pub(crate) refused: BTreeMap<Needed, Read<BTreeSet<String>>>,
}

/// What a function has to do with something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Needed {
    /// The ARN of the role it acts as.
    pub(crate) role: String,
    /// What with, by its ARN.
    pub(crate) thing: String,
    /// What.
    pub(crate) actions: &'static [&'static str],
}

impl Facts {
    /// Whether anything that is looked at lies in AWS.
    pub(crate) fn is_in_aws(&self) -> bool {
        self.ledger.in_s3().is_some() || !self.watched_in("s3").is_empty()
    }

    /// The functions on Lambda that have this ledger.
    pub(crate) fn lambdas(&self) -> Vec<&Lambda> {
        let all = self.aws.lambdas.iter().flatten().flatten();
        all.filter(|it| self.is_ours(&it.function)).collect()
    }

    /// The function on Lambda with this ARN, which may name one of its versions.
    pub(crate) fn lambda(&self, arn: &str) -> Option<&Lambda> {
        let is_it = |it: &&Lambda| {
            arn.strip_prefix(&it.arn).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
        };
        self.aws.lambdas.iter().flatten().flatten().find(is_it)
    }

    /// What watched buckets announce, with their names.
    pub(crate) fn announcements(&self) -> Vec<(&str, &Announcement)> {
        let read = self.aws.announced.iter();
        let read = read.filter_map(|(bucket, read)| Some((bucket, read.as_ref().ok()?)));
        read.flat_map(|(bucket, all)| all.to.iter().map(|it| (bucket.as_str(), it))).collect()
    }

    /// What gives messages to functions of this ledger, with these.
    pub(crate) fn mappings(&self) -> Vec<(&Mapping, &Lambda)> {
        let ours = self.lambdas();
        let all = self.aws.mappings.iter().flatten().flatten();
        let paired = all.filter_map(|mapping| Some((mapping, self.lambda(&mapping.function)?)));
        paired.filter(|(_, lambda)| ours.contains(lambda)).collect()
    }

    /// The queues events come by: those that watched buckets announce to, and those functions take messages from.
    pub(crate) fn event_queues(&self) -> BTreeSet<String> {
        let announced = self.announcements().into_iter().map(|(_, it)| it.target.as_str());
        let taken = self.mappings().into_iter().map(|(mapping, _)| mapping.source.as_str());
        announced.chain(taken).filter(|arn| is_queue(arn)).map(str::to_owned).collect()
    }

    /// What the functions of this ledger have to be able to do.
    pub(crate) fn needed(&self) -> BTreeSet<Needed> {
        let mappings = self.mappings();
        let of = |lambda: &&Lambda| {
            let taken = mappings
                .iter()
                .filter(|(_, by)| by == lambda)
                .map(|(it, _)| (it.source.clone(), RECEIVE));
            let role = lambda.function.account.clone();
            let things = self.things_of(lambda).into_iter().chain(taken);
            let needed = things
                .map(move |(thing, actions)| Some(Needed { role: role.clone()?, thing, actions }));
            needed.flatten().collect::<Vec<_>>()
        };
        self.lambdas().iter().flat_map(of).collect()
    }

    /// What a function works with beside queues, and what it does there.
    fn things_of(&self, lambda: &Lambda) -> Vec<(String, &'static [&'static str])> {
        let function = &lambda.function;
        let Some((bucket, folder)) = self.ledger.in_s3() else { return Vec::new() };
        let within = |name: &str| format!("{}/{folder}{name}*", arn_of(bucket));
        let mut things = Vec::new();
        if takes_events(function) {
            things.push((within(layout::INBOX), APPEND));
            things.extend(
                wakes(function).filter(|it| is_function(it)).map(|it| (it.to_owned(), INVOKE)),
            );
        }
        if reconciles(function) {
            things.push((within(layout::LOG), COMMIT));
            things.extend([layout::INBOX, layout::SNAPSHOT].map(|name| (within(name), TIDY)));
            things.extend(layout::COMMIT_OBJECTS.map(|name| (within(name), TIDY)));
            things.extend([(within(layout::RULES), READ), (arn_of(bucket), LIST)]);
        }
        let reports = function.variables.get(REPORTS).and_then(|it| it.strip_prefix("s3://"));
        if let Some(reports) = reports.filter(|_| function.program() == Some(DRIFT)) {
            let bucket = reports.split('/').next().unwrap_or_default();
            things.extend([(format!("{}/*", arn_of(reports)), READ), (arn_of(bucket), LIST)]);
        }
        things
    }
}

/// The ARN of a bucket, or of what lies in one.
pub(crate) fn arn_of(bucket: &str) -> String {
    format!("arn:aws:s3:::{bucket}")
}

/// Whether an ARN is that of a queue.
pub(crate) fn is_queue(arn: &str) -> bool {
    is_of("sqs", arn)
}

/// Whether an ARN is that of a function.
pub(crate) fn is_function(arn: &str) -> bool {
    is_of("lambda", arn)
}

/// Whether an ARN, `arn:PARTITION:SERVICE:…`, is of that service.
fn is_of(service: &str, arn: &str) -> bool {
    arn.starts_with("arn:") && arn.split(':').nth(2) == Some(service)
}
