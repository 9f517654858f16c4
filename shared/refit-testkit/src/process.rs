//! Processes that a test starts, and does not wait for without a bound.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// How long a process may go on, on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(300);

/// As long as it is there, its process is killed once it has gone on for five minutes: whoever waits for what it says or
/// for its end fails then, and does not wait for ever.
#[derive(Debug)]
pub struct Patience {
    _over: Sender<()>,
}

impl Patience {
    /// With this process.
    #[must_use]
    pub fn with(child: &Child) -> Self {
        let process = Pid::from_child(child);
        let (over, is_over) = channel();
        thread::spawn(move || {
            if is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = kill_process(process, Signal::KILL);
            }
        });
        Self { _over: over }
    }
}

/// Runs a command to its end: what it printed.
///
/// # Errors
/// Where it cannot be started or read.
pub fn output(command: &mut Command) -> io::Result<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let _patience = Patience::with(&child);
    child.wait_with_output()
}
