//! `refit dev` as a process, alone on its machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod demo;
mod endings;
mod kill;
mod mlflow;
mod newcomer;
mod points;
mod process;
mod promotion;
mod proof;
mod serve;
mod serving;
mod terminal;
