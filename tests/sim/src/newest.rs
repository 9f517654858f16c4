//! Whether the newest bytes of every object that is there are somewhere: that an event has a fate does not say so.

use std::collections::{BTreeMap, BTreeSet};

use refit_core::commit::{BatchChange, Change, Commit, Decision};
use refit_core::event::{DataRef, Event, Fact, ObjectKind};
use refit_core::key::Hash128;
use refit_core::member::{Member, read_manifest, settle, stored_lines};
use refit_core::reason::Refusal;
use refit_core::state::State;
use refit_engine::record::read_segment;

use crate::world::Inner;

/// Checks that the newest generation of every object which is there, or one with the same bytes, is a member of a run or
/// of an open batch, unless the event that told of it was refused for what holds now as well.
#[must_use]
pub fn check_newest(
    inner: &Inner,
    commits: &[Commit],
    state: &State,
    acknowledged: &[Event],
) -> Vec<String> {
    let missing = missing(inner, commits, state, acknowledged);
    if missing.is_empty() || is_discarded(commits) {
        return Vec::new();
    }
    let refused = refusals(inner, commits);
    let is_lost = |event: &&Event| {
        let reasons = refused.get(&event.id());
        !reasons.is_some_and(|reasons| reasons.iter().any(|reason| holds_now(*reason)))
    };
    let lost = missing.into_iter().filter(is_lost);
    let told = lost.map(|event| {
        let object = object_of(event).map(|(_, object)| object.uri()).unwrap_or_default();
        let reasons = refused.get(&event.id());
        format!("lost: no run and no open batch has the newest bytes: {object}, {reasons:?}")
    });
    told.collect()
}

/// The newest generations no run and no open batch has.
fn missing<'a>(
    inner: &Inner,
    commits: &[Commit],
    state: &State,
    acknowledged: &'a [Event],
) -> Vec<&'a Event> {
    let members = match (given(inner, commits), held(inner, state)) {
        (Ok(given), Ok(held)) => [given, held].concat(),
        // What cannot be read is found by the audit.
        (Err(_), _) | (_, Err(_)) => return Vec::new(),
    };
    let mut has = BTreeSet::new();
    for Member { uri, generation, checksum, .. } in members {
        has.insert((uri.clone(), Some("generation"), generation));
        has.insert((uri, None, checksum));
    }
    let is_missing = |event: &&Event| {
        object_of(event).is_some_and(|(_, object)| {
            let uri = Some(object.uri());
            let generation = object.generation.clone();
            let same = object.checksum.clone().map(|checksum| (uri.clone(), None, Some(checksum)));
            !has.contains(&(uri, Some("generation"), generation))
                && !same.is_some_and(|same| has.contains(&same))
        })
    };
    newest(acknowledged).into_iter().filter(is_missing).collect()
}

/// The event of the newest generation of every object that is there. Objects whose history cannot have been are left out:
/// one generation with two contents, or deleted before it was made.
fn newest(acknowledged: &[Event]) -> Vec<&Event> {
    let mut objects: BTreeMap<String, Vec<&Event>> = BTreeMap::new();
    for event in acknowledged.iter().filter(|event| event.replay.is_none()) {
        let Some((_, object)) = object_of(event) else { continue };
        objects.entry(object.uri()).or_default().push(event);
    }
    objects
        .into_values()
        .filter(|events| is_possible(events))
        .filter_map(|all| last(&all))
        .collect()
}

/// Whether every identity has one content, and no generation was deleted before it was made.
fn is_possible(events: &[&Event]) -> bool {
    let made = of_kind(events, ObjectKind::Finalized);
    let gone = of_kind(events, ObjectKind::Deleted);
    let is_early = |(event, gone): &(&Event, &DataRef)| {
        let same = made.iter().find(|(_, made)| made.generation == gone.generation);
        same.is_some_and(|(_, made)| made.created > event.time)
    };
    let is_twofold = |event: &&Event| {
        events.iter().any(|other| other.id() == event.id() && other.fact != event.fact)
    };
    !gone.iter().any(is_early) && !events.iter().any(is_twofold)
}

/// The newest generation, unless it was deleted.
fn last<'a>(events: &[&'a Event]) -> Option<&'a Event> {
    let made = of_kind(events, ObjectKind::Finalized).into_iter();
    let (event, object) = made.max_by_key(|(_, object)| {
        let generation = object.generation.clone().unwrap_or_default();
        (object.created, generation.len(), generation)
    })?;
    let is_it = |(_, gone): &(&Event, &DataRef)| {
        gone.generation.is_none() || gone.generation == object.generation
    };
    let is_gone = of_kind(events, ObjectKind::Deleted).iter().any(is_it);
    (!is_gone).then_some(event)
}

fn of_kind<'a>(events: &[&'a Event], kind: ObjectKind) -> Vec<(&'a Event, &'a DataRef)> {
    let object = |event: &&'a Event| {
        object_of(event).filter(|(its, _)| *its == kind).map(|(_, object)| (*event, object))
    };
    events.iter().filter_map(object).collect()
}

fn object_of(event: &Event) -> Option<(ObjectKind, &DataRef)> {
    match &event.fact {
        Fact::Object(change) => Some((change.kind, &change.object)),
        Fact::Message(_) | Fact::Drift(_) | Fact::Command(_) | Fact::Invalid(_) => None,
    }
}

/// The members of every batch that became a run.
fn given(inner: &Inner, commits: &[Commit]) -> Result<Vec<Member>, String> {
    let mut members = Vec::new();
    for change in commits.iter().flat_map(|commit| &commit.changes) {
        let Change::Closed(closed) = change else { continue };
        let stored = inner.objects.get(&closed.manifest).ok_or("a manifest is missing")?;
        members.extend(read_manifest(&stored.body)?);
    }
    Ok(members)
}

/// The members of every open batch, as it would be closed now.
fn held(inner: &Inner, state: &State) -> Result<Vec<Member>, String> {
    let open = state.triggers.values().flat_map(|standing| standing.open.keys().copied());
    let read = |name: &str| inner.objects.get(name).map(|stored| &stored.body[..]);
    let lines = stored_lines(state, open, read)?;
    Ok(lines.into_values().flat_map(|lines| settle(lines).members).collect())
}

/// Whether a person dropped a batch, and with it whatever was in it.
fn is_discarded(commits: &[Commit]) -> bool {
    let mut changes = commits.iter().flat_map(|commit| &commit.changes);
    changes.any(|change| matches!(change, Change::Batch { change: BatchChange::Discarded, .. }))
}

/// Why events were refused.
fn refusals(inner: &Inner, commits: &[Commit]) -> BTreeMap<Hash128, BTreeSet<Refusal>> {
    let mut refused: BTreeMap<Hash128, BTreeSet<Refusal>> = BTreeMap::new();
    for commit in commits {
        for (segment, name) in (0..).zip(&commit.segments) {
            let body = inner.segments.get(name).map(|body| &body[..]).unwrap_or_default();
            for (place, event) in (0..).zip(read_segment(name, body).unwrap_or_default()) {
                let reasons = commit.decisions.iter().filter_map(|decision| match decision {
                    Decision::Refused { reason, events, .. } => {
                        events.contains(segment, place).then_some(*reason)
                    }
                    Decision::Accepted { .. } | Decision::Answered { .. } => None,
                });
                refused.entry(event.id()).or_default().extend(reasons);
            }
        }
    }
    refused
}

/// Whether a reason holds of the bytes themselves, or of when they came, whatever became of other bytes.
fn holds_now(reason: Refusal) -> bool {
    !matches!(reason, Refusal::Duplicate | Refusal::IdenticalBytes)
}
