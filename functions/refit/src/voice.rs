//! Who says something of a version, and why.

use refit_core::event::Command;
use refit_core::promotion::{Says, Stage, Statement};
use refit_platform::env;

use crate::context::Context;
use crate::exit::{Exit, Failure};
use crate::submit::Wait;

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

/// What is said of a stage of a version.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Said {
    #[command(flatten)]
    named: Named,
    /// The stage, staging or production; by default the one that comes next, or is asked for, when this is said
    #[arg(long)]
    stage: Option<Stage>,
    #[command(flatten)]
    voice: Voice,
    #[command(flatten)]
    wait: Wait,
}

impl Said {
    /// Says it, and shows what came of it.
    pub(crate) async fn submit(self, context: &Context, says: Says) -> Result<Exit, Failure> {
        let (opened, state) = context.load().await?;
        let version = state.models.get(&self.named.model);
        let version = version.and_then(|model| model.version(&self.named.version));
        // Named now, as what is said must not be taken for the next stage if it is heard late.
        let stage = self.stage.or_else(|| version?.next());
        let command = self.voice.says(says, self.named, stage)?;
        opened.obey(context.output, command, &self.wait, state.seq).await
    }
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
        Ok(Command::Promotion(Statement {
            model,
            version,
            says,
            stage,
            request: None,
            person,
            reason,
        }))
    }
}
