//! Programs of the workspace as processes.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command as Build, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::SystemTime;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::patience::soon;

/// The programs that are run.
const PROGRAMS: &[&str] = &["drift", "hook", "object", "refit", "tick"];
/// The clouds they are built for.
const CLOUDS: &[&str] = &[
    #[cfg(feature = "aws")]
    "aws",
    #[cfg(feature = "gcp")]
    "gcp",
];

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
        let is_clear = |logged: &Logged| place(logged).is_some() || logged.is_over;
        let logged = soon("it listens or ends", self.lines.wait_for(is_clear)).await;
        let logged = logged.unwrap().clone();
        place(&logged).unwrap_or_else(|| panic!("it never listened: {:#?}", logged.lines))
    }

    /// Waits until it has logged so many lines that hold a text.
    pub(crate) async fn until_logged(&mut self, text: &str, count: usize) {
        let has = |logged: &Logged| {
            let lines = logged.lines.iter().filter(|line| line.contains(text));
            lines.count() >= count || logged.is_over
        };
        let logged = soon("it logs that", self.lines.wait_for(has)).await.unwrap();
        assert!(!logged.is_over, "it ended: {:#?}", logged.lines);
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
        let status = soon("the process ends", self.child.wait()).await.unwrap();
        soon("its log ends", self.reading).await.unwrap();
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
    static BUILT: OnceLock<BTreeMap<&str, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(programs).get(name).expect("the program was built")
}

/// The programs beside this test; built anew if one is not there, or older than its sources.
///
/// Cargo builds the programs of a test's own package for it, and of no other.
fn programs() -> BTreeMap<&'static str, PathBuf> {
    let found: BTreeMap<_, _> = PROGRAMS.iter().map(|name| (*name, folder().join(name))).collect();
    // Whether a program was built for a cloud cannot be seen from outside; cargo knows.
    if !CLOUDS.is_empty() || !found.values().all(|path| is_current(path)) {
        build();
    }
    found
}

/// The folder of a target directory and a profile that this test was built into.
pub(crate) fn folder() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).expect("a test lies in `deps`").to_owned()
}

/// Whether a program is no older than anything it could be built from. Cargo notes what that is for what it builds, but
/// not where it builds a program for a test.
fn is_current(program: &Path) -> bool {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let sources = ["Cargo.toml", "Cargo.lock", "functions", "shared"].map(|name| root.join(name));
    changed(program).is_some_and(|built| sources.iter().all(|path| is_older(path, built)))
}

/// Whether no file at or below a path was changed after that time.
fn is_older(path: &Path, built: SystemTime) -> bool {
    match std::fs::read_dir(path) {
        Ok(mut entries) => entries.all(|entry| is_older(&entry.unwrap().path(), built)),
        Err(_) => changed(path).is_some_and(|changed| changed <= built),
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|it| it.modified()).ok()
}

/// Builds the programs as this test was built: into the same folder.
fn build() {
    let mut cargo = Build::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()));
    cargo.args(["build", "--profile", &profile(), "--target-dir"]);
    cargo.arg(folder().parent().expect("a profile has a folder in a target directory"));
    cargo.args(PROGRAMS.iter().flat_map(|name| ["--package", name]));
    for cloud in CLOUDS {
        let features = PROGRAMS.iter().map(|name| format!("{name}/{cloud}"));
        cargo.args(features.flat_map(|feature| ["--features".to_owned(), feature]));
    }
    // What cargo says of this package would make build scripts run anew.
    #[expect(clippy::disallowed_methods, reason = "cargo builds in the environment of its tests")]
    let variables = std::env::vars_os();
    variables.map(|(name, _)| name).filter(|name| is_of_package(name)).for_each(|name| {
        cargo.env_remove(name);
    });
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let status = cargo.current_dir(root).status().expect("cargo can be run");
    assert!(status.success(), "the programs cannot be built");
}

fn is_of_package(variable: &OsStr) -> bool {
    let of_package = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_NAME", "CARGO_PRIMARY_PACKAGE"];
    variable.to_str().is_some_and(|name| of_package.iter().any(|start| name.starts_with(start)))
}

/// The profile this test was built with, which names the folder it lies in.
fn profile() -> String {
    let folder = folder();
    let name = folder.file_name().expect("it has a name").to_string_lossy();
    if name == "debug" { "dev".to_owned() } else { name.into_owned() }
}

fn variable(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "cargo tells its tests which cargo it is")]
    let value = std::env::var(name);
    value.ok()
}
