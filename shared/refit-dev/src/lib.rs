#![doc = include_str!("../README.md")]

pub mod demo;
pub mod metadata;
pub mod news;
pub mod pipelines;
pub mod scheduler;
pub mod show;
pub mod watcher;
pub mod world;

mod here;

pub use here::PORT;
