//! Each finding appears where something is wrong, and is not there where nothing is. The cloud is a fake of ours: answers
//! by address, in the forms that Google documents.

mod aws;
mod functions;
mod wakes;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use refit_core::diagnostics::Severity;
use refit_core::time::{Span, Timestamp};
use refit_engine::call::Caller;
use refit_engine::port::{Clock, Transport};
use refit_platform::clock::SystemClock;
use refit_wire::config;
use refit_wire::http::{Auth, Failure, Reply, Request, Response};
use refit_wire::listing::Buckets;
use serde_json::{Value, json};

use super::report::Report;
use super::{Clocks, Facts, Look, examine};

const STORAGE: &str = "https://storage.googleapis.com/storage/v1/b";
const PUBSUB: &str = "https://pubsub.googleapis.com/v1/projects/acme";
const IAM: &str = "https://iam.googleapis.com/v1";
const PROJECTS: &str = "https://cloudresourcemanager.googleapis.com/v3/projects";
const RUN: &str = "https://run.googleapis.com";
const RULES: &str = "
services:
  vertex: { vertex: { project: acme, location: europe-west4, pipeline_root: gs://acme-pipelines/root } }
triggers:
  churn:
    on: { objects: { bucket: acme-data, prefix: churn/ } }
    run: { service: vertex, template: gs://acme-pipelines/churn.yaml }
";
const STORAGE_AGENT: &str = "serviceAccount:service-42@gs-project-accounts.iam.gserviceaccount.com";
const PUBSUB_AGENT: &str = "serviceAccount:service-42@gcp-sa-pubsub.iam.gserviceaccount.com";
const PUSH: &str = "push@acme.iam.gserviceaccount.com";

/// What is answered, by address without a query.
struct Cloud {
    answers: BTreeMap<String, (u16, Value)>,
    asked: Mutex<Vec<Request>>,
}

/// A world to be judged.
struct World {
    answers: BTreeMap<String, (u16, Value)>,
    rules: String,
    clocks: Clocks,
}

#[async_trait]
impl Transport for Cloud {
    async fn send(&self, request: Request) -> Reply {
        let mut url = request.url.clone();
        url.set_query(None);
        self.asked.lock().unwrap().push(request);
        match self.answers.get(url.as_str()) {
            Some((0, why)) => Err(Failure::NotSent(why.as_str().unwrap().to_owned())),
            Some((status, body)) => {
                let body = Bytes::from(body.to_string());
                Ok(Response { status: *status, body, ..Response::default() })
            }
            None => Ok(Response { status: 404, ..Response::default() }),
        }
    }
}

fn policy(grants: &[(&str, &str)]) -> Value {
    let binding = |(role, member): &(&str, &str)| json!({ "role": role, "members": [member] });
    json!({ "bindings": grants.iter().map(binding).collect::<Vec<_>>() })
}

fn function(program: &str) -> Value {
    let url = format!("https://refit-{program}-x.a.run.app");
    json!({
        "metadata": {
            "name": format!("refit-{program}"),
            "labels": { "cloud.googleapis.com/location": "europe-west4" },
            "annotations": { "run.googleapis.com/urls": json!([url]).to_string() },
        },
        "spec": { "template": { "spec": {
            "serviceAccountName": format!("{program}@acme.iam.gserviceaccount.com"),
            "containers": [{ "env": [
                { "name": "REFIT_LEDGER", "value": "gs://acme-refit/prod" },
                { "name": "REFIT_WAKE", "value": "projects/acme/topics/refit-wake" },
            ] }],
        } } },
        "status": { "url": url },
    })
}

/// What is answered of roles.
fn roles() -> Vec<(String, (u16, Value))> {
    let roles = [
        ("roles/storage.objectViewer", &["storage.objects.get", "storage.objects.list"][..]),
        ("roles/pubsub.publisher", &["pubsub.topics.publish"]),
        ("roles/pubsub.subscriber", &["pubsub.subscriptions.consume"]),
        ("roles/run.invoker", &["run.routes.invoke"]),
        ("roles/iam.serviceAccountTokenCreator", &["iam.serviceAccounts.getOpenIdToken"]),
        ("projects/acme/roles/refit_append", &["storage.objects.create"]),
        (
            "projects/acme/roles/refit_reconcile",
            &["storage.objects.create", "storage.objects.get", "storage.objects.list"],
        ),
        ("projects/acme/roles/refit_tidy", &["storage.objects.delete"]),
    ];
    let role = |(role, permissions): (&str, &[&str])| {
        let body = json!({ "name": role, "includedPermissions": permissions });
        (format!("{IAM}/{role}"), (200, body))
    };
    roles.into_iter().map(role).collect()
}

fn sound() -> World {
    let subscription = json!({
        "topic": "projects/acme/topics/refit-object",
        "expirationPolicy": {},
        "deadLetterPolicy": { "deadLetterTopic": "projects/acme/topics/refit-dead" },
        "pushConfig": {
            "pushEndpoint": "https://refit-object-x.a.run.app/",
            "oidcToken": { "serviceAccountEmail": PUSH },
        },
    });
    let notification = json!({
        "id": "1", "topic": "//pubsub.googleapis.com/projects/acme/topics/refit-object",
        "event_types": ["OBJECT_FINALIZE"], "object_name_prefix": "churn/",
    });
    let wake = json!({
        "topic": "projects/acme/topics/refit-wake", "expirationPolicy": {},
        "pushConfig": {
            "pushEndpoint": "https://refit-tick-x.a.run.app/",
            "oidcToken": { "serviceAccountEmail": PUSH },
        },
    });
    let tick = "serviceAccount:tick@acme.iam.gserviceaccount.com";
    let object = "serviceAccount:object@acme.iam.gserviceaccount.com";
    let hook = "serviceAccount:hook@acme.iam.gserviceaccount.com";
    let ledger = [
        ("projects/acme/roles/refit_append", object),
        ("projects/acme/roles/refit_append", hook),
        ("projects/acme/roles/refit_reconcile", tick),
        ("projects/acme/roles/refit_tidy", tick),
    ];
    let answers = [
        (format!("{STORAGE}/acme-data"), json!({ "projectNumber": "42" })),
        (format!("{STORAGE}/acme-data/notificationConfigs"), json!({ "items": [notification] })),
        (format!("{STORAGE}/acme-data/iam"), policy(&[("roles/storage.objectViewer", tick)])),
        (format!("{STORAGE}/acme-refit"), json!({ "projectNumber": "42" })),
        (format!("{STORAGE}/acme-refit/iam"), policy(&ledger)),
        (format!("{PUBSUB}/topics/refit-object/subscriptions"), json!({ "subscriptions": ["projects/acme/subscriptions/refit-object"] })),
        (format!("{PUBSUB}/topics/refit-object:getIamPolicy"), policy(&[("roles/pubsub.publisher", STORAGE_AGENT)])),
        (format!("{PUBSUB}/subscriptions/refit-object"), subscription),
        (format!("{PUBSUB}/subscriptions/refit-object:getIamPolicy"), policy(&[("roles/pubsub.subscriber", PUBSUB_AGENT)])),
        (format!("{PUBSUB}/topics/refit-dead/subscriptions"), json!({ "subscriptions": ["projects/acme/subscriptions/refit-dead"] })),
        (format!("{PUBSUB}/topics/refit-dead:getIamPolicy"), policy(&[("roles/pubsub.publisher", PUBSUB_AGENT)])),
        (format!("{PUBSUB}/topics/refit-wake/subscriptions"), json!({ "subscriptions": ["projects/acme/subscriptions/refit-wake"] })),
        (format!("{PUBSUB}/topics/refit-wake:getIamPolicy"), policy(&[("roles/pubsub.publisher", object), ("roles/pubsub.publisher", hook)])),
        (format!("{PUBSUB}/subscriptions/refit-wake"), wake),
        (format!("{PUBSUB}/subscriptions/refit-dead"), json!({ "topic": "projects/acme/topics/refit-dead", "expirationPolicy": {} })),
        (format!("{PROJECTS}/acme"), json!({ "name": "projects/42", "projectId": "acme" })),
        (format!("{PROJECTS}/42"), json!({ "name": "projects/42", "projectId": "acme" })),
        (format!("{PROJECTS}/acme:getIamPolicy"), json!({})),
        (format!("{PROJECTS}/42:getIamPolicy"), json!({})),
        (format!("{IAM}/projects/-/serviceAccounts/{PUSH}:getIamPolicy"), policy(&[("roles/iam.serviceAccountTokenCreator", PUBSUB_AGENT)])),
        (format!("{RUN}/v1/projects/acme/locations/-/services"), json!({ "items": [function("object"), function("tick"), function("hook")] })),
        (format!("{RUN}/v2/projects/acme/locations/europe-west4/services/refit-object:getIamPolicy"), policy(&[("roles/run.invoker", &format!("serviceAccount:{PUSH}"))])),
        (format!("{RUN}/v2/projects/acme/locations/europe-west4/services/refit-tick:getIamPolicy"), policy(&[("roles/run.invoker", &format!("serviceAccount:{PUSH}"))])),
        ("https://europe-west4-aiplatform.googleapis.com/v1/projects/acme/locations/europe-west4/pipelineJobs/00000000-0000-4000-8000-000000000000".to_owned(), json!({})),
    ];
    let mut answers: BTreeMap<_, _> =
        answers.into_iter().map(|(url, body)| (url, (200, body))).collect();
    for program in ["object", "tick"] {
        answers.insert(format!("https://refit-{program}-x.a.run.app/"), (403, json!({})));
    }
    let missing =
        json!({ "error": { "code": 404, "message": "no such job", "status": "NOT_FOUND" } });
    let job = answers.keys().find(|url| url.contains("pipelineJobs")).unwrap().clone();
    answers.insert(job, (404, missing));
    answers.extend(roles());
    let now: Timestamp = "2026-01-05T12:00:00Z".parse().unwrap();
    let clocks = Clocks { machine: now, store: now + Span::secs(1), is_one: false };
    World { answers, rules: RULES.to_owned(), clocks }
}

impl World {
    /// Changes an answer in place.
    fn edit(mut self, url: &str, edit: impl FnOnce(&mut Value)) -> Self {
        let (_, body) = self.answers.get_mut(url).unwrap_or_else(|| panic!("no answer: {url}"));
        edit(body);
        self
    }

    /// Answers with another status.
    fn answering(mut self, url: &str, status: u16) -> Self {
        self.answers.get_mut(url).unwrap_or_else(|| panic!("no answer: {url}")).0 = status;
        self
    }

    /// Judges it, and says what was asked.
    async fn judge(self) -> (Report, Vec<Request>) {
        let (config, found) = config::read(&self.rules);
        let config = config.unwrap_or_else(|| panic!("{found:?}"));
        let mut facts = Facts { config: Some(Ok(config)), ..Facts::default() };
        facts.ledger.location = "gs://acme-refit/prod".to_owned();
        facts.ledger.founded = Some(Ok(true));
        facts.ledger.clocks = Some(self.clocks);
        let cloud = Arc::new(Cloud { answers: self.answers, asked: Mutex::default() });
        let transport: Arc<dyn Transport> = Arc::<Cloud>::clone(&cloud);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let caller = Caller { transport: &transport, clock: &clock, limit: Span::secs(5) };
        Look { caller, buckets: &Buckets::default(), aws: None }.gather(&mut facts, &[]).await;
        let asked = std::mem::take(&mut *cloud.asked.lock().unwrap());
        (examine(&facts), asked)
    }

    /// Asserts that exactly this is found.
    #[track_caller]
    fn finds(self, severity: Severity, check: &str, words: &str, cure: &str) -> Expected {
        let (check, words, cure) = (check.to_owned(), words.to_owned(), cure.to_owned());
        Expected { world: self, severity, check, words, cure }
    }
}

/// What is expected of a world.
struct Expected {
    world: World,
    severity: Severity,
    check: String,
    words: String,
    cure: String,
}

impl Expected {
    async fn check(self) {
        let Self { world, severity, check, words, cure } = self;
        let (report, _) = world.judge().await;
        let [found] = &report.findings[..] else { panic!("not one finding: {report:#?}") };
        assert_eq!((found.severity, found.check), (severity, &*check), "{report}");
        assert!(found.what.contains(&words), "{found:#?}");
        assert!(found.cure.contains(&cure), "{found:#?}");
        assert_eq!(report.has_errors(), severity == Severity::Error);
    }
}

#[tokio::test]
async fn where_all_is_well_nothing_is_found_and_nothing_is_changed() {
    let (report, asked) = sound().judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    assert!(!report.has_errors() && report.fine.len() > 10, "{report}");
    let json = json!(report);
    assert_eq!(json["findings"], json!([]));
    for request in asked {
        let reads =
            request.method == http::Method::GET || request.url.path().ends_with(":getIamPolicy");
        assert!(reads, "{request:?}");
        let is_googles = request.url.host_str().unwrap().ends_with(".googleapis.com");
        assert_eq!(is_googles, request.auth != Auth::None, "{request:?}");
    }
}

#[tokio::test]
async fn what_keeps_an_event_from_arriving_is_found() {
    let error = Severity::Error;
    let notifications = &format!("{STORAGE}/acme-data/notificationConfigs");
    let topic = &format!("{PUBSUB}/topics/refit-object");
    let subscription = &format!("{PUBSUB}/subscriptions/refit-object");
    let listeners = &format!("{topic}/subscriptions");
    let account = &format!("{IAM}/projects/-/serviceAccounts/{PUSH}:getIamPolicy");
    let invoker = &format!(
        "{RUN}/v2/projects/acme/locations/europe-west4/services/refit-object:getIamPolicy"
    );
    let none = |body: &mut Value| *body = json!({});
    for expected in [
        sound()
            .edit(notifications, |body| body["items"][0]["object_name_prefix"] = json!("other/"))
            .finds(error, "notifications", "other prefixes", "--object-prefix=churn/"),
        sound()
            .edit(notifications, |body| body["items"][0]["event_types"] = json!(["OBJECT_DELETE"]))
            .finds(
                error,
                "notifications",
                "no OBJECT_FINALIZE",
                "--topic=projects/acme/topics/refit-object",
            ),
        sound()
            .edit(notifications, |body| body["items"][0]["object_name_prefix"] = json!("churn/eu/"))
            .finds(
                Severity::Warning,
                "notifications",
                "begins with churn/eu/",
                "notifications create",
            ),
        sound().edit(&format!("{topic}:getIamPolicy"), none).finds(
            error,
            "publisher",
            "may not publish",
            STORAGE_AGENT,
        ),
        sound()
            .edit(subscription, |body| {
                body["pushConfig"]["pushEndpoint"] = json!("https://else.example/")
            })
            .finds(
                error,
                "listeners",
                "none of its subscriptions leads",
                "subscriptions create refit-object",
            ),
        sound()
            .edit(subscription, |body| body["expirationPolicy"] = json!({ "ttl": "2678400s" }))
            .finds(Severity::Warning, "listeners", "2678400s", "--expiration-period=never"),
        sound().edit(account, none).finds(
            error,
            "push identity",
            "is not delivered",
            "serviceAccountTokenCreator",
        ),
        sound().edit(invoker, none).finds(
            error,
            "push identity",
            "may not call it",
            "--region=europe-west4",
        ),
        sound().edit(listeners, none).finds(error, "listeners", "is lost", "--topic=refit-object"),
    ] {
        expected.check().await;
    }
}

#[tokio::test]
async fn dead_letters_that_would_be_lost_are_found() {
    let error = Severity::Error;
    let dead = &format!("{PUBSUB}/topics/refit-dead");
    let subscription = &format!("{PUBSUB}/subscriptions/refit-object");
    let drop_policy =
        |body: &mut Value| drop(body.as_object_mut().unwrap().remove("deadLetterPolicy"));
    let none = |body: &mut Value| *body = json!({});
    for expected in [
        sound().edit(subscription, drop_policy).finds(
            Severity::Warning,
            "dead letters",
            "no dead letters",
            "--max-delivery-attempts=100",
        ),
        sound().edit(&format!("{dead}/subscriptions"), none).finds(
            error,
            "dead letters",
            "they are lost",
            "subscriptions create refit-dead",
        ),
        sound().answering(&format!("{dead}/subscriptions"), 404).finds(
            error,
            "dead letters",
            "no such topic",
            "topics create refit-dead",
        ),
        sound().edit(&format!("{dead}:getIamPolicy"), none).finds(
            error,
            "dead letters",
            "roles/pubsub.publisher",
            "topics add-iam-policy-binding refit-dead",
        ),
        sound().edit(&format!("{subscription}:getIamPolicy"), none).finds(
            error,
            "dead letters",
            "roles/pubsub.subscriber",
            PUBSUB_AGENT,
        ),
        sound()
            .edit(&format!("{PUBSUB}/subscriptions/refit-dead"), |body| {
                body["expirationPolicy"] = json!({ "ttl": "2678400s" });
            })
            .finds(Severity::Warning, "dead letters", "is deleted", "update refit-dead"),
    ] {
        expected.check().await;
    }
}

#[tokio::test]
async fn what_harms_the_ledger_is_found() {
    let error = Severity::Error;
    let bucket = &format!("{STORAGE}/acme-refit");
    let rule = |condition: Value| {
        move |body: &mut Value| {
            body["lifecycle"] =
                json!({ "rule": [{ "action": { "type": "Delete" }, "condition": condition }] });
        }
    };
    let tick = "serviceAccount:tick@acme.iam.gserviceaccount.com";
    let append = "projects/acme/roles/refit_append";
    let without_tidy = policy(&[
        (append, "serviceAccount:object@acme.iam.gserviceaccount.com"),
        (append, "serviceAccount:hook@acme.iam.gserviceaccount.com"),
        ("projects/acme/roles/refit_reconcile", tick),
    ]);
    for expected in [
        sound().edit(bucket, rule(json!({ "age": 30 }))).finds(
            error,
            "lifecycle",
            "deletes in the ledger",
            "--clear-lifecycle",
        ),
        sound().edit(bucket, rule(json!({ "age": 30, "matchesPrefix": ["prod/log/"] }))).finds(
            error,
            "lifecycle",
            "deletes in the ledger",
            "gs://acme-refit",
        ),
        sound()
            .edit(bucket, |body| body["retentionPolicy"] = json!({ "retentionPeriod": "86400" }))
            .finds(Severity::Warning, "lifecycle", "86400s", "--clear-retention-period"),
        sound().edit(bucket, |body| body["defaultEventBasedHold"] = json!(true)).finds(
            Severity::Warning,
            "lifecycle",
            "held",
            "--no-default-event-based-hold",
        ),
        sound().edit(&format!("{bucket}/iam"), |body| *body = without_tidy).finds(
            error,
            "rights",
            "lacks storage.objects.delete",
            "roles/storage.objectUser",
        ),
        sound().edit(&format!("{STORAGE}/acme-data/iam"), |body| *body = json!({})).finds(
            error,
            "rights",
            "tick@acme.iam.gserviceaccount.com lacks storage.objects.list",
            "roles/storage.objectViewer",
        ),
        sound().answering("https://refit-object-x.a.run.app/", 405).finds(
            error,
            "endpoints",
            "no token, status 405",
            "remove-iam-policy-binding refit-object --region=europe-west4",
        ),
    ] {
        expected.check().await;
    }
    for harmless in [
        json!({ "age": 1, "matchesPrefix": ["other/"] }),
        json!({ "numNewerVersions": 3 }),
        json!({ "age": 1, "isLive": false }),
    ] {
        let (report, _) = sound().edit(bucket, rule(harmless)).judge().await;
        assert!(report.findings.is_empty(), "{report}");
    }
}

#[tokio::test]
async fn loops_are_found_from_the_rules_alone() {
    let of = |from: &str, to: &str| {
        let mut world = sound();
        world.rules = RULES.replace(from, to);
        world
    };
    let own = "pipeline_root: gs://acme-data/churn/out";
    for (from, to, severity) in [
        ("pipeline_root: gs://acme-pipelines/root", own, Some(Severity::Error)),
        (
            "pipeline_root: gs://acme-pipelines/root",
            "pipeline_root: gs://acme-data",
            Some(Severity::Error),
        ),
        ("pipeline_root: gs://acme-pipelines/root", "pipeline_root: gs://acme-data/other", None),
        ("pipeline_root: gs://acme-pipelines/root", "pipeline_root: gs://acme-data/churned", None),
    ] {
        let (report, _) = of(from, to).judge().await;
        let loops = report.findings.iter().find(|finding| finding.check == "loops");
        assert_eq!(loops.map(|finding| finding.severity), severity, "{to}: {report}");
    }
    let mut filtered = of("pipeline_root: gs://acme-pipelines/root", own);
    filtered.rules = filtered.rules.replace("prefix: churn/", "prefix: churn/, suffix: .csv");
    filtered.finds(Severity::Warning, "loops", "they may start it", "refit apply").check().await;
    let mut ledger = sound();
    ledger.rules = RULES.replace("bucket: acme-data, prefix: churn/", "bucket: acme-refit");
    let (report, _) = ledger.judge().await;
    assert!(report.findings.iter().any(|it| it.what.contains("watches the ledger")), "{report}");
}

#[tokio::test]
async fn clocks_that_are_apart_are_found() {
    let apart = |span: Span| {
        let mut world = sound();
        world.clocks.store = world.clocks.machine + span;
        world
    };
    apart(Span::mins(6)).finds(Severity::Error, "clock", "6m behind", "timedatectl").check().await;
    apart(Span::secs(30))
        .finds(Severity::Warning, "clock", "30s behind", "timedatectl")
        .check()
        .await;
    let mut world = sound();
    world.clocks.machine = world.clocks.store + Span::secs(12);
    world.finds(Severity::Warning, "clock", "12s ahead", "").check().await;
}

#[tokio::test]
async fn services_that_do_not_let_us_in_are_told_with_host_and_credential() {
    let job = sound().answers.keys().find(|url| url.contains("pipelineJobs")).unwrap().clone();
    let error = Severity::Error;
    for (status, words) in [
        (403, "does not let this credential in"),
        (503, "`503`"),
        (302, "login page"),
        (0, "cannot be reached: no route"),
    ] {
        let world = sound().edit(&job, |body| *body = json!("no route")).answering(&job, status);
        let (report, _) = world.judge().await;
        let [found] = &report.findings[..] else { panic!("{report:#?}") };
        assert_eq!((found.severity, found.check), (error, "services"));
        assert!(found.what.contains(words), "{found:#?}");
        assert_eq!(
            found.at,
            "vertex: europe-west4-aiplatform.googleapis.com with an access token of Google"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_never_taken_for_well() {
    let all: Vec<String> = sound().answers.keys().cloned().collect();
    let is_googles = |url: &&String| url.contains(".googleapis.com") && !url.contains("aiplatform");
    for url in all.iter().filter(is_googles) {
        let (report, _) = sound().answering(url, 403).judge().await;
        assert!(report.findings.is_empty(), "a refusal is no finding: {url}: {report}");
        let told = report.not_checked.iter().any(|it| it.why.contains("no permission"));
        // What is granted nearer by needs no word of the project.
        assert!(told || url.contains("/v3/projects/"), "{url}: {report}");
    }
    let topic = &format!("{PUBSUB}/topics/refit-object:getIamPolicy");
    let project = &format!("{PROJECTS}/acme:getIamPolicy");
    let unsure = sound().edit(topic, |body| *body = json!({})).answering(project, 403);
    let (report, _) = unsure.judge().await;
    assert!(report.findings.is_empty(), "the project may grant it: {report}");
    assert!(report.not_checked.iter().any(|it| it.check == "publisher"), "{report}");
    let mut dark = sound();
    for url in all.iter().filter(|url| !url.contains("aiplatform")) {
        dark = dark.answering(url, 403);
    }
    let (report, _) = dark.judge().await;
    assert!(report.findings.is_empty(), "{report}");
    let fine: Vec<_> = report.fine.iter().map(|fine| fine.check).collect();
    assert_eq!(fine, ["clock", "ledger", "loops", "services"], "{report}");
    let words = report.to_string();
    let line = "not checked: lifecycle of gs://acme-refit/prod: no permission storage.buckets.get";
    assert!(words.contains(line), "{words}");
}

#[tokio::test]
async fn an_address_with_a_query_is_the_functions() {
    let subscription = &format!("{PUBSUB}/subscriptions/refit-object");
    let endpoint = json!("https://refit-object-x.a.run.app?__GCP_CloudEventsMode=GCS_NOTIFICATION");
    let world = sound().edit(subscription, |body| body["pushConfig"]["pushEndpoint"] = endpoint);
    let (report, _) = world.judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
}

#[tokio::test]
async fn grants_that_are_not_by_name_are_weighed() {
    let policy_of = &format!("{STORAGE}/acme-data/iam");
    let grant = |member: &str| policy(&[("roles/storage.objectViewer", member)]);
    let group = grant("group:ml@acme.example");
    let (report, _) = sound().edit(policy_of, |body| *body = group).judge().await;
    assert!(report.findings.is_empty() && report.not_checked.len() == 1, "{report}");
    let (report, _) = sound().edit(policy_of, |body| *body = grant("allUsers")).judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    let editor = policy(&[("roles/editor", "serviceAccount:tick@acme.iam.gserviceaccount.com")]);
    let alias = grant("projectEditor:acme");
    let world = sound().edit(policy_of, |body| *body = alias.clone());
    let mut world = world.edit(&format!("{PROJECTS}/42:getIamPolicy"), |body| *body = editor);
    let role = json!({ "name": "roles/editor", "includedPermissions": [] });
    world.answers.insert(format!("{IAM}/roles/editor"), (200, role));
    let (report, _) = world.judge().await;
    assert!(report.findings.is_empty() && report.not_checked.is_empty(), "{report}");
    let alone = sound().edit(policy_of, |body| *body = alias);
    alone.finds(Severity::Error, "rights", "lacks storage.objects.list", "").check().await;
}
