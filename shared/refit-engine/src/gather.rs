//! What the planner needs and only the outside can give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use refit_core::error::{Error, ErrorKind};
use refit_core::member::{Line, stored_lines};
use refit_core::memory::Fresh;
use refit_core::mutant::{self, Mutant};
use refit_core::plan::{Found, Need, Prepared};
use refit_core::rules::Rules;
use refit_core::run::Claim;
use refit_core::state::{BatchId, State};
use refit_core::time::Span;
use refit_wire::claim;
use refit_wire::listing::Buckets;
use refit_wire::notify::Teller;
use refit_wire::pipeline::PipelineService;
use refit_wire::registry::ModelRegistry;

use crate::call::Caller;
use crate::layout;
use crate::port::Store;
use crate::record::read_run;

/// A revision of the rules with the services it names.
#[derive(Clone, Debug)]
pub struct RuleBook {
    /// The rules.
    pub rules: Arc<Rules>,
    /// The services, by name.
    pub services: BTreeMap<String, Placed<Arc<dyn PipelineService>>>,
    /// Who can be told of what happens, by name.
    pub tellers: BTreeMap<String, Arc<Teller>>,
    /// The registries of models, by name.
    pub registries: BTreeMap<String, Placed<Arc<dyn ModelRegistry>>>,
}

/// What a revision of the rules defines under a name.
#[derive(Clone, Debug)]
pub struct Placed<A> {
    /// How it is spoken to.
    pub adapter: A,
    /// What it is, apart from how one authenticates: definitions with the same place know the same runs.
    pub place: String,
}

/// Reads a rule file; the error says what is wrong with it.
pub type ReadRules = Arc<dyn Fn(&str) -> Result<RuleBook, String> + Send + Sync>;

/// Fetches what plans need, and keeps what does not change.
pub struct Gatherer {
    store: Arc<dyn Store>,
    read_rules: ReadRules,
    /// Where claims are read.
    buckets: Buckets,
    books: BTreeMap<String, Result<Arc<RuleBook>, String>>,
    runs: BTreeMap<String, Arc<Fresh>>,
    /// Lines that were read while others could not be: what stands under a name never changes.
    read: BTreeMap<String, Bytes>,
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gatherer")
    }
}

/// Revisions kept at the same time.
const BOOKS_MAX: usize = 16;
/// How long preparing all the pipelines of a plan may take.
const PREPARE_WITHIN: Span = Span::secs(60);
/// Objects read at the same time.
const READS: usize = 16;
/// Runs of the memory kept at the same time.
const RUNS_MAX: usize = 64;

