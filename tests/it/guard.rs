//! The guard of `examples/guard`: of all runs that make the same claim, one goes on.
//!
//! The servers of others are independent of us; the one that loses answers is a fake of ours.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use refit_testkit::counterpart::Kind;
use refit_testkit::fake::server::{Answer, Reacting, Reaction, Request, Server, Site};
use refit_testkit::skip::skipped;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::sync::Notify;

use crate::patience::{call, soon};

/// Where programs are looked for; an interpreter may lie anywhere.
#[expect(clippy::disallowed_methods, reason = "tests look for what is installed")]
fn paths() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_default()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/guard")
}

/// Whether there is a Python; if not, that is said.
async fn has_python(test: &str) -> bool {
    let version = Command::new("python3").arg("--version").output().await;
    let is_there = version.is_ok_and(|output| output.status.success());
    if !is_there {
        skipped(test, "there is no python3");
    }
    is_there
}

/// Which store a claim is made in, and where it listens.
#[derive(Clone, Debug)]
struct Store {
    scheme: &'static str,
    place: String,
}

impl Store {
    fn gs(place: &str) -> Self {
        Self { scheme: "gs", place: place.to_owned() }
    }

    fn s3(place: &str) -> Self {
        Self { scheme: "s3", place: place.to_owned() }
    }

    /// The guard, as the first step of a run.
    fn guard(&self, run: &str) -> Command {
        let mut command = Command::new("python3");
        command.env_clear().env("PATH", paths()).stdin(Stdio::null()).kill_on_drop(true);
        command.arg(folder().join("guard.py"));
        command.args(["--claim", &format!("{}://guards/churn/a claim-0", self.scheme)]);
        command.args(["--run", run, "--key", "rf-1"]);
        let url = format!("http://{}", self.place);
        match self.scheme {
            "gs" => command.env("STORAGE_EMULATOR_HOST", url),
            _ => command
                .env("AWS_ENDPOINT_URL_S3", url)
                .env("AWS_ACCESS_KEY_ID", "id")
                .env("AWS_SECRET_ACCESS_KEY", "canary-secret-4711"),
        };
        command
    }

    async fn decides(&self, run: &str) -> String {
        said(self.guard(run).output().await.unwrap())
    }
}

