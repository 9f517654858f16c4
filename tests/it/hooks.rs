//! Signed webhooks, through the door that verifies them and through one that does not, up to the run they start.

use std::fs;

use hmac::{Hmac, KeyInit as _, Mac as _};
use refit_engine::layout::INBOX;
use refit_testkit::fake::kfp::{Kfp, Options};
use refit_testkit::shared::shared_data;
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::TempDir;

use crate::patience::call;
use crate::process::Process;
use crate::world::{Api, World};

/// The secret that the samples are signed with, and the one before it.
pub(crate) const SECRETS: &str = "an-older-one refit-test-secret";

struct Door {
    process: Process,
    folder: TempDir,
}

impl Door {
    async fn open(name: &str) -> Self {
        let folder = TempDir::with_prefix("refit-hook").unwrap();
        let ledger = folder.path().join("ledger").display().to_string();
        let variables = [
            ("PORT", "0"),
            ("REFIT_LEDGER", ledger.as_str()),
            ("REFIT_HOOK_GITHUB", SECRETS),
            ("REFIT_HOOK_MLFLOW", SECRETS),
        ];
        Self { process: Process::start(name, &variables).await, folder }
    }

    async fn status(&self, headers: &str, body: &[u8]) -> u16 {
        call(&self.process.place, "POST /", headers, body).await.unwrap().status
    }

    fn segments(&self) -> usize {
        let inbox = fs::read_dir(self.folder.path().join("ledger").join(INBOX));
        inbox.map_or(0, Iterator::count)
    }
}

/// A sample: its headers as lines, and its body.
fn sample(test: &str, name: &str) -> Option<(String, Vec<u8>)> {
    let folder = shared_data(test, "events-samples")?;
    let read = |end: &str| fs::read(folder.join(format!("{name}.{end}"))).unwrap();
    let headers: Value = serde_json::from_slice(&read("headers.json")).unwrap();
    let line =
        |(name, value): (&String, &Value)| format!("{name}: {}\r\n", value.as_str().unwrap());
    Some((headers.as_object().unwrap().iter().map(line).collect(), read("body.json")))
}

/// The headers of a delivery of GitHub, signed.
pub(crate) fn signed(event: &str, delivery: &str, kind: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"refit-test-secret").unwrap();
    mac.update(body.as_bytes());
    let signature = mac.finalize().into_bytes();
    let signature: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(
        "x-github-event: {event}\r\nx-github-delivery: {delivery}\r\nx-hub-signature-256: sha256={signature}\r\ncontent-type: {kind}\r\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_is_recorded_if_its_signature_holds_and_not_otherwise() {
    let test = "a_push_is_recorded_if_its_signature_holds_and_not_otherwise";
    let Some((headers, body)) = sample(test, "scm/github-push") else { return };
    let door = Door::open("hook").await;
    let forged = body.iter().map(|byte| if *byte == b'1' { b'2' } else { *byte });
    assert_eq!(door.status(&headers, &forged.collect::<Vec<u8>>()).await, 401);
    assert_eq!(door.status("x-github-event: push\r\n", &body).await, 401);
    assert_eq!(door.status("content-type: application/json\r\n", b"{}").await, 401);
    assert_eq!(door.segments(), 0, "nothing is stored of it");
    assert_eq!(door.status(&headers, &body).await, 204);
    assert_eq!(door.segments(), 1);
    let old = sample(test, "registry/mlflow-alias-created").unwrap();
    assert_eq!(door.status(&old.0, &old.1).await, 401, "it was signed years ago");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_is_signed_and_malformed_is_refused_with_the_reason() {
    let door = Door::open("hook").await;
    for (body, kind, status) in [
        ("{\"ref\": ", "application/json", 400),
        ("[]", "application/json", 400),
        ("payload=%7B%7D", "text/plain", 415),
    ] {
        let headers = signed("push", "1", kind, body);
        let reply = call(&door.process.place, "POST /", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, status, "{body}: {}", reply.body);
        assert!(reply.body.contains("a delivery was not understood: "), "{}", reply.body);
    }
    assert_eq!(door.segments(), 0, "its sender was told, so nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_is_not_let_in_where_nobody_verifies_it() {
    let door = Door::open("object").await;
    let headers =
        "x-github-event: push\r\nx-github-delivery: 1\r\ncontent-type: application/json\r\n";
    assert_eq!(door.status(headers, b"{}").await, 401);
    assert_eq!(door.segments(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_touches_versioned_data_is_one_run_however_often_it_is_delivered() {
    const ON: &str = "on: { objects: { bucket: acme-data, prefix: churn/ } }";
    const PUSHED: &str = "on: { webhook: { type: github.push, source: acme/churn, paths: ['**/*.dvc', '**/dvc.lock'] } }";
    let world = World::new(Kfp::start(Options { looks: Some(2), ..Options::default() })).await;
    let rules = world.rules(Api::V2beta1, "", "batch: { quiet: 1s, max_wait: 5m }");
    assert!(rules.contains(ON));
    assert!(world.apply(&rules.replace(ON, PUSHED)).await.ok);
    let hook = world.hook(&[("REFIT_HOOK_GITHUB", SECRETS)]).await;
    let push = |before: &str, after: &str, files: &[&str]| {
        let commit = json!({"added": [], "modified": files, "removed": []});
        let push = json!({
            "ref": "refs/heads/main", "before": before, "after": after, "commits": [commit],
            "repository": {"full_name": "acme/churn"},
        });
        push.to_string()
    };
    let words = push("a", "b", &["README.md", "src/train.py"]);
    let data = push("b", "c", &["data/train.csv.dvc", "dvc.lock"]);
    for (delivery, body) in [("1", &words), ("2", &data), ("3", &data)] {
        let headers = signed("push", delivery, "application/json", body);
        let reply = call(&hook.place, "POST /hook", &headers, body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 204, "{delivery}: {}", reply.body);
    }
    world.settle().await;
    let runs = world.runs();
    assert_eq!(runs.len(), 1, "{runs:#?}");
    let members = world.members(&runs[0]).await;
    let pushes = members.into_iter().map(|member| member.message.unwrap().data);
    let paths: Vec<Value> = pushes.map(|data| data["paths"].clone()).collect();
    assert_eq!(paths, [json!(["data/train.csv.dvc", "dvc.lock"])]);
}
