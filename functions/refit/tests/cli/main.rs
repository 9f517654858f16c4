//! The command line as a process: what it prints, where, and how it ends.
//!
//! The reconciler is `refit serve` as another process, and the pipeline service a stand-in of the test kit. Nothing
//! waits for time to pass: a test asks for passes until what it waits for is so.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alone;
mod doctor;
mod endings;
mod forgotten;
mod fsck;
mod lasting;
mod models;
mod notify;
mod process;
mod quarantine;
mod replay;
mod rules;
mod runs;
mod search;
mod world;
