//! Commands that need no reconciler, and what every command does where there is no ledger.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::process::{command, ended, refit};

/// A rule file with a mistake in line 3, and one that is probably not meant.
const WRONG: &str = "services: { local: { local: {} } }\ntriggers:\n  a: { on: { objects: { bukket: b } }, run: { service: local, pipeline: p } }\n";
const DOUBTFUL: &str = "services: { local: { local: {} }, spare: { local: {} } }\ntriggers:\n  a: { on: { objects: { bucket: b } }, run: { service: local, pipeline: p } }\n";

fn write(folder: &Path, text: &str) {
    std::fs::write(folder.join("refit.yaml"), text).unwrap();
}

#[test]
fn the_first_rule_file_is_right() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    refit(folder, "init").ends(2).complains("--bucket is missing");
    refit(folder, "init --bucket b").ends(2).complains("--service");
    for (line, why) in [
        ("--service local --endpoint http://x", "--endpoint says nothing of this service"),
        ("--service vertex --pipeline churn", "--pipeline says nothing of this service"),
        ("--service http --endpoint http://x --pipeline p", "change in the file: service=`http`"),
    ] {
        refit(folder, &format!("init --bucket b --yes {line}")).ends(2).complains(why);
    }
    refit(folder, "init --bucket NO! --yes").ends(3).complains("nothing was written");
    assert!(!folder.join("refit.yaml").exists());
    let line = "init --bucket gs://acme-data/churn/ --service local --pipeline churn";
    let written = refit(folder, line).ends(0);
    assert_eq!(written.stdout, "refit.yaml\n");
    assert!(written.stderr.contains("then `refit dev`"), "{written:?}");
    assert!(!written.stderr.contains("apply`"), "which applies by itself: {written:?}");
    refit(folder, line).ends(4).complains("--force");
    let line = "init --bucket acme --yes --force --quiet --json";
    let again = refit(folder, line).ends(0);
    assert_eq!((again.json()["file"].as_str(), again.stderr.as_str()), (Some("refit.yaml"), ""));
    let checked = refit(folder, "check --strict --json").ends(0).json();
    assert_eq!((&checked["errors"], &checked["warnings"]), (&0.into(), &0.into()));
    refit(folder, "check").ends(0).says("1 trigger");
    let line =
        "init --force --bucket acme --service kubeflow --pipeline p --endpoint http://kfp:8888";
    assert!(refit(folder, line).ends(0).stderr.contains("`refit apply` puts it in force"));
    refit(folder, "check --strict").ends(0).says("on `kubeflow`");
}

#[test]
fn a_mistake_in_a_pipeline_is_shown_likewise() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let line = "check train/pipeline.yaml";
    refit(folder, line).ends(6).complains("train/pipeline.yaml");
    std::fs::create_dir(folder.join("train")).unwrap();
    let write = |text: &str| std::fs::write(folder.join("train/pipeline.yaml"), text).unwrap();
    write("steps:\n  - name: a\n    comand: [sh]\n");
    let wrong = refit(folder, line).ends(3).says("--> train/pipeline.yaml:3:5").says("comand: [");
    assert!(wrong.stdout.contains("did you mean `command`?"), "{wrong:#?}");
    write("steps:\n  - name: a\n    command: [\"\"]\n");
    refit(folder, line).ends(3).says("no program is named").says("train/pipeline.yaml:3:14");
    write("steps:\n  - name: a\n    command: [sh]\n");
    assert_eq!(refit(folder, &format!("{line} --json")).ends(0).json()["errors"], 0);
}

#[test]
fn help_is_text_whatever_is_asked_of_results() {
    let folder = TempDir::new().unwrap();
    let told = refit(folder.path(), "help why --json").ends(0).says("Usage: refit why");
    assert_eq!(told.stdout, refit(folder.path(), "help why").ends(0).stdout);
}

#[test]
fn a_mistake_is_shown_where_it_is_with_its_cure() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    refit(folder, "check").ends(6).complains("`refit init` writes a first one");
    write(folder, WRONG);
    for line in ["check", "apply", "apply --yes --dry-run"] {
        let wrong =
            refit(folder, line).ends(3).says("--> refit.yaml:3:25").says("bukket").says("help:");
        assert!(wrong.stdout.contains("`bucket`"), "{wrong:#?}");
        assert!(!wrong.stdout.contains('\u{1b}'), "no terminal, no colours");
        let json = refit(folder, &format!("{line} --json")).ends(3).json();
        assert_eq!(
            (&json["errors"], &json["diagnostics"][0]["place"]["line"]),
            (&1.into(), &3.into())
        );
    }
    refit(folder, "services").ends(3);
    write(folder, DOUBTFUL);
    refit(folder, "check").ends(0).says("1 warning");
    assert_eq!(refit(folder, "check --strict --json").ends(7).json()["warnings"], 1);
}

