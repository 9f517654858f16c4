//! `refit demo-step`: a step of the demo's pipeline, as the local pipeline service runs it, and what its model predicts.

use breast_cancer::Command;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Run a step of the pipeline of `refit dev --demo`
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

impl Args {
    /// Whether it is no step, but the service that predicts.
    pub(super) fn serves(&self) -> bool {
        matches!(self.command, Command::Serve(_))
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if context.output.is_json() {
        let message = "a step prints its log, which is no JSON: leave out --json";
        return Err(Failure::new(Exit::Usage, message));
    }
    let done = args.command.run(&mut std::io::stdout()).await;
    done.map_err(|error| Failure::new(Exit::Internal, format!("{error:#}")))?;
    Ok(Exit::Ok)
}
