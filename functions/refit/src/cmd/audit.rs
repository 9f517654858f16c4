//! `refit audit`: proof that every event has exactly one fate.

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::proof::{Proof, prove};

/// Prove that every stored event is pending, a member of one batch per trigger, or refused
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the whole log and every segment that is kept, and changes nothing. Exits with 7 if something is wrong.

Example:
  refit audit --json | jq '.findings'"
)]
pub(crate) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Result<Exit, Failure> {
    prove(context, Proof::Audit).await
}
