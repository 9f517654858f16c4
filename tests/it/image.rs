//! The image of a program: made from nothing but it, and run as nobody.
//!
//! The builder, `buildah`, is independent of us. The programs have to be static, which takes a build of its own; where
//! either is missing, a test is skipped by name.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use refit_testkit::fake::tls::{Vouched, vouched};
use refit_testkit::skip::skipped;
use tempfile::TempDir;
use tokio::process::Command;

use crate::patience::{call, soon};
use crate::process::{Process, folder};
use crate::world::upload;

/// What the program was built for, and how: as the `Dockerfile` takes it.
const STATIC: &str = "x86_64-unknown-linux-gnu/release";
/// The roots of trust, beside what is built.
const ROOTS: &str = "roots.pem";
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
        let (told, why) = (text(&output.stdout), text(&output.stderr));
        if output.status.success() { Ok(told) } else { Err(format!("{why}\n{told}")) }
    }

    /// Makes the image of a program, and a container of it.
    async fn container(&self, name: &str, program: &Path) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let context = self.folder.path().join("context");
        let place = context.join("target").join(STATIC);
        std::fs::create_dir_all(&place).unwrap();
        std::fs::copy(program, place.join(name)).unwrap();
        std::fs::copy(target().join(ROOTS), context.join("target").join(ROOTS)).unwrap();
        std::fs::copy(root.join(".dockerignore"), context.join(".dockerignore")).unwrap();
        let (file, context) = (root.join("Dockerfile"), context.display().to_string());
        let file = file.display().to_string();
        let name = format!("PROGRAM={name}");
        let build = ["bud", "--isolation", "chroot", "--build-arg", &name, "--tag"];
        self.run(&[&build[..], &["refit", "--file", &file, &context]].concat()).await.unwrap();
        self.run(&["from", "--pull-never", "refit"]).await.unwrap()
    }
}

/// Where everything is built.
fn target() -> PathBuf {
    folder().parent().unwrap().to_owned()
}

