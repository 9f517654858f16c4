//! `refit fsck`: proof that what is stored is whole.

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::proof::{Proof, prove};

/// Prove that the log has no gap, and that everything it names is stored and is what its name says
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads the whole log, and changes nothing. Exits with 7 if something is wrong.

Example:
  refit fsck --ledger gs://acme-refit/prod"
)]
pub(crate) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Result<Exit, Failure> {
    prove(context, Proof::Fsck).await
}
