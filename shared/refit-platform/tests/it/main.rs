//! The crate against real disks and real sockets of this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alone;
mod credentials;
mod local;
mod memory;
mod mutants;
mod requests;
mod tls;
mod web;