/// What a guard that ended well has said.
fn said(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Why a guard has failed; it has said nothing else.
fn refused(output: Output) -> String {
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(!error.contains("canary") && !error.contains("Traceback"), "{error}");
    error
}

/// How a claim is answered by a store in trouble.
#[derive(Clone, Copy, Debug)]
enum Trouble {
    /// It is made, and the connection is closed.
    AnswerLost,
    /// It is made, and never answered.
    Hangs,
    /// It is not made, with this status.
    Refused(u16),
}

/// A store in trouble, of ours: both APIs over the same objects.
#[derive(Default)]
struct Troubled {
    objects: Mutex<BTreeMap<String, Bytes>>,
    troubles: Mutex<VecDeque<Trouble>>,
    /// Told when a claim was made that is never answered.
    hangs: Notify,
}

impl Troubled {
    fn open() -> (Arc<Self>, Server) {
        let (site, server) = (Arc::new(Self::default()), Server::new());
        server.open(Arc::<Self>::clone(&site));
        (site, server)
    }

    fn expect(&self, troubles: &[Trouble]) {
        self.troubles.lock().unwrap().extend(troubles);
    }

    /// Makes an object, unless it is there.
    fn create(&self, name: &str, request: &Request) -> Reaction {
        let trouble = self.troubles.lock().unwrap().pop_front();
        if let Some(Trouble::Refused(status)) = trouble {
            return Reaction::Answer(Answer::json(status, &json!({})));
        }
        let mut objects = self.objects.lock().unwrap();
        if objects.contains_key(name) {
            return Reaction::Answer(Answer::json(412, &json!({})));
        }
        objects.insert(name.to_owned(), request.body.clone());
        match trouble {
            Some(_) => Reaction::Close,
            None => Reaction::Answer(Answer::json(200, &json!({}))),
        }
    }

    fn read(&self, name: &str) -> Reaction {
        let objects = self.objects.lock().unwrap();
        let found = objects.get(name).map(|body| String::from_utf8_lossy(body).into_owned());
        let answer = match found {
            Some(text) => Answer::text(200, "application/json", &text),
            None => Answer::json(404, &json!({})),
        };
        Reaction::Answer(answer)
    }

    fn claims(&self) -> Vec<(String, Value)> {
        let objects = self.objects.lock().unwrap();
        let read = |body: &Bytes| serde_json::from_slice(body).unwrap();
        objects.iter().map(|(name, body)| (name.clone(), read(body))).collect()
    }
}

impl Site for Troubled {
    fn react(self: Arc<Self>, request: Request) -> Reacting {
        Box::pin(async move {
            let path: Vec<&str> = request.path.iter().map(String::as_str).collect();
            let hangs = matches!(self.troubles.lock().unwrap().front(), Some(Trouble::Hangs));
            let reaction = match (request.method.as_str(), path.as_slice()) {
                ("POST", ["upload", "storage", "v1", "b", "guards", "o"]) => {
                    assert_eq!(request.query("ifGenerationMatch"), Some("0"));
                    self.create(request.query("name").unwrap(), &request)
                }
                ("GET", ["storage", "v1", "b", "guards", "o", name]) => self.read(name),
                ("PUT", ["guards", name @ ..]) => {
                    assert_eq!(request.header("if-none-match"), "*");
                    assert!(request.header("authorization").starts_with("AWS4-HMAC-SHA256 "));
                    self.create(&name.join("/"), &request)
                }
                ("GET", ["guards", name @ ..]) => self.read(&name.join("/")),
                other => panic!("{other:?}"),
            };
            if hangs {
                self.hangs.notify_one();
                return std::future::pending().await;
            }
            reaction
        })
    }
}

/// Everything that holds of every store: the first run goes on however often it asks, every other stands down.
async fn guards(store: &Store) {
    let racers = (0..8).map(|number| {
        let store = store.clone();
        async move { (number, store.decides(&format!("run-{number}")).await) }
    });
    let decisions = soon("all have asked", futures::future::join_all(racers)).await;
    let went: Vec<_> = decisions.iter().filter(|(_, decision)| decision == "go").collect();
    assert_eq!(went.len(), 1, "{decisions:?}");
    let stood = decisions.iter().filter(|(_, decision)| decision == "stand_down").count();
    assert_eq!(stood, 7, "{decisions:?}");
    let (winner, other) = (went[0].0, (went[0].0 + 1) % 8);
    assert_eq!(store.decides(&format!("run-{winner}")).await, "go", "its step is run again");
    assert_eq!(store.decides(&format!("run-{other}")).await, "stand_down");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_run_goes_on_and_a_claim_names_it() {
    let test = "guard::one_run_goes_on_and_a_claim_names_it";
    if !has_python(test).await {
        return;
    }
    for store in [Store::gs, Store::s3] {
        let (site, server) = Troubled::open();
        guards(&store(&server.place())).await;
        let claims = site.claims();
        assert_eq!((claims.len(), claims[0].0.as_str()), (1, "churn/a claim-0"));
        assert_eq!((&claims[0].1["v"], &claims[0].1["key"]), (&json!(1), &json!("rf-1")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_that_died_after_claiming_and_is_run_again_goes_on() {
    let test = "guard::a_step_that_died_after_claiming_and_is_run_again_goes_on";
    if !has_python(test).await {
        return;
    }
    for store in [Store::gs, Store::s3] {
        let (site, server) = Troubled::open();
        let store = store(&server.place());
        site.expect(&[Trouble::Hangs]);
        let mut first: Child = store.guard("run-1").stdout(Stdio::piped()).spawn().unwrap();
        soon("the claim is made", site.hangs.notified()).await;
        first.kill().await.unwrap();
        let said = first.wait_with_output().await.unwrap().stdout;
        assert_eq!(said, b"", "it died before it knew");
        assert_eq!(store.decides("run-2").await, "stand_down", "the claim stands");
        assert_eq!(store.decides("run-1").await, "go");
        assert_eq!(site.claims().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unclear_is_asked_again_until_it_is_clear() {
    let test = "guard::what_is_unclear_is_asked_again_until_it_is_clear";
    if !has_python(test).await {
        return;
    }
    for store in [Store::gs, Store::s3] {
        let (site, server) = Troubled::open();
        let store = store(&server.place());
        site.expect(&[Trouble::Refused(503), Trouble::AnswerLost]);
        assert_eq!(store.decides("run-1").await, "go", "the claim it made unheard is its own");
        site.expect(&[Trouble::Refused(429)]);
        assert_eq!(store.decides("run-2").await, "stand_down");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_unclear_or_is_refused_lets_nobody_go_on() {
    let test = "guard::what_stays_unclear_or_is_refused_lets_nobody_go_on";
    if !has_python(test).await {
        return;
    }
    for store in [Store::gs, Store::s3] {
        let (site, server) = Troubled::open();
        let store = store(&server.place());
        let ends = async |tries: &str| store.guard("run-1").args(["--tries", tries]).output().await;
        site.expect(&[Trouble::Refused(503), Trouble::Refused(409)]);
        assert!(refused(ends("2").await.unwrap()).contains("it stays unclear who has the claim"));
        site.expect(&[Trouble::Refused(403)]);
        assert!(refused(ends("2").await.unwrap()).contains("refused the claim: status=`403`"));
        site.objects.lock().unwrap().insert("churn/a claim-0".to_owned(), "[]".into());
        assert!(refused(ends("2").await.unwrap()).contains("what lies there is no claim"));
    }
    let nowhere = Store::gs(&Server::new().place());
    let ended = nowhere.guard("run-1").args(["--tries", "1"]).output().await.unwrap();
    assert!(refused(ended).contains("it stays unclear"));
    let ended = nowhere.guard("run-1").args(["--claim", "gs://guards"]).output().await.unwrap();
    assert!(refused(ended).contains("not gs://BUCKET/NAME"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_decision_is_left_where_the_next_step_looks() {
    let test = "guard::the_decision_is_left_where_the_next_step_looks";
    if !has_python(test).await {
        return;
    }
    let (_site, server) = Troubled::open();
    let (store, made) = (Store::gs(&server.place()), TempDir::new().unwrap());
    let file = made.path().join("outputs/decision");
    for (run, decision) in [("run-1", "go"), ("run-2", "stand_down")] {
        let mut guard = store.guard(run);
        said(guard.arg("--decision").arg(&file).output().await.unwrap());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), decision);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_holds_on_cloud_storage() {
    let test = "guard::the_guard_holds_on_cloud_storage";
    if !has_python(test).await {
        return;
    }
    let Some(server) = Kind::CloudStorage.start(test) else { return };
    let body = json!({"name": "guards"}).to_string();
    let line = "POST /storage/v1/b?project=refit";
    let json = "content-type: application/json\r\n";
    assert_eq!(call(server.place(), line, json, body.as_bytes()).await.unwrap().status, 200);
    guards(&Store::gs(server.place())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_holds_on_s3() {
    let test = "guard::the_guard_holds_on_s3";
    if !has_python(test).await {
        return;
    }
    let Some(server) = Kind::S3.start(test) else { return };
    assert_eq!(call(server.place(), "PUT /guards", "", b"").await.unwrap().status, 200);
    guards(&Store::s3(server.place())).await;
}

/// The signature that the documentation of S3 gives for its example of a `PUT`.
#[tokio::test]
async fn a_request_to_s3_is_signed_as_its_documentation_signs() {
    let test = "guard::a_request_to_s3_is_signed_as_its_documentation_signs";
    if !has_python(test).await {
        return;
    }
    let script = r#"
import datetime, sys
sys.path.insert(0, sys.argv[1])
import guard
headers = {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"}
by = ("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", datetime.datetime(2013, 5, 24))
url = "https://examplebucket.s3.amazonaws.com/test%24file.text"
print(guard.signed("PUT", url, headers, b"Welcome to Amazon S3.", by)["authorization"])
"#;
    let mut command = Command::new("python3");
    let signed = command.args(["-B", "-c", script]).arg(folder()).output().await.unwrap();
    let signature = "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd";
    assert!(said(signed).ends_with(&format!("Signature={signature}")));
}

#[test]
fn the_component_holds_the_program_line_by_line() {
    let read = |name: &str| std::fs::read_to_string(folder().join(name)).unwrap();
    let indented = |line: &str| {
        if line.is_empty() { "\n".to_owned() } else { format!("        {line}\n") }
    };
    let program: String = read("guard.py").lines().map(indented).collect();
    assert!(read("component.yaml").contains(&program));
}
