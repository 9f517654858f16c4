//! What a command is given: the options of every command, and the ledger once it is opened.

use std::path::Path;

use futures::stream::{self, Stream, StreamExt as _, TryStreamExt as _};
use refit_core::commit::Commit;
use refit_core::error::Error;
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_engine::gather::RuleBook;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_host::function::{Base, read_rules};
use refit_platform::{env, store};
use url::Url;

use crate::args::Global;
use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::rule_file::{self, RuleFile};

/// Where the ledger lies if nothing says so.
const LEDGER_DEFAULT: &str = ".refit";
/// Commits read at the same time.
const READS: usize = 32;

/// What every command is given.
#[derive(Debug)]
pub(crate) struct Context {
    /// The options of every command.
    pub(crate) global: Global,
    /// Where results go.
    pub(crate) output: Output,
}

/// A ledger, and the ways out of this process.
pub(crate) struct Opened {
    /// Where it lies.
    pub(crate) location: String,
    /// What it stands on.
    pub(crate) base: Base,
    /// The ledger.
    pub(crate) ledger: Ledger,
}

impl Context {
    /// The ledger that the option names, else the environment.
    fn stated(&self) -> Option<String> {
        self.global.ledger.clone().or_else(|| env::var("REFIT_LEDGER"))
    }

    /// Reads a rule file for the ledger in use, and says so where the file names another.
    pub(crate) fn rules(&self, path: &Path) -> Result<RuleFile, Failure> {
        let Some(stated) = self.stated() else { return RuleFile::read(path) };
        let rules = RuleFile::read_for(path, Some(&stated))?;
        let uri = |location: &str| {
            let bare = || location.trim_end_matches('/').to_owned();
            store::root_uri(location).unwrap_or_else(|_| bare())
        };
        let named = rules.ledger().ok().flatten();
        if let Some(named) = named.filter(|named| uri(named) != uri(&stated)) {
            let file = path.display();
            self.output.note(&format!(
                "the ledger is {stated} here; {named}, which {file} names, is left alone"
            ));
        }
        Ok(rules)
    }

    /// Where the ledger lies: as the option says, else the environment, else the rule file, else this folder.
    pub(crate) fn location(&self, rules: Option<&RuleFile>) -> Result<String, Failure> {
        if let Some(location) = self.stated() {
            return Ok(location);
        }
        let found = match rules {
            Some(rules) => rules.ledger()?,
            None => match Path::new(rule_file::DEFAULT).exists() {
                true => RuleFile::read(Path::new(rule_file::DEFAULT))?.ledger()?,
                false => None,
            },
        };
        Ok(found.unwrap_or_else(|| LEDGER_DEFAULT.to_owned()))
    }

    /// Opens the ledger at a location, which is made if it is a directory that does not exist.
    pub(crate) async fn open_at(&self, location: String) -> Result<Opened, Failure> {
        let base = Base::open(&location).await?;
        let ledger = Ledger::new(std::sync::Arc::clone(&base.store));
        Ok(Opened { location, base, ledger })
    }

    /// Opens the ledger, which is made if it is a directory that does not exist.
    pub(crate) async fn open(&self) -> Result<Opened, Failure> {
        self.open_at(self.location(None)?).await
    }

    /// Opens the ledger, if there is one.
    pub(crate) async fn open_existing(&self) -> Result<Opened, Failure> {
        self.open_existing_at(self.location(None)?).await
    }

    /// Opens the ledger at a location, if there is one.
    pub(crate) async fn open_existing_at(&self, location: String) -> Result<Opened, Failure> {
        let folder = Url::parse(&store::root_uri(&location)?).ok();
        let folder = folder.filter(|url| url.scheme() == "file").map(|url| url.to_file_path());
        if let Some(Ok(folder)) = folder
            && !folder.exists()
        {
            return Err(no_ledger(&location));
        }
        self.open_at(location).await
    }

    /// Opens the ledger and reads its newest state.
    pub(crate) async fn load(&self) -> Result<(Opened, State), Failure> {
        let opened = self.open_existing().await?;
        let state = opened.state().await?.ok_or_else(|| no_ledger(&opened.location))?;
        Ok((opened, state))
    }
}

/// Says that there is no ledger.
pub(crate) fn no_ledger(location: &str) -> Failure {
    let message = format!(
        "there is no ledger here: a reconciler founds one at its first pass, such as that of `refit dev` or `refit serve`: location=`{location}`"
    );
    Failure::new(Exit::NotFound, message)
}

impl Opened {
    /// The newest state; none if no reconciler has founded the ledger yet.
    pub(crate) async fn state(&self) -> Result<Option<State>, Error> {
        Ok(self.ledger.load().await?.map(|view| view.state))
    }

    /// The rules in force, or why this binary cannot read them; none where none are.
    pub(crate) async fn rules(
        &self,
        state: &State,
    ) -> Result<Option<Result<RuleBook, String>>, Error> {
        let Some(text) = self.rules_text(state).await? else { return Ok(None) };
        Ok(Some(text.and_then(|text| read_rules()(&text))))
    }

    /// The text of the rules in force, or why it cannot be read; none where none are.
    pub(crate) async fn rules_text(
        &self,
        state: &State,
    ) -> Result<Option<Result<String, String>>, Error> {
        let Some(revision) = &state.rules else { return Ok(None) };
        let body = self.ledger.store().get(&layout::rules(revision)).await?;
        let text = body.ok_or_else(|| format!("it is not stored: revision=`{revision}`"));
        let text = text.and_then(|body| {
            String::from_utf8(body.to_vec()).map_err(|_| "it is not text".to_owned())
        });
        Ok(Some(text))
    }

    /// The time by the store's clock, but not before the ledger's last commit.
    pub(crate) async fn now(&self, state: &State) -> Result<Timestamp, Error> {
        let page = self.ledger.store().list(layout::LOG, &layout::commit(u64::MAX), 1).await?;
        Ok(page.now.max(state.now))
    }

    /// The commits after `seq`, in their order, up to the last.
    pub(crate) fn commits_after(
        &self,
        seq: u64,
    ) -> impl Stream<Item = Result<Commit, Error>> + Send + '_ {
        let reads = stream::iter(seq + 1..).map(|seq| self.ledger.commit(seq)).buffered(READS);
        reads
            .try_take_while(|commit| std::future::ready(Ok(commit.is_some())))
            .map(|commit| Ok(commit?.expect("the stream ends before the first that is not there")))
    }
}
