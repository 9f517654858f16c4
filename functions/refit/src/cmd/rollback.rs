//! `refit rollback`: gives production back to the version that had it before.

use refit_core::promotion::{Says, Stage};

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::Wait;
use crate::voice::{Named, Voice};

/// Give production back to the version that had it before
#[derive(Debug, clap::Args)]
#[command(
    after_help = "No approval is waited for, unless production takes four eyes: then another person approves it.
If somebody else rolls back at the same time, one of the two is refused: production goes back once.

Example:
  refit rollback churn --as ann --reason 'complaints since noon'"
)]
pub(crate) struct Args {
    /// The model
    model: String,
    #[command(flatten)]
    voice: Voice,
    #[command(flatten)]
    wait: Wait,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let (opened, state) = context.load().await?;
    let model = state.models.get(&args.model);
    let holder = model.and_then(|model| model.holders.get(&Stage::Production));
    let version = holder.map(|holder| holder.version.clone()).ok_or_else(|| {
        let message = format!("nothing is known to be in production: model=`{}`", args.model);
        Failure::new(Exit::NotFound, message)
    })?;
    let named = Named { model: args.model, version };
    let command = args.voice.says(Says::Rollback, named, Some(Stage::Production))?;
    opened.obey(context.output, command, &args.wait, state.seq).await
}
