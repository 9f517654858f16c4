//! A folder that is served: rules that change, and what keeps it from starting.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use tempfile::TempDir;

use crate::process::{Dev, output};

const RULES: &str = "services: { local: { local: {} } }
triggers:
  mark:
    on: { objects: { bucket: uploads, suffix: .csv } }
    batch: { quiet: 1h, max_wait: 2h }
    run: { service: local, pipeline: mark }
";

fn folder(rules: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("refit.yaml"), rules).unwrap();
    folder
}

fn bucket(folder: &Path) -> std::path::PathBuf {
    let bucket = folder.join("buckets/uploads");
    fs::create_dir_all(&bucket).unwrap();
    bucket
}

#[test]
fn rules_are_applied_when_they_change_and_stay_when_they_are_wrong() {
    let folder = folder(RULES);
    let path = folder.path().join("refit.yaml");
    let mut dev = Dev::start(folder.path(), &[]);
    dev.says("added=`mark`");
    dev.says("watching");
    fs::write(&path, RULES.replace("1h", "90m")).unwrap();
    dev.says("~ triggers.mark.batch.quiet: 1h -> 90m");
    fs::write(&path, RULES.replace("bucket:", "bukket:")).unwrap();
    dev.says("did you mean `bucket`");
    dev.says("the former rules stay in force");
    fs::write(bucket(folder.path()).join("a.csv"), "x").unwrap();
    dev.says("gs://uploads/a.csv arrived, 1 bytes");
    dev.says("1 member joined");
    assert!(dev.terminate().success());
}

#[test]
fn a_file_is_announced_once_in_however_many_lives_and_what_is_no_object_never() {
    let folder = folder(RULES);
    let bucket = bucket(folder.path());
    for name in ["a.csv", ".hidden.csv", "b.csv.part"] {
        fs::write(bucket.join(name), "x").unwrap();
    }
    let mut dev = Dev::start(folder.path(), &[]);
    assert!(dev.says("arrived").contains("gs://uploads/a.csv"));
    dev.says("1 member joined");
    assert!(dev.terminate().success());

    fs::write(bucket.join("c.csv"), "x").unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    dev.says("are in force");
    assert!(dev.says("arrived").contains("gs://uploads/c.csv"));
    dev.says("1 member joined");
    assert!(dev.terminate().success());
}

#[test]
fn what_keeps_it_from_starting_is_said_with_its_cure() {
    let fails = |folder: &Path, arguments: &[&str], code: i32, words: &str| {
        let failed = output(folder, &[&["dev"], arguments].concat());
        let said = [failed.stdout, failed.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(failed.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{words}: {said}");
    };
    let good = folder(RULES);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    fails(good.path(), &["--port", &port], 5, "take a free port with --port 0");
    fails(good.path(), &["--ledger", "gs://acme/prod"], 2, "keeps its ledger in a directory");
    fails(folder("triggers: 3\n").path(), &["--port", "0"], 3, "refit.yaml:1:");
    fails(tempfile::tempdir().unwrap().path(), &["--port", "0"], 6, "`refit init`");
    let demo = ["--demo", "--folder", "/proc/no-such-folder", "--port", "0"];
    fails(good.path(), &demo, 5, "mend its permissions or name another with --folder");

    let mut first = Dev::start(good.path(), &[]);
    first.says("watching");
    fails(good.path(), &["--port", "0"], 4, "another process");
    assert!(first.terminate().success());
}
