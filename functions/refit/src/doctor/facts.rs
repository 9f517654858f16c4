//! What is known before anything is judged.

mod aws;

use std::collections::{BTreeMap, BTreeSet};

use refit_core::rules::{ObjectMatch, On};
use refit_core::time::Timestamp;
use refit_wire::cloud::Read;
use refit_wire::cloud::access::{Policy, Project};
use refit_wire::cloud::functions::Function;
use refit_wire::cloud::messages::Subscription;
use refit_wire::cloud::storage::{Bucket, Notification};
use refit_wire::config::Config;

pub(crate) use aws::{AwsFacts, INVOKE, Needed, arn_of, is_function, is_queue};

/// The variable of a function that says where its ledger lies.
const LEDGER: &str = "REFIT_LEDGER";
/// The variable of a function that says what it wakes.
const WAKE: &str = "REFIT_WAKE";
/// The variable of a function that says which folder it reads reports in.
const REPORTS: &str = "REFIT_REPORTS";
/// The programs that take events, and reconcile nothing.
const INTAKES: [&str; 3] = ["object", "drift", "hook"];
/// The program that takes reports of drift, which is also what its topic is called.
const DRIFT: &str = "drift";
/// The program that is everything in one.
const ALL_IN_ONE: &str = "refit";
/// The programs that reconcile.
const RECONCILERS: [&str; 2] = ["tick", ALL_IN_ONE];

/// Everything that was gathered.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// The ledger.
    pub(crate) ledger: LedgerFacts,
    /// The rules that are looked at, or why there are none.
    pub(crate) config: Option<Result<Config, String>>,
    /// Buckets, by their names.
    pub(crate) buckets: BTreeMap<String, Read<Bucket>>,
    /// What buckets announce, by their names.
    pub(crate) announced: BTreeMap<String, Read<Vec<Notification>>>,
    /// The names of subscriptions, by their topics.
    pub(crate) listeners: BTreeMap<String, Read<Vec<String>>>,
    /// Subscriptions, by their names.
    pub(crate) subscriptions: BTreeMap<String, Read<Subscription>>,
    /// Projects, by ids and by numbers.
    pub(crate) projects: BTreeMap<String, Read<Project>>,
    /// Services of Cloud Run, by the ids of their projects.
    pub(crate) functions: BTreeMap<String, Read<Vec<Function>>>,
    /// Who may do what, by what with.
    pub(crate) policies: BTreeMap<Thing, Read<Policy>>,
    /// What roles hold, by their names.
    pub(crate) roles: BTreeMap<String, Read<BTreeSet<String>>>,
    /// What addresses answered to somebody without a token: the status.
    pub(crate) endpoints: BTreeMap<String, Result<u16, String>>,
    /// How services answered to a harmless question, by their names.
    pub(crate) services: BTreeMap<String, Reach>,
    /// What is set up in AWS.
    pub(crate) aws: AwsFacts,
}

/// What is known of the ledger itself.
#[derive(Debug, Default)]
pub(crate) struct LedgerFacts {
    /// Where it lies.
    pub(crate) location: String,
    /// Whether a reconciler has founded it, or why it cannot be opened.
    pub(crate) founded: Option<Result<bool, String>>,
    /// The clocks.
    pub(crate) clocks: Option<Clocks>,
}

/// Two clocks at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clocks {
    /// This machine's.
    pub(crate) machine: Timestamp,
    /// The store's.
    pub(crate) store: Timestamp,
    /// Whether the store has no clock but the machine's.
    pub(crate) is_one: bool,
}

/// Something somebody may do something with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// A bucket.
    Bucket(String),
    /// A topic, as `projects/P/topics/T`.
    Topic(String),
    /// A subscription, as `projects/P/subscriptions/S`.
    Subscription(String),
    /// A service account, by its address.
    Account(String),
    /// A project, by its id or its number.
    Project(String),
    /// A service of Cloud Run, by the id of its project and its name.
    Function(String, String),
}

/// How a service answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// The host that was asked.
    pub(crate) host: String,
    /// What it was asked with, in words; never a token.
    pub(crate) credential: String,
    /// Whether the answer was understood, its status, or why there was none.
    pub(crate) answer: Result<Answered, String>,
}

