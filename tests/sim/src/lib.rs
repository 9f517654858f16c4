//! The engine of refit in a simulated world.
//!
//! The real asynchronous engine runs on one thread over a simulated store, simulated services and a clock per
//! process. Everything that may go wrong is drawn from a seed; the same seed gives the same world, step by step.

pub mod check;
pub mod executor;
pub mod faults;
pub mod many;
pub mod random;
pub mod rules;
pub mod schedule;
pub mod service;
pub mod store;
pub mod world;
