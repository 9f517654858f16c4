//! Gathering facts: every question is asked once, none changes anything.

mod aws;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use refit_core::plan::Outcome;
use refit_core::run::ExternalRun;
use refit_engine::call::Caller;
use refit_wire::call::{Call, Step};
use refit_wire::cloud::access::{account_policy, project, project_policy, role};
use refit_wire::cloud::aws::Aws;
use refit_wire::cloud::functions::{Function, function_policy, functions};
use refit_wire::cloud::messages::{subscription, subscription_policy, subscriptions, topic_policy};
use refit_wire::cloud::{Read, Unread};
use refit_wire::http::{Auth, Request, Secret};
use refit_wire::listing::Buckets;
use refit_wire::pipeline::PipelineService;
use url::Url;

use super::facts::{Answered, Facts, Reach, Thing, is_topic, project_of, wakes};

/// A run that no service has.
const NO_RUN: &str = "00000000-0000-4000-8000-000000000000";
/// The program that is open to everybody, and verifies signatures instead.
const HOOK: &str = "hook";
/// Requests one question to a service may take.
const REQUESTS_MAX: usize = 8;

/// What is looked with.
#[derive(Clone, Copy)]
pub(crate) struct Look<'a> {
    /// Who asks.
    pub(crate) caller: Caller<'a>,
    /// Where buckets are.
    pub(crate) buckets: &'a Buckets,
    /// Where the services of AWS are, where a region is named.
    pub(crate) aws: Option<&'a Aws>,
}

