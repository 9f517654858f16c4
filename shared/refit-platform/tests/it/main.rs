//! The crate against real disks and real sockets of this machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod addresses;
mod alone;
mod credentials;
#[cfg(feature = "aws")]
mod federation;
#[cfg(feature = "gcp")]
mod gcs;
mod github;
mod local;
mod mail;
mod memory;
mod mutants;
#[cfg(feature = "gcp")]
mod pubsub;
mod requests;
#[cfg(feature = "aws")]
mod s3;
#[cfg(feature = "aws")]
mod secrets_manager;
mod tls;
mod web;
