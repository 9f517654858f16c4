//! What is wrong between pieces that are right by themselves.

mod approvers;
mod models;

use std::collections::BTreeSet;

use refit_core::rules::{ObjectMatch, On};

use super::convert::{Services, Triggers};
use super::document::NodeId;
use super::located::{Located, given, named};
use super::never;
use super::report::Notes;
use super::v1;

pub(super) use self::approvers::approvers;
pub(super) use self::models::models;

/// Schemes of the stores a ledger can be in.
const SCHEMES: &[&str] = &["gs", "s3"];

/// The place of the ledger: a scheme, a bucket, and a folder in it that ends with `/` unless it is all of the bucket.
struct Place<'a> {
    scheme: &'a str,
    bucket: &'a str,
    folder: String,
}

/// Checks where the ledger is, and that nothing watches it or the one that is in use: every run would start the next.
pub(super) fn ledger(
    notes: &mut Notes<'_>,
    (setting, in_use): (&Option<Located<String>>, Option<&str>),
    triggers: &Triggers,
) {
    let named = given(setting);
    if let Some((text, at)) = named {
        if text.is_empty() {
            notes.refuse(at, "a place is missing").cured_by("write such as `gs://acme-refit/prod`");
        } else if text.contains("://") && place(text).is_none() {
            let cure = "write `gs://BUCKET/FOLDER`, `s3://BUCKET/FOLDER`, or a directory";
            notes.refuse(at, format!("a ledger cannot be there: ledger=`{text}`")).cured_by(cure);
        }
    }
    let named = named.map(|(text, _)| text.as_str());
    let bare = |text: &str| text.trim_end_matches('/').to_owned();
    let in_use = in_use.filter(|text| named.map(bare) != Some(bare(text)));
    for location in named.into_iter().chain(in_use) {
        keep_out(notes, location, triggers);
    }
}

/// Refuses what writes into the ledger at a location, or watches it.
fn keep_out(notes: &mut Notes<'_>, location: &str, triggers: &Triggers) {
    let Some(place) = place(location) else { return };
    let inside = format!("{}/", location.trim_end_matches('/'));
    for (name, trigger, rule) in triggers {
        let guard = rule.run.guard.iter().find(|guard| format!("{guard}/").starts_with(&inside));
        if let Some(guard) = guard {
            let message = format!("claims of `{name}` would lie in the ledger: guard=`{guard}`");
            notes.refuse(*trigger, message).cured_by("give them a bucket of their own");
        }
        if rule.on.iter().any(|on| is_loop(on, &place)) {
            let message =
                format!("`{name}` watches the ledger, which it writes to: ledger=`{location}`");
            let cure =
                "watch a prefix beside the ledger, or move the ledger to a bucket of its own";
            notes.refuse(on_of(notes, *trigger, name), message).cured_by(cure);
        }
    }
}

/// Whether what is written into the ledger at a location may be what a trigger watches.
#[must_use]
pub fn watches_ledger(on: &On, location: &str) -> bool {
    place(location).is_some_and(|place| is_loop(on, &place))
}

/// The place of a ledger in a bucket; none where it cannot be, or is none.
fn place(location: &str) -> Option<Place<'_>> {
    let (scheme, rest) = location.split_once("://")?;
    let (bucket, folder) = rest.split_once('/').unwrap_or((rest, ""));
    let folder = folder.trim_matches('/');
    let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
    let lawful = SCHEMES.contains(&scheme) && !bucket.is_empty();
    lawful.then_some(Place { scheme, bucket, folder })
}

/// The `on` of a trigger, whose name stands at `name_at`.
fn on_of(notes: &Notes<'_>, name_at: NodeId, name: &str) -> NodeId {
    let document = notes.document;
    let triggers = document.entry(document.root(), "triggers");
    let trigger = triggers.and_then(|entry| document.entry(entry.value, name));
    let on = trigger.and_then(|entry| document.entry(entry.value, "on"));
    on.map_or(name_at, |entry| entry.value)
}

fn is_loop(on: &On, ledger: &Place<'_>) -> bool {
    let On::Objects(watched) = on else {
        return false;
    };
    let (scheme, bucket) = match watched.bucket.split_once("://") {
        Some((scheme, bucket)) => (Some(scheme), bucket),
        None => (None, watched.bucket.as_str()),
    };
    let same = bucket == ledger.bucket && scheme.is_none_or(|scheme| scheme == ledger.scheme);
    same && covers(watched, &ledger.folder)
}

/// Whether an object of the ledger may match: what it writes ends with a digit, a letter or `.jsonl`.
fn covers(watched: &ObjectMatch, folder: &str) -> bool {
    let glob = watched.glob.as_ref().map_or("**", |glob| glob.text());
    let begins = |head: &str| head.starts_with(folder) || folder.starts_with(head);
    let ends =
        |tail: &str| !tail.contains('.') || ".jsonl".ends_with(tail) || tail.ends_with(".jsonl");
    let folders = |name: &str| name.matches('/').count();
    let of_any_depth = glob.contains("**") || glob.contains(['{', '[', '\\']);
    let reaches = of_any_depth || folders(glob) == folders(folder) + 1;
    begins(&watched.prefix)
        && begins(never::head(glob))
        && ends(&watched.suffix)
        && ends(never::tail(glob))
        && reaches
}

/// Warns of triggers that are the same: every event would start both.
pub(super) fn twins(notes: &mut Notes<'_>, triggers: &Triggers) {
    for (index, (_, at, rule)) in triggers.iter().enumerate() {
        if let Some((twin, ..)) = triggers[..index].iter().find(|(.., other)| other == rule) {
            let message = format!("this is the same as `{twin}`: every event starts both");
            notes.warn(*at, message).cured_by("remove one of them");
        }
    }
}

/// Warns of services no trigger uses, once it is known what every trigger uses.
pub(super) fn services_in_use(notes: &mut Notes<'_>, services: &Services, file: &v1::File) {
    let mut used = BTreeSet::new();
    for (_, rule) in named(&file.triggers) {
        let run = rule.value.as_ref().and_then(|rule| given(&rule.run));
        let service = run.and_then(|(run, _)| given(&run.service)).map(|(name, _)| name);
        let Some(service) = service.filter(|name| services.contains_key(*name)) else {
            return;
        };
        used.insert(service);
    }
    for (name, _) in named(&file.services).iter().filter(|_| !used.is_empty()) {
        if let Some(text) = name.value.as_ref().filter(|text| !used.contains(text)) {
            notes.warn(name.at, format!("no trigger uses the service `{text}`"));
        }
    }
}

/// Warns of receivers no trigger names: only what concerns no trigger would reach them.
pub(super) fn receivers_in_use(notes: &mut Notes<'_>, triggers: &Triggers, file: &v1::File) {
    for (name, _) in named(&file.notify) {
        let used = |text: &String| triggers.iter().any(|(.., rule)| rule.notify.contains(text));
        if let Some(text) = name.value.as_ref().filter(|text| !used(text) && !triggers.is_empty()) {
            let cure = format!("add `notify: [{text}]` to a trigger");
            notes.warn(name.at, format!("no trigger tells `{text}`")).cured_by(cure);
        }
    }
}
