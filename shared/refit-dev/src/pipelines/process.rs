//! Process groups: how a step's is started, recognised after a restart, and ended.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, PipeReader};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::{Command as StdCommand, Stdio};

use refit_core::time::Span;
use refit_engine::port::Clock;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, ChildStdin, Command};

/// Waits for a line before it becomes the command, and ends if none comes.
const GATE: &str = "read -r refit_gate && exec \"$@\" </dev/null";
const POLL: Span = Span::from_millis(50);
/// How a step, and what serves a model, is told of a folder of its own.
const TOLD: [&str; 2] = ["REFIT_RUN_DIR=", "REFIT_MODEL_DIR="];

/// A process that leads a group of its number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pid: i32,
    /// When it started: what tells it from a later process of the same number.
    started: String,
}

/// A process that leads a group and has not begun its work.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) process: Process,
    pub(super) child: Child,
    /// All it writes, to standard output and standard error.
    pub(super) output: Receiver,
    gate: ChildStdin,
}

impl Waiting {
    /// Starts a process that waits for [`Waiting::begin`]. Should this process end before, so does that one.
    pub(super) fn new(
        command: &[String],
        folder: &Path,
        environment: &[(&str, &Path)],
    ) -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        let mut child = Command::new("/bin/sh")
            .args(["-c", GATE, "refit"])
            .args(command)
            .current_dir(folder)
            .envs(environment.iter().copied())
            .stdin(Stdio::piped())
            .stdout(writer.try_clone()?)
            .stderr(writer)
            .process_group(0)
            .spawn()?;
        let gate = child.stdin.take().ok_or_else(|| io::Error::other("no standard input"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok());
        let process =
            pid.and_then(Process::of).ok_or_else(|| io::Error::other("it ended at once"))?;
        Ok(Self { process, child, output: receiver(reader)?, gate })
    }

    /// Lets it begin its work.
    pub(super) async fn begin(mut self) -> io::Result<(Child, Receiver)> {
        self.gate.write_all(b"\n").await?;
        Ok((self.child, self.output))
    }
}

fn receiver(reader: PipeReader) -> io::Result<Receiver> {
    Receiver::from_owned_fd(reader.into())
}

impl Process {
    fn of(pid: i32) -> Option<Self> {
        started(pid).map(|started| Self { pid, started })
    }

    fn is_alive(&self) -> bool {
        started(self.pid).as_ref() == Some(&self.started)
    }

    /// Signals the whole group, unless its number has become another's.
    pub(super) fn signal(&self, signal: Signal) {
        let other = started(self.pid).is_some_and(|started| started != self.started);
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| !other) {
            // A group that is gone has heard it already.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Asks the group of a child to end, and waits until the child has, for a while.
    pub(super) async fn ask(&self, child: &mut Child, clock: &dyn Clock, grace: Span) {
        self.signal(Signal::TERM);
        tokio::select! {
            _ = child.wait() => {}
            () = clock.sleep(grace) => {}
        }
    }

    /// Ends a group an earlier life of the service left behind: asks, then kills. Whether it is gone.
    ///
    /// Once its leader is gone its number may be another's, so that what is left of it is known by its environment: on
    /// Linux, by a folder below `root` that it was told of. What has thrown that away is left alone.
    pub(super) async fn end(&self, root: &Path, clock: &dyn Clock, grace: Span) -> bool {
        if self.is_left(root) {
            self.signal(Signal::TERM);
            self.gone(root, clock, grace).await;
            self.signal(Signal::KILL);
        }
        self.gone(root, clock, grace).await
    }

    /// Another leader that lives has its number only because nobody of the group was left.
    fn is_left(&self, root: &Path) -> bool {
        self.is_alive() || (started(self.pid).is_none() && has_members(self.pid, root))
    }

    async fn gone(&self, root: &Path, clock: &dyn Clock, within: Span) -> bool {
        let start = clock.elapsed().as_millis();
        while self.is_left(root) {
            if clock.elapsed().as_millis() - start >= within.as_millis() {
                return false;
            }
            clock.sleep(POLL).await;
        }
        true
    }
}

/// Whether a process of that group was told of a folder below `root`; never, where there is no `/proc`.
fn has_members(group: i32, root: &Path) -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut numbers = processes.filter_map(|process| process.file_name().to_str()?.parse().ok());
    numbers.any(|pid| group_of(pid) == Some(group) && is_told_of(pid, root))
}

fn group_of(pid: i32) -> Option<i32> {
    stat(pid)?.get(2)?.parse().ok()
}

fn is_told_of(pid: i32, root: &Path) -> bool {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let folder = |entry| TOLD.iter().find_map(|name| <[u8]>::strip_prefix(entry, name.as_bytes()));
    let mut folders = environment.split(|byte| *byte == 0).filter_map(folder);
    folders.any(|folder| Path::new(OsStr::from_bytes(folder)).starts_with(root))
}

