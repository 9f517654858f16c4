//! Finding segments no commit has consumed yet.

use std::sync::Arc;

use bytes::Bytes;
use futures::{FutureExt as _, StreamExt as _};
use refit_core::error::{Error, ErrorKind};
use refit_core::event::{Event, Fact, Identity, Invalid};
use refit_core::mutant::{self, Mutant};
use refit_core::plan::{Listing, Segment};
use refit_core::state::{State, VERSION};
use refit_core::time::{Span, Timestamp};
use refit_core::timing::{COMMIT_EVENTS_MAX, PASS_SEGMENTS_MAX};

use crate::layout;
use crate::port::{Clock, Entry, Store};
use crate::record::read_segment;

/// Names a page of a listing may have.
const PAGE: usize = 1000;
/// Segments read at the same time.
const READS: usize = 16;

/// How far this process has listed the inbox; it may be ahead of the state, which marks cost a commit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    fast: Timestamp,
    pub(crate) full: Timestamp,
    /// When the last full listing started, by the clock of the process.
    full_at: Option<Span>,
}

/// What a listing found.
#[derive(Debug)]
pub struct Heard {
    /// How it was listed.
    pub listing: Listing,
    /// Unread segments, read, in the order of their names.
    pub segments: Vec<Segment>,
    /// How far this process has listed, should all of this be dealt with.
    pub progress: Progress,
}

/// Names in the inbox that no commit has consumed.
struct Listed {
    now: Timestamp,
    unread: Vec<Entry>,
    pages: usize,
    /// Whether the listing ended before the inbox did.
    cut: bool,
}

/// Lists the inbox and reads what is unread, within the budget of a pass.
///
/// # Errors
/// The store's. `Conflict` if a segment that was listed is gone: the state is older than it should be.
pub async fn read(
    store: &Arc<dyn Store>,
    clock: &dyn Clock,
    state: &State,
    progress: Progress,
) -> Result<Heard, Error> {
    let timing = &state.timing;
    let started = clock.elapsed();
    let is_full = progress
        .full_at
        .is_none_or(|at| started.as_millis() - at.as_millis() >= timing.ping.as_millis());
    let fast = progress.fast.max(state.marks.fast);
    let full = progress.full.max(state.marks.full);
    let from = match is_full {
        true if mutant::is(Mutant::WatermarkWithoutMargin) => full,
        true => full - timing.grace,
        false => fast - timing.margin,
    };
    let mut listed = list(store, state, from).await?;
    // A store whose clock was ahead and is right again names new segments below the marks.
    let behind = listed.now < fast.max(full) && !mutant::is(Mutant::WatermarkNewestName);
    let is_full = is_full || behind;
    if behind {
        listed = list(store, state, listed.now.min(full) - timing.grace).await?;
    }
    let total = listed.unread.len();
    let segments = read_segments(store, clock, &listed.unread, timing.pass).await?;
    let left = listed.unread.get(segments.len()).and_then(|entry| name_time(&entry.name));
    let cut =
        listed.cut.then(|| listed.unread.last().and_then(|entry| name_time(&entry.name))).flatten();
    let newest = listed.unread.last().and_then(|entry| name_time(&entry.name));
    let left = left.filter(|_| !mutant::is(Mutant::WatermarkPastUnread));
    let mark = left.or(cut).map_or(listed.now, |oldest| oldest.min(listed.now));
    let mark = newest.filter(|_| mutant::is(Mutant::WatermarkNewestName)).unwrap_or(mark);
    let full = if is_full { mark } else { full.min(mark) };
    let listing = Listing {
        now: listed.now,
        fast: mark,
        full,
        long: (listed.pages > 1 && total == 0) || behind,
        more: left.is_some() || listed.cut,
    };
    let full_at = if is_full { Some(started) } else { progress.full_at };
    Ok(Heard { listing, segments, progress: Progress { fast: mark, full, full_at } })
}

