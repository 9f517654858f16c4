//! How it ends: with a run that failed, and told twice.

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;

use rustix::process::Signal;

use crate::process::{Dev, json, output};

const RULES: &str = "services: { local: { local: {} } }
triggers:
  broken:
    on: { objects: { bucket: uploads } }
    batch: { quiet: 1ms }
    run: { service: local, pipeline: broken }
";
const PIPELINE: &str = "name: broken
steps: [{ name: only, command: [sh, -c, 'echo no such column >&2; exit 3'], timeout: 1m }]
";

#[test]
fn a_first_run_that_fails_is_told_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("buckets/uploads")).unwrap();
    fs::create_dir_all(folder.path().join("pipelines/broken")).unwrap();
    fs::write(folder.path().join("refit.yaml"), RULES).unwrap();
    fs::write(folder.path().join("pipelines/broken/pipeline.yaml"), PIPELINE).unwrap();
    fs::write(folder.path().join("buckets/uploads/a.csv"), "x").unwrap();
    let ended = output(folder.path(), &["dev", "--once", "--port", "0"]);
    let result = String::from_utf8(ended.stdout).unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}{result}");
    assert!(result.contains("run b2 of broken with 1 member failed"), "{result}");
    assert!(result.contains("step `only`"), "it names the step: {result}");
    let runs = json(folder.path(), &["runs"]);
    let word = runs["runs"][0]["message"].as_str().unwrap();
    assert!(result.contains(word) && said.contains("only: failed"), "{word}: {said}{result}");
    let log = word.split_once("log=`").and_then(|(_, rest)| rest.split_once('`')).unwrap().0;
    assert_eq!(fs::read_to_string(log).unwrap(), "no such column\n", "it names the log: {word}");
}

#[test]
fn told_to_end_once_more_it_waits_for_nobody() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("refit.yaml"), RULES).unwrap();
    let mut dev = Dev::start(folder.path(), &[]);
    let place = dev.listening();
    dev.says("watching");
    let mut slow = TcpStream::connect(&place).unwrap();
    write!(slow, "POST / HTTP/1.1\r\nhost: {place}\r\ncontent-length: 9\r\n\r\nhalf").unwrap();
    dev.signal(Signal::INT);
    dev.says("once more ends at once");
    dev.signal(Signal::INT);
    dev.says("interrupted");
    assert_eq!(dev.ended().code(), Some(130));
}
