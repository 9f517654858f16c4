//! `refit request`: asks for a stage for a version.

use refit_core::promotion::{Says, Stage};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};
use crate::voice::{Named, Voice};

/// Ask for a version to be given its next stage
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A version passes staging before production. Where the rule says `request: automatic`, it asks by itself.

Examples:
  refit request churn 3
  refit request churn 3 --stage production --as ann --reason 'the board wants it'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    /// The stage, staging or production; by default the one that comes next, or is asked for
    #[arg(long)]
    stage: Option<Stage>,
    #[command(flatten)]
    voice: Voice,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let command = args.voice.says(Says::Request, args.named, args.stage)?;
    submit::run(context, command, &args.wait).await
}
