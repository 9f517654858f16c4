//! Woken, or pinged by a scheduler: decides what is to run, and calls the services.

use std::process::ExitCode;

use refit_host::function::{Doors, main as run};

fn main() -> ExitCode {
    run("tick", Doors::Tick)
}
