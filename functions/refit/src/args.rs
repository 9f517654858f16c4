//! What every command understands, and how a command ends.

use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

use clap::Parser;
use refit_core::error::{Error, ErrorKind};
use refit_host::logs;
use refit_platform::env;
use serde_json::json;

use crate::cmd::Command;
use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Retrains models when new data arrives: rules say which data, the ledger records what became of it.
#[derive(Debug, Parser)]
#[command(name = "refit", version, max_term_width = 100, after_help = after_help())]
pub(crate) struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Global {
    /// Where the ledger lies: a directory, gs://bucket/folder or s3://bucket/folder [default: REFIT_LEDGER, else
    /// `ledger:` in ./refit.yaml, else .refit in this folder]
    #[arg(long, global = true, value_name = "LOCATION", help_heading = "Global options")]
    pub(crate) ledger: Option<String>,
    /// Print exactly one JSON value, also for an error
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) json: bool,
    /// Print the result and errors, and nothing else
    #[arg(long, short, global = true, help_heading = "Global options")]
    pub(crate) quiet: bool,
}

fn after_help() -> String {
    let codes = Exit::ALL.iter().map(|exit| format!("  {:3}  {}\n", exit.code(), exit.meaning()));
    format!("Exit codes:\n{}", codes.collect::<String>())
}

/// Runs the command the process was started with.
pub(crate) fn run() -> ExitCode {
    let cli = match Cli::try_parse_from(of_help(std::env::args_os().collect())) {
        Ok(cli) => cli,
        Err(error) => return misunderstood(&error),
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    let exit = run_to_end(cli, output).unwrap_or_else(|failure| {
        output.fail(&failure);
        failure.exit
    });
    exit.into()
}

/// The arguments without `--json` where help is asked for, which is text whatever is asked.
fn of_help(mut arguments: Vec<OsString>) -> Vec<OsString> {
    if arguments.get(1).is_some_and(|first| first == "help") {
        arguments.retain(|argument| argument != "--json");
    }
    arguments
}

fn run_to_end(cli: Cli, output: Output) -> Result<Exit, Failure> {
    let keeps_running = cli.command.keeps_running();
    if !keeps_running && env::var("REFIT_LOG").is_some() {
        logs::begin("refit")?;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        Error::new(ErrorKind::Internal, "the runtime cannot start").because(error)
    })?;
    let context = Context { global: cli.global, output };
    let ended = runtime.block_on(async {
        let command = cli.command.run(&context);
        match keeps_running {
            true => command.await,
            false => tokio::select! {
                ended = command => ended,
                _ = tokio::signal::ctrl_c() => Err(Failure::new(Exit::Interrupted, "interrupted")),
            },
        }
    });
    // A question nobody answered keeps a thread waiting for the terminal.
    runtime.shutdown_background();
    ended
}

/// Answers a command line that says nothing we know, or that asks for help or for the version.
fn misunderstood(error: &clap::Error) -> ExitCode {
    let is_json = std::env::args_os().any(|arg| arg == OsStr::new("--json"));
    if is_json && error.kind() == clap::error::ErrorKind::DisplayVersion {
        let version = json!({ "name": "refit", "version": env!("CARGO_PKG_VERSION") });
        let shown = Output::new(true, false).show_value(&version);
        return shown.map_or_else(|failure| failure.exit, |()| Exit::Ok).into();
    }
    if is_json && error.use_stderr() {
        let text = error.render().to_string();
        let failure = Failure::new(Exit::Usage, text.trim_start_matches("error: ").trim_end());
        Output::new(true, false).fail(&failure);
        return Exit::Usage.into();
    }
    // Nobody is left to tell if even this cannot be printed.
    let _ = error.print();
    if error.use_stderr() { Exit::Usage.into() } else { Exit::Ok.into() }
}
