//! `refit worker`: pulls events from a subscription.

use refit_host::worker::{self, Settings};
use refit_host::{logs, server};
use refit_platform::env;
use serde_json::json;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Pull events from a Pub/Sub subscription and record them, until told to end; logs go to stderr
#[derive(Debug, clap::Args)]
#[command(
    after_help = "For networks that Pub/Sub cannot push into. Every message goes through the door that object and drift \
        have: it is acknowledged once it is recorded, and given back if the ledger does not take it; one that cannot be \
        understood is recorded as refused. REFIT_WAKE says what is woken. It decides nothing: let tick or refit serve run \
        on the same ledger.

Examples:
  refit worker --subscription projects/acme/subscriptions/refit-object --ledger gs://acme-refit/prod"
)]
pub(crate) struct Args {
    /// The subscription, projects/P/subscriptions/S
    #[arg(long, value_name = "NAME")]
    subscription: String,
    /// Messages under way at the same time
    #[arg(long, value_name = "NUMBER", default_value = "1000", value_parser = clap::value_parser!(u16).range(1..))]
    at_once: u16,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    logs::begin("refit")?;
    let settings = Settings {
        ledger: context.location(None)?,
        wake: env::var("REFIT_WAKE"),
        subscription: args.subscription,
        at_once: args.at_once,
    };
    worker::run(&settings, server::told_to_end()).await?;
    if context.output.is_json() {
        context.output.show_value(&json!({ "ended": true }))?;
    }
    Ok(Exit::Ok)
}
