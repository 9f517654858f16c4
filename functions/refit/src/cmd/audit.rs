//! `refit audit`: proof that every event has exactly one fate.

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::proof::{Proof, prove};

/// Prove that every stored event is pending, a member of one batch per trigger, or refused
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the whole log and every segment that is kept, and changes nothing. Exits with 7 if something is wrong.

With --buckets, so is what `refit sweep --dry-run` would find: an object a trigger in force watches, which the ledger \
        does not know; and a bucket that cannot be listed.

Examples:
  refit audit --json | jq '.findings'
  refit audit --buckets"
)]
pub(crate) struct Args {
    /// Look into the watched buckets as well, for objects that were never recorded
    #[arg(long)]
    buckets: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    prove(context, Proof::Audit { buckets: args.buckets }).await
}
