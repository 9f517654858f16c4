//! The local pipeline service, with real processes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod api;
mod kfp;
mod registry;
mod restart;
mod runs;
mod serving;
mod world;
