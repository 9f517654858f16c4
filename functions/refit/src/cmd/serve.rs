//! `refit serve`: every door and the reconciler in one process.

use std::net::SocketAddr;

use refit_host::environment::Settings;
use refit_host::function::{self, Doors};
use refit_host::{logs, server};
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Receive events and reconcile, all in one process, until told to end; logs go to stderr
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Doors: POST /, /object and /drift take events, POST /hook takes signed webhooks, POST /tick wakes the \
        reconciler, GET /healthz answers.

The reconciler looks at the ledger when it is woken, when something is due, and when POST /tick \
        is called: set REFIT_WAKE to its URL for commands on the same ledger, and let a scheduler call it once a minute. \
        Alone on its machine (REFIT_CALLERS=none) it looks by itself as well: every five seconds where the ledger is \
        a directory, else once a minute.

Examples:
  refit serve --ledger .refit --port 8080
  REFIT_WAKE=http://127.0.0.1:8080/tick refit apply"
)]
pub(crate) struct Args {
    /// The port to listen on; 0 takes a free one, which the log names [default: PORT, else 8080]
    #[arg(long)]
    port: Option<u16>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    logs::begin("refit")?;
    let mut settings = Settings::from_env_with(&context.location(None)?)?;
    if let Some(port) = args.port {
        settings.address = SocketAddr::new(settings.address.ip(), port);
    }
    function::run(Doors::All, &settings, server::told_to_end()).await?;
    if context.output.is_json() {
        context.output.show_value(&json!({ "ended": true }))?;
    }
    Ok(Exit::Ok)
}
