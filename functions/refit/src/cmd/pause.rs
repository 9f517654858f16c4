//! `refit pause`: keeps a trigger from starting runs.

use refit_core::event::{Command, PauseMode};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};

/// Keep a trigger from starting runs; what arrives meanwhile is kept
#[derive(Debug, clap::Args)]
#[command(after_help = "Runs that are active go on: `refit cancel` ends one.

Examples:
  refit pause churn
  refit pause churn --ignore")]
pub(crate) struct Args {
    /// The trigger
    trigger: String,
    /// Ignore what arrives meanwhile; it is recorded as ignored
    #[arg(long)]
    ignore: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mode = if args.ignore { PauseMode::Ignore } else { PauseMode::Hold };
    submit::run(context, Command::Pause { trigger: args.trigger, mode }, &args.wait).await
}
