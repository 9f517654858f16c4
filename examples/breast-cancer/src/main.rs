//! The breast cancer pipeline: one step of it, run by hand or by a pipeline service, or the service that predicts.

use breast_cancer::Command;
use clap::Parser;

#[derive(Parser)]
#[command(version, about = "Tells malignant from benign tumours")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    Cli::parse().command.run(&mut std::io::stdout()).await
}
