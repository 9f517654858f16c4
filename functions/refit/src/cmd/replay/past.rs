//! What the ledger recorded and decided of events.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use refit_core::commit::Commit;
use refit_core::error::Error;
use refit_core::event::{Event, Fact, ReplayMode};
use refit_core::key::Hash128;
use refit_core::reason::Refusal;
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_core::timing::Timing;
use refit_engine::explain::{Verdict, first_after, takers, verdicts};
use refit_engine::layout;
use refit_engine::record::read_segment;

use super::selection::Selection;
use crate::context::{Context, Opened};
use crate::exit::Failure;
use crate::fate;
use crate::inbox;
use crate::progress::Progress;

/// Segments read at the same time.
const READS: usize = 16;

/// What takes an event once more whatever became of it.
pub(super) const ANEW: &str = "--force takes it for a new fact";

/// Events with what was decided of them, in the order they were recorded.
#[derive(Default)]
pub(super) struct Past {
    pub(super) events: Vec<Recorded>,
    places: BTreeMap<Hash128, usize>,
    /// Those asked for that the log knows, whether or not their segments are still there.
    mentioned: BTreeSet<Hash128>,
}

/// An event, and what was decided of it whenever it came.
pub(super) struct Recorded {
    /// The segment it came with first.
    pub(super) segment: String,
    pub(super) event: Event,
    /// The time of the commit that decided first.
    pub(super) decided: Timestamp,
    verdicts: Vec<Verdict>,
    /// The triggers that may have taken it by commits whose segments housekeeping has deleted.
    taken: BTreeSet<String>,
}

/// The events that were recorded in the bounds of a selection.
pub(super) async fn range(
    context: &Context,
    opened: &Opened,
    state: &State,
    selection: &Selection,
) -> Result<Past, Failure> {
    let since = selection.since.unwrap_or(Timestamp::EPOCH);
    let mut entries = inbox::since(&opened.ledger, since - Timing::default().name).await?;
    entries.retain(|entry| selection.has_time(Some(entry.created)));
    let mut wanted: BTreeMap<String, ()> =
        entries.iter().map(|entry| (inbox::name_of(entry).to_owned(), ())).collect();
    let first = first_after(&opened.ledger, since).await?;
    let mut past = Past::default();
    let progress = Progress::new(context.output, "commits read");
    let mut commits = std::pin::pin!(opened.commits_after(first.saturating_sub(1)));
    while let Some(commit) = commits.try_next().await? {
        past.read(opened, &commit, |name, _| wanted.remove(name).is_some()).await?;
        progress.count(commit.seq.min(state.seq));
    }
    if !wanted.is_empty() {
        let text = format!("not decided yet, and left out: segments=`{}`", wanted.len());
        context.output.note(&text);
    }
    Ok(past)
}

/// What the whole log says of these events.
pub(super) async fn of(
    context: &Context,
    opened: &Opened,
    events: &[Hash128],
) -> Result<Past, Failure> {
    let mut past = Past::default();
    let progress = Progress::new(context.output, "commits read");
    let mut commits = std::pin::pin!(opened.commits_after(0));
    let mut taken = BTreeMap::<Hash128, BTreeSet<String>>::new();
    while let Some(commit) = commits.try_next().await? {
        let named = |id: &Hash128| Some((*id, takers(&commit, *id)?));
        let mentioned: BTreeMap<Hash128, BTreeSet<&str>> =
            events.iter().filter_map(named).collect();
        let is_whole = past.read(opened, &commit, |_, _| !mentioned.is_empty()).await?;
        for (id, takers) in mentioned {
            past.mentioned.insert(id);
            if !is_whole {
                taken.entry(id).or_default().extend(takers.into_iter().map(str::to_owned));
            }
        }
        progress.count(commit.seq);
    }
    for recorded in &mut past.events {
        recorded.taken = taken.remove(&recorded.event.id()).unwrap_or_default();
    }
    Ok(past)
}

