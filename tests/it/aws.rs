//! The functions on AWS Lambda with a ledger in S3's stand-in, which others wrote and which can verify signatures.
//!
//! Lambda itself is a fake of ours, by its documentation; the pipeline service as well.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use refit_core::event::{Event, Fact};
use refit_core::member::read_manifest;
use refit_core::state::State;
use refit_engine::audit::{audit, fsck};
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::port::{Clock as _, Store, Transport as _};
use refit_engine::record::read_segment;
use refit_host::function::read_rules;
use refit_platform::auth::{AwsKey, Places};
use refit_platform::clock::SystemClock;
use refit_platform::store::{Folder, S3Place, S3Store};
use refit_platform::transport::{HttpTransport, Options as Ways};
use refit_testkit::counterpart::{Counterpart, Kind};
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::fake::proxy::{Fault, Proxy};
use refit_wire::http::{Auth, Request, Response};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::lambda::{Function, sample};
use crate::patience::PATIENCE;
use crate::process::{Process, program};
use crate::world::{is_settled, timing};

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const LEDGER: &str = "s3://ledgers/prod";
const TICK: &str = "arn:aws:lambda:us-east-1:111122223333:function:refit-tick";
/// When everything in the samples happened.
const LONG_AGO: &str = "1970-01-01T00:00:00.000Z";
/// The bucket and the object of the samples.
const OBJECT: &str = "s3://mybucket/HappyFace.jpg";
const POLICY: &str =
    r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;

/// S3, with a bucket for ledgers.
pub(crate) struct Storage {
    pub(crate) server: Counterpart,
    /// Of the one user it knows.
    key: AwsKey,
}

impl Storage {
    /// The server, which takes whatever it is asked for granted; none where it is not installed, which is said.
    pub(crate) async fn trusting(test: &str) -> Option<Self> {
        let key = AwsKey { id: "AKIDEXAMPLE".to_owned(), secret: "canary-4711".to_owned() };
        let storage = Self { server: Kind::S3.start(test)?, key };
        storage.ask(Method::PUT, "/ledgers", "s3", "").await;
        Some(storage)
    }

    /// The same, but that it verifies every signature, and lets its one user do what a policy says.
    async fn verifying(test: &str) -> Option<Self> {
        let mut storage = Self::trusting(test).await?;
        storage.iam("CreateUser", "").await;
        let policy: String = url::form_urlencoded::byte_serialize(POLICY.as_bytes()).collect();
        let policy = format!("&PolicyName=ledger&PolicyDocument={policy}");
        storage.iam("PutUserPolicy", &policy).await;
        let made = storage.iam("CreateAccessKey", "").await;
        let text = |name: &str| {
            let (_, text) = made.split_once(&format!("<{name}>")).unwrap();
            text.split_once('<').unwrap().0.to_owned()
        };
        storage.key = AwsKey { id: text("AccessKeyId"), secret: text("SecretAccessKey") };
        storage.ask(Method::POST, "/moto-api/reset-auth", "s3", "0").await;
        Some(storage)
    }

    async fn iam(&self, action: &str, more: &str) -> String {
        let form = format!("Action={action}&Version=2010-05-08&UserName=refit{more}");
        let answer = self.ask(Method::POST, "/", "iam", &form).await;
        String::from_utf8(answer.body.to_vec()).unwrap()
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        service: &str,
        body: &str,
    ) -> Response {
        let auth = Auth::Aws { service: service.to_owned(), region: REGION.to_owned() };
        let url = format!("http://{}{path}", self.server.place()).parse().unwrap();
        let mut request = Request::new(method, url).auth(auth);
        request.body = Bytes::copy_from_slice(body.as_bytes());
        if ["iam", "sqs"].contains(&service) {
            let form = "application/x-www-form-urlencoded".parse().unwrap();
            request.headers.insert(http::header::CONTENT_TYPE, form);
        }
        let answer = signing(&self.key).send(request).await.unwrap();
        assert!(answer.is_success(), "{answer:?}");
        answer
    }

    /// The ledger, as the test itself reads and writes it.
    fn store(&self) -> Arc<dyn Store> {
        let folder = Folder::parse(LEDGER.strip_prefix("s3://").unwrap()).unwrap();
        let endpoint = Some(format!("http://{}", self.server.place()));
        let place = S3Place { region: REGION.to_owned(), endpoint };
        Arc::new(S3Store::new(folder, &place, Arc::new(signing(&self.key))).unwrap())
    }

    /// What a process is told that reaches the server at `place`.
    pub(crate) fn variables(&self, place: &str) -> Vec<(&'static str, String)> {
        vec![
            ("REFIT_LEDGER", LEDGER.to_owned()),
            ("AWS_REGION", REGION.to_owned()),
            ("AWS_ENDPOINT_URL_S3", format!("http://{place}")),
            ("AWS_ACCESS_KEY_ID", self.key.id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.key.secret.clone()),
        ]
    }
}

