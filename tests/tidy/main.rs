//! The rules the sources of refit follow, as tests over the sources.
//!
//! Each rule takes texts and answers with what breaks it, so that it is itself tested on a text that does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod dependencies;
mod documents;
mod environment;
mod examples;
mod hcl;
mod layers;
mod links;
mod purity;
mod rights;
mod samples;
mod sizes;
mod sources;
mod tables;
mod targets;
mod terraform;
mod words;