#[test]
fn a_rule_file_that_is_wrong_still_says_where_the_ledger_lies() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), &format!("ledger: elsewhere\n{WRONG}"));
    refit(folder.path(), "status").ends(6).complains("location=`elsewhere`");
    write(folder.path(), "a: [");
    refit(folder.path(), "status").ends(3).complains("say --ledger");
    refit(folder.path(), "status --ledger here").ends(6).complains("location=`here`");
    let mut told = command(folder.path(), &["status"]);
    told.env("REFIT_LEDGER", "there");
    ended(told).ends(6).complains("location=`there`");
}

#[test]
fn where_there_is_no_ledger_every_command_says_so_and_makes_none() {
    let folder = TempDir::new().unwrap();
    for line in [
        "status",
        "runs",
        "runs --all",
        "why b1",
        "why gs://b/x",
        "pause a",
        "resume a",
        "cancel b1",
        "settle b1 --not-started",
        "models",
        "request m 1",
        "approve m 1",
        "reject m 1",
        "rollback m",
        "trail m 1",
        "used gs://b/x",
        "manifest cat b1",
        "manifest cat manifests/x",
        "audit",
        "fsck",
        "services",
    ] {
        refit(folder.path(), line).ends(6).complains("there is no ledger here");
        let failed = refit(folder.path(), &format!("--json {line}")).ends(6);
        assert_eq!(failed.json()["error"]["kind"], "not_found", "{line}");
        assert_eq!(failed.stderr, "", "{line}");
    }
    write(folder.path(), DOUBTFUL);
    refit(folder.path(), "apply --dry-run").ends(0).says("+ triggers.a");
    assert!(!folder.path().join(".refit").exists());
    refit(folder.path(), "status --ledger http://x").ends(3);
}

#[test]
fn all_that_each_service_can_do_is_told_to_programs() {
    let keys = "cancel class find hosts kind name proof push start status";
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    for example in
        ["cloud-build", "cloud-run-service", "github-actions", "http", "kubeflow", "mage"]
    {
        let folder = examples.join(example);
        let services = refit(&folder, "services --json").ends(0).json();
        for service in services.as_array().unwrap() {
            let mut told: Vec<&str> =
                service.as_object().unwrap().keys().map(String::as_str).collect();
            told.sort_unstable();
            assert_eq!(told.join(" "), keys, "{example}");
            assert!(service["push"] != "-" && service["proof"] != "-", "{service}");
        }
    }
}

#[test]
fn a_command_line_that_says_nothing_we_know_is_answered_in_kind() {
    let folder = TempDir::new().unwrap();
    for line in [
        "",
        "bogus",
        "check --bogus",
        "settle b1",
        "approve m",
        "request m 1 --stage live",
        "resume a --coalesce --discard",
        "pause a --wait soon",
        "manifest",
    ] {
        let wrong = refit(folder.path(), line).ends(2);
        assert!(
            wrong.stdout.is_empty() && wrong.stderr.contains("Usage:")
                || wrong.stderr.contains("--help")
        );
        let wrong = refit(folder.path(), &format!("{line} --json")).ends(2);
        assert_eq!(wrong.json()["error"]["kind"], "usage", "{line}");
        assert_eq!(wrong.stderr, "", "{line}");
    }
}

