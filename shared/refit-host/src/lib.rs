#![doc = include_str!("../README.md")]

pub mod callers;
pub mod driver;
pub mod environment;
pub mod function;
pub mod hooks;
pub mod intake;
mod links;
pub mod logs;
pub mod oidc;
pub mod reports;
pub mod server;
pub mod trace;
pub mod waker;
pub mod worker;

mod arguments;
mod body;
mod lambda;
