//! `refit dev` as a process, alone on its machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![expect(clippy::print_stdout, reason = "how often it was killed is part of the result")]

mod demo;
mod endings;
mod kill;
mod mlflow;
mod points;
mod process;
mod promotion;
mod proof;
mod serve;
mod serving;
