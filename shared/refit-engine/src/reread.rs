//! Finding segments that a wrong clock hid from the listings.
//!
//! A listing looks back by the grace at the most. A segment whose name lies further back was never acknowledged by
//! a writer that saw the store's time; but a store whose own clock was wrong for a while hides what it acknowledged
//! then. The memory tells which segments were consumed: it holds the identity of every event that was.

use std::sync::Arc;

use refit_core::error::Error;
use refit_core::memory::Memory;
use refit_core::plan::Segment;
use refit_core::state::State;
use refit_core::time::Timestamp;

use crate::layout;
use crate::port::{Entry, Store, StoreClock};
use crate::record::read_segment;

/// Names a page of a listing may have.
const PAGE: usize = 1000;

/// Reads one page of the segments below `full`, the reach of listings, from a name on or from the first: those that hold
/// events nobody has seen, oldest first, and where the next page begins. Where the store's clock is right, only those
/// stored far from the time in their name can have been missed.
///
/// # Errors
/// The store's.
pub async fn reread(
    store: &Arc<dyn Store>,
    state: &State,
    (full, clock): (Timestamp, StoreClock),
    from: Option<&str>,
) -> Result<(Vec<Segment>, Option<String>), Error> {
    let end = layout::segment_object(&(full - state.timing.grace).compact());
    let page = store.list(layout::INBOX, from.unwrap_or(layout::INBOX), PAGE).await?;
    let mut hidden = Vec::new();
    for entry in page.entries.iter().filter(|entry| entry.name < end) {
        if is_suspect(state, entry, clock) {
            hidden.extend(read_unseen(store, &state.memory, entry).await?);
        }
    }
    Ok((hidden, page.next.filter(|next| *next < end)))
}

fn is_suspect(state: &State, entry: &Entry, clock: StoreClock) -> bool {
    let name = entry.name.strip_prefix(layout::INBOX).unwrap_or(&entry.name);
    let Some(named) = layout::segment_time(name).filter(|_| !state.recent.contains(name)) else {
        return false;
    };
    clock == StoreClock::Machine || distance(named, entry.created) > state.timing.name
}

fn distance(a: Timestamp, b: Timestamp) -> refit_core::time::Span {
    a.since(b).max(b.since(a))
}

/// The segment, if it holds an event the memory does not know; one that may be in a run of the memory counts as
/// unknown, and is recognised when it is judged.
async fn read_unseen(
    store: &Arc<dyn Store>,
    memory: &Memory,
    entry: &Entry,
) -> Result<Option<Segment>, Error> {
    let Some(body) = store.get(&entry.name).await? else { return Ok(None) };
    let name = entry.name.strip_prefix(layout::INBOX).unwrap_or(&entry.name).to_owned();
    let Ok(events) = read_segment(&name, &body) else { return Ok(None) };
    let is_unseen = events.iter().any(|event| memory.identity(event.id()).is_none());
    Ok(is_unseen.then_some(Segment { name, created: entry.created, events }))
}
