//! The engine of refit in a simulated world.
//!
//! The real asynchronous engine runs on one thread over a simulated store, simulated services and a clock per
//! process. Everything that may go wrong is drawn from a seed; the same seed gives the same world, step by step.
//! A [`script::Script`] tells instead what happens when, to the millisecond.

pub mod check;
pub mod draw;
pub mod executor;
pub mod faults;
pub mod killers;
pub mod many;
pub mod newest;
pub mod outside;
pub mod process;
pub mod random;
pub mod rules;
pub mod schedule;
pub mod script;
pub mod service;
pub mod stage;
pub mod store;
pub mod told;
pub mod watch;
pub mod world;
