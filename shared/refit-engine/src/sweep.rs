//! Looking into the watched buckets for what notifications missed.
//!
//! Notifications are delivered at least once while they are; a bucket whose notification was removed tells nothing.
//! What lies there and the ledger does not know is recorded as a sweep's find: only triggers that are older than the
//! object may have it, so a first deployment over a full bucket starts nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use refit_core::error::Error;
use refit_core::event::{DataRef, Event, Fact, Replay, ReplayMode};
use refit_core::memory::checksum_hash;
use refit_core::rules::{On, Rules};
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_wire::listing::{Buckets, may_pass, read};
use serde::Serialize;

use crate::call::Caller;
use crate::gather::Gatherer;
use crate::intake::Intake;

/// The scheme of buckets that can be listed.
const SCHEME: &str = "gs";

/// How often a page is asked for before its place is given up.
const TRIES: u32 = 3;

/// What a sweep came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Objects that lie below what is watched.
    pub objects: u64,
    /// Those no trigger wants.
    pub unwatched: u64,
    /// Those the ledger knows.
    pub known: u64,
    /// Those older than every trigger that would have them.
    pub before_trigger: u64,
    /// Those older than the ledger remembers.
    pub too_old: u64,
    /// Those so new that their notifications may be under way.
    pub too_new: u64,
    /// Those that were missed.
    pub missed: u64,
    /// What could not be listed or told.
    pub troubles: BTreeSet<String>,
}

/// What is watched, and how far it was looked at.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// Buckets and prefixes, the next one last.
    left: Vec<(String, String)>,
    page: Option<String>,
    /// How often the next page was asked for in vain.
    failed: u32,
    /// When it is asked for again, where it was.
    again: Option<Timestamp>,
    /// What it came to so far.
    pub swept: Swept,
}

/// What a sweep looks with.
#[expect(missing_debug_implementations, reason = "ports have nothing to print")]
pub struct Eyes<'a> {
    /// Where buckets are listed.
    pub buckets: &'a Buckets,
    /// Who asks.
    pub caller: Caller<'a>,
    /// Who fetches older parts of the memory.
    pub gatherer: &'a mut Gatherer,
    /// The newest state.
    pub state: &'a State,
    /// The ledger's time.
    pub now: Timestamp,
    /// The rules in force.
    pub rules: &'a Rules,
}

impl Sweep {
    /// A sweep of everything these rules watch, each place once; `ledger` is the URI of the ledger's folder, which says
    /// where a bucket without a scheme is.
    #[must_use]
    pub fn new(rules: &Rules, ledger: &str) -> Self {
        let mut swept = Swept::default();
        let watched = rules.triggers.values().flat_map(|rule| &rule.on).filter_map(|on| match on {
            On::Objects(matching) => Some((matching.store_and_bucket(ledger), &matching.prefix)),
            On::Message(_) | On::Drift(_) | On::Schedule(_) | On::Model(_) => None,
        });
        let mut places: BTreeSet<(String, String)> = BTreeSet::new();
        for ((store, bucket), prefix) in watched {
            match store {
                SCHEME => places.insert((bucket.to_owned(), prefix.clone())),
                _ => swept.troubles.insert(format!("buckets of {store}:// are not swept")),
            };
        }
        let covers = |(bucket, prefix): &(String, String), other: &(String, String)| {
            bucket == &other.0 && other.1.starts_with(prefix.as_str()) && prefix != &other.1
        };
        let left = places.iter().filter(|place| !places.iter().any(|wider| covers(wider, place)));
        Self { left: left.rev().cloned().collect(), page: None, failed: 0, again: None, swept }
    }

