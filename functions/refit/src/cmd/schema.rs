//! `refit schema`: the JSON Schema of rule files.

use refit_wire::config;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Print the JSON Schema of rule files, for editors
#[derive(Debug, clap::Args)]
#[command(after_help = "An editor completes a refit.yaml whose first line is
`# yaml-language-server: $schema=refit.schema.json`.

Example:
  refit schema > refit.schema.json")]
pub(crate) struct Args {}

pub(super) async fn run(context: &Context, _: Args) -> Result<Exit, Failure> {
    context.output.show_value(&config::schema())?;
    Ok(Exit::Ok)
}
