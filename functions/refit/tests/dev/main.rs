//! `refit dev` as a process, alone on its machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod demo;
mod kill;
mod process;
mod serve;
