//! A deployment on this machine: `object` and `tick`, a ledger they share, and a pipeline service.

use std::fmt::Write as _;
use std::sync::Arc;

use refit_core::event::Command;
use refit_core::key::{Hash128, sha256_hex};
use refit_core::member::{Member, read_manifest};
use refit_core::state::State;
use refit_core::time::{Span, Timestamp};
use refit_core::timing::Timing;
use refit_engine::audit::{Report, audit, fsck};
use refit_engine::explain::{Subject, Verdict, tell};
use refit_engine::intake::Intake;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::nonce::Nonces;
use refit_engine::port::Clock as _;
use refit_engine::submit::{ANSWER_WITHIN, Answer, answer, command_event};
use refit_host::function::read_rules;
use refit_platform::clock::SystemClock;
use refit_platform::env;
use refit_testkit::fake::client::Reply;
use refit_testkit::fake::kfp::{Kfp, Options, Run};
use refit_testkit::fake::metadata::Metadata;
use serde_json::{Value, json};

use crate::ground::Ground;
use crate::patience::{PATIENCE, call};
use crate::process::Process;
#[cfg(feature = "gcp")]
use crate::process::program;

/// The pipeline that is run.
const PIPELINE: &str = "churn";
/// The headers of JSON.
pub(crate) const JSON: &str = "content-type: application/json\r\n";
/// A secret that is given to the processes, and must never be seen.
pub(crate) const SECRET: &str = "canary-secret-4711";
/// The secret that links are signed with.
pub(crate) const LINK_SECRET: &str = "canary-of-links-0123456789abcdef-4711";
/// Where somebody is told of runs, which is a secret as a whole; nobody is there.
const SECRET_URL: &str = "https://localhost:1/canary-of-the-receiver";

/// Short times, so that what takes minutes takes seconds.
pub(crate) fn timing() -> Timing {
    Timing {
        lease: Span::secs(4),
        margin: Span::from_millis(500),
        call: Span::secs(2),
        settle: Span::secs(2),
        ping: Span::secs(5),
        poll: Span::from_millis(200),
        ..Timing::default()
    }
}

/// Which API the service is asked by, and so how starts are made exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Api {
    /// The newer one: class B.
    V2beta1,
    /// The older one: class C.
    V1beta1,
}

/// A deployment.
pub(crate) struct World {
    pub(crate) kfp: Kfp,
    pub(crate) metadata: Metadata,
    pub(crate) ledger: Ledger,
    pub(crate) object: Process,
    pub(crate) tick: Option<Process>,
    /// What processes logged that have ended.
    pub(crate) logged: Vec<String>,
    intake: Intake,
    ground: Ground,
}

impl World {
    /// A deployment in which this service runs pipelines, and nothing is ruled yet.
    pub(crate) async fn new(kfp: Kfp) -> Self {
        Self::with_metadata(kfp, Metadata::start()).await
    }

    /// The same, with other times.
    pub(crate) async fn timed(kfp: Kfp, timing: Timing) -> Self {
        Self::with(Ground::directory().await, kfp, Metadata::start(), timing).await
    }

    /// The same, with its ledger elsewhere.
    #[cfg(feature = "gcp")]
    pub(crate) async fn on(ground: Ground, kfp: Kfp) -> Self {
        Self::with(ground, kfp, Metadata::start(), timing()).await
    }

    /// The same, with a metadata server that others know.
    pub(crate) async fn with_metadata(kfp: Kfp, metadata: Metadata) -> Self {
        Self::with(Ground::directory().await, kfp, metadata, timing()).await
    }

    async fn with(ground: Ground, kfp: Kfp, metadata: Metadata, timing: Timing) -> Self {
        kfp.add_pipeline(PIPELINE, &[("manifest", "STRING")]);
        let ledger = Ledger::new(Arc::clone(&ground.store));
        ledger.found("it", &timing).await.unwrap();
        let clock = Arc::new(SystemClock);
        let nonces = Nonces::new(&env::nonce()[..16]);
        let intake = Intake::new(Arc::clone(&ground.store), clock, nonces, Span::secs(30));
        let tick = tick(&ground, &metadata).await;
        let object = object(&ground, &metadata, &tick.place).await;
        let logged = Vec::new();
        Self { kfp, metadata, ledger, object, tick: Some(tick), logged, intake, ground }
    }

    /// A deployment with one trigger, whose rule goes on like this after `on`.
    pub(crate) async fn ruled(options: Options, api: Api, rule: &str) -> Self {
        let world = Self::new(Kfp::start(options)).await;
        let applied = world.apply(&world.rules(api, "", rule)).await;
        assert!(applied.ok, "{}", applied.message);
        world
    }

