//! The stand-ins answer as the servers they stand in for, where those are described, and do the same harm.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod described;
mod kfp;
mod metadata;