/// When the process of that number started, in words that no other process of that number has; none where there is no
/// such process, or only its exit status is left.
fn started(pid: i32) -> Option<String> {
    if cfg!(target_os = "linux") { started_by_proc(pid) } else { started_by_ps(pid) }
}

fn started_by_proc(pid: i32) -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Some(format!("{} {}", boot.trim(), stat(pid)?.get(19)?))
}

/// What the kernel tells of the process of that number, from its state on; nothing once it is over.
fn stat(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything.
    let fields = stat.rsplit_once(')')?.1.split_whitespace().map(str::to_owned);
    let fields: Vec<_> = fields.collect();
    fields.first().is_some_and(|state| !is_over(state)).then_some(fields)
}

fn started_by_ps(pid: i32) -> Option<String> {
    let mut command = StdCommand::new("ps");
    command.args(["-o", "state=,lstart=", "-p", &pid.to_string()]).env("LC_ALL", "C");
    let output = command.output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let (state, started) = text.split_once(char::is_whitespace)?;
    (!is_over(state)).then(|| started.trim().to_owned())
}

fn is_over(state: &str) -> bool {
    state.starts_with(['Z', 'X'])
}

#[cfg(test)]
mod tests {
    use refit_platform::clock::SystemClock;
    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    fn waiting(command: &[&str]) -> Waiting {
        let command: Vec<_> = command.iter().map(|&word| word.to_owned()).collect();
        Waiting::new(&command, Path::new("/"), &[("REFIT_RUN_DIR", Path::new("/root/a"))]).unwrap()
    }

    #[tokio::test]
    async fn a_group_is_signalled_only_if_it_is_the_one_that_was_recorded() {
        let Waiting { process, mut child, gate, .. } = waiting(&["cat"]);
        let other = Process { started: "another boot 1".to_owned(), ..process.clone() };
        assert!(process.is_alive() && !other.is_alive());
        other.signal(Signal::KILL);
        drop(gate);
        assert_eq!(child.wait().await.unwrap().code(), Some(1), "it was not killed");
        assert!(!process.is_alive());
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_group_whose_number_another_leader_has_is_gone_though_that_one_was_told_of_the_same_folder()
     {
        let Waiting { process, mut child, gate, .. } = waiting(&["cat"]);
        let earlier = Process { started: "another boot 1".to_owned(), ..process.clone() };
        let root = Path::new("/root");
        assert!(has_members(process.pid, root) && process.is_left(root));
        assert!(earlier.end(root, &SystemClock, Span::hours(1)).await);
        drop(gate);
        assert_eq!(child.wait().await.unwrap().code(), Some(1), "it was not killed");
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_group_without_its_leader_is_ended_if_it_was_told_of_a_folder_of_ours() {
        let waiting = waiting(&["sh", "-c", "sleep 1000 & exit 7"]);
        let process = waiting.process.clone();
        let (mut child, _output) = waiting.begin().await.unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
        assert!(!process.is_alive());
        let long = Span::hours(1);
        assert!(process.end(Path::new("/roo"), &SystemClock, long).await, "a stranger's");
        assert!(process.is_left(Path::new("/root")), "it was not touched");
        assert!(process.end(Path::new("/root"), &SystemClock, long).await);
        assert!(!process.is_left(Path::new("/root")));
    }

    #[tokio::test]
    async fn nothing_begins_before_it_is_told_to() {
        let not_begun = waiting(&["sh", "-c", "exit 7"]);
        let Waiting { mut child, gate, .. } = not_begun;
        drop(gate);
        assert_eq!(child.wait().await.unwrap().code(), Some(1));
        let (mut child, _output) = waiting(&["sh", "-c", "exit 7"]).begin().await.unwrap();
        assert_eq!(child.wait().await.unwrap().code(), Some(7));
    }

    #[test]
    fn a_process_of_which_only_the_status_is_left_is_gone() {
        let mut child = StdCommand::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), ended).unwrap();
        assert_eq!(started(pid.as_raw_nonzero().get()), None);
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn both_ways_of_asking_tell_a_process_from_none() {
        let Waiting { mut child, gate, .. } = waiting(&["cat"]);
        let pid = i32::try_from(child.id().unwrap()).unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(started_by_proc(pid), started_by_proc(pid));
            assert!(started_by_proc(pid).is_some());
        }
        let ps = StdCommand::new("ps").arg("-p").arg("1").output().is_ok();
        if ps {
            assert!(started_by_ps(pid).is_some());
        }
        drop(gate);
        child.wait().await.unwrap();
        assert_eq!(started(pid), None);
        assert_eq!(started_by_ps(pid), None);
    }
}
