//! Tests that are given a process or a disk of their own.

use std::ffi::OsStr;
use std::process::Command;

use tempfile::TempDir;

/// A directory on the disk the tests are built on, gone when the test is over.
pub(crate) fn new_folder() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Runs one ignored test of this binary in a process of its own, with something to go by.
pub(crate) fn alone(test: &str, given: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).arg(given);
    command
}

/// What [`alone`] gave the process; nothing where the test is run among others.
pub(crate) fn given() -> Option<String> {
    std::env::args().skip_while(|argument| argument != "--nocapture").nth(1)
}

/// Runs such a test to its end.
pub(crate) fn passes(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

/// Runs one ignored test of this binary on a disk that is mounted for it alone; `false` if this user cannot mount
/// any.
pub(crate) fn on_a_disk_of_its_own(test: &str, options: &str) -> bool {
    let root = new_folder();
    let mount = format!(r#"mount -t tmpfs -o {options} refit "$0""#);
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]).arg(root.path());
        command
    };
    if !unshare(&mount).output().is_ok_and(|output| output.status.success()) {
        return false;
    }
    let test = alone(test, root.path());
    let mut command = unshare(&format!(r#"{mount} && exec "$@""#));
    command.arg(test.get_program()).args(test.get_args());
    passes(command);
    true
}
