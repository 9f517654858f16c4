#![doc = include_str!("../README.md")]

mod burst;
mod floor;
mod intake;
mod load;
mod process;
mod stopwatch;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Parser;

/// Measures what accepting an event costs, beside a floor measured in the same run.
#[derive(Debug, Parser)]
#[command(version)]
enum Command {
    /// Events a second, latency, CPU and memory of `object`, beside a bare server.
    Intake {
        /// Events per measurement.
        #[arg(long, default_value_t = 20_000)]
        events: usize,
        /// The program that is measured.
        #[arg(long, default_value = "target/release/object")]
        object: PathBuf,
    },
    /// Many object events at once over a store whose creates take their time: how many writes, how many runs.
    Burst {
        /// Events in the burst.
        #[arg(long, default_value_t = 100_000)]
        events: usize,
        /// How long a create takes, in milliseconds.
        #[arg(long, default_value_t = 20)]
        create_ms: i64,
    },
    /// The bare server.
    #[command(hide = true)]
    Floor {
        /// Where it makes its outgoing call.
        target: String,
    },
    /// What is called by the servers that are measured.
    #[command(hide = true)]
    Sink,
}

fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match Command::parse() {
            Command::Intake { events, object } => {
                anyhow::ensure!(
                    object.exists(),
                    "`{}` does not exist: build it by `cargo build --release -p object`",
                    object.display()
                );
                intake::measure(&object, events).await
            }
            Command::Burst { events, create_ms } => burst::measure(events, create_ms).await,
            Command::Floor { target } => floor::floor(target).await.context("the bare server"),
            Command::Sink => floor::sink().await.context("the sink"),
        }
    })
}
