//! What is recorded and no commit has consumed yet.

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use refit_core::error::Error;
use refit_core::event::Event;
use refit_core::state::State;
use refit_core::time::Timestamp;
use refit_engine::layout;
use refit_engine::ledger::Ledger;
use refit_engine::port::Entry;
use refit_engine::record::read_segment;

/// Names a page of a listing may have.
const PAGE: usize = 1000;
/// Segments read at the same time.
const READS: usize = 16;

/// The segments no commit has consumed, oldest first.
pub(crate) async fn unread(ledger: &Ledger, state: &State) -> Result<Vec<Entry>, Error> {
    let mut entries = since(ledger, state.marks.full - state.timing.grace).await?;
    entries.retain(|entry| !state.recent.contains(name_of(entry)));
    Ok(entries)
}

/// The segments named after that time, oldest first.
pub(crate) async fn since(ledger: &Ledger, time: Timestamp) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    let mut from = layout::segment_object(&time.compact());
    loop {
        let page = ledger.store().list(layout::INBOX, &from, PAGE).await?;
        entries.extend(page.entries);
        let Some(next) = page.next else { return Ok(entries) };
        from = next;
    }
}

/// The name of a segment, without the folder.
pub(crate) fn name_of(entry: &Entry) -> &str {
    entry.name.strip_prefix(layout::INBOX).unwrap_or(&entry.name)
}

/// The events of segments that are asked for, with the segments they are in.
pub(crate) async fn events<'e>(
    ledger: &Ledger,
    entries: &'e [Entry],
    wanted: impl Fn(&Event) -> bool,
    progress: &(dyn Fn(u64) + Sync),
) -> Result<Vec<(&'e Entry, Event)>, Error> {
    let reads = entries.iter().map(|entry| async move {
        Ok::<_, Error>((entry, ledger.store().get(&entry.name).await?))
    });
    let mut reads = std::pin::pin!(stream::iter(reads).buffered(READS));
    let mut found = Vec::new();
    let mut count = 0;
    while let Some((entry, body)) = reads.try_next().await? {
        // One that cannot be read is the reconciler's to report.
        let events = body.and_then(|body| read_segment(&entry.name, &body).ok());
        found.extend(events.into_iter().flatten().filter(&wanted).map(|event| (entry, event)));
        count += 1;
        progress(count);
    }
    Ok(found)
}
