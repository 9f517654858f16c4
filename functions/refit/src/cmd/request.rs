//! `refit request`: asks for a stage for a version.

use refit_core::promotion::Says;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::voice::Said;

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
    said: Said,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    args.said.submit(context, Says::Request).await
}
