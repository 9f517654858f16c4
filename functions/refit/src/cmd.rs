//! The commands, each in a file of its own: its options with their help, and what it does.

pub(crate) mod apply;
pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod demo_step;
pub(crate) mod dev;
pub(crate) mod doctor;
pub(crate) mod env;
pub(crate) mod fsck;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod manifest;
pub(crate) mod models;
pub(crate) mod notify;
pub(crate) mod pause;
pub(crate) mod quarantine;
pub(crate) mod reject;
pub(crate) mod replay;
pub(crate) mod request;
pub(crate) mod reread;
pub(crate) mod resume;
pub(crate) mod rollback;
pub(crate) mod runs;
pub(crate) mod schema;
pub(crate) mod serve;
pub(crate) mod services;
pub(crate) mod settle;
pub(crate) mod status;
pub(crate) mod sweep;
pub(crate) mod trail;
pub(crate) mod used;
pub(crate) mod why;
pub(crate) mod worker;

use clap::Subcommand;

use crate::context::Context;
use crate::exit::{Exit, Failure};

/// Makes the commands from one row each: the variant, and the module with its `Args`.
macro_rules! commands {
    ($($name:ident: $module:ident,)*) => {
        /// The commands, in the order the help lists them.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($name($module::Args),)*
        }

        impl Command {
            /// Does what it says.
            pub(crate) async fn run(self, context: &Context) -> Result<Exit, Failure> {
                match self {
                    $(Self::$name(args) => Box::pin($module::run(context, args)).await,)*
                }
            }
        }
    };
}

commands! {
    Init: init,
    Dev: dev,
    Check: check,
    Apply: apply,
    Status: status,
    Runs: runs,
    Why: why,
    Replay: replay,
    Sweep: sweep,
    Reread: reread,
    Inspect: inspect,
    Quarantine: quarantine,
    Pause: pause,
    Resume: resume,
    Cancel: cancel,
    Settle: settle,
    Manifest: manifest,
    Models: models,
    Request: request,
    Approve: approve,
    Reject: reject,
    Rollback: rollback,
    Trail: trail,
    Used: used,
    Serve: serve,
    Worker: worker,
    Audit: audit,
    Fsck: fsck,
    Doctor: doctor,
    Services: services,
    Notify: notify,
    Env: env,
    Schema: schema,
    Completions: completions,
    DemoStep: demo_step,
}

impl Command {
    /// Whether it runs until it is told to end, and sees to that itself.
    pub(crate) fn keeps_running(&self) -> bool {
        match self {
            Self::Dev(_) | Self::Serve(_) | Self::Worker(_) => true,
            Self::DemoStep(args) => args.serves(),
            _ => false,
        }
    }
}