fn signing(key: &AwsKey) -> HttpTransport {
    let places = Places { aws: Some(key.clone()), ..Places::default() };
    HttpTransport::new(Arc::new(SystemClock), Ways { places, ..Ways::default() }).unwrap()
}

/// `object` and `tick` on Lambda, a ledger they share, and a pipeline service.
struct Deployment {
    kfp: Kfp,
    storage: Storage,
    ledger: Ledger,
    object: Function,
    tick: Function,
}

impl Deployment {
    /// A deployment with one trigger, whose `object` reaches the bucket at `place`.
    async fn new(storage: Storage, place: &str) -> Self {
        let kfp = Kfp::start(Options { looks: Some(2), ..Options::default() });
        kfp.add_pipeline("churn", &[("manifest", "STRING")]);
        let ledger = Ledger::new(storage.store());
        ledger.found("it", &timing()).await.unwrap();
        let tick = Function::start("tick", &borrowed(&storage.variables(storage.server.place())));
        let mut variables = storage.variables(place);
        variables.extend(waking(&tick));
        let object = Function::start("object", &borrowed(&variables));
        let deployment = Self { kfp, storage, ledger, object, tick };
        deployment.apply().await;
        deployment
    }

    /// Puts the rules in force, as a person does.
    async fn apply(&self) {
        let folder = TempDir::with_prefix("refit-aws").unwrap();
        let file = folder.path().join("refit.yaml");
        let rules = format!(
            "services:\n\
             \x20 kfp: {{ kubeflow: {{ endpoint: \"{}\" }} }}\n\
             triggers:\n\
             \x20 churn:\n\
             \x20   on: {{ objects: {{ bucket: \"s3://mybucket\" }} }}\n\
             \x20   batch: {{ quiet: 1s, max_wait: 5m }}\n\
             \x20   run: {{ service: kfp, pipeline: churn, parameters: {{ manifest: \"${{ batch.manifest }}\" }} }}\n",
            self.kfp.url()
        );
        std::fs::write(&file, rules).unwrap();
        let mut command = Command::new(program("refit"));
        command.arg("apply").arg(&file).arg("--yes");
        let mut variables = self.storage.variables(self.storage.server.place());
        variables.extend(waking(&self.tick));
        let ended = Process::spawn(command, &borrowed(&variables)).ended().await;
        assert!(ended.status.success(), "{:#?}", ended.lines);
    }

    /// Every event in the inbox, but for commands.
    async fn stored(&self) -> Vec<Event> {
        let store = self.ledger.store();
        let mut events = Vec::new();
        for entry in store.list(layout::INBOX, "", 1000).await.unwrap().entries {
            let body = store.get(&entry.name).await.unwrap().unwrap();
            events.extend(read_segment(&entry.name, &body).unwrap());
        }
        events.retain(|event| !matches!(event.fact, Fact::Command(_)));
        events
    }

    /// Waits until the state is as wanted, and has the scheduler ping meanwhile, or nobody.
    async fn until(&self, what: &str, pinged: bool, is_so: impl Fn(&State) -> bool) -> State {
        let began = SystemClock.elapsed();
        while SystemClock.elapsed() < began + PATIENCE {
            let state = self.ledger.load().await.unwrap().unwrap().state;
            if is_so(&state) {
                return state;
            }
            if pinged {
                assert_eq!(self.tick.invoke(&json!({})).await, Ok(Value::Null));
            }
        }
        panic!("never: {what}\n{:#?}", self.tick.process.lines());
    }

