//! A disk that is full: what cannot be stored is not acknowledged, what was acknowledged is there, and whoever can make
//! room is told to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use refit_engine::layout::INBOX;
use refit_engine::record::read_segment;
use refit_testkit::fake::client::Reply;
use refit_testkit::skip::skipped;
use tempfile::TempDir;
use tokio::process::Command;

use crate::patience::{call, soon};
use crate::process::{Process, program};
use crate::world::upload;

/// Mounts a small disk that this process alone sees, leaves little room on it, and becomes the program.
const ON_SMALL_DISK: &str = r#"
mount -t tmpfs -o size=512k,mode=700 none "$0" &&
head -c 262144 /dev/zero > "$0/ballast" &&
exec "$1"
"#;
const PATHS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const UPLOADS_MAX: usize = 5000;
/// What a person is told.
const TOLD: &str = "the disk is full, make room on it";
const RULES: &str = "services: { local: { local: {} } }
triggers:
  churn: { on: { objects: { bucket: acme-data } }, run: { service: local, pipeline: churn } }
";

fn on_small_disk(folder: &Path, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", ON_SMALL_DISK]);
    command.arg(folder).arg(program).env("PATH", PATHS);
    command
}

/// Whether this machine lets a test have a disk of its own.
async fn is_possible(folder: &Path) -> bool {
    let mut command = on_small_disk(folder, Path::new("true"));
    let status = command.stderr(Stdio::null()).status().await;
    status.is_ok_and(|status| status.success())
}

/// The objects whose uploads are stored.
fn stored(ledger: &Path) -> BTreeSet<String> {
    let segments = std::fs::read_dir(ledger.join(INBOX)).unwrap().map(|entry| entry.unwrap());
    let events = segments.flat_map(|segment| {
        let name = segment.file_name().into_string().unwrap();
        read_segment(&name, &std::fs::read(segment.path()).unwrap()).unwrap()
    });
    events.map(|event| event.name()).collect()
}

async fn send(place: &str, number: usize) -> Reply {
    let body = upload(&format!("churn/{number}"), 7, &number.to_string()).to_string();
    call(place, "POST /", "", body.as_bytes()).await.unwrap()
}

/// A person who applies rules, and the reconciler, are told what would mend it.
async fn check_told(folder: &Path, ledger: &str) {
    std::fs::write(folder.join("refit.yaml"), RULES).unwrap();
    let mut apply = Command::new(program("refit"));
    let apply = apply.args(["apply", "--yes", "--no-wait", "--ledger", ledger]).current_dir(folder);
    let apply = soon("it is applied or not", apply.env_clear().output()).await.unwrap();
    let said = String::from_utf8(apply.stderr).unwrap();
    assert!(apply.status.code() == Some(5) && said.contains(TOLD), "{:?}: {said}", apply.status);

    let mut tick = Process::start("tick", &[("PORT", "0"), ("REFIT_LEDGER", ledger)]).await;
    assert_eq!(call(&tick.place, "POST /", "", b"").await.unwrap().status, 503);
    tick.until_logged(TOLD, 1).await;
    tick.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_takes_nothing_loses_nothing_and_is_used_again_once_there_is_room() {
    let test = "a_full_disk_takes_nothing_loses_nothing_and_is_used_again_once_there_is_room";
    let folder = TempDir::with_prefix("refit-it").unwrap();
    if !is_possible(folder.path()).await {
        return skipped(test, "this machine does not let a test mount a disk of its own");
    }
    let command = on_small_disk(folder.path(), program("object"));
    let ledger = folder.path().join("ledger");
    let variables = [("PATH", PATHS), ("PORT", "0"), ("REFIT_LEDGER", ledger.to_str().unwrap())];
    let mut object = Process::spawn(command, &variables);
    let place = object.listening().await;
    let seen_from_here = format!("/proc/{}/root{}", object.id(), folder.path().display());
    let seen_from_here = PathBuf::from(seen_from_here);

    let mut accepted = BTreeSet::new();
    let mut refused = 0;
    for number in 0..UPLOADS_MAX {
        let reply = send(&place, number).await;
        match reply.status {
            204 => drop(accepted.insert(format!("gs://acme-data/churn/{number}"))),
            503 => {
                assert!(reply.body.contains("send them again"), "{}", reply.body);
                refused += 1;
            }
            other => panic!("answered {other}"),
        }
        if refused == 3 {
            break;
        }
    }
    assert!(refused == 3 && accepted.len() > 10, "{} accepted", accepted.len());
    object.until_logged(TOLD, 1).await;
    check_told(folder.path(), seen_from_here.join("ledger").to_str().unwrap()).await;
    let stored_then = stored(&seen_from_here.join("ledger"));
    assert!(accepted.is_subset(&stored_then), "{:?}", accepted.difference(&stored_then));

    std::fs::remove_file(seen_from_here.join("ballast")).unwrap();
    assert_eq!(send(&place, UPLOADS_MAX).await.status, 204);
    let stored_now = stored(&seen_from_here.join("ledger"));
    assert!(stored_now.contains(&format!("gs://acme-data/churn/{UPLOADS_MAX}")));
    assert!(accepted.is_subset(&stored_now));
}
