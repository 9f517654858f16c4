//! The functions as processes: over real HTTP, on a ledger in a directory, with a pipeline service that really starts
//! runs.
//!
//! Nothing waits for time to pass: a test asks `tick` for a pass, which answers once it has made one, until what it
//! waits for is so. The programs are built by the first test that needs them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod alone;
mod approvals;
#[cfg(feature = "aws")]
mod aws;
mod bad;
mod browser;
#[cfg(feature = "gcp")]
mod chain;
#[cfg(feature = "gcp")]
mod cloud;
mod connections;
mod deliveries;
mod disk;
#[cfg(feature = "aws")]
mod doctor;
mod drift;
mod ground;
mod guard;
mod hooks;
mod hosts;
mod image;
mod kfp;
mod lambda;
mod logs;
mod mage;
mod page;
mod patience;
mod process;
mod rules;
mod schedule;
mod services;
mod shutdown;
mod sweep;
mod uploads;
mod words;
#[cfg(feature = "gcp")]
mod worker;
mod world;
