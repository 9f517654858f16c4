//! What is logged, and what never is.

use std::path::Path;

use hmac::{Hmac, KeyInit as _, Mac as _};
use refit_core::run::Phase;
use refit_core::state::State;
use refit_testkit::fake::kfp::{Ask, Kfp, Options, Trouble};
use refit_testkit::fake::metadata::Metadata;
use serde_json::{Value, json};
use sha2::Sha256;

use crate::patience::call;
use crate::world::{Api, JSON, SECRET, World, upload};

const GENERATION: u64 = 1_767_614_397_000_000;
const RULE: &str = "batch: { quiet: 1s, max_wait: 1m }";
/// Who is told of every run: somebody at an address that is a secret, and by a login with one.
const RECEIVERS: &str = "notify:
  bus: { webhook: { secret_url: { env: RECEIVER }, host: \"localhost:1\" } }
  post:
    email:
      smtp: localhost
      port: 1
      user: refit
      password: { env: MAIL }
      from: refit@acme.example
      to: [ml@acme.example]
";
/// Where Cloud Logging looks for the trace of a line; where no project is known, it is the id alone.
const FIELD: &str = "logging.googleapis.com/trace";
const SEVERITIES: [&str; 4] = ["DEBUG", "INFO", "WARNING", "ERROR"];

/// Every line is one JSON object that says how severe it is and what happened.
fn check_lines(lines: &[String]) {
    for line in lines {
        let parsed: Value =
            serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
        let severity = parsed["severity"].as_str().unwrap_or_default();
        assert!(SEVERITIES.contains(&severity), "{line}");
        assert!(parsed["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
        assert!(
            matches!(parsed["service"].as_str(), Some("drift" | "hook" | "object" | "tick")),
            "{line}"
        );
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: std::path::PathBuf| match path.is_dir() {
        true => files(&path),
        false => vec![std::fs::read(&path).unwrap()],
    };
    entries.flat_map(read).collect()
}

fn is_secret(text: &str) -> bool {
    text.contains("canary")
}

/// What GitHub signs a body with.
fn signature(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Sends webhooks that the secret signs, and another does.
async fn play_webhooks(world: &mut World) {
    let hook = world.hook(&[("REFIT_HOOK_GITHUB", SECRET)]).await;
    let body = json!({
        "ref": "refs/heads/main", "after": "5f1c", "repository": { "full_name": "acme/churn" },
    });
    let body = body.to_string();
    for (secret, status) in [(SECRET, 204), ("canary-of-another", 401)] {
        let headers = format!(
            "x-github-event: push\r\nx-github-delivery: 1\r\ncontent-type: application/json\r\n\
             x-hub-signature-256: sha256={}\r\n",
            signature(secret, body.as_bytes())
        );
        let reply = call(&hook.place, "POST /", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, status);
        assert!(!is_secret(&format!("{reply:?}")), "{reply:?}");
    }
    world.logged.extend(hook.kill().await);
}

/// Has passes made until each receiver was sought in vain.
async fn play_receivers(world: &World) {
    let trouble = |state: &State, name: &str| state.outboxes.get(name)?.trouble.clone();
    for name in ["bus", "post"] {
        let is_sought = |state: &State| trouble(state, name).is_some();
        let state = world.until("a letter was sent", is_sought).await;
        let message = trouble(&state, name).unwrap().message;
        assert!(message.contains("connect"), "it was sent to where the rules say: {message}");
    }
}

async fn play(service: &str, metadata: Metadata, options: Options) {
    let mut world = World::with_metadata(Kfp::start(options), metadata).await;
    let rule = format!("{RULE}\n\x20   notify: [bus, post]");
    let rules = format!("{RECEIVERS}{}", world.rules(Api::V2beta1, service, &rule));
    let answer = world.apply(&rules).await;
    assert!(answer.ok && !is_secret(&answer.message), "{}", answer.message);
    world.kfp.trouble(Ask::Catalog, Trouble::Unavailable);
    world.kfp.trouble(Ask::Start, Trouble::AnswerLost);
    world.kfp.trouble(Ask::Run, Trouble::FailedAfter);
    let headers = "authorization: Bearer canary-of-the-caller\r\ncookie: canary=1\r\n";
    for body in [upload("churn/a", GENERATION, "m\r\n1").to_string(), "{".to_owned()] {
        let reply = world.send(headers, body.as_bytes()).await;
        assert_eq!(reply.status, 204);
        assert!(!is_secret(&format!("{reply:?}")), "{reply:?}");
    }
    play_webhooks(&mut world).await;
    world.settle().await;
    play_receivers(&world).await;
    assert_eq!(world.runs().len(), 1);
    let state = format!("{:?}", world.state().await);
    assert!(!is_secret(&state));
    for file in files(&world.ledger_folder()) {
        assert!(!is_secret(&String::from_utf8_lossy(&file)));
    }
    world.kill_tick().await;
    let lines = world.lines();
    assert!(lines.len() > 10, "{lines:#?}");
    check_lines(&lines);
    assert!(!lines.iter().any(|line| is_secret(line)), "{lines:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_json_and_hold_no_secret_of_the_environment() {
    let judge = std::sync::Arc::new(|token: &str| token == SECRET);
    let options = Options { judge: Some(judge), ..Options::default() };
    play(", auth: { bearer: { env: KFP_TOKEN } }", Metadata::start(), options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_json_and_hold_no_token_of_the_service_account() {
    let metadata = Metadata::start();
    let options = Options { judge: Some(metadata.judge()), ..Options::default() };
    play(", auth: { id_token: { audience: \"http://127.0.0.1\" } }", metadata, options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_of_an_object_is_in_its_line_and_makes_none_of_its_own() {
    let world = World::new(Kfp::start(Options::default())).await;
    let drift = world.drift(&[("REFIT_REPORTS", "gs://acme-data/reports")]).await;
    let name = "reports/../a\n{\"severity\":\"EMERGENCY\"}\u{1b}[2J\u{9b}2J\u{7f}";
    let body = upload(name, GENERATION, "m").to_string();
    assert_eq!(call(&drift.place, "POST /", JSON, body.as_bytes()).await.unwrap().status, 204);
    let lines = drift.kill().await;
    check_lines(&lines);
    assert!(!lines.iter().any(|line| line.contains(char::is_control)), "{lines:#?}");
    let told = saying(&lines, "an object is not read as a report");
    let [line] = told[..] else { panic!("not one line: {lines:#?}") };
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["object"], format!("gs://acme-data/{name}"));
}

/// The lines of processes, as they were read from JSON, that say this.
fn saying<'a>(lines: &'a [String], message: &str) -> Vec<&'a String> {
    lines.iter().filter(|line| line.contains(&format!("\"message\":\"{message}\""))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_for_a_request_is_logged_under_its_trace_through_to_the_pass() {
    let mut world = World::ruled(Options::default(), Api::V2beta1, RULE).await;
    let traces = ["0af7651916cd43dd8448eb211c80319c", "4bf92f3577b34da6a3ce929d0e0e4736"];
    let headers = [
        format!("{JSON}traceparent: 00-{}-b7ad6b7169203331-01\r\n", traces[0]),
        format!("{JSON}x-cloud-trace-context: {}/17;o=1\r\n", traces[1]),
    ];
    for (at, (trace, headers)) in traces.iter().zip(&headers).enumerate() {
        let name = format!("churn/{at}");
        let body = upload(&name, GENERATION, &name).to_string();
        assert_eq!(world.send(headers, body.as_bytes()).await.status, 204);
        world.tick.as_mut().unwrap().until_logged(trace, 1).await;
    }
    // One that begins later has ended once those have.
    assert_eq!(world.pass().await, 204);
    // What is refused before it is read, and what is not understood.
    let poison = format!("{}{}", headers[0], "x-github-event: push\r\n");
    assert_eq!(world.send(&poison, b"{}").await.status, 401);
    assert_eq!(world.send(&headers[1], b"{").await.status, 204);
    world.kill_tick().await;
    let lines = world.lines();
    for (message, under) in [
        ("events recorded", vec![traces[0], traces[1]]),
        ("a caller was not verified", vec![traces[0]]),
        ("a delivery was not understood; it is in quarantine", vec![traces[1]]),
    ] {
        let found: Vec<Value> = saying(&lines, message)
            .into_iter()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()[FIELD].clone())
            .collect();
        assert_eq!(found, under, "{message}: {lines:#?}");
    }
    let passes = saying(&lines, "a pass has ended");
    for trace in traces {
        assert!(passes.iter().any(|line| line.contains(trace)), "{trace}: {passes:#?}");
    }
}

/// The last line that says how things stand.
fn last_pass(lines: &[String]) -> Value {
    let mut lines = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.rfind(|line| line["message"] == "a pass has ended").expect("passes are told of")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pass_says_of_how_many_runs_nobody_knows_whether_they_started() {
    let rule = format!("{RULE}\n\x20   on_unknown: ask");
    let mut world = World::ruled(Options::default(), Api::V2beta1, &rule).await;
    world.kfp.trouble(Ask::Start, Trouble::Closed);
    assert_eq!(world.deliver(&upload("churn/a", GENERATION, "m")).await.status, 204);
    let asks = |run: &refit_core::run::Run| run.attempt().phase == Phase::Uncertain;
    world.until("a person is asked", |state| state.runs.values().any(asks)).await;
    assert_eq!(world.pass().await, 204);
    world.kill_tick().await;
    let line = last_pass(&world.lines());
    assert_eq!((&line["uncertain"], &line["behind_s"]), (&Value::from(1), &Value::from(0)));
}