impl Look<'_> {
    /// Gathers what follows from the ledger and the rules, and what these addresses answer to anybody.
    pub(crate) async fn gather(&self, facts: &mut Facts, endpoints: &[Url]) {
        self.look_at_buckets(facts).await;
        self.look_at_topics(facts).await;
        self.look_at_projects(facts).await;
        self.look_at_functions(facts).await;
        // Which other buckets and topics there are is known by the functions.
        self.look_at_buckets(facts).await;
        self.look_at_topics(facts).await;
        self.look_at_projects(facts).await;
        self.look_at_pushes(facts).await;
        self.look_at_rights(facts).await;
        if let Some(aws) = self.aws.filter(|_| facts.is_in_aws()) {
            self.look_at_aws(aws, facts).await;
        }
        self.look_at_endpoints(facts, endpoints).await;
        self.look_at_services(facts).await;
    }

    /// Looks at those buckets that were not looked at yet.
    async fn look_at_buckets(&self, facts: &mut Facts) {
        let is_new = |bucket: &&str| !facts.buckets.contains_key(*bucket);
        let new = |buckets: BTreeSet<&str>| -> BTreeSet<String> {
            buckets.into_iter().filter(is_new).map(str::to_owned).collect()
        };
        let watched = new(facts.watched_in("gs"));
        let ledger = facts.ledger.in_storage().map(|(bucket, _)| bucket);
        let mut all = new(facts.report_buckets().into_iter().chain(ledger).collect());
        all.extend(watched.iter().cloned());
        facts
            .announced
            .extend(self.each(&watched, |bucket| self.buckets.notifications(bucket)).await);
        facts.buckets.extend(self.each(&all, |bucket| self.buckets.bucket(bucket)).await);
        let policies = self.each(&all, |bucket| self.buckets.policy(bucket)).await;
        facts.policies.extend(keyed(policies, Thing::Bucket));
    }

    async fn look_at_topics(&self, facts: &mut Facts) {
        let topics = facts.event_topics().into_iter().chain(facts.wake_topics()).collect();
        self.look_at_listeners(facts, topics).await;
        let subscriptions = facts.all_subscriptions().into_values();
        let dead = subscriptions.filter_map(|read| read.as_ref().ok()?.dead_letters.clone());
        let dead = dead.collect();
        let names = facts.all_subscriptions().into_keys().map(str::to_owned);
        let is_new =
            |name: &String| !facts.policies.contains_key(&Thing::Subscription(name.clone()));
        let names: BTreeSet<String> = names.filter(is_new).collect();
        let policies = self.each(&names, subscription_policy).await;
        facts.policies.extend(keyed(policies, Thing::Subscription));
        self.look_at_listeners(facts, dead).await;
    }

    /// Looks at those of these topics that were not looked at yet.
    async fn look_at_listeners(&self, facts: &mut Facts, mut topics: BTreeSet<String>) {
        topics.retain(|topic| !facts.listeners.contains_key(topic));
        let topics = &topics;
        facts.listeners.extend(self.each(topics, subscriptions).await);
        let names = topics.iter().filter_map(|topic| facts.listeners.get(topic)?.as_ref().ok());
        let names: BTreeSet<String> = names.flatten().cloned().collect();
        facts.subscriptions.extend(self.each(&names, subscription).await);
        facts.policies.extend(keyed(self.each(topics, topic_policy).await, Thing::Topic));
    }

    /// Projects are known by the numbers that buckets name, and by the ids that topics do.
    async fn look_at_projects(&self, facts: &mut Facts) {
        let numbers = facts.buckets.values().filter_map(|read| read.as_ref().ok()?.project.clone());
        let ids = facts.listeners.keys().chain(facts.subscriptions.keys());
        let ids = ids.map(|name| project_of(name).to_owned());
        let is_new = |id: &String| !facts.projects.contains_key(id);
        let all: BTreeSet<String> = numbers.chain(ids).filter(is_new).collect();
        facts.projects.extend(self.each(&all, project).await);
        let policies = self.each(&all, project_policy).await;
        facts.policies.extend(keyed(policies, Thing::Project));
    }

    async fn look_at_functions(&self, facts: &mut Facts) {
        let ids = facts.projects.values().filter_map(|read| Some(read.as_ref().ok()?.id.clone()));
        let of_topics = facts.listeners.keys().map(|name| project_of(name).to_owned());
        let ids: BTreeSet<String> = ids.chain(of_topics).collect();
        facts.functions = self.each(&ids, functions).await;
    }

    /// Who pushes, and who may call what is pushed to or woken by its address.
    async fn look_at_pushes(&self, facts: &mut Facts) {
        let woken = facts.functions().into_iter().filter_map(|(_, function)| wakes(function));
        let woken: BTreeSet<String> =
            woken.filter(|target| !is_topic(target)).map(str::to_owned).collect();
        let pushes = facts.pushing_subscriptions().into_values();
        let pushes = pushes.filter_map(|read| read.as_ref().ok()?.push.clone());
        let (accounts, endpoints): (BTreeSet<_>, BTreeSet<_>) =
            pushes.map(|push| (push.account, push.endpoint)).unzip();
        let accounts = accounts.into_iter().flatten().collect();
        let policies = self.each(&accounts, account_policy).await;
        let called: BTreeMap<_, _> = endpoints
            .iter()
            .chain(&woken)
            .filter_map(|endpoint| facts.at(endpoint))
            .map(|(project, function)| ((project, function.name.as_str()), (project, function)))
            .collect();
        let asked = called.into_values().map(async |(project, function)| {
            let read = self.read(function_policy(project, function)).await;
            (Thing::Function(project.to_owned(), function.name.clone()), read)
        });
        let of_functions = join_all(asked).await;
        facts.policies.extend(keyed(policies, Thing::Account).chain(of_functions));
    }

    async fn look_at_rights(&self, facts: &mut Facts) {
        let policies = facts.policies.values().filter_map(|read| read.as_ref().ok());
        let bindings = policies.flat_map(|policy| &policy.bindings);
        let roles: BTreeSet<String> = bindings.map(|binding| binding.role.clone()).collect();
        facts.roles = self.each(&roles, role).await;
    }

    /// Asks without a token, and without anything a function would act on: it takes POST only.
    async fn look_at_endpoints(&self, facts: &mut Facts, endpoints: &[Url]) {
        let is_closed = |function: &Function| function.program().is_some_and(|it| it != HOOK);
        let own = facts.functions().into_iter().filter(|(_, function)| is_closed(function));
        let own = own.flat_map(|(_, function)| &function.urls);
        let lambdas = facts.aws.urls.values().filter_map(|read| read.as_ref().ok()?.as_ref());
        let own = own.chain(lambdas).filter_map(|url| Url::parse(url).ok());
        let all: BTreeSet<Url> = own.chain(endpoints.iter().cloned()).collect();
        let asked = all.iter().map(async |url| {
            let reply = self.caller.send(Request::new(http::Method::GET, url.clone())).await;
            let status = reply.map(|response| response.status);
            (url.to_string(), status.map_err(|failure| failure.to_string()))
        });
        facts.endpoints = join_all(asked).await.into_iter().collect();
    }

    async fn look_at_services(&self, facts: &mut Facts) {
        let Some(config) = facts.rules() else { return };
        let asked = config
            .services
            .iter()
            .map(async |(name, service)| (name.clone(), self.reach(&**service).await));
        facts.services = join_all(asked).await.into_iter().collect();
    }

    /// Asks a service for a run it does not have.
    async fn reach(&self, service: &dyn PipelineService) -> Reach {
        let mut step = Step::Send(service.status(&nobodys_run()));
        let mut reach = Reach {
            host: String::new(),
            credential: String::new(),
            answer: Err("nothing could be asked".to_owned()),
        };
        for _ in 0..REQUESTS_MAX {
            let call = match step {
                Step::Send(call) => call,
                Step::Done(outcome) => {
                    let is_understood =
                        outcome.is_some_and(|told| !matches!(told, Outcome::Unseen(_)));
                    reach.answer =
                        reach.answer.map(|answered| Answered { is_understood, ..answered });
                    break;
                }
            };
            let request = Request::clone(&call.request);
            reach.host = request.url.host_str().unwrap_or_default().to_owned();
            reach.credential = credential(&request.auth);
            let reply = self.caller.send(request).await;
            let status = reply.as_ref().map(|response| response.status);
            let status = status.map_err(ToString::to_string);
            reach.answer = status.map(|status| Answered { status, is_understood: false });
            step = call.read(reply);
        }
        reach
    }

    async fn each<T: Send + 'static>(
        &self,
        names: &BTreeSet<String>,
        question: impl Fn(&str) -> Call<Read<T>> + Send + Sync,
    ) -> BTreeMap<String, Read<T>> {
        let asked = names.iter().map(async |name| (name.clone(), self.read(question(name)).await));
        join_all(asked).await.into_iter().collect()
    }

    async fn read<T: Send + 'static>(&self, question: Call<Read<T>>) -> Read<T> {
        let read = self.caller.run(Step::Send(question)).await;
        read.unwrap_or_else(|| Err(Unread::Trouble("it takes too many requests".to_owned())))
    }
}

fn nobodys_run() -> ExternalRun {
    ExternalRun { id: NO_RUN.to_owned(), url: None }
}

fn keyed<T>(
    map: BTreeMap<String, T>,
    key: fn(String) -> Thing,
) -> impl Iterator<Item = (Thing, T)> {
    map.into_iter().map(move |(name, value)| (key(name), value))
}

/// A credential by where it comes from.
fn credential(auth: &Auth) -> String {
    let kept = |secret: &Secret| match secret {
        Secret::Env(name) => format!("the secret in the variable {name}"),
        Secret::Google(name) | Secret::Aws(name) => format!("the secret {name}"),
    };
    match auth {
        Auth::None => "no credential".to_owned(),
        Auth::GoogleAccessToken { .. } => "an access token of Google".to_owned(),
        Auth::GoogleIdToken { audience, .. } => format!("an ID token of Google for {audience}"),
        Auth::Aws { service, region } => format!("a signature of AWS for {service} in {region}"),
        Auth::Bearer(secret) | Auth::Scheme(_, secret) | Auth::Header(_, secret) => kept(secret),
        Auth::Url { secret, .. } => kept(secret),
        Auth::GithubApp(app) => format!("a token of the GitHub App {}", app.client_id),
    }
}