    /// Whether everything was looked at.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.left.is_empty()
    }

    /// Whether the next page was asked for in vain, and is to be asked for later.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        self.again.is_some()
    }

    /// Looks at one page, and answers with what was missed, ready to be recorded.
    ///
    /// # Errors
    /// The store's, where the memory is read. A page that is not answered now is kept for the next time, thrice at the
    /// most; a place that cannot be listed is noted, and passed by.
    pub async fn look(&mut self, eyes: &mut Eyes<'_>) -> Result<Vec<Event>, Error> {
        let Some((bucket, prefix)) = self.left.last().cloned() else { return Ok(Vec::new()) };
        let request = eyes.buckets.list(&bucket, &prefix, self.page.as_deref());
        let reply = eyes.caller.send(request).await;
        let may_pass = may_pass(&reply);
        let listed = match reply {
            Ok(response) => read(&bucket, &response),
            Err(failure) => Err(failure.to_string()),
        };
        let listed = match listed {
            Ok(listed) => listed,
            Err(why) => {
                let trouble = format!("{why}: bucket=`{bucket}`, prefix=`{prefix}`");
                let again = may_pass.then_some(eyes.now + eyes.state.timing.ping);
                self.fail(trouble, again);
                return Ok(Vec::new());
            }
        };
        if listed.unreadable > 0 {
            self.note(format!("objects that cannot be told as events: bucket=`{bucket}`"));
        }
        let mut missed = Vec::new();
        for event in listed.events {
            missed.extend(self.judge(eyes, event).await?);
        }
        self.go_on(listed.next);
        Ok(missed)
    }

    /// Looks at so many pages at the most, and records what was missed. A page that was asked for in vain is left for a
    /// ping's time.
    ///
    /// # Errors
    /// The store's.
    pub async fn look_on(
        &mut self,
        eyes: &mut Eyes<'_>,
        intake: &Intake,
        pages: usize,
    ) -> Result<(), Error> {
        for _ in 0..pages {
            if self.is_over() || self.again.is_some_and(|again| eyes.now < again) {
                break;
            }
            let missed = self.look(eyes).await?;
            // Those that wait share a segment, as many as there is room for.
            let writes = missed.into_iter().map(|event| intake.append(vec![event]));
            futures::future::try_join_all(writes).await?;
        }
        Ok(())
    }

    /// Keeps the page until then, where another try may help, or gives its place up.
    fn fail(&mut self, trouble: String, again: Option<Timestamp>) {
        self.failed += 1;
        if again.is_some() && self.failed < TRIES {
            tracing::warn!(trouble, "a bucket could not be swept; it is tried again");
            self.again = again;
        } else {
            self.note(trouble);
            self.go_on(None);
        }
    }

    /// Says once what is not looked at.
    fn note(&mut self, trouble: String) {
        if !self.swept.troubles.contains(&trouble) {
            tracing::warn!(trouble, "a bucket is not swept to its end");
            self.swept.troubles.insert(trouble);
        }
    }

    fn go_on(&mut self, next: Option<String>) {
        if next.is_none() {
            self.left.pop();
        }
        self.page = next;
        (self.failed, self.again) = (0, None);
    }

    /// The event as a sweep records it, if it was missed.
    async fn judge(&mut self, eyes: &mut Eyes<'_>, event: Event) -> Result<Option<Event>, Error> {
        self.swept.objects += 1;
        let Fact::Object(change) = &event.fact else { return Ok(None) };
        let object = &change.object;
        let created = object.created.unwrap_or(eyes.now);
        let mut wanting = eyes.rules.triggers.iter().filter(|(_, rule)| rule.watches(object));
        let since = |name: &String| eyes.state.triggers.get(name).map(|standing| standing.since);
        let counted = if wanting.clone().next().is_none() {
            &mut self.swept.unwatched
        } else if created + eyes.state.timing.grace > eyes.now {
            &mut self.swept.too_new
        } else if created < eyes.now - eyes.state.timing.age_max() {
            &mut self.swept.too_old
        } else if wanting.all(|(name, _)| since(name).is_none_or(|since| created < since)) {
            &mut self.swept.before_trigger
        } else if is_known(eyes, &event, object).await? {
            &mut self.swept.known
        } else {
            self.swept.missed += 1;
            let replay = Some(Replay { mode: ReplayMode::Swept, trigger: None });
            return Ok(Some(Event { replay, ..event }));
        };
        *counted += 1;
        Ok(None)
    }
}

/// Whether the ledger knows this generation, or the object with these bytes.
async fn is_known(eyes: &mut Eyes<'_>, event: &Event, object: &DataRef) -> Result<bool, Error> {
    let (id, place) = (event.id(), object.place());
    let checksum = object.checksum.as_deref().map(checksum_hash);
    let memory = Arc::clone(&eyes.state.memory);
    let has_bytes = |known: Option<u64>| checksum.is_some() && known == checksum;
    if memory.identity(id).is_some() || has_bytes(memory.object(place).map(|known| known.checksum))
    {
        return Ok(true);
    }
    let runs = memory.runs_with(id).chain(memory.runs_with(place));
    let names: BTreeSet<&String> = runs.map(|run| &run.name).collect();
    for name in names {
        let run = eyes.gatherer.run(name).await?;
        if run.identity(id).is_some() || has_bytes(run.object(place).map(|known| known.checksum)) {
            return Ok(true);
        }
    }
    Ok(false)
}