impl Past {
    /// Reads the segments of a commit that are wanted, and says whether all of them are still there.
    async fn read(
        &mut self,
        opened: &Opened,
        commit: &Commit,
        mut wanted: impl FnMut(&str, u32) -> bool,
    ) -> Result<bool, Error> {
        let names = (0..).zip(&commit.segments);
        let names: Vec<(u32, &String)> =
            names.filter(|(number, name)| wanted(name, *number)).collect();
        let store = opened.ledger.store();
        let reads = names.into_iter().map(|(number, name)| async move {
            Ok::<_, Error>((number, name, store.get(&layout::segment_object(name)).await?))
        });
        let mut reads = std::pin::pin!(stream::iter(reads).buffered(READS));
        let mut is_whole = true;
        while let Some((number, name, body)) = reads.try_next().await? {
            is_whole &= body.is_some();
            // One that cannot be read was refused as such.
            let events = body.and_then(|body| read_segment(name, &body).ok()).unwrap_or_default();
            for (place, event) in (0..).zip(events) {
                self.add(name, commit, event, verdicts(commit, number, place));
            }
        }
        Ok(is_whole)
    }

    fn add(&mut self, segment: &str, commit: &Commit, event: Event, verdicts: Vec<Verdict>) {
        if matches!(event.fact, Fact::Command(_)) {
            return;
        }
        let place = *self.places.entry(event.id()).or_insert(self.events.len());
        match self.events.get_mut(place) {
            Some(known) => known.verdicts.extend(verdicts),
            None => {
                let (segment, decided) = (segment.to_owned(), commit.now);
                let taken = BTreeSet::new();
                self.events.push(Recorded { segment, event, decided, verdicts, taken });
            }
        }
    }

    /// Why an event is not sent again that the log knows and whose segments housekeeping has deleted.
    pub(super) fn forgotten(&self, id: Hash128) -> Option<String> {
        let is_forgotten = self.mentioned.contains(&id) && !self.places.contains_key(&id);
        let reason =
            || format!("it was recorded before, and what it said is not kept any more; {ANEW}");
        is_forgotten.then(reason)
    }

    /// What is known of an event.
    pub(super) fn get(&self, id: Hash128) -> Option<&Recorded> {
        self.events.get(*self.places.get(&id)?)
    }
}

impl Recorded {
    /// Its id, if it may have had no time of its own, but for one that an earlier replay gave it. Such never get too old,
    /// and the ledger's memory ends after 35 days, so it is the whole log that says what became of them.
    pub(super) fn ageless(&self) -> Option<Hash128> {
        let is_ageless = self.event.time.is_none() || self.event.is_replayed(ReplayMode::Again);
        is_ageless.then(|| self.event.id())
    }

    /// Why nothing would come of it if it were sent again, for one trigger or for all.
    pub(super) fn settled(&self, trigger: Option<&str>) -> Option<String> {
        let is_meant = |name: &str| trigger.is_none_or(|only| only == name);
        if let Some(taker) = self.taken.iter().find(|name| is_meant(name)) {
            return Some(format!("{taker}: accepted before, of which more is not kept; {ANEW}"));
        }
        let mut is_known = false;
        for verdict in &self.verdicts {
            match verdict {
                Verdict::Accepted { trigger, .. } if is_meant(trigger) => {
                    return Some(fate::verdict(verdict));
                }
                Verdict::Refused { trigger, reason, .. } => {
                    let is_meant = trigger.as_deref().is_none_or(is_meant);
                    if is_meant && is_final(*reason) {
                        return Some(fate::verdict(verdict));
                    }
                    is_known |= *reason != Refusal::Duplicate;
                }
                Verdict::Accepted { .. } => is_known = true,
            }
        }
        let before =
            "what was decided of it first is not within these bounds: begin --since earlier";
        (!is_known).then(|| before.to_owned())
    }
}

/// Whether judging it again would not give another answer, or would do once more what it did.
fn is_final(reason: Refusal) -> bool {
    match reason {
        Refusal::Marker
        | Refusal::Deletion
        | Refusal::NotAnUpload
        | Refusal::Invalid
        | Refusal::Command => true,
        Refusal::NoMatch
        | Refusal::Filtered
        | Refusal::FilterError
        | Refusal::KeyError
        | Refusal::Duplicate
        | Refusal::IdenticalBytes
        | Refusal::ZeroBytes
        | Refusal::BeforeTrigger
        | Refusal::Late
        | Refusal::Paused
        | Refusal::NoDrift
        | Refusal::Undecided
        | Refusal::OtherFeatures
        | Refusal::BelowShare
        | Refusal::Unconfirmed
        | Refusal::Outdated
        | Refusal::Discarded => false,
    }
}
