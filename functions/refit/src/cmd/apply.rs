//! `refit apply`: puts a rule file in force.

use std::fmt;
use std::path::PathBuf;

use bytes::Bytes;
use refit_core::event::Command;
use refit_core::state::State;
use refit_engine::gather::RuleBook;
use refit_engine::layout;
use refit_engine::port::Store;
use refit_host::function::book;
use serde::Serialize;

use crate::context::{Context, Opened};
use crate::exit::{Exit, Failure};
use crate::preview::{Due, Staying, preview, staying};
use crate::rule_changes::RuleChanges;
use crate::rule_file::{DEFAULT, RuleFile};
use crate::submit::{Submitted, Wait};

/// Put a rule file in force, after showing what it changes and what becomes due by it
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Nothing that lies in a bucket already fires because rules are applied. A batch that becomes \
        due by the new rules waits for a decision (`refit resume`), unless --start is given.

Examples:
  refit apply --dry-run
  refit apply rules/prod.yaml --yes
  refit apply --start"
)]
pub(crate) struct Args {
    /// The rule file
    #[arg(default_value = DEFAULT)]
    file: PathBuf,
    /// Show what would change, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Let batches that become due by the new rules start runs
    #[arg(long)]
    start: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    wait: Wait,
}

/// What is to be applied.
#[derive(Debug, Serialize)]
struct Proposal {
    file: String,
    /// Where the ledger lies in which it is to be in force.
    ledger: String,
    revision: String,
    /// The revision it replaces.
    replaces: Option<String>,
    changes: RuleChanges,
    due: Vec<Due>,
    /// Active runs that stay with a service as it was.
    staying: Vec<Staying>,
}

/// What came of it.
#[derive(Debug, Serialize)]
struct Applied {
    proposal: Proposal,
    /// Whether the revision was in force already.
    in_force: bool,
    submitted: Option<Submitted>,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<Exit, Failure> {
    let output = context.output;
    let file = context.rules(&args.file)?;
    let Some(new) = file.config.clone().map(book) else {
        output.show(&file.checked(output))?;
        return Ok(Exit::Invalid);
    };
    let rules = &new.rules;
    let location = context.location(Some(&file))?;
    let opened = open(context, &location, args.dry_run).await?;
    let state = match &opened {
        Some(opened) => opened.state().await?,
        None => None,
    };
    let ledger = (location.as_str(), opened.as_ref().zip(state.as_ref()));
    let proposal = propose(ledger, &file, &new, args.start).await?;
    let in_force = proposal.replaces.as_ref() == Some(&rules.revision);
    let opened = opened.filter(|_| !args.dry_run);
    if in_force && let Some(opened) = &opened {
        store(&*opened.base.store, &file.text, &rules.revision).await?;
    }
    let Some(opened) = opened.filter(|_| !in_force) else {
        output.show(&Applied { proposal, in_force, submitted: None })?;
        return Ok(Exit::Ok);
    };
    if !output.is_json() {
        output.show(&proposal)?;
    }
    if state.is_none() {
        output.note("no reconciler has founded this ledger yet: the first one does, and applies these rules");
    }
    if !args.yes && !output.confirm("Apply?").await? {
        return Err(Failure::new(Exit::Refused, "nothing was applied"));
    }
    let submitted = submit(context, &opened, &file, &proposal, &args).await?;
    match output.is_json() {
        true => output.show(&Applied { proposal, in_force, submitted: Some(submitted) })?,
        false => output.show(&submitted)?,
    }
    Ok(Exit::Ok)
}

/// Opens the ledger; a dry run makes none.
async fn open(context: &Context, location: &str, dry_run: bool) -> Result<Option<Opened>, Failure> {
    match dry_run {
        false => context.open_at(location.to_owned()).await.map(Some),
        true => match context.open_existing_at(location.to_owned()).await {
            Err(failure) if failure.exit == Exit::NotFound => Ok(None),
            opened => opened.map(Some),
        },
    }
}

async fn propose(
    (location, ledger): (&str, Option<(&Opened, &State)>),
    file: &RuleFile,
    new: &RuleBook,
    start: bool,
) -> Result<Proposal, Failure> {
    let rules = &new.rules;
    let (before, due, staying) = match ledger {
        None => (None, Vec::new(), Vec::new()),
        Some((opened, state)) => {
            let now = opened.now(state).await?;
            let due = preview(opened, state, now, rules, start).await?;
            (opened.rules_text(state).await?, due, staying(opened, state, new).await?)
        }
    };
    // Rules that cannot be read are shown as if there were none.
    let before = before.and_then(Result::ok).unwrap_or_default();
    Ok(Proposal {
        file: file.path.display().to_string(),
        ledger: location.to_owned(),
        revision: rules.revision.clone(),
        replaces: ledger.and_then(|(_, state)| state.rules.clone()),
        changes: RuleChanges::between(&before, &file.text),
        due,
        staying,
    })
}

/// Stores the rules; those in force may have been lost, and are put back.
async fn store(store: &dyn Store, text: &str, revision: &str) -> Result<(), Failure> {
    let name = layout::rules(revision);
    let body = Bytes::from(text.to_owned());
    // Named by its content: one that is there already is the same.
    match store.create(&name, body).await {
        Ok(_) => Ok(()),
        // Who may not overwrite may be refused before anybody looks whether there is something to overwrite.
        Err(_) if store.get(&name).await.is_ok_and(|found| found.is_some()) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

async fn submit(
    context: &Context,
    opened: &Opened,
    file: &RuleFile,
    proposal: &Proposal,
    args: &Args,
) -> Result<Submitted, Failure> {
    let Proposal { revision, replaces, .. } = proposal;
    store(&*opened.base.store, &file.text, revision).await?;
    let from = opened.state().await?.map_or(0, |state| state.seq);
    let (revision, replaces) = (revision.clone(), replaces.clone());
    let command = Command::Apply { revision, replaces, start: args.start };
    opened.submit(context.output, command, &args.wait, from).await
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, ledger, revision, .. } = self;
        let replaces = self.replaces.as_deref().unwrap_or("none");
        writeln!(f, "{file}: revision {revision} replaces {replaces} in {ledger}")?;
        write!(f, "{}", self.changes)?;
        self.staying.iter().try_for_each(|staying| writeln!(f, "{staying}"))?;
        match self.due.is_empty() {
            true => write!(f, "no batch becomes due"),
            false => self.due.iter().try_for_each(|due| writeln!(f, "{due}")),
        }
    }
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.in_force {
            true => write!(f, "these rules are in force: revision={}", self.proposal.revision),
            false => write!(f, "{}", self.proposal),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use refit_core::error::ErrorKind;
    use refit_platform::clock::SystemClock;
    use refit_platform::store::MemoryStore;
    use refit_testkit::fault::{Call, Fault, FaultyStore};

    use super::*;

    #[tokio::test]
    async fn rules_that_are_stored_are_stored_though_nobody_may_overwrite_them() {
        let memory = Arc::new(MemoryStore::new(Arc::new(SystemClock)));
        let refusing = FaultyStore::new(Arc::clone(&memory) as Arc<dyn Store>, |call| match call {
            Call::Create(_) => Fault::Before(ErrorKind::Unauthorized),
            _ => Fault::None,
        });
        let failure = store(&refusing, "rules", "r1").await.unwrap_err();
        assert!(failure.exit == Exit::Internal && failure.message.contains("told to fail"));
        store(&*memory, "rules", "r1").await.unwrap();
        store(&refusing, "rules", "r1").await.unwrap();
        assert!(store(&refusing, "others", "r2").await.is_err());
    }
}