    /// Has `tick` pinged until every run is over, and proves that there was one, of one object.
    async fn made_one_run(&self) {
        self.until("one run is over", true, |state| !state.runs.is_empty() && is_settled(state))
            .await;
        let runs = self.kfp.runs();
        let [run] = &runs[..] else { panic!("not one run: {runs:#?}") };
        let uri = run.parameters["manifest"].as_str().unwrap();
        let name = uri.strip_prefix(&format!("{LEDGER}/")).unwrap();
        let manifest = self.ledger.store().get(name).await.unwrap().unwrap();
        let members = read_manifest(&manifest).unwrap();
        let uris: Vec<_> = members.iter().filter_map(|member| member.uri.as_deref()).collect();
        assert_eq!(uris, [OBJECT]);
        let report = audit(&self.ledger, &read_rules(), &|_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
        assert_eq!((report.pending, report.accepted, report.runs), (0, 1, 1));
        let whole = fsck(&self.ledger, &read_rules(), &|_| {}).await.unwrap();
        assert!(whole.is_clean(), "{:#?}", whole.findings);
    }
}

/// What wakes `tick`: an invocation that nobody waits for.
fn waking(tick: &Function) -> [(&'static str, String); 2] {
    let lambda = format!("http://{}", tick.lambda.place());
    [("REFIT_WAKE", TICK.to_owned()), ("AWS_ENDPOINT_URL_LAMBDA", lambda)]
}

fn borrowed<'v>(variables: &'v [(&'static str, String)]) -> Vec<(&'static str, &'v str)> {
    variables.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// A sample, of what has happened now.
fn of_now(test: &str, name: &str) -> Option<Value> {
    let text = sample(test, name)?.to_string();
    assert!(text.contains(LONG_AGO), "{text}");
    Some(serde_json::from_str(&text.replace(LONG_AGO, &SystemClock.now().to_string())).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_s3_that_is_told_twice_wakes_tick_and_makes_one_run() {
    let test = "aws::an_upload_to_s3_that_is_told_twice_wakes_tick_and_makes_one_run";
    let names = ["s3-notification-versioned", "sqs-sns-s3-nested"];
    let [Some(direct), Some(nested)] = names.map(|name| of_now(test, name)) else { return };
    let Some(storage) = Storage::verifying(test).await else { return };
    let place = storage.server.place().to_owned();
    let world = Deployment::new(storage, &place).await;
    let wakes = world.tick.lambda.invoked().len();
    assert_eq!(world.object.invoke(&direct).await, Ok(Value::Null));
    // It is told before the invocation ends, since Lambda then stops the process.
    let invoked = world.tick.lambda.invoked();
    assert_eq!(invoked.len(), wakes + 1);
    assert_eq!(invoked[wakes].payload, json!({"refit": "wake"}));
    assert_eq!(invoked[wakes].function, TICK);
    let scope = format!("/{REGION}/lambda/aws4_request");
    assert!(invoked[wakes].signature.contains(&scope), "{invoked:?}");
    let has_begun = |state: &State| {
        !state.runs.is_empty() || state.triggers.values().any(|standing| !standing.open.is_empty())
    };
    world.until("the wake is all it takes", false, has_begun).await;

    assert_eq!(world.object.invoke(&nested).await, Ok(json!({"batchItemFailures": []})));
    let stored = world.stored().await;
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].identity, stored[1].identity);
    world.made_one_run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bucket_does_not_take_stays_in_the_queue_and_comes_again_as_the_same() {
    let test = "aws::what_a_bucket_does_not_take_stays_in_the_queue_and_comes_again_as_the_same";
    let Some(batch) = of_now(test, "sqs-batch-s3-test-and-poison") else { return };
    let Some(storage) = Storage::verifying(test).await else { return };
    // Messages that come while a segment is written share the next one, which is refused. Then the answer is lost.
    let faults = [Fault::None, Fault::Refuse(503), Fault::LoseAnswer];
    let proxy = Proxy::scripted(storage.server.place(), faults);
    let world = Deployment::new(storage, &proxy.place()).await;
    let left = |ids: &[&str]| {
        let left: Vec<Value> = ids.iter().map(|id| json!({"itemIdentifier": id})).collect();
        Ok(json!({ "batchItemFailures": left }))
    };
    assert_eq!(world.object.invoke(&batch).await, left(&["MessageID_3"]));
    assert_eq!(world.stored().await.len(), 1, "the other is not there");
    // A queue may deliver again what it was told is done.
    assert_eq!(world.object.invoke(&batch).await, left(&["MessageID_1"]));
    assert_eq!(world.object.invoke(&batch).await, left(&[]));
    let stored = world.stored().await;
    let uploads = stored.iter().filter(|event| matches!(event.fact, Fact::Object(_))).count();
    let poison = stored.iter().filter(|event| matches!(event.fact, Fact::Invalid(_))).count();
    assert_eq!((uploads, poison), (3, 2), "one was stored although nobody heard of it");
    world.made_one_run().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ledger_at_another_server_is_reached_with_the_right_key_only() {
    let test = "aws::a_ledger_at_another_server_is_reached_with_the_right_key_only";
    let Some(direct) = of_now(test, "s3-notification-versioned") else { return };
    let Some(storage) = Storage::verifying(test).await else { return };
    let own = storage.variables(storage.server.place());
    let wrong = [("AWS_SECRET_ACCESS_KEY", "canary-4711".to_owned())];
    let mut stranger = Function::start("object", &borrowed(&[&own[..], &wrong].concat()));
    let error = stranger.invoke(&direct).await.unwrap_err();
    assert_eq!(error["errorType"], "LedgerUnavailable", "{error}");
    stranger.process.until_logged("status=`403`", 1).await;
    let lines = stranger.process.lines();
    assert!(!lines.iter().any(|line| line.contains("canary")), "{lines:#?}");
    let object = Function::start("object", &borrowed(&own));
    assert_eq!(object.invoke(&direct).await, Ok(Value::Null));
    let inbox = storage.store().list(layout::INBOX, "", 10).await.unwrap();
    assert_eq!(inbox.entries.len(), 1, "what the stranger sent is not there");
}
