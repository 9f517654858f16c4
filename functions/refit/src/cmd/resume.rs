//! `refit resume`: ends a pause, or decides on batches that wait for a decision.

use refit_core::event::{Command, Held};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};

/// End a pause, or decide on batches that wait for a decision; nothing starts unless asked to
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Without an option, what was held goes on waiting, for one of the two options.

Examples:
  refit resume churn
  refit resume churn --coalesce
  refit resume churn --discard"
)]
pub(crate) struct Args {
    /// The trigger
    trigger: String,
    /// Let what was held start a run
    #[arg(long)]
    coalesce: bool,
    /// Drop what was held; it is recorded as discarded
    #[arg(long, conflicts_with = "coalesce")]
    discard: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let held = match (args.coalesce, args.discard) {
        (true, _) => Held::Coalesce,
        (false, true) => Held::Discard,
        (false, false) => Held::Ask,
    };
    submit::run(context, Command::Resume { trigger: args.trigger, held }, &args.wait).await
}
