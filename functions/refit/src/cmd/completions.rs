//! `refit completions`: completions for a shell.

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Print completions for a shell
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:
  refit completions bash > ~/.local/share/bash-completion/completions/refit")]
pub(crate) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "refit", &mut script);
    context.output.show_text("script", &String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}
