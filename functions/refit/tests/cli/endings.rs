//! How commands end that are not let go on, and `refit serve`.

use std::io::BufRead as _;
use std::path::Path;
use std::process::Stdio;

use refit_testkit::fake::client::{call, exchange};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{Running, command, ended, refit};
use crate::world::{found, timing};

fn founded() -> TempDir {
    let folder = TempDir::new().unwrap();
    tokio::runtime::Runtime::new().unwrap().block_on(found(folder.path(), &timing()));
    folder
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let folder = TempDir::new().unwrap();
    for line in ["schema", "schema --json", "--help", "completions bash", "env --bogus --json"] {
        let args: Vec<&str> = line.split(' ').collect();
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = command(folder.path(), &args);
        command.stdout(writer);
        let ended = ended(command);
        assert_eq!(ended.code, Some(if line.contains("bogus") { 2 } else { 0 }), "{line}");
        assert_eq!(ended.stderr, "", "{line}");
    }
}

#[test]
fn a_reader_may_stop_in_the_middle() {
    let folder = TempDir::new().unwrap();
    let mut child = command(folder.path(), &["schema"]).spawn().unwrap();
    let mut reader = std::io::BufReader::with_capacity(1, child.stdout.take().unwrap());
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    drop(reader);
    assert_eq!(line, "{\n");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), Vec::new()));
}

#[test]
fn where_no_reconciler_answers_a_command_is_recorded_all_the_same() {
    let folder = founded();
    refit(folder.path(), "pause churn --wait 50ms --ledger ledger")
        .ends(5)
        .complains("no reconciler answered in time");
    let unanswered = refit(folder.path(), "pause churn --wait 50ms --ledger ledger --json").ends(5);
    assert_eq!(unanswered.json()["error"]["kind"], "unavailable");
    let recorded = refit(folder.path(), "pause churn --no-wait --ledger ledger --json").ends(0);
    assert_eq!(recorded.json()["answer"], Value::Null);
    assert_eq!(recorded.stderr, "");
    let status = refit(folder.path(), "status --ledger ledger --json").ends(0).json();
    assert_eq!(status["pending"], 3);
    refit(folder.path(), "status --ledger ledger").ends(0).says("the founding of the ledger");
}

#[test]
fn ctrl_c_ends_a_command_that_waits() {
    let folder = founded();
    let mut waiting =
        Running::start(command(folder.path(), &["pause", "churn", "--ledger", "ledger", "--json"]));
    waiting.line(|line| line.contains("waiting for the reconciler"));
    waiting.signal(Signal::INT);
    let interrupted = waiting.ended().ends(130);
    assert_eq!(interrupted.json()["error"]["kind"], "interrupted");
}

/// Starts `refit serve` in a folder: the process, where it answers, and what it says of wakes.
fn serving(folder: &Path) -> (Running, String, String) {
    let mut serve =
        Running::start(command(folder, &["serve", "--port", "0", "--ledger", "ledger"]));
    let line = serve.line(|line| line.contains("\"listening\""));
    let listening: Value = serde_json::from_str(&line).unwrap();
    let line = serve.line(|line| line.contains("REFIT_WAKE"));
    let wake: Value = serde_json::from_str(&line).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (serve, text(&listening["address"]), text(&wake["wake"]))
}

#[test]
fn serve_says_how_it_is_woken_and_answers_commands_that_wake_nobody() {
    let folder = founded();
    let (_serve, place, wake) = serving(folder.path());
    assert_eq!(wake, format!("REFIT_WAKE=http://{place}/tick"));
    refit(folder.path(), "pause churn --ledger ledger --wait 60s")
        .ends(6)
        .complains("unknown trigger");
}

#[test]
fn a_pass_on_a_ledger_that_is_gone_is_no_success() {
    let folder = founded();
    let (_serve, place, _) = serving(folder.path());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = |line| runtime.block_on(call(&place, line, "", b"")).unwrap().status;
    assert_eq!(status("POST /tick"), 204);
    std::fs::rename(folder.path().join("ledger"), folder.path().join("elsewhere")).unwrap();
    // An event that could not be recorded leaves nothing behind that would be taken for a ledger.
    assert_eq!(["POST /tick", "POST /", "POST /tick"].map(status), [503, 503, 503]);
    std::fs::remove_dir_all(folder.path().join("ledger")).unwrap();
    std::fs::rename(folder.path().join("elsewhere"), folder.path().join("ledger")).unwrap();
    assert_eq!(status("POST /tick"), 204, "it is back");
}

#[test]
fn serve_answers_until_it_is_told_to_end() {
    let folder = founded();
    let mut serve =
        command(folder.path(), &["serve", "--port", "0", "--json", "--ledger", "ledger"]);
    serve.stdout(Stdio::piped());
    let mut serve = Running::start(serve);
    let listening: Value =
        serde_json::from_str(&serve.line(|line| line.contains("\"listening\""))).unwrap();
    let place = listening["address"].as_str().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let status = |line| runtime.block_on(call(place, line, "", b"")).unwrap().status;
    for (line, expected) in [
        ("GET /healthz", 200),
        ("GET /readyz", 200),
        ("POST /tick", 204),
        ("POST /", 204),
        ("GET /object", 405),
        ("POST /nothing", 404),
    ] {
        assert_eq!(status(line), expected, "{line}");
    }
    let rebound = "POST /tick HTTP/1.1\r\nhost: refit.example\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let turned_away = runtime.block_on(exchange(place, rebound.as_bytes())).unwrap();
    assert!(turned_away.starts_with(b"HTTP/1.1 403 "));
    let taken =
        refit(folder.path(), &format!("serve --port {}", place.rsplit(':').next().unwrap()));
    taken.ends(5);
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended().ends(0).json(), json!({ "ended": true }));
    refit(folder.path(), "status --ledger ledger").ends(0);
}

#[test]
fn a_ledger_in_memory_is_warned_of_at_the_start() {
    let folder = TempDir::new().unwrap();
    for (ledger, is_warned_of) in [("memory:", true), ("ledger", false)] {
        let mut serve = command(folder.path(), &["serve", "--port", "0", "--ledger", ledger]);
        serve.stdout(Stdio::null());
        let mut serve = Running::start(serve);
        let first = serve.line(|line| line.contains("\"listening\"") || line.contains("in memory"));
        assert_eq!(first.contains("in memory"), is_warned_of, "{first}");
    }
}
