//! For tests: the suite every store is put through, and stand-ins for the ports that do as they are told.

pub mod clock;
pub mod conformance;
pub mod counterpart;
pub mod fake;
pub mod fault;
pub mod fields;
pub mod folder;
pub mod process;
pub mod recording;
pub mod shared;
pub mod skip;
pub mod spec;
pub mod transport;
