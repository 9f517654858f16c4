//! The program as a process, and what it is asked over HTTP.

use std::io::{BufRead as _, BufReader, Lines, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use refit_testkit::process::{self, Patience};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long an answer may keep a test waiting.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

/// A running `refit dev`.
pub(crate) struct Dev {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// What it has said so far.
    said: Vec<String>,
    _patience: Patience,
}

/// The program, knowing nothing of the environment of the test.
pub(crate) fn refit(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
    // The steps of a pipeline look for their shell.
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub(crate) fn output(folder: &Path, arguments: &[&str]) -> Output {
    process::output(&mut refit(folder, arguments)).unwrap()
}

/// Runs a command that must succeed: the JSON it prints.
pub(crate) fn json(folder: &Path, arguments: &[&str]) -> Value {
    let Output { status, stdout, stderr } = output(folder, &[arguments, &["--json"]].concat());
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{arguments:?}: {}{said}", String::from_utf8_lossy(&stdout));
    serde_json::from_slice(&stdout).unwrap()
}

impl Dev {
    /// Starts it on a free port in a folder.
    pub(crate) fn start(folder: &Path, variables: &[(&str, &str)]) -> Self {
        let mut command = refit(folder, &["dev", "--port", "0"]);
        command.envs(variables.iter().copied()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let _patience = Patience::with(&child);
        Self { child, lines, said: Vec::new(), _patience }
    }

    /// The next line it says; it must not end before.
    pub(crate) fn line(&mut self) -> String {
        match self.lines.next() {
            Some(line) => {
                self.said.push(line.unwrap());
                self.said.last().unwrap().clone()
            }
            None => panic!("it ended by itself: {:#?}", self.said),
        }
    }

    /// Waits for a line that holds this.
    pub(crate) fn says(&mut self, words: &str) -> String {
        loop {
            let line = self.line();
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Waits until it listens: where.
    pub(crate) fn listening(&mut self) -> String {
        let line = self.says("listening on http://");
        line.rsplit_once("http://").unwrap().1.to_owned()
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        assert_eq!(self.child.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    }

    /// Tells it to end, and waits until it has.
    pub(crate) fn terminate(self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.ended()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> ExitStatus {
        self.lines.by_ref().for_each(drop);
        self.child.wait().unwrap()
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // It has ended already, unless a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks over HTTP: the status and the body.
pub(crate) fn ask(place: &str, request: &str, headers: &[(&str, &str)]) -> (u16, String) {
    send(place, request, headers, "")
}

/// Sends a body over HTTP: the status and the body of the answer.
pub(crate) fn send(
    place: &str,
    request: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let headers = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n"));
    let (headers, length): (String, _) = (headers.collect(), body.len());
    let text = format!(
        "{request} HTTP/1.1\r\nhost: {place}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
    );
    let mut stream = TcpStream::connect(place).unwrap();
    stream.set_read_timeout(Some(ANSWER_WITHIN)).unwrap();
    stream.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}
