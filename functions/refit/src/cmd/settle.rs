//! `refit settle`: says what became of a start call whose fate could not be learned.

use refit_core::event::Command;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};

/// Say whether an uncertain run was started, where the service could not
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("fate").required(true).args(["started", "not_started"]),
    after_help = "`refit runs` lists uncertain runs. Look at the service for a run with the key it names. A run that stays `launching` since
its service answers no look-up can be settled as well, once its start can take effect no more. So can one that was cancelled
and of which its service says nothing for ten minutes: it is given up, and cancelled should it ever be seen again.

Examples:
  refit settle b17 --started 3f1c7a52-…
  refit settle b17 --not-started"
)]
pub(crate) struct Args {
    /// The run: a batch such as b17, or a run key such as rf-…
    run: String,
    /// It was started, and this is the service's id of it
    #[arg(long, value_name = "ID")]
    started: Option<String>,
    /// It was not started, or is given up: another attempt is made, if the rule allows one and nobody cancelled it
    #[arg(long)]
    not_started: bool,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let command = Command::Settle { run: args.run, started: args.started };
    submit::run(context, command, &args.wait).await
}
