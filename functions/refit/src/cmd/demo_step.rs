//! `refit demo-step`: a step of the demo's pipeline, as the local pipeline service runs it.

use breast_cancer::Job;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Run a step of the pipeline of `refit dev --demo`
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    #[command(flatten)]
    job: Job,
}

pub(super) async fn run(_: &Context, args: Args) -> Result<Exit, Failure> {
    let done = args.job.run(&mut std::io::stdout());
    done.map_err(|error| Failure::new(Exit::Internal, format!("{error:#}")))?;
    Ok(Exit::Ok)
}
