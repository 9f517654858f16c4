//! `refit fsck`: proof that what is stored is whole.

use refit_platform::env;

use crate::context::{Context, no_ledger};
use crate::exit::{Exit, Failure};
use crate::proof::{Proof, prove};

/// Prove that the log has no gap, and that everything it names is stored and is what its name says
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Reads every object of the ledger, and changes nothing, unless --restored is given. Exits with 7 if something is wrong.

What is named by its content (parts, manifests, seen identities, revisions of the rules) is compared with its name, a snapshot with its digest \
        and with what the log leads to. Commits and segments carry no digest: a changed byte is found where it makes one unreadable, in a commit \
        also where it breaks an invariant or leads to another state than a snapshot that is kept. Foreign is what has no name of its folder's form, \
        and what no commit names once housekeeping has passed its number and it is a week old; rules that nobody has applied may wait for ever.

A ledger that was restored from an older copy has forgotten what came later, and would take it for new. Stop what \
        reconciles, restore, say --restored, and start it again: events from before that are refused as late then, \
        times of schedules from before that are passed over, and `refit replay --force` takes those events in that are \
        wanted. What the copy holds open starts, also where it was started after the copy was made: `refit pause` before, if that is not wanted. Names of batches that the lost log \
        gave come again, but no run key, claim or id of a notification does.

Examples:
  refit fsck --ledger gs://acme-refit/prod
  refit fsck --restored"
)]
pub(crate) struct Args {
    /// The ledger was restored from a copy: take nothing in that is older than this moment
    #[arg(long)]
    restored: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    if args.restored {
        mark(context).await?;
    }
    prove(context, Proof::Fsck).await
}

/// Marks the ledger first: also one with findings must not take in what it has forgotten.
async fn mark(context: &Context) -> Result<(), Failure> {
    let opened = context.open_existing().await?;
    let marked = opened.ledger.mark_restored(&env::nonce(), &*opened.base.clock).await?;
    let commit = marked.ok_or_else(|| no_ledger(&opened.location))?;
    let (seq, now) = (commit.seq, commit.now);
    context.output.note(&format!("events from before {now} are late from now on, commit=`{seq}`"));
    Ok(())
}
