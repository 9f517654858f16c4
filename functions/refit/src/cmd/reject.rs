//! `refit reject`: says no to a version.

use refit_core::promotion::Says;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::{self, Wait};
use crate::voice::{Named, Voice};

/// Reject a version; it gets no stage any more
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A version that is in staging stays there until another takes its place. One in production is rolled back instead.

Example:
  refit reject churn 3 --as ann --reason 'trained on the wrong table'"
)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    voice: Voice,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let command = args.voice.says(Says::Reject, args.named, None)?;
    submit::run(context, command, &args.wait).await
}
