//! Servers that stand in for those of others: really listening on this machine, and as awkward as the real ones.
//!
//! They read no clock and never wait for time to pass: what takes time there takes requests here, or an order of the
//! test.

pub mod client;
pub mod kfp;
pub mod lambda;
pub mod metadata;
pub mod mlflow;
pub mod proxy;
pub mod server;
pub mod stage;
pub mod tls;
