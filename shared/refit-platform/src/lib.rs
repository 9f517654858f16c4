#![doc = include_str!("../README.md")]

pub mod auth;
pub mod clock;
pub mod env;
#[cfg(feature = "gcp")]
mod google;
pub mod part;
pub mod store;
pub mod subscription;
pub mod topic;
pub mod transport;
