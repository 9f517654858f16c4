#![doc = include_str!("../README.md")]

pub mod explore;
pub mod ledger;
pub mod link;
pub mod mutants;
pub mod pass;
pub mod property;
pub mod protocol;
pub mod recovery;
pub mod scope;
pub mod world;