impl Gatherer {
    /// A gatherer that has nothing yet.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, read_rules: ReadRules, buckets: Buckets) -> Self {
        Self {
            store,
            read_rules,
            buckets,
            books: BTreeMap::new(),
            runs: BTreeMap::new(),
            read: BTreeMap::new(),
        }
    }

    /// Fetches everything in `needs` into `found`.
    ///
    /// # Errors
    /// The store's, and `Data` for an object that is missing or cannot be read.
    pub async fn satisfy(
        &mut self,
        state: &State,
        needs: BTreeSet<Need>,
        caller: &Caller<'_>,
        found: &mut Found,
    ) -> Result<(), Error> {
        let (mut batches, mut claims) = (BTreeSet::new(), Vec::new());
        let mut slots = Vec::new();
        for need in needs {
            match need {
                Need::Rules(revision) => {
                    let rules = self.book(&revision).await?.map(|book| Arc::clone(&book.rules));
                    found.rules.insert(revision, rules);
                }
                Need::Lines(batch) => {
                    batches.insert(batch);
                }
                Need::Prepared { revision, trigger } => {
                    let book = self.book(&revision).await?;
                    slots.push(((revision, trigger), book));
                }
                Need::SeenRun(name) => {
                    let run = self.run(&name).await?;
                    found.runs.insert(name, run);
                }
                Need::Claim(uri) => claims.push(uri),
            }
        }
        // A commit is made from a young state: all together they have one deadline.
        let end = caller.clock.elapsed() + PREPARE_WITHIN;
        let preparing: Vec<_> = slots
            .into_iter()
            .map(|(slot, book)| prepare(slot, book, (caller, end)).boxed())
            .collect();
        let mut preparing = futures::stream::iter(preparing).buffered(READS);
        while let Some((slot, prepared)) = preparing.next().await {
            found.prepared.insert(slot, prepared);
        }
        let reads: Vec<_> = claims.into_iter().map(|uri| self.claim(uri, caller).boxed()).collect();
        found
            .claims
            .extend(futures::stream::iter(reads).buffered(READS).collect::<BTreeMap<_, _>>().await);
        if !batches.is_empty() {
            found.lines.extend(self.lines(state, &batches).await?);
        }
        Ok(())
    }

    /// A revision of the rules, or why this binary cannot use it.
    ///
    /// # Errors
    /// The store's.
    pub async fn book(&mut self, revision: &str) -> Result<Result<Arc<RuleBook>, String>, Error> {
        if let Some(book) = self.books.get(revision) {
            return Ok(book.clone());
        }
        let Some(body) = self.store.get(&layout::rules(revision)).await? else {
            return Ok(Err(format!("no such revision of the rules: revision=`{revision}`")));
        };
        let text = std::str::from_utf8(&body).map_err(|_| "the rules are not text".to_owned());
        let book = text.and_then(|text| (self.read_rules)(text)).map(Arc::new);
        if self.books.len() >= BOOKS_MAX {
            self.books.clear();
        }
        self.books.insert(revision.to_owned(), book.clone());
        Ok(book)
    }

    /// What deals with something that began under its `own` revision: what the rules in force define, where that is at
    /// the same place, as credentials change; else what its own revision defines, as nothing else knows of it. The
    /// error says why there is none.
    ///
    /// # Errors
    /// The store's.
    pub async fn placed<A: Clone + Send + Sync>(
        &mut self,
        in_force: Option<&str>,
        own: &str,
        find: impl Fn(&RuleBook) -> Option<&Placed<A>> + Send + Sync,
    ) -> Result<Result<A, String>, Error> {
        let newer = match in_force.filter(|revision| *revision != own) {
            Some(revision) => self.book(revision).await?.ok(),
            None => None,
        };
        let newer = newer.as_deref().and_then(&find);
        if let Some(newer) = newer.filter(|_| mutant::is(Mutant::ServiceInForceAsked)) {
            return Ok(Ok(newer.adapter.clone()));
        }
        let book = match self.book(own).await? {
            Ok(book) => book,
            Err(message) => return Ok(Err(message)),
        };
        let Some(began) = find(&book) else {
            return Ok(Err(format!("the rules it began under do not have it: revision=`{own}`")));
        };
        let same = newer.filter(|newer| newer.place == began.place);
        Ok(Ok(same.unwrap_or(began).adapter.clone()))
    }

    /// The stored lines of open batches. Where one of many reads fails, the next try begins with those that did not.
    async fn lines(
        &mut self,
        state: &State,
        batches: &BTreeSet<BatchId>,
    ) -> Result<BTreeMap<BatchId, Vec<Line>>, Error> {
        let open = batches.iter().filter_map(|batch| state.open_batch(*batch));
        let mut names: BTreeSet<&str> =
            open.flat_map(|(_, batch)| batch.parts.iter().map(|part| part.name.as_str())).collect();
        self.read.retain(|name, _| names.remove(name.as_str()));
        let store = &*self.store;
        let reads: Vec<_> = names.into_iter().map(|name| named(store, name).boxed()).collect();
        let mut reads = futures::stream::iter(reads).buffered(READS);
        while let Some((name, body)) = reads.try_next().await? {
            self.read.insert(name.to_owned(), body);
        }
        let objects = std::mem::take(&mut self.read);
        let lines = stored_lines(state, batches.iter().copied(), |name| {
            objects.get(name).map(|body| &body[..])
        });
        lines.map_err(|error| Error::new(ErrorKind::Data, error))
    }

    /// What lies where guards make a claim.
    async fn claim(
        &self,
        uri: String,
        caller: &Caller<'_>,
    ) -> (String, Result<Option<Claim>, String>) {
        let claim = match self.buckets.claim(&uri) {
            Err(why) => Err(why),
            Ok(request) => match caller.send(request).await {
                Ok(response) => claim::read(&uri, &response),
                Err(failure) => Err(failure.to_string()),
            },
        };
        if let Err(why) = &claim {
            tracing::warn!(
                claim = uri,
                why,
                "a claim cannot be read: what ended is not believed yet"
            );
        }
        (uri, claim)
    }

    /// A run of the memory.
    ///
    /// # Errors
    /// The store's, and `Data` if it is missing, cannot be read, or is of a version this binary does not know.
    pub async fn run(&mut self, name: &str) -> Result<Arc<Fresh>, Error> {
        if let Some(run) = self.runs.get(name) {
            return Ok(Arc::clone(run));
        }
        let body = object(&*self.store, name).await?;
        let run = Arc::new(read_run(name, &body)?);
        if self.runs.len() >= RUNS_MAX {
            self.runs.clear();
        }
        self.runs.insert(name.to_owned(), Arc::clone(&run));
        Ok(run)
    }
}

/// The pipeline of a trigger, by a revision of the rules, as its service knows it.
async fn prepare(
    (revision, trigger): (String, String),
    book: Result<Arc<RuleBook>, String>,
    (caller, end): (&Caller<'_>, Span),
) -> ((String, String), Result<Prepared, String>) {
    let prepared = async {
        let book = book?;
        let rule = book.rules.triggers.get(&trigger);
        let rule = rule.ok_or_else(|| format!("no such trigger: name=`{trigger}`"))?;
        let service = book.services.get(&rule.run.service);
        let service =
            service.ok_or_else(|| format!("no such service: name=`{}`", rule.run.service))?;
        let prepared = caller.run_until(service.adapter.prepare(&rule.run.target), Some(end)).await;
        prepared.unwrap_or_else(|| Err("the service did not answer in time".to_owned()))
    };
    let prepared = prepared.await;
    ((revision, trigger), prepared)
}

async fn named<'a>(store: &dyn Store, name: &'a str) -> Result<(&'a str, Bytes), Error> {
    Ok((name, object(store, name).await?))
}

async fn object(store: &dyn Store, name: &str) -> Result<Bytes, Error> {
    let missing = || {
        Error::new(ErrorKind::Data, format!("an object of the ledger is missing: name=`{name}`"))
    };
    store.get(name).await?.ok_or_else(missing)
}