#[test]
fn help_names_every_exit_code_and_every_command_has_its_own() {
    let folder = TempDir::new().unwrap();
    let help = refit(folder.path(), "--help").ends(0).stdout;
    let (_, codes) = help.split_once("Exit codes:\n").unwrap();
    let codes: Vec<&str> =
        codes.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(codes, ["0", "1", "2", "3", "4", "5", "6", "7", "130"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let is_name = |line: &&str| line.starts_with("  ") && !line.starts_with("   ");
    let names =
        commands.lines().filter(is_name).map(|line| line.split_whitespace().next().unwrap());
    let names: Vec<&str> = names.filter(|name| *name != "help").collect();
    assert!(names.len() >= 20, "{names:?}");
    for name in names {
        let help = refit(folder.path(), &format!("{name} --help")).ends(0).stdout;
        assert!(help.contains("Usage: refit") && !help.contains('\u{1b}'), "{help}");
        let longest = help.lines().map(|line| line.chars().count()).max().unwrap_or_default();
        assert!(longest <= 100, "{name}: {longest}");
    }
}

#[test]
fn what_is_for_machines_is_one_json_value() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let schema = refit(folder, "schema").ends(0).json();
    assert!(schema["$defs"]["Trigger"].is_object());
    assert_eq!(refit(folder, "schema --json").ends(0).json(), schema);
    let version = refit(folder, "--version --json").ends(0).json();
    assert_eq!(version, json!({ "name": "refit", "version": env!("CARGO_PKG_VERSION") }));
    let script = refit(folder, "completions bash --json").ends(0).json();
    assert!(script["script"].as_str().unwrap().contains("_refit"));
    refit(folder, "completions zsh").ends(0).says("#compdef refit");
    let mut set = command(folder, &["env", "--json"]);
    set.env("PORT", "4711");
    let variables = ended(set).ends(0);
    assert!(!variables.stdout.contains("4711"), "values are not shown");
    let known = |name: &str, field: &str| {
        let variables = variables.json()["variables"].clone();
        let known =
            variables.as_array().unwrap().iter().find(|known| known["name"] == name).cloned();
        known.unwrap()[field].clone()
    };
    let is_set = |name: &str| known(name, "is_set");
    assert_eq!((is_set("PORT"), is_set("REFIT_LEDGER")), (Value::Bool(true), Value::Bool(false)));
    assert_eq!(known("REFIT_REPORTS", "read_by"), json!(["drift", "refit serve"]));
    refit(folder, "env").ends(0).says("REFIT_LEDGER");
    let step = "demo-step train --run-dir . --parameters p.json --buckets b --json";
    assert_eq!(refit(folder, step).ends(2).json()["error"]["kind"], "usage");
    write(folder, DOUBTFUL);
    assert_eq!(refit(folder, "services --json").ends(0).json()[0]["name"], "local");
}

#[test]
fn a_delivery_is_inspected_as_what_it_means() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/gcs");
    let inspect = |name: &str| refit(folder, &format!("inspect {}", events.join(name).display()));
    assert_eq!(inspect("eventarc-finalized.http").ends(0).json()["outcome"], "record");
    assert_eq!(inspect("pubsub-initialized.http").ends(0).json()["outcome"], "ignore");
    assert_eq!(inspect("eventarc-other-bucket.http").ends(3).json()["outcome"], "reject");
    inspect("none.http").ends(6).complains("none.http");
    std::fs::write(folder.join("body"), "{}").unwrap();
    std::fs::write(
        folder.join("headers"),
        r#"{"ce-id": "1", "ce-type": "t", "ce-source": "/s", "ce-specversion": "1.0"}"#,
    )
    .unwrap();
    let message = refit(folder, "inspect --headers headers body").ends(0).json();
    assert_eq!(message["events"][0]["type"], "t");
    refit(folder, "inspect --headers body headers").ends(3);
    refit(folder, "inspect --headers nothing body").ends(6);
    refit(folder, "inspect").ends(2);
    refit(folder, "inspect --lambda body body").ends(2);
}

#[test]
fn an_invocation_and_a_document_are_inspected_as_what_they_mean() {
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let batch = r#"{"Records": [
        {"eventSource": "aws:sqs", "messageId": "1",
         "body": "{\"specversion\": \"1.0\", \"id\": \"7\", \"source\": \"/s\", \"type\": \"t\"}"},
        {"eventSource": "aws:sqs", "messageId": "2", "body": "{\"Event\": \"s3:TestEvent\"}"},
        {"eventSource": "aws:sqs", "messageId": "3", "body": "poison"}]}"#;
    std::fs::write(folder.join("batch"), batch).unwrap();
    let form = refit(folder, "inspect --json --lambda batch").ends(0).json();
    assert_eq!((&form["outcome"], &form["ignored"]), (&"partial".into(), &json!(["2"])));
    assert_eq!(form["batchItemFailures"], json!([{"itemIdentifier": "3"}]));
    assert_eq!(form["events"][0]["identity"], json!(["cloudevent", "/s", "7"]));
    let report = r#"{"age": {"algorithm": "ks", "pvalue": NaN, "drift_category": "DRIFT"}}"#;
    std::fs::write(folder.join("report"), report).unwrap();
    let form = refit(folder, "inspect --json --document report").ends(0).json();
    assert_eq!(form["events"][0]["drift"]["verdict"], "drift");
}

#[test]
fn a_webhook_whose_signature_is_wrong_is_rejected_where_the_secret_is_known() {
    let folder = TempDir::new().unwrap();
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../events/webhook/mlflow.http");
    let inspect = |secret: &str| {
        let mut command = command(folder.path(), &[Path::new("inspect"), &sample]);
        command.env("REFIT_HOOK_MLFLOW", secret);
        ended(command)
    };
    let rejected = inspect("secret").ends(3).json();
    assert_eq!(rejected["suggested_status"], 401);
    assert!(rejected["reason"].as_str().unwrap().contains("does not match"), "{rejected}");
    assert_eq!(inspect("").ends(0).json()["events"][0]["kind"], "registry");
}
