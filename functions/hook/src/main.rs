//! A signed webhook arrived: verifies it, records it and wakes the reconciler.
//!
//! Its identity needs to create objects in the ledger's inbox and to wake `tick`, nothing else.

use std::process::ExitCode;

use refit_host::function::{Doors, main as run};

fn main() -> ExitCode {
    run("hook", Doors::Hook)
}
