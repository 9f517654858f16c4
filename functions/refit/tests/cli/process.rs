//! `refit` as a process.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use refit_testkit::process::{self, Patience};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How it ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `refit` with these arguments in this folder. It knows no environment, and nobody is there to be asked.
pub(crate) fn command(folder: &Path, args: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
    command.args(args).current_dir(folder).env_clear().env("USER", "somebody");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command line, whose words are parted by spaces, in this folder.
pub(crate) fn refit(folder: &Path, line: &str) -> Ended {
    ended(command(folder, &line.split_whitespace().collect::<Vec<_>>()))
}

/// Runs a command to its end.
pub(crate) fn ended(mut command: Command) -> Ended {
    let output = process::output(&mut command).unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ended {
    /// What it printed, if it ended so.
    #[track_caller]
    pub(crate) fn ends(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// The one JSON value it printed.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }

    /// Asserts that it printed this somewhere in its result.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stdout.contains(text), "it does not say `{text}`: {self:#?}");
        self
    }

    /// Asserts that it failed with this somewhere in its error, and printed no result.
    #[track_caller]
    pub(crate) fn complains(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "it does not complain `{text}`: {self:#?}");
        assert_eq!(self.stdout, "", "a failure has no result");
        self
    }
}

/// `refit` that goes on until it is told to end.
pub(crate) struct Running {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
    _patience: Patience,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let _patience = Patience::with(&child);
        Self { child, stderr, _patience }
    }

    /// The first line of its stderr that is as wanted.
    pub(crate) fn line(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let mut seen = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.stderr.read_line(&mut line).unwrap(), 0, "it ended: {seen}");
            if wanted(&line) {
                return line;
            }
            seen.push_str(&line);
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it has ended.
    pub(crate) fn ended(mut self) -> Ended {
        let mut stderr = String::new();
        std::io::Read::read_to_string(&mut self.stderr, &mut stderr).unwrap();
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        std::io::Read::read_to_string(&mut pipe, &mut stdout).unwrap();
        Ended { code: self.child.wait().unwrap().code(), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless a test fails or is done with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