async fn list(store: &Arc<dyn Store>, state: &State, from: Timestamp) -> Result<Listed, Error> {
    let mut from = layout::segment_object(&from.compact());
    let mut listed = Listed { now: Timestamp::EPOCH, unread: Vec::new(), pages: 0, cut: false };
    loop {
        let page = store.list(layout::INBOX, &from, PAGE).await?;
        if listed.pages == 0 {
            listed.now = page.now;
        }
        listed.pages += 1;
        let unread = page.entries.into_iter().filter(|entry| is_unread(state, &entry.name));
        listed.unread.extend(unread);
        let Some(next) = page.next else { return Ok(listed) };
        if listed.unread.len() >= PASS_SEGMENTS_MAX {
            listed.cut = true;
            return Ok(listed);
        }
        from = next;
    }
}

fn is_unread(state: &State, object: &str) -> bool {
    let name = object.strip_prefix(layout::INBOX).unwrap_or(object);
    layout::segment_time(name).is_some() && !state.recent.contains(name)
}

fn name_time(object: &str) -> Option<Timestamp> {
    layout::segment_time(object.strip_prefix(layout::INBOX)?)
}

/// Reads as many segments as one commit takes and the time of a pass allows, oldest first.
async fn read_segments(
    store: &Arc<dyn Store>,
    clock: &dyn Clock,
    entries: &[Entry],
    time: Span,
) -> Result<Vec<Segment>, Error> {
    let started = clock.elapsed();
    let reads: Vec<_> = entries
        .iter()
        .take(PASS_SEGMENTS_MAX)
        .map(|entry| read_one(store, entry).boxed())
        .collect();
    let mut reads = std::pin::pin!(futures::stream::iter(reads).buffered(READS));
    let mut segments = Vec::new();
    let mut events = 0;
    while let Some(segment) = reads.next().await {
        let segment = match segment {
            Ok(segment) => segment,
            // What was read before makes a commit; the rest is left to the next pass.
            Err(error) if error.kind() == ErrorKind::Unavailable && !segments.is_empty() => {
                tracing::warn!(%error, "a segment could not be read yet");
                break;
            }
            Err(error) => return Err(error),
        };
        events += segment.events.len();
        segments.push(segment);
        let late = clock.elapsed().as_millis() - started.as_millis() > time.as_millis();
        if events >= COMMIT_EVENTS_MAX || late {
            break;
        }
    }
    Ok(segments)
}

async fn read_one(store: &Arc<dyn Store>, entry: &Entry) -> Result<Segment, Error> {
    let name = entry.name.strip_prefix(layout::INBOX).unwrap_or(&entry.name).to_owned();
    let body = body_of(store, entry).await?;
    let events = match read_segment(&entry.name, &body) {
        Ok(events) => events,
        // It may be the read that was damaged, and what is consumed is not read again.
        Err(_) => {
            let body = body_of(store, entry).await?;
            read_segment(&entry.name, &body).or_else(|error| unreadable(&name, &body, error))?
        }
    };
    Ok(Segment { name, created: entry.created, events })
}

async fn body_of(store: &Arc<dyn Store>, entry: &Entry) -> Result<Bytes, Error> {
    let gone = || {
        let message = format!("a segment that was listed is gone: name=`{}`", entry.name);
        Error::new(ErrorKind::Conflict, message)
    };
    store.get(&entry.name).await?.ok_or_else(gone)
}

/// A damaged segment is recorded as such, so that it does not stop what comes after it.
fn unreadable(name: &str, body: &[u8], error: Error) -> Result<Vec<Event>, Error> {
    let version = serde_json::from_slice::<serde_json::Value>(body).ok();
    let version = version.and_then(|value| value.get("v")?.as_u64());
    if version.is_some_and(|version| version > u64::from(VERSION)) {
        return Err(error);
    }
    tracing::error!(name, %error, "a segment cannot be read");
    let invalid = Invalid {
        reason: error.to_string(),
        content_type: None,
        size: body.len() as u64,
        head: String::new(),
        headers: [].into(),
    };
    Ok(vec![Event {
        identity: Identity(vec!["segment".to_owned(), name.to_owned()]),
        origin: "inbox".to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Invalid(invalid),
    }])
}
