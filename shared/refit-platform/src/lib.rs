#![doc = include_str!("../README.md")]

pub mod auth;
pub mod clock;
pub mod env;
pub mod store;
pub mod transport;
