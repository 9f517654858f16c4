//! What a person sees who runs the demo: on a terminal of the system, drawn by a library that emulates one.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read as _;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Child, ExitStatus};

use refit_testkit::process::Patience;
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::refit;

const ROWS: NonZero<u16> = NonZero::new(80).unwrap();
const COLUMNS: NonZero<u16> = NonZero::new(160).unwrap();

/// A program on a terminal, and what is seen there.
struct Terminal {
    child: Child,
    ours: File,
    screen: vt100::Parser,
    /// All that was ever written to it.
    written: String,
    _patience: Patience,
}

impl Terminal {
    fn start(folder: &std::path::Path, arguments: &[&str]) -> Self {
        let (ours, theirs) = pair();
        let mut command = refit(folder, arguments);
        command.env("TERM", "xterm-256color").stdin(theirs.try_clone().unwrap());
        command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let child = command.spawn().unwrap();
        let _patience = Patience::with(&child);
        let screen = vt100::Parser::new(ROWS, COLUMNS, 0);
        Self { child, ours: File::from(ours), screen, written: String::new(), _patience }
    }

    /// What is seen now.
    fn seen(&self) -> String {
        self.screen.screen().contents()
    }

    /// Draws what was written since; whether the program still has the terminal.
    fn draw(&mut self) -> bool {
        let mut bytes = [0; 256];
        // A terminal that the last program has left cannot be read.
        let count = self.ours.read(&mut bytes).unwrap_or_default();
        self.screen.process(&bytes[..count]);
        self.written.push_str(&String::from_utf8_lossy(&bytes[..count]));
        count > 0
    }

    /// Waits until this is seen.
    fn shows(&mut self, words: &str) {
        while !self.seen().contains(words) {
            assert!(self.draw(), "it ended without `{words}`: {}", self.seen());
        }
    }

    /// Sends it what ctrl-c sends, and waits until it has ended.
    fn interrupt(&mut self) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        while self.draw() {}
        self.child.wait().unwrap()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended already, unless a test fails.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The two ends of a new terminal.
fn pair() -> (OwnedFd, OwnedFd) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let size = Winsize { ws_row: ROWS.get(), ws_col: COLUMNS.get(), ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&ours, size).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = open(OsStr::from_bytes(name.as_bytes()), flags, Mode::empty()).unwrap();
    (ours, theirs)
}

#[test]
fn on_a_terminal_the_demo_counts_down_draws_the_steps_and_goes_on_until_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::start(folder.path(), &["dev", "--demo", "--port", "0"]);
    terminal.shows("part-8.csv arrived");
    terminal.shows("b2 waits for ");
    assert_eq!(terminal.seen().matches("b2 waits for ").count(), 1, "{}", terminal.seen());
    terminal.shows("with 8 members succeeded");
    terminal.shows("waits for: refit approve breast-cancer 1");
    terminal.shows("waiting for files; ctrl-c ends");
    let is_counted = |left: &u32| terminal.written.contains(&format!("b2 waits for {left}s"));
    assert!((0..6).filter(is_counted).count() > 1, "{}", terminal.written);
    assert!(terminal.written.contains("evaluate [##########]"), "{}", terminal.written);
    let done = "\u{1b}[32mb2: step 4 of 4, evaluate: done";
    assert!(terminal.written.contains(done), "in green: {}", terminal.written);
    let ended = terminal.interrupt();
    assert!(ended.success(), "{ended}: {}", terminal.seen());
    assert!(!terminal.seen().contains("waiting for files"), "{}", terminal.seen());
}
