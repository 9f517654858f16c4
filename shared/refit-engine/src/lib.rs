#![doc = include_str!("../README.md")]

pub mod act;
pub mod audit;
pub mod call;
pub mod courier;
pub mod deadline;
pub mod explain;
pub mod gather;
pub mod house;
pub mod inbox;
pub mod intake;
pub mod layout;
pub mod ledger;
pub mod nonce;
mod patient;
pub mod port;
pub mod reconcile;
pub mod record;
pub mod reread;
pub mod submit;
pub mod sweep;
