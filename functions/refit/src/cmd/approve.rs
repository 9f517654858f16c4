//! `refit approve`: approves what is asked for a version.

use refit_core::promotion::Says;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::voice::Said;

/// Approve what is asked for a version
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The rule says how many persons must approve. With `four_eyes`, who asked for it or approved it before does not count.
The name is a statement: whoever may write to the ledger may name anybody.

Examples:
  refit approve churn 3
  refit approve churn 3 --stage staging --as ann --reason 'looked at the curves'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    said: Said,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    args.said.submit(context, Says::Approve).await
}