    /// Rules of one trigger and one service, each with what is added to it.
    pub(crate) fn rules(&self, api: Api, service: &str, rule: &str) -> String {
        let api = match api {
            Api::V2beta1 => "v2beta1",
            Api::V1beta1 => "v1beta1",
        };
        let url = self.kfp.url();
        format!(
            "services:\n\
             \x20 kfp: {{ kubeflow: {{ endpoint: \"{url}\", api: {api}{service} }} }}\n\
             triggers:\n\
             \x20 churn:\n\
             \x20   on: {{ objects: {{ bucket: acme-data, prefix: churn/ }} }}\n\
             \x20   {rule}\n\
             \x20   run: {{ service: kfp, pipeline: {PIPELINE}, parameters: {{ manifest: \"${{ batch.manifest }}\" }} }}\n"
        )
    }

    /// Puts rules in force, or says why they are not.
    pub(crate) async fn apply(&self, text: &str) -> Answer {
        let revision = sha256_hex(text.as_bytes());
        let body = text.as_bytes().to_vec().into();
        self.ground.store.create(&layout::rules(&revision), body).await.unwrap();
        let replaces = self.state().await.rules;
        self.command(Command::Apply { revision, replaces, start: false }).await
    }

    /// Gives a command, and returns the answer.
    pub(crate) async fn command(&self, command: Command) -> Answer {
        let before = self.state().await;
        let event = command_event(command, "it", &env::nonce());
        let id = event.id();
        self.intake.append(vec![event]).await.unwrap();
        let answered = answer(&self.ledger, &SystemClock, before.seq, id, ANSWER_WITHIN);
        let (answered, _) = futures::join!(answered, self.pass());
        answered.unwrap().expect("a pass was made")
    }

    /// Sends a delivery to `object`.
    pub(crate) async fn deliver(&self, body: &Value) -> Reply {
        self.send(JSON, body.to_string().as_bytes()).await
    }

    /// Sends anything to `object`.
    pub(crate) async fn send(&self, headers: &str, body: &[u8]) -> Reply {
        call(&self.object.place, "POST /", headers, body).await.unwrap()
    }

    /// Asks `tick` for a pass, and waits until it has made it.
    pub(crate) async fn pass(&self) -> u16 {
        let tick = self.tick.as_ref().expect("tick runs");
        call(&tick.place, "POST /", "", b"").await.unwrap().status
    }

    /// What the ledger says now.
    pub(crate) async fn state(&self) -> State {
        self.ledger.load().await.unwrap().expect("the ledger was founded").state
    }

