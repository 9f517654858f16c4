//! `refit notify`: sends a letter about nothing to somebody a rule file names.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use refit_core::notice::Receipt;
use refit_engine::courier::deliver;
use refit_engine::port::Clock;
use refit_platform::auth::Places;
use refit_platform::clock::SystemClock;
use refit_platform::transport::{HttpTransport, Options, Outbound};
use refit_wire::notify::sample;
use serde::Serialize;

use super::services;
use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Send a letter about nothing to somebody the rule file names under `notify`
#[derive(Debug, clap::Args)]
#[command(
    after_help = "It is sent from here, with the secrets this machine can read: `env` from the environment of this \
        command, `secret` from Secret Manager or Secrets Manager by its credentials. Nothing is recorded.

Without a file and without ./refit.yaml, the rules in force are read from the ledger.

Examples:
  refit notify --test ml-team
  SLACK_WEBHOOK=… refit notify --test ml-team refit.yaml"
)]
pub(crate) struct Args {
    /// Whom to send it to
    #[arg(long, value_name = "NAME")]
    test: String,
    /// The rule file
    file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Told {
    receiver: String,
    kind: &'static str,
    /// The id of the letter.
    id: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let config = services::config(context, args.file).await?;
    let name = args.test;
    let found = config.tellers.get(&name).zip(config.notifier_configs.get(&name));
    let (teller, settings) = found.ok_or_else(|| {
        let known = config.tellers.keys().cloned().collect::<Vec<_>>().join(", ");
        let message = format!("nobody is told under this name: name=`{name}`, known=`{known}`");
        Failure::new(Exit::NotFound, message)
    })?;
    let (id, letter) = sample(&name, SystemClock.now());
    let sending = teller.tell("test", id, &letter, None);
    let options = Options { places: Places::from_env(), ..Options::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let http = Arc::new(HttpTransport::new(Arc::clone(&clock), options)?);
    let transport = Outbound::new(http, clock);
    let failure = |what: &str, message: &str| {
        Failure::new(Exit::Unavailable, format!("{what}: {message}: receiver=`{name}`"))
    };
    match deliver(sending, &transport, &SystemClock).await {
        Receipt::Delivered => {
            let (receiver, kind, id) = (name, settings.kind(), id.to_string());
            context.output.show(&Told { receiver, kind, id })?;
            Ok(Exit::Ok)
        }
        Receipt::Failed { message, .. } => Err(failure("it may not have arrived", &message)),
        Receipt::Refused(message) => {
            let message = format!("it was refused: {message}: receiver=`{name}`");
            Err(Failure::new(Exit::Refused, message))
        }
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { receiver, kind, id } = self;
        writeln!(f, "{receiver} was told, by {kind}; the id of the letter is {id}")
    }
}
