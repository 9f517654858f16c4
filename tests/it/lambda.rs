//! The functions on AWS Lambda: behind its runtime interface, which the test plays by its documentation.

use std::fs;
use std::path::PathBuf;

use refit_core::event::{Event, Fact};
use refit_engine::layout::INBOX;
use refit_engine::record::read_segment;
use refit_testkit::fake::lambda::{Lambda, Outcome};
use refit_testkit::shared::shared_data;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::patience::soon;
use crate::process::{Process, program};

/// A function on Lambda.
pub(crate) struct Function {
    pub(crate) lambda: Lambda,
    pub(crate) process: Process,
}

impl Function {
    /// A function that knows these variables, and those that Lambda sets.
    pub(crate) fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let lambda = Lambda::start();
        let own = lambda.variables();
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let variables: Vec<(&str, &str)> = own.chain(variables.iter().copied()).collect();
        let process = Process::spawn(Command::new(program(name)), &variables);
        Self { lambda, process }
    }

    /// Invokes it and waits for what comes of it.
    pub(crate) async fn invoke(&self, payload: &Value) -> Outcome {
        soon("the invocation ends", self.lambda.invoke(payload)).await
    }
}

/// A function on Lambda, with a ledger in a directory.
struct Lone {
    function: Function,
    folder: TempDir,
}

impl Lone {
    fn start(name: &str, more: &[(&str, &str)]) -> Self {
        let folder = TempDir::with_prefix("refit-lambda").unwrap();
        let ledger = folder.path().join("ledger").display().to_string();
        let variables = [&[("REFIT_LEDGER", ledger.as_str())], more].concat();
        Self { function: Function::start(name, &variables), folder }
    }

    async fn invoke(&self, payload: &Value) -> Outcome {
        self.function.invoke(payload).await
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Every event in the inbox.
    fn stored(&self) -> Vec<Event> {
        let Ok(segments) = fs::read_dir(self.ledger().join(INBOX)) else { return Vec::new() };
        let read = |path: PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            read_segment(&name, &fs::read(path).unwrap()).unwrap()
        };
        segments.flat_map(|segment| read(segment.unwrap().path())).collect()
    }
}

/// A sample of an invocation; none where the samples are not at hand, which is said.
pub(crate) fn sample(test: &str, name: &str) -> Option<Value> {
    let folder = shared_data(test, "events-samples")?;
    let path = folder.join(format!("aws/{name}.lambda.json"));
    Some(serde_json::from_slice(&fs::read(path).unwrap()).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_to_s3_is_recorded_once_by_whatever_invocation() {
    let test = "an_upload_to_s3_is_recorded_once_by_whatever_invocation";
    let names = ["s3-notification-versioned", "sqs-sns-s3-nested"];
    let [Some(direct), Some(nested)] = names.map(|name| sample(test, name)) else { return };
    let function = Lone::start("object", &[]);
    assert_eq!(function.invoke(&direct).await, Ok(Value::Null));
    assert_eq!(function.invoke(&nested).await, Ok(json!({"batchItemFailures": []})));
    let stored = function.stored();
    assert_eq!(stored.len(), 2);
    assert_eq!(stored[0].identity, stored[1].identity);
    assert!(matches!(&stored[0].fact, Fact::Object(_)), "{stored:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn poison_in_a_batch_is_in_quarantine_and_leaves_the_queue() {
    let test = "poison_in_a_batch_is_in_quarantine_and_leaves_the_queue";
    let Some(batch) = sample(test, "sqs-batch-s3-test-and-poison") else { return };
    let function = Lone::start("object", &[]);
    assert_eq!(function.invoke(&batch).await, Ok(json!({"batchItemFailures": []})));
    let stored = function.stored();
    let poison = stored.iter().filter(|event| matches!(event.fact, Fact::Invalid(_))).count();
    assert_eq!((stored.len(), poison), (2, 1), "the test of the notification is not stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_in_quarantine_and_does_not_come_again() {
    let function = Lone::start("object", &[]);
    let event = json!({
        "version": "0", "id": "1", "detail-type": "Loaded", "source": "acme.loads",
        "time": "2026-01-05T12:00:00Z", "resources": [],
        "detail": {"rows": vec!["0123456789".repeat(1000); 150]},
    });
    let record = json!({"eventSource": "aws:sqs", "messageId": "1", "body": event.to_string()});
    let batch = json!({ "Records": [record] });
    assert_eq!(function.invoke(&event).await, Ok(Value::Null));
    assert_eq!(function.invoke(&batch).await, Ok(json!({"batchItemFailures": []})));
    let stored = function.stored();
    assert_eq!(stored.len(), 2);
    for event in stored {
        let Fact::Invalid(invalid) = event.fact else { panic!("{:?}", event.origin) };
        assert!(invalid.reason.contains("too large"), "{}", invalid.reason);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_ledger_does_not_take_stays_in_the_queue_and_is_invoked_again() {
    let test = "what_the_ledger_does_not_take_stays_in_the_queue_and_is_invoked_again";
    let names = ["sqs-batch-s3-test-and-poison", "s3-notification-put"];
    let [Some(batch), Some(direct)] = names.map(|name| sample(test, name)) else { return };
    let function = Lone::start("object", &[]);
    assert_eq!(function.invoke(&direct).await, Ok(Value::Null));
    fs::remove_dir_all(function.ledger()).unwrap();
    fs::write(function.ledger(), "in the way").unwrap();
    let left = function.invoke(&batch).await.unwrap();
    let expected = json!([{"itemIdentifier": "MessageID_1"}, {"itemIdentifier": "MessageID_3"}]);
    assert_eq!(left["batchItemFailures"], expected, "what means nothing is done");
    let error = function.invoke(&direct).await.unwrap_err();
    assert_eq!(error["errorType"], "LedgerUnavailable", "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reconciler_makes_a_pass_for_every_invocation() {
    let function = Lone::start("tick", &[]);
    let ping = json!({
        "version": "0", "id": "1", "detail-type": "Scheduled Event", "source": "aws.events",
        "time": "2026-01-05T12:00:00Z", "resources": ["arn:x"], "detail": {},
    });
    for payload in [json!({"refit": "wake"}), ping, json!({})] {
        assert_eq!(function.invoke(&payload).await, Ok(Value::Null), "{payload}");
    }
    assert!(function.ledger().join("log").is_dir(), "{:#?}", function.function.process.lines());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_to_the_url_of_a_function_is_answered_like_any_other() {
    let function = Lone::start("hook", &[("REFIT_HOOK_GITHUB", "It's")]);
    let request = |path: &str, headers: Value| {
        json!({
            "version": "2.0", "rawPath": path, "rawQueryString": "", "headers": headers,
            "requestContext": {"http": {"method": "POST"}}, "body": "{}", "isBase64Encoded": false,
        })
    };
    let unsigned = request("/hook", json!({"x-github-event": "push"}));
    let answer = function.invoke(&unsigned).await.unwrap();
    assert_eq!(answer["statusCode"], 401, "{answer}");
    let missing = function.invoke(&request("/none", json!({}))).await.unwrap();
    assert_eq!(missing["statusCode"], 404);
    assert!(function.stored().is_empty());
}