/// What came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answered {
    /// The status of the last answer.
    pub(crate) status: u16,
    /// Whether the service's adapter could make something of it.
    pub(crate) is_understood: bool,
}

/// Something a trigger watches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watched<'a> {
    /// The trigger.
    pub(crate) trigger: &'a str,
    /// The store, `gs` or `s3`.
    pub(crate) scheme: &'a str,
    /// The bucket.
    pub(crate) bucket: &'a str,
    /// What it takes of it.
    pub(crate) of: &'a ObjectMatch,
}

impl LedgerFacts {
    /// Its bucket and its folder, the latter empty or with a slash at its end, if it lies in Cloud Storage.
    pub(crate) fn in_storage(&self) -> Option<(&str, String)> {
        self.lies_in("gs://")
    }

    /// The same, if it lies in S3.
    pub(crate) fn in_s3(&self) -> Option<(&str, String)> {
        self.lies_in("s3://")
    }

    fn lies_in(&self, store: &str) -> Option<(&str, String)> {
        let rest = self.location.strip_prefix(store)?;
        let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
        let folder = folder.trim_matches('/');
        Some((bucket, if folder.is_empty() { String::new() } else { format!("{folder}/") }))
    }
}

impl Facts {
    /// The rules that are looked at.
    pub(crate) fn rules(&self) -> Option<&Config> {
        self.config.as_ref()?.as_ref().ok()
    }

