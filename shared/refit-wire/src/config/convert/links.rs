//! Links by which persons answer what waits for their approval.

use std::collections::BTreeSet;

use refit_core::promotion::PromoteRule;
use refit_core::rules::Rules;
use refit_core::time::Span;

use super::super::located::given;
use super::super::report::Notes;
use super::super::v1;
use super::span;
use crate::http::Secret;
use crate::notify::Links;
use crate::pipeline::endpoint::Endpoint;

/// How long a link holds where the file does not say.
const VALID: Span = Span::days(3);
/// How long a link may hold: the ledger remembers longer which were used.
const LIMITS: (Span, Span) = (Span::mins(5), Span::days(30));

/// What links are made with.
#[derive(Clone, Debug)]
pub(super) struct LinkSettings {
    place: Endpoint,
    secret: Secret,
    valid: Span,
}

pub(super) fn settings(notes: &mut Notes<'_>, file: &v1::File) -> Option<LinkSettings> {
    let (links, at) = given(&file.links)?;
    if links.url.is_none() {
        notes.refuse_missing(
            at,
            "url",
            "say where `hook` is, such as `url: https://hook.acme.example`",
        );
    }
    if links.secret.is_none() {
        let cure = "name it, such as `secret: { secret: projects/P/secrets/S }`; `hook` has it as REFIT_HOOK_LINK";
        notes.refuse_missing(at, "secret", cure);
    }
    let valid = span(notes, &links.valid, VALID, LIMITS);
    let (secret, secret_at) = given(&links.secret)?;
    let secret = secret.resolve().map_err(|why| notes.refuse(secret_at, why)).ok()?;
    let (place, _) = given(&links.url)?;
    Some(LinkSettings { place: place.clone(), secret, valid })
}

impl LinkSettings {
    /// The links of a receiver that is one person's own.
    pub(super) fn of(&self, receiver: &str, rules: &Rules) -> Option<Links> {
        let promotes = || rules.triggers.values().filter_map(|rule| rule.promote.as_ref());
        let person = promotes().find_map(|rule| person_of(rule, receiver))?;
        let models = promotes().filter(|rule| person_of(rule, receiver).is_some());
        Some(Links {
            place: self.place.clone(),
            secret: self.secret.clone(),
            valid: self.valid,
            person: person.to_owned(),
            models: models.map(|rule| rule.model.clone()).collect::<BTreeSet<String>>(),
        })
    }
}

fn person_of<'r>(rule: &'r PromoteRule, receiver: &str) -> Option<&'r str> {
    let mut named = rule.approvers.iter();
    let found = named.find(|(_, approver)| approver.receiver.as_deref() == Some(receiver));
    found.map(|(name, _)| name.as_str())
}
