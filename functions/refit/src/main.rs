//! The command line of refit: checks rules, puts them in force, and tells what became of events and runs.
//!
//! It reads the ledger, and writes nothing to it but rules and events (commands, replays, what a sweep or a reread found):
//! only a reconciler decides. `fsck --restored` alone commits, that the ledger is a copy.

mod args;
mod cmd;
mod context;
mod doctor;
mod exit;
mod fate;
mod inbox;
mod output;
mod preview;
mod progress;
mod proof;
#[cfg(test)]
mod reference;
mod rule_changes;
mod rule_file;
mod run_row;
mod sentence;
mod submit;
mod voice;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    args::run()
}