    /// Has passes made until the state is as wanted.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&State) -> bool) -> State {
        let began = SystemClock.elapsed();
        while SystemClock.elapsed() < began + PATIENCE {
            let state = self.state().await;
            if is_so(&state) {
                return state;
            }
            self.pass().await;
        }
        panic!("never: {what}\n{}", self.account().await);
    }

    /// Has passes made until everything accepted is consumed and every run is over, and proves the ledger whole.
    pub(crate) async fn settle(&self) -> Report {
        let began = SystemClock.elapsed();
        while SystemClock.elapsed() < began + PATIENCE {
            let state = self.until("every run is over", is_settled).await;
            let report = self.audit().await;
            if report.pending == 0 && is_settled(&self.state().await) {
                let whole = fsck(&self.ledger, &read_rules(), &|_| {}).await.unwrap();
                assert!(whole.is_clean(), "{:#?}", whole.findings);
                return report;
            }
            assert!(report.pending > 0 || state.seq < self.state().await.seq);
            self.pass().await;
        }
        panic!("never: everything is consumed\n{}", self.account().await);
    }

    pub(crate) async fn audit(&self) -> Report {
        let report = audit(&self.ledger, &read_rules(), &|_| {}).await.unwrap();
        assert!(report.is_clean(), "{:#?}", report.findings);
        report
    }

    /// The runs the service really has, of which none may be the shadow of another.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let runs = self.kfp.runs();
        assert!(runs.iter().all(|run| !run.shadow), "{runs:#?}");
        runs
    }

    /// The members in the manifest a run was given.
    pub(crate) async fn members(&self, run: &Run) -> Vec<Member> {
        let uri = run.parameters["manifest"].as_str().unwrap();
        let at = uri.find("manifests/").unwrap();
        assert_eq!(&uri[..at], self.ground.root, "a manifest lies in the ledger");
        let body =
            self.ground.store.get(&uri[at..]).await.unwrap().expect("the manifest is stored");
        read_manifest(&body).unwrap()
    }

    /// What was decided of an event.
    pub(crate) async fn verdicts(&self, event: Hash128) -> Vec<Verdict> {
        let subject = Subject::Event(event);
        let state = self.state().await;
        let story = tell(&self.ledger, &state, &subject, Timestamp::EPOCH, &|_| {}).await.unwrap();
        story.fates.into_iter().flat_map(|fate| fate.verdicts).collect()
    }

    /// Ends `tick` as a power cut would.
    pub(crate) async fn kill_tick(&mut self) {
        let tick = self.tick.take().expect("tick runs");
        self.logged.extend(tick.kill().await);
    }

    /// Starts `tick` anew, at another address: nothing that `object` sends it arrives.
    pub(crate) async fn start_tick(&mut self) {
        self.tick = Some(tick(&self.ground, &self.metadata).await);
    }

    /// Every door and the reconciler in one process, on the same ledger.
    #[cfg(feature = "gcp")]
    pub(crate) async fn serve(&self) -> Process {
        let metadata = self.metadata.place();
        let variables = [
            ("PORT", "0"),
            ("REFIT_LEDGER", self.ground.location.as_str()),
            ("GCE_METADATA_HOST", metadata.as_str()),
            ("KFP_TOKEN", SECRET),
        ];
        let mut command = tokio::process::Command::new(program("refit"));
        command.arg("serve");
        let mut process = Process::spawn(command, &variables);
        process.place = process.listening().await;
        process
    }

    /// The door of drift reports, which wakes `tick`.
    pub(crate) async fn drift(&self, variables: &[(&str, &str)]) -> Process {
        self.waking("drift", variables).await
    }

    /// The door of webhooks and links, which wakes `tick`.
    pub(crate) async fn hook(&self, variables: &[(&str, &str)]) -> Process {
        self.waking("hook", variables).await
    }

    /// A function that wakes `tick`.
    async fn waking(&self, name: &str, variables: &[(&str, &str)]) -> Process {
        let tick = self.tick.as_ref().expect("tick runs");
        let wake = format!("http://{}/", tick.place);
        let wake = [("REFIT_WAKE", wake.as_str())];
        start(name, &self.ground, &self.metadata, &[&wake, variables].concat()).await
    }

    /// Everything every process has logged.
    pub(crate) fn lines(&self) -> Vec<String> {
        let tick = self.tick.iter().flat_map(Process::lines);
        self.logged.iter().cloned().chain(self.object.lines()).chain(tick).collect()
    }

    pub(crate) fn ledger_folder(&self) -> std::path::PathBuf {
        self.ground.path()
    }

    /// Whether the ledger has troubles of its own.
    pub(crate) fn is_faulty(&self) -> bool {
        self.ground.is_faulty
    }

    /// What a person wants to know when a test fails.
    async fn account(&self) -> String {
        let mut text = String::new();
        let state = self.state().await;
        for (name, standing) in &state.triggers {
            let _ = writeln!(text, "{name}: {:#?}\n{:#?}", standing.open, standing.trouble);
        }
        for run in state.runs.values().filter(|run| run.is_active()) {
            let _ = writeln!(text, "{run:#?}");
        }
        for line in self.lines().iter().rev().take(30).rev() {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// Whether nothing is under way: no batch is open, no run active.
pub(crate) fn is_settled(state: &State) -> bool {
    state.runs.values().all(|run| !run.is_active())
        && state.triggers.values().all(|standing| standing.open.is_empty())
}

async fn tick(ground: &Ground, metadata: &Metadata) -> Process {
    let variables =
        [("KFP_TOKEN", SECRET), ("LINKS", LINK_SECRET), ("RECEIVER", SECRET_URL), ("MAIL", SECRET)];
    start("tick", ground, metadata, &variables).await
}

/// `object`, which wakes `tick` over HTTP unless it is told another way.
async fn object(ground: &Ground, metadata: &Metadata, tick: &str) -> Process {
    let wake = format!("http://{tick}/");
    let is_told = ground.variables.iter().any(|(name, _)| *name == "REFIT_WAKE");
    let variables = [("REFIT_WAKE", wake.as_str())];
    start("object", ground, metadata, if is_told { &[] } else { &variables }).await
}

async fn start(
    name: &str,
    ground: &Ground,
    metadata: &Metadata,
    variables: &[(&str, &str)],
) -> Process {
    let metadata = metadata.place();
    let told = ground.variables.iter().map(|(name, value)| (*name, value.as_str()));
    let known = [
        ("PORT", "0"),
        ("REFIT_LEDGER", ground.location.as_str()),
        ("GCE_METADATA_HOST", metadata.as_str()),
        ("REFIT_LOG", "debug"),
        ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", SECRET),
        ("AWS_SESSION_TOKEN", SECRET),
    ];
    let all: Vec<(&str, &str)> =
        known.into_iter().chain(told).chain(variables.iter().copied()).collect();
    Process::start(name, &all).await
}

/// The notification of an upload to `acme-data`, as Pub/Sub pushes it.
pub(crate) fn upload(name: &str, generation: u64, delivery: &str) -> Value {
    let now = SystemClock.now().to_string();
    let resource = json!({
        "kind": "storage#object", "bucket": "acme-data", "name": name,
        "generation": generation.to_string(), "metageneration": "1", "size": "48213",
        "md5Hash": "rL0Y20zC+Fzt72VPzMSk2A==", "timeCreated": now,
    });
    json!({
        "message": {
            "attributes": {
                "notificationConfig": "projects/_/buckets/acme-data/notificationConfigs/1",
                "eventType": "OBJECT_FINALIZE", "payloadFormat": "JSON_API_V1",
                "bucketId": "acme-data", "objectId": name,
                "objectGeneration": generation.to_string(), "eventTime": now,
            },
            "data": base64(resource.to_string().as_bytes()),
            "messageId": delivery, "publishTime": now,
        },
        "subscription": "projects/acme/subscriptions/refit-object",
    })
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_STANDARD.encode(bytes)
}
