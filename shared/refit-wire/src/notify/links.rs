//! Links in letters, by which the person whom a letter is for answers.

use std::collections::BTreeSet;

use refit_core::key::Hash128;
use refit_core::notice::{Notice, NoticeKind};
use refit_core::time::Span;

use crate::http::Secret;
use crate::link::{Link, PATH};
use crate::pipeline::endpoint::Endpoint;

/// What links for one person are made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Where `hook` is.
    pub place: Endpoint,
    /// The secret they are signed with.
    pub secret: Secret,
    /// How long they hold, from the request on.
    pub valid: Span,
    /// In whose name they answer.
    pub person: String,
    /// The models that person may approve.
    pub models: BTreeSet<String>,
}

impl Links {
    pub(super) fn secret(&self) -> &Secret {
        &self.secret
    }

    /// Whether a notice is of something this person may approve.
    pub(super) fn are_for(&self, notice: &Notice) -> bool {
        notice.kind == NoticeKind::Requested
            && notice.model.as_ref().is_some_and(|model| self.models.contains(model))
    }

    /// The link to answer by, which names the ledger. It is the same however often the notice is sent.
    pub(super) fn of(&self, notice: &Notice, (key, ledger): (&str, Hash128)) -> Option<String> {
        let link = Link {
            ledger,
            model: notice.model.clone()?,
            version: notice.version.clone()?,
            stage: notice.stage?,
            request: notice.request?,
            person: self.person.clone(),
            until: notice.at + self.valid,
        };
        // Where a secret is being replaced, the newer one stands first.
        let key = key.split_whitespace().next()?;
        let token = self.are_for(notice).then(|| link.token(key.as_bytes()))??;
        let mut url = self.place.at(&[PATH.trim_start_matches('/')]);
        url.query_pairs_mut().append_pair("link", &token);
        Some(url.into())
    }
}
