//! A process that ends with the one that started it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// Runs a command until its own input ends, which it does with the process at the other end, however that ends.
const UNTIL_INPUT_ENDS: &str = r#""$@" 2>&1 & cat >/dev/null; kill "$!""#;

/// A running server of others. It ends when this is dropped, and with the process of the test.
#[derive(Debug)]
pub struct Counterpart {
    place: String,
    child: Child,
}

impl Counterpart {
    /// Starts it and waits until a line of its output holds the marker.
    pub(super) fn start(command: &Command, marker: &str, place: String) -> Self {
        let mut shell = Command::new("sh");
        shell.args(["-c", UNTIL_INPUT_ENDS, "sh"]).arg(command.get_program());
        let variables = command.get_envs().filter_map(|(name, value)| Some((name, value?)));
        shell.envs(variables);
        shell.args(command.get_args()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = shell.spawn().expect("a shell can be started");
        let mut output = BufReader::new(child.stdout.take().expect("its output is piped")).lines();
        let mut said = String::new();
        loop {
            let line = output.next().and_then(Result::ok);
            let line = line.unwrap_or_else(|| panic!("{command:?} ended: {said}"));
            if line.contains(marker) {
                break;
            }
            said.push_str(&line);
        }
        // A pipe that is not read fills, and the server would wait for it.
        std::thread::spawn(move || output.for_each(drop));
        Self { place, child }
    }

    /// Host and port.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }
}

impl Drop for Counterpart {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
