//! Who says something of a version, and why.

use refit_core::event::Command;
use refit_core::promotion::{Says, Stage, Statement};
use refit_platform::env;

use crate::exit::{Exit, Failure};

/// Who says so, and why.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Voice {
    /// Who says so; by default the user of this system. It is a statement: whoever may write to the ledger may name anybody
    #[arg(long = "as", value_name = "PERSON")]
    person: Option<String>,
    /// Why; it is kept with it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Of which version something is said.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Named {
    /// The model
    pub(crate) model: String,
    /// The version, by the registry's name of it, such as 3
    pub(crate) version: String,
}

impl Voice {
    /// Who says so.
    fn person(&self) -> Result<String, Failure> {
        let named = self.person.clone().or_else(|| env::var("USER"));
        named.filter(|person| !person.trim().is_empty()).ok_or_else(|| {
            Failure::new(Exit::Usage, "nobody is named who says so: say who with --as")
        })
    }

    /// A statement of this person.
    pub(crate) fn says(
        &self,
        says: Says,
        named: Named,
        stage: Option<Stage>,
    ) -> Result<Command, Failure> {
        let (person, reason) = (self.person()?, self.reason.clone());
        let Named { model, version } = named;
        Ok(Command::Promotion(Statement { model, version, says, stage, person, reason }))
    }
}
