//! `refit cancel`: ends a run.

use refit_core::event::Command;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};

/// End a run; its service is asked to, and it is over once it is seen to have ended
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  refit cancel b17
  refit cancel rf-0b5e6f3c9d1a4e72b8c05f6a7d8e9f10")]
pub(crate) struct Args {
    /// The run: a batch such as b17, or a run key such as rf-…
    run: String,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    submit::run(context, Command::Cancel { run: args.run }, &args.wait).await
}
