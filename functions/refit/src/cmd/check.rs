//! `refit check`: what is wrong with a rule file, and what its triggers will do.

use std::path::PathBuf;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::rule_file::DEFAULT;

/// Check a rule file, and say what each trigger will do
#[derive(Debug, clap::Args)]
#[command(after_help = "Nothing is sent and no ledger is read.

Examples:
  refit check
  refit check --strict rules/prod.yaml")]
pub(crate) struct Args {
    /// The rule file
    #[arg(default_value = DEFAULT)]
    file: PathBuf,
    /// Exit with 7 if there is a warning
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let checked = context.rules(&args.file)?.checked(context.output);
    context.output.show(&checked)?;
    Ok(match (checked.has_errors(), checked.has_warnings() && args.strict) {
        (true, _) => Exit::Invalid,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Ok,
    })
}
