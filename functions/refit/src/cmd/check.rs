//! `refit check`: what is wrong with a rule file, and what its triggers will do; or what is wrong with a pipeline.

use std::path::{Path, PathBuf};

use refit_dev::pipelines;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rule_file::{Checked, DEFAULT, unreadable};

/// Check a rule file, and say what each trigger will do; or check the pipeline.yaml of a pipeline of `refit dev`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing is sent and no ledger is read. A file called pipeline.yaml is that of a pipeline of `refit dev`.

Examples:
  refit check
  refit check --strict rules/prod.yaml
  refit check train/pipeline.yaml"
)]
pub(crate) struct Args {
    /// The rule file, or a pipeline.yaml
    #[arg(default_value = DEFAULT)]
    file: PathBuf,
    /// Exit with 7 if there is a warning
    #[arg(long)]
    strict: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let checked = match args.file.file_name().is_some_and(|name| name == pipelines::FILE) {
        true => pipeline(&args.file, context.output)?,
        false => context.rules(&args.file)?.checked(context.output),
    };
    context.output.show(&checked)?;
    Ok(match (checked.has_errors(), checked.has_warnings() && args.strict) {
        (true, _) => Exit::Invalid,
        (false, true) => Exit::Findings,
        (false, false) => Exit::Ok,
    })
}

fn pipeline(path: &Path, output: Output) -> Result<Checked, Failure> {
    let text =
        pipelines::text(path).map_err(|error| unreadable("the pipeline", path, &error, ""))?;
    let folder = path.parent().and_then(|folder| folder.canonicalize().ok()).unwrap_or_default();
    let found = pipelines::check(&text, &folder);
    Ok(Checked::of(path, &text, found, output))
}