/// A builder and where the static program of this name lies, or what is missing.
async fn ready(name: &str) -> Result<(Builder, PathBuf), String> {
    let builder = Builder::new();
    let version = builder.run(&["--version"]).await;
    version.map_err(|why| format!("there is no buildah: {why}"))?;
    let target = target();
    let program = target.join(STATIC).join(name);
    match program.is_file() && target.join(ROOTS).is_file() {
        true => Ok((builder, program)),
        false => {
            Err(format!("`{name}` is not built static, or no {ROOTS}; the `Dockerfile` says how"))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_holds_its_program_and_roots_of_trust_alone() {
    let test = "an_image_holds_its_program_and_roots_of_trust_alone";
    for name in ["object", "drift", "hook", "tick", "refit"] {
        let (builder, program) = match ready(name).await {
            Ok(ready) => ready,
            Err(why) => return skipped(test, &why),
        };
        let container = builder.container(name, &program).await;
        let mounted = builder.run(&["mount", &container]).await.unwrap();
        let held = std::fs::read_dir(&mounted).unwrap();
        let held: BTreeSet<_> = held.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(held, ["etc", "program"].map(OsString::from).into(), "nothing else is in it");
        let user = ["inspect", "--format", "{{.OCIv1.Config.User}}", &container];
        assert_eq!(builder.run(&user).await.unwrap(), format!("{NOBODY}:{NOBODY}"));
        let help = ["run", "--isolation", "chroot", &container, "/program", "--help"];
        let help = builder.run(&help).await.unwrap();
        assert!(help.contains(name), "{name}: {help}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_serves() {
    let test = "an_image_serves";
    let (builder, program) = match ready("object").await {
        Ok(ready) => ready,
        Err(why) => return skipped(test, &why),
    };
    let ledger = builder.folder.path().join("ledger");
    std::fs::create_dir(&ledger).unwrap();
    if chown(&ledger, Some(NOBODY), Some(NOBODY)).is_err() {
        return skipped(test, "this user may not give a folder to another");
    }
    let container = builder.container("object", &program).await;
    let volume = format!("{}:/ledger", ledger.display());
    let (_object, place) = serving(&builder, &["--volume", &volume], "/ledger", &container).await;
    let body = upload("churn/a", 7, "m1").to_string();
    assert_eq!(call(&place, "POST /", "", body.as_bytes()).await.unwrap().status, 204);
    let stored = std::fs::read_dir(ledger.join("inbox")).unwrap().count();
    assert_eq!(stored, 1, "the event is recorded outside the container");
}

/// Runs the program of an image as the image says, with its ledger there: where it listens.
async fn serving(
    builder: &Builder,
    options: &[&str],
    ledger: &str,
    container: &str,
) -> ((Process, Group), String) {
    let mut command = builder.command(&["run", "--isolation", "chroot"]);
    command.args(options).args(["--env", "PORT=0", "--env", &format!("REFIT_LEDGER={ledger}")]);
    command.args([container, "/program"]).process_group(0);
    let home = builder.folder.path().display().to_string();
    let mut object = Process::spawn(command, &[("PATH", PATHS), ("HOME", &home)]);
    let group = Group(Pid::from_raw(i32::try_from(object.id()).unwrap()));
    let place = object.listening().await;
    ((object, group), place)
}

/// Google's client asks the system whom to trust, and does not begin without.
#[tokio::test(flavor = "multi_thread")]
async fn an_image_opens_a_ledger_in_cloud_storage() {
    let (builder, program) = match ready("object").await {
        Ok(ready) => ready,
        Err(why) => return skipped("an_image_opens_a_ledger_in_cloud_storage", &why),
    };
    let container = builder.container("object", &program).await;
    let _serving = serving(&builder, &[], "gs://acme-refit/prod", &container).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_brings_its_time_zones_and_trusts_whom_it_is_told_to() {
    let test = "an_image_brings_its_time_zones_and_trusts_whom_it_is_told_to";
    let (builder, program) = match ready("refit").await {
        Ok(ready) => ready,
        Err(why) => return skipped(test, &why),
    };
    let container = builder.container("refit", &program).await;
    let (server, rules) = (vouched("{}"), builder.folder.path().join("rules"));
    std::fs::create_dir(&rules).unwrap();
    std::fs::write(rules.join("roots.pem"), &server.certificate).unwrap();
    for zone in ["Asia/Kathmandu", "Mars/Olympus_Mons"] {
        let name = zone.split('/').next().unwrap();
        std::fs::write(rules.join(name), rule_file(zone, &server)).unwrap();
    }
    let volume = format!("{}:/rules:ro", rules.display());
    let run = ["run", "--isolation", "chroot", "--volume", &volume];
    let refit = async |variables: &[&str], arguments: &[&str]| {
        let program = [&container, "/program"];
        builder.run(&[&run[..], variables, &program, arguments].concat()).await
    };
    // The image has no `/usr/share/zoneinfo`.
    refit(&[], &["check", "/rules/Asia"]).await.unwrap();
    let error = refit(&[], &["check", "/rules/Mars"]).await.unwrap_err();
    assert!(error.contains("Mars/Olympus_Mons"), "{error}");
    // Nor `/etc/ssl`: the roots built in do not vouch for this server, and a file that does can be mounted.
    let notify = ["notify", "--test", "us", "/rules/Asia"];
    let error = refit(&[], &notify).await.unwrap_err();
    assert!(error.contains("certificate") && error.contains("UnknownIssuer"), "{error}");
    let roots = ["--env", "SSL_CERT_FILE=/rules/roots.pem"];
    let told = refit(&roots, &notify).await.unwrap();
    assert!(told.contains("us was told, by webhook"), "{told}");
}

/// Rules with a schedule in a zone, and with somebody to tell.
fn rule_file(zone: &str, server: &Vouched) -> String {
    let url = &server.url;
    format!(
        "services: {{ kfp: {{ kubeflow: {{ endpoint: \"{url}\", auth: none }} }} }}
notify: {{ us: {{ webhook: {{ url: \"{url}\", auth: none }} }} }}
triggers:
  nightly:
    on: {{ schedule: {{ cron: 30 2 * * *, zone: {zone} }} }}
    run: {{ service: kfp, pipeline: churn }}
"
    )
}