    /// What triggers watch. A bucket without a scheme is where the ledger is.
    pub(crate) fn watched(&self) -> Vec<Watched<'_>> {
        let triggers = self.rules().into_iter().flat_map(|config| &config.rules.triggers);
        let pairs = triggers.flat_map(|(name, rule)| rule.on.iter().map(move |on| (name, on)));
        let watched = pairs.filter_map(|(trigger, on)| match on {
            On::Objects(of) => {
                let (scheme, bucket) = of.store_and_bucket(&self.ledger.location);
                Some(Watched { trigger, scheme, bucket, of })
            }
            On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
        });
        watched.collect()
    }

    /// The buckets of a store that are watched.
    pub(crate) fn watched_in(&self, scheme: &str) -> BTreeSet<&str> {
        let watched = self.watched().into_iter().filter(|watched| watched.scheme == scheme);
        watched.map(|watched| watched.bucket).collect()
    }

    /// The buckets of Cloud Storage that functions of this ledger read reports in.
    pub(crate) fn report_buckets(&self) -> BTreeSet<&str> {
        self.functions()
            .into_iter()
            .filter_map(|(_, function)| reads_reports_in(function))
            .collect()
    }

    /// Which watched bucket announces to which topic.
    pub(crate) fn topics(&self) -> BTreeSet<(&str, &str)> {
        let read =
            self.announced.iter().filter_map(|(bucket, read)| Some((bucket, read.as_ref().ok()?)));
        let pairs = read
            .flat_map(|(bucket, all)| all.iter().map(|it| (bucket.as_str(), it.topic.as_str())));
        pairs.collect()
    }

    /// The subscriptions of a topic that were read, with their names.
    pub(crate) fn heard_by(&self, topic: &str) -> Vec<(&str, &Read<Subscription>)> {
        let names = self.listeners.get(topic).and_then(|read| read.as_ref().ok());
        let named = |name: &String| self.subscriptions.get_key_value(name);
        let found = names.into_iter().flatten().filter_map(named);
        found.map(|(name, read)| (name.as_str(), read)).collect()
    }

    /// The topics events come by: those watched buckets announce to, and those of reports of drift.
    pub(crate) fn event_topics(&self) -> BTreeSet<String> {
        let announced = self.topics().into_iter().map(|(_, topic)| topic.to_owned());
        announced.chain(self.drift_topics()).collect()
    }

    /// The topics of reports of drift, which are named after the functions that take these.
    pub(crate) fn drift_topics(&self) -> BTreeSet<String> {
        let mut on = self.rules().into_iter().flat_map(|it| it.rules.triggers.values());
        let is_watched = on.any(|rule| rule.on.iter().any(|on| matches!(on, On::Drift(_))));
        let takes = |function: &Function| {
            let program = function.program();
            program == Some(DRIFT) || is_watched && program == Some(ALL_IN_ONE)
        };
        let taking = self.functions().into_iter().filter(|(_, function)| takes(function));
        let named = taking.filter_map(|(project, function)| {
            let base = function.name.strip_suffix(function.program()?)?;
            Some(format!("projects/{project}/topics/{base}{DRIFT}"))
        });
        named.collect()
    }

    /// The topics by which functions of this ledger wake the reconciler.
    pub(crate) fn wake_topics(&self) -> BTreeSet<String> {
        let targets = self.functions().into_iter().filter_map(|(_, function)| wakes(function));
        targets.filter(|target| is_topic(target)).map(str::to_owned).collect()
    }

    /// The subscriptions of all topics that events come by, each once.
    pub(crate) fn all_subscriptions(&self) -> BTreeMap<&str, &Read<Subscription>> {
        self.event_topics().iter().flat_map(|topic| self.heard_by(topic)).collect()
    }

    /// The same, and those of the topics that functions wake by.
    pub(crate) fn pushing_subscriptions(&self) -> BTreeMap<&str, &Read<Subscription>> {
        let mut all = self.all_subscriptions();
        all.extend(self.wake_topics().iter().flat_map(|topic| self.heard_by(topic)));
        all
    }

    /// The functions of this ledger, with the ids of their projects.
    pub(crate) fn functions(&self) -> Vec<(&str, &Function)> {
        self.all_functions().filter(|(_, function)| self.is_ours(function)).collect()
    }

    fn all_functions(&self) -> impl Iterator<Item = (&str, &Function)> {
        let read = self.functions.iter().filter_map(|(id, read)| Some((id, read.as_ref().ok()?)));
        read.flat_map(|(id, all)| all.iter().map(move |it| (id.as_str(), it)))
    }

    fn is_ours(&self, function: &Function) -> bool {
        let location = function.variables.get(LEDGER).map(|text| text.trim_end_matches('/'));
        location == Some(self.ledger.location.trim_end_matches('/'))
    }

    /// The function that answers at an address.
    pub(crate) fn at(&self, endpoint: &str) -> Option<(&str, &Function)> {
        let answers = |function: &Function| {
            function.urls.iter().any(|url| {
                let rest = endpoint.strip_prefix(url.trim_end_matches('/'));
                // Eventarc pushes to an address with a query.
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
            })
        };
        self.all_functions().find(|(_, function)| answers(function))
    }

    /// The number of a project, by its id or its number.
    pub(crate) fn number(&self, project: &str) -> Result<&str, String> {
        match self.projects.get(project) {
            Some(Ok(project)) => Ok(&project.number),
            Some(Err(why)) => Err(format!("the project's number is not known, {why}")),
            None => Err("the project's number is not known".to_owned()),
        }
    }
}

/// Whether a function takes events, and leaves it to another to decide on them.
pub(crate) fn takes_events(function: &Function) -> bool {
    function.program().is_some_and(|program| INTAKES.contains(&program))
}

/// Whether a function decides on events.
pub(crate) fn reconciles(function: &Function) -> bool {
    function.program().is_some_and(|program| RECONCILERS.contains(&program))
}

/// The bucket of Cloud Storage that a function reads reports in.
pub(crate) fn reads_reports_in(function: &Function) -> Option<&str> {
    function.program().filter(|program| [DRIFT, ALL_IN_ONE].contains(program))?;
    function.variables.get(REPORTS)?.strip_prefix("gs://")?.split('/').next()
}

/// What a function wakes.
pub(crate) fn wakes(function: &Function) -> Option<&str> {
    function.variables.get(WAKE).map(String::as_str).filter(|target| !target.is_empty())
}

/// Whether that is a topic, `projects/P/topics/T`.
pub(crate) fn is_topic(target: &str) -> bool {
    let parts: Vec<&str> = target.split('/').collect();
    matches!(parts[..], ["projects", _, "topics", _])
}

/// The project of something named `projects/P/…`.
pub(crate) fn project_of(name: &str) -> &str {
    name.split('/').nth(1).unwrap_or_default()
}

/// The last part of a name.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or_default()
}
