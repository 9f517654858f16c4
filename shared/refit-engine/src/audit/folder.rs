//! A folder of the ledger that is gone through without being held.

use std::collections::VecDeque;

use refit_core::error::Error;
use refit_core::time::Timestamp;

use crate::ledger::Ledger;
use crate::port::Entry;

/// Names a page of a listing may have.
const PAGE: usize = 1000;

/// A folder, listed page by page in the order of its names.
pub(super) struct Folder<'a> {
    ledger: &'a Ledger,
    name: &'static str,
    page: VecDeque<Entry>,
    from: Option<String>,
    /// The store's time at the start of the newest page.
    pub(super) now: Timestamp,
}

impl<'a> Folder<'a> {
    pub(super) fn new(ledger: &'a Ledger, name: &'static str) -> Self {
        let from = Some(name.to_owned());
        Self { ledger, name, page: VecDeque::new(), from, now: Timestamp::EPOCH }
    }

    /// The next object; none at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Entry>, Error> {
        self.next_if(|_| true).await
    }

    /// The next object if it is such a one; else it stays the next.
    pub(super) async fn next_if(
        &mut self,
        is_wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Entry>, Error> {
        while self.page.is_empty() {
            let Some(from) = self.from.take() else { return Ok(None) };
            let page = self.ledger.store().list(self.name, &from, PAGE).await?;
            self.page.extend(page.entries);
            self.from = page.next;
            self.now = page.now;
        }
        Ok(self.page.pop_front_if(|entry| is_wanted(entry)))
    }
}
