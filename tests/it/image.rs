//! The image of a program: made from nothing but it, and run as nobody.
//!
//! The builder, `buildah`, is independent of us. The program has to be static, which takes a build of its own; where
//! either is missing, the test is skipped by name.

use refit_testkit::skip::skipped;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::Command;

use crate::patience::{call, soon};
use crate::process::{Process, folder};
use crate::world::upload;

/// What the program was built for, and how: as the `Dockerfile` takes it.
const STATIC: &str = "x86_64-unknown-linux-gnu/release";
const PATHS: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Who the program runs as, for the owner of its ledger's folder.
const NOBODY: u32 = 65532;

/// A builder with a place of its own for images.
struct Builder {
    folder: TempDir,
}

/// Ends every process of a group.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        let _ = killpg(self.0, Signal::SIGKILL);
    }
}

impl Builder {
    fn new() -> Self {
        Self { folder: TempDir::with_prefix("refit-image").unwrap() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("buildah");
        let place = |name: &str| self.folder.path().join(name);
        command.arg("--root").arg(place("images")).arg("--runroot").arg(place("run"));
        command.args(["--storage-driver", "vfs"]).args(arguments);
        command.env_clear().env("PATH", PATHS).env("HOME", self.folder.path()).stdin(Stdio::null());
        command.kill_on_drop(true);
        command
    }

    /// What a command prints, or why it failed.
    async fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let output = soon("the builder ends", self.command(arguments).output()).await;
        let output = output.map_err(|error| error.to_string())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Makes the image of a program, and a container of it.
    async fn container(&self, program: &Path) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let context = self.folder.path().join("context");
        let place = context.join("target").join(STATIC);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(program, place.join("object")).unwrap();
        let (file, context) = (root.join("Dockerfile"), context.display().to_string());
        let file = file.display().to_string();
        let build = ["bud", "--isolation", "chroot", "--build-arg", "PROGRAM=object", "--tag"];
        self.run(&[&build[..], &["refit", "--file", &file, &context]].concat()).await.unwrap();
        self.run(&["from", "--pull-never", "refit"]).await.unwrap()
    }
}

/// Where the static program lies, if somebody built it.
fn program() -> Option<PathBuf> {
    let target = folder().parent()?.join(STATIC).join("object");
    target.is_file().then_some(target)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_holds_the_program_alone_and_serves() {
    let test = "an_image_holds_the_program_alone_and_serves";
    let builder = Builder::new();
    if let Err(why) = builder.run(&["--version"]).await {
        return skipped(test, &format!("there is no buildah: {why}"));
    }
    let Some(program) = program() else {
        return skipped(test, "the static program is not built; the `Dockerfile` says how");
    };
    let ledger = builder.folder.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    if chown(&ledger, Some(NOBODY), Some(NOBODY)).is_err() {
        return skipped(test, "this user may not give a folder to another");
    }
    let container = builder.container(&program).await;
    let mounted = builder.run(&["mount", &container]).await.unwrap();
    let held: Vec<_> =
        std::fs::read_dir(&mounted).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(held, ["program"], "nothing else is in it");
    let user = ["inspect", "--format", "{{.OCIv1.Config.User}}", &container];
    assert_eq!(builder.run(&user).await.unwrap(), format!("{NOBODY}:{NOBODY}"));
    serves(&builder, &container, &ledger).await;
}

/// Runs the program of an image as the image says, and delivers something to it.
async fn serves(builder: &Builder, container: &str, ledger: &Path) {
    let volume = format!("{}:/ledger", ledger.display());
    let mut command = builder.command(&["run", "--isolation", "chroot", "--volume", &volume]);
    command.args(["--env", "PORT=0", "--env", "REFIT_LEDGER=/ledger", container, "/program"]);
    command.process_group(0);
    let home = builder.folder.path().display().to_string();
    let mut object = Process::spawn(command, &[("PATH", PATHS), ("HOME", &home)]);
    let _group = Group(Pid::from_raw(i32::try_from(object.id()).unwrap()));
    let place = object.listening().await;
    let body = upload("churn/a", 7, "m1").to_string();
    assert_eq!(call(&place, "POST /", "", body.as_bytes()).await.unwrap().status, 204);
    let stored = std::fs::read_dir(ledger.join("inbox")).unwrap().count();
    assert_eq!(stored, 1, "the event is recorded outside the container");
}
