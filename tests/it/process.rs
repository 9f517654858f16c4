//! Programs of the workspace as processes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command as Build, ExitStatus, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The programs that are run.
const PROGRAMS: [&str; 2] = ["object", "tick"];

/// A running program.
pub(crate) struct Process {
    child: Child,
    /// Every line it has logged so far, and whether there will be more.
    lines: watch::Receiver<Logged>,
    reading: JoinHandle<()>,
    /// Where it listens.
    pub(crate) place: String,
}

#[derive(Clone, Default)]
struct Logged {
    lines: Vec<String>,
    is_over: bool,
}

/// How a program ended, and everything it logged.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) lines: Vec<String>,
}

impl Process {
    /// Starts a program that knows these variables and no others, and waits until it listens.
    pub(crate) async fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut process = Self::spawn(Command::new(program(name)), variables);
        process.place = process.listening().await;
        process
    }

    /// Starts a program that is expected to give up, and waits until it has.
    pub(crate) async fn fail(name: &str, variables: &[(&str, &str)]) -> Ended {
        Self::spawn(Command::new(program(name)), variables).ended().await
    }

    pub(crate) fn spawn(mut command: Command, variables: &[(&str, &str)]) -> Self {
        let command = command.env_clear().envs(variables.iter().copied()).kill_on_drop(true);
        let streams = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = streams.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, lines) = watch::channel(Logged::default());
        let reading = tokio::spawn(read(stderr, sender));
        Self { child, lines, reading, place: String::new() }
    }

    /// Waits until it says where it listens.
    pub(crate) async fn listening(&mut self) -> String {
        let logged = self.lines.wait_for(|logged| place(logged).is_some() || logged.is_over).await;
        let logged = logged.unwrap().clone();
        place(&logged).unwrap_or_else(|| panic!("it never listened: {:#?}", logged.lines))
    }

    /// Everything it has logged so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.borrow().lines.clone()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Tells it to end, as the platform does.
    pub(crate) fn terminate(&self) {
        let id = i32::try_from(self.id()).unwrap();
        kill(Pid::from_raw(id), Signal::SIGTERM).unwrap();
    }

    /// Ends it as a power cut would.
    pub(crate) async fn kill(mut self) -> Vec<String> {
        self.child.kill().await.unwrap();
        self.ended().await.lines
    }

    pub(crate) async fn ended(mut self) -> Ended {
        let status = self.child.wait().await.unwrap();
        self.reading.await.unwrap();
        let lines = self.lines.borrow().lines.clone();
        Ended { status, lines }
    }
}

async fn read(mut stderr: Lines<BufReader<ChildStderr>>, sender: watch::Sender<Logged>) {
    while let Ok(Some(line)) = stderr.next_line().await {
        sender.send_modify(|logged| logged.lines.push(line));
    }
    sender.send_modify(|logged| logged.is_over = true);
}

/// The address a program has logged that it listens at.
fn place(logged: &Logged) -> Option<String> {
    let lines = logged.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut listening = lines.filter(|line| line["message"] == "listening");
    listening.next().and_then(|line| line["address"].as_str().map(str::to_owned))
}

/// Where a program of the workspace lies, once it is built.
pub(crate) fn program(name: &str) -> &'static Path {
    static BUILT: OnceLock<BTreeMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build).get(name).expect("the program was built")
}

/// Builds the programs as this test was built, and learns from cargo where they lie.
///
/// Cargo gives the tests of a package the programs of that package only.
fn build() -> BTreeMap<String, PathBuf> {
    let mut cargo = Build::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo.args(["build", "--message-format=json-render-diagnostics", "--profile", profile()]);
    cargo.args(PROGRAMS.iter().flat_map(|name| ["--package", name]));
    // What cargo says of this package would make build scripts run anew.
    std::env::vars_os().map(|(name, _)| name).filter(|name| is_of_package(name)).for_each(|name| {
        cargo.env_remove(name);
    });
    let output = cargo
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap())
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "the programs cannot be built");
    let messages = String::from_utf8(output.stdout).unwrap();
    messages.lines().filter_map(|line| built(&serde_json::from_str(line).ok()?)).collect()
}

fn is_of_package(variable: &OsStr) -> bool {
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    variable.to_str().is_some_and(|name| of_package.iter().any(|start| name.starts_with(start)))
}

fn built(message: &Value) -> Option<(String, PathBuf)> {
    let path = PathBuf::from(message["executable"].as_str()?);
    Some((message["target"]["name"].as_str()?.to_owned(), path))
}

/// The profile this test was built with, which names the folder it lies in.
fn profile() -> &'static str {
    static FOLDER: OnceLock<String> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let folder = test.ancestors().nth(2).and_then(Path::file_name).unwrap();
        folder.to_string_lossy().into_owned()
    });
    if folder == "debug" { "dev" } else { folder }
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells its tests which cargo it is")]
    let value = std::env::var(name);
    value.ok()
}
