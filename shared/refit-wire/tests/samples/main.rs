//! Samples of deliveries: our own in `events/`, those beside the repository, and mutations of both.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod identities;
mod mutations;
mod own;
mod shared;
mod table;
