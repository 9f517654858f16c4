//! Going through a listing, page by page.

use refit_core::plan::Outcome;
use refit_core::run::ExternalRun;
use refit_core::time::{Span, Timestamp};
use serde_json::Value;

use super::answer::{self, Words};
use crate::call::{Call, Step};
use crate::http::{Reply, Request};

/// Pages that are looked at: a call consists of so many requests at the most.
const PAGES_MAX: u32 = 12;

/// How much older than its intent a run may seem: clocks differ.
const SKEW: Span = Span::mins(5);

/// Since when runs of an intent are looked for, in whole seconds, as not every service reads fractions.
pub(super) fn since(intended: Timestamp) -> String {
    let text = (intended - SKEW).to_string();
    text.get(..19).map_or_else(|| text.clone(), |seconds| format!("{seconds}Z"))
}

/// Whether something was made before any run of an intent: where the newest comes first, so was what follows it.
pub(super) fn is_older(it: &Value, created: &str, intended: Timestamp) -> bool {
    let created = it.get(created).and_then(Value::as_str);
    let created = created.and_then(|text| text.parse::<Timestamp>().ok());
    created.is_some_and(|created| created < intended - SKEW)
}

/// What a page of a listing says.
pub(super) enum Page {
    /// The run that is looked for is on it.
    Holds(ExternalRun),
    /// It is not, and there is another page, by its token.
    Next(String),
    /// It is not, and this was the last page.
    Last,
}

impl Page {
    /// A page of which the run that is looked for and the token of the next page are known, where there are any.
    pub(super) fn of(run: Option<ExternalRun>, next: Option<&str>) -> Self {
        match (run, next) {
            (Some(run), _) => Self::Holds(run),
            (None, Some(token)) => Self::Next(token.to_owned()),
            (None, None) => Self::Last,
        }
    }
}

/// A listing of runs in which one is looked for.
pub(super) trait Listing: Send + 'static {
    /// The request for the page of that token, or for the first.
    fn request(&self, token: Option<&str>) -> Request;

    /// Reads an answer as the service's own; most need no translation.
    fn understood(&self, reply: Reply) -> Reply {
        reply
    }

    /// What a page says.
    fn read(&self, page: &Value, token: Option<&str>) -> Page;
}

/// Looks for a run. A listing that is not read to its end, or not in full, says nothing.
pub(super) fn search(listing: impl Listing, words: Words) -> Call<Option<Outcome>> {
    search_from(listing, words, None, PAGES_MAX)
}

/// What a run comes to that ended badly: the one its service made in its place, else how it says it stands.
pub(super) fn or_retry(
    status: Outcome,
    retries: Option<impl Listing>,
    words: Words,
) -> Step<Option<Outcome>> {
    let Some(retries) = retries else { return Step::Done(Some(status)) };
    Step::Send(search(retries, words).then(|found| {
        Step::Done(found.map(|found| match found {
            Outcome::Found(retry) => Outcome::Superseded(retry),
            _ => status,
        }))
    }))
}

fn search_from(
    listing: impl Listing,
    words: Words,
    token: Option<String>,
    left: u32,
) -> Call<Option<Outcome>> {
    let request = listing.request(token.as_deref());
    Call::new(request, move |reply| {
        let body = answer::read(listing.understood(reply), words);
        match body.map(|page| listing.read(&page, token.as_deref())) {
            Ok(Page::Holds(run)) => Step::Done(Some(Outcome::Found(run))),
            Ok(Page::Last) => Step::Done(Some(Outcome::Absent)),
            Ok(Page::Next(token)) if left > 1 => {
                Step::Send(search_from(listing, words, Some(token), left - 1))
            }
            Ok(Page::Next(_)) | Err(_) => Step::Done(None),
        }
    })
}
