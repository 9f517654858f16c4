//! The answer of a person who followed a signed link: a form that was sent from the page of the link.

use refit_core::event::{Command, Event, Fact, Identity};
use refit_core::promotion::{Says, Statement, WORDS_BYTES_MAX};
use url::form_urlencoded;

use super::super::{Delivery, Meaning, Rejected};
use super::{Claim, refused};
use crate::link::{Link, parts};

/// The route.
const ORIGIN: &str = "refit.link";
/// What the identity begins with.
const SCHEME: &str = "link";

/// What the signature says: all of the link, and until when it holds.
pub(super) fn claim(delivery: &Delivery<'_>) -> Result<Claim, Rejected> {
    let parts =
        parts(delivery.headers).ok_or_else(|| refused("this is no link, or not all of it"))?;
    let (signed, signatures) = (parts.signed, vec![parts.signature]);
    Ok(Claim { signed, signatures, sent: None, until: Some(parts.link.until) })
}

/// What the person says. Of one request a link says one thing: its identity does not hold the decision.
pub(super) fn read(delivery: &Delivery<'_>) -> Result<Meaning, Rejected> {
    let unread = || Rejected::malformed("this is no link, or not all of it");
    let Link { model, version, stage, request, person, .. } =
        Link::of(delivery.headers).ok_or_else(unread)?;
    let says = match field(delivery.body, "decision").as_deref() {
        Some("approve") => Says::Approve,
        Some("reject") => Says::Reject,
        _ => return Err(Rejected::malformed("neither `approve` nor `reject` was chosen")),
    };
    let reason = field(delivery.body, "reason").unwrap_or_default().trim().to_owned();
    if reason.len() > WORDS_BYTES_MAX {
        let reason = format!("the reason is longer than {WORDS_BYTES_MAX} bytes");
        return Err(Rejected::malformed(reason));
    }
    let number = request.to_string();
    let identity = [SCHEME, &model, &version, stage.name(), &number, &person].map(str::to_owned);
    let (stage, request) = (Some(stage), Some(request));
    Ok(Meaning::record(Event {
        identity: Identity(identity.to_vec()),
        origin: ORIGIN.to_owned(),
        time: None,
        delivery: None,
        replay: None,
        fact: Fact::Command(Command::Promotion(Statement {
            model,
            version,
            says,
            stage,
            request,
            person,
            reason,
        })),
    }))
}

fn field(form: &[u8], name: &str) -> Option<String> {
    let mut fields = form_urlencoded::parse(form);
    fields.find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}
