//! One step of the breast cancer pipeline, run by hand or by a pipeline service.

use breast_cancer::Job;
use clap::Parser;

#[derive(Parser)]
#[command(version, about = "Tells malignant from benign tumours")]
struct Cli {
    #[command(flatten)]
    job: Job,
}

fn main() -> anyhow::Result<()> {
    Cli::parse().job.run(&mut std::io::stdout())
}
