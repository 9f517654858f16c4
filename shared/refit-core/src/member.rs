//! Members of a batch: how they are kept while it is open, and which of them its run gets.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::drift::DriftReport;
use crate::event::{DataRef, Event, Fact, Message};
use crate::key::{Hash128, hash128};
use crate::promotion::StageEntry;
use crate::schedule::Slot;
use crate::sequencer::{Sequencer, order};
use crate::state::{BatchId, PartRef, State};
use crate::time::Timestamp;
use crate::timing::BATCH_PARTS_MAX;

mod settled;

pub use settled::{Settled, settle};

/// One member, as it stands in a manifest: one JSON object per line.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The URI of the object; absent for a message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Its generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// Its bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Its checksum, with the algorithm before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<String>,
    /// When this generation was created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// What orders the generations of this object, where its store says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequencer: Option<Sequencer>,
    /// The id of the event that announced it.
    pub event: Hash128,
    /// The message, where the event was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// The report, where the event was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Box<DriftReport>>,
    /// The time, where it was one of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firing: Option<Firing>,
    /// The version of a model, where one was given a stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<StageEntry>,
}

/// A time of a schedule that has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Firing {
    /// The expression and the zone.
    pub schedule: String,
    /// The time.
    #[serde(flatten)]
    pub slot: Slot,
}

/// One line of a part: what a commit added to an open batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(clippy::large_enum_variant, reason = "nearly every line is a member")]
pub enum Line {
    /// A member joined.
    Member(Member),
    /// A generation was deleted.
    Gone {
        /// The URI of the object.
        uri: String,
        /// The generation, where the store has one.
        generation: Option<String>,
        /// When it was deleted, where no generation says which upload it was.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
        /// Where it stands among the changes of the object, where its store says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequencer: Option<Sequencer>,
    },
    /// A newer generation has the same bytes: it is no new member, and takes the place of the one it overwrote.
    Same {
        /// The URI of the object.
        uri: String,
        /// The generation, where the store has one.
        generation: Option<String>,
        /// When it was created.
        created: Option<Timestamp>,
        /// Where it stands among the changes of the object, where its store says it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        sequencer: Option<Sequencer>,
        /// The checksum of both.
        checksum: String,
    },
}

/// A line with the batch it belongs to, as parts hold it: one part serves every batch of its commit. A line without one
/// is told to all that refer to the part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartLine {
    /// The batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// The line.
    pub line: Line,
}

impl Member {
    /// The member an event becomes; none for facts that are no data.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        match &event.fact {
            Fact::Object(change) => Some(Self::of_object(&change.object, event.id())),
            Fact::Message(message) => {
                let message = Some(message.clone());
                Some(Self { message, ..Self::bare(event.id(), event.time) })
            }
            Fact::Drift(report) => {
                let drift = Some(report.clone());
                Some(Self { drift, ..Self::bare(event.id(), event.time) })
            }
            Fact::Command(_) | Fact::Invalid(_) => None,
        }
    }

    /// The member a time of a schedule becomes; `event` is its identity.
    #[must_use]
    pub fn of_firing(event: Hash128, firing: &Firing) -> Self {
        Self { firing: Some(firing.clone()), ..Self::bare(event, Some(firing.slot.at)) }
    }

    /// The member that a version which was given a stage becomes; `event` is its identity.
    #[must_use]
    pub fn of_entry(event: Hash128, entry: &StageEntry, at: Timestamp) -> Self {
        Self { model: Some(entry.clone()), ..Self::bare(event, Some(at)) }
    }

    /// What an operator would call it, without its generation: as [`Event::name`] does, or by its time or version.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.uri, &self.message, &self.firing, &self.model) {
            (Some(uri), ..) => uri.clone(),
            (_, Some(message), ..) => format!("{}#{}", message.source, message.id),
            (_, _, Some(firing), _) => format!("time {}", firing.slot.civil),
            (.., Some(entry)) => format!("{} {} in {}", entry.name, entry.version, entry.stage),
            _ => self.drift.as_ref().map_or_else(String::new, |report| report.name()),
        }
    }

    /// What it is found by in [`Commit::members`](crate::commit::Commit::members): its event, and its object.
    pub fn entries(&self) -> impl Iterator<Item = Hash128> {
        std::iter::once(self.event).chain(self.uri.as_deref().map(uri_entry))
    }

    fn of_object(object: &DataRef, event: Hash128) -> Self {
        Self {
            uri: Some(object.uri()),
            generation: object.generation.clone(),
            size: object.size,
            checksum: object.checksum.clone(),
            sequencer: object.sequencer,
            ..Self::bare(event, object.created)
        }
    }

    /// A member of which nothing is known but its event and time.
    fn bare(event: Hash128, created: Option<Timestamp>) -> Self {
        Self {
            uri: None,
            generation: None,
            size: None,
            checksum: None,
            created,
            sequencer: None,
            event,
            message: None,
            drift: None,
            firing: None,
            model: None,
        }
    }

    /// Which of two generations of an object is newer: by the store's own order, else by creation, then by generation;
    /// then by arrival.
    fn is_newer_than(&self, other: &Self) -> bool {
        let rank = |member: &Self| {
            let generation = member.generation.clone().unwrap_or_default();
            (member.sequencer, (member.created, generation.len(), generation))
        };
        order(&rank(self), &rank(other)).is_ge()
    }
}

/// Adds what was told of objects that are among these lines' members.
pub(crate) fn add_told<'a>(lines: &mut Vec<Line>, told: impl IntoIterator<Item = &'a Line>) {
    let mut told = told.into_iter().peekable();
    if told.peek().is_none() {
        return;
    }
    let members = lines.iter().filter_map(|line| match line {
        Line::Member(member) => member.uri.as_deref(),
        Line::Gone { .. } | Line::Same { .. } => None,
    });
    let members: BTreeSet<&str> = members.collect();
    let is_concerned = |line: &&Line| match line {
        Line::Gone { uri, .. } | Line::Same { uri, .. } => members.contains(uri.as_str()),
        Line::Member(_) => false,
    };
    let concerned: Vec<Line> = told.filter(is_concerned).cloned().collect();
    lines.extend(concerned);
}

/// What an object is found by in [`Commit::members`](crate::commit::Commit::members), by its URI.
#[must_use]
pub fn uri_entry(uri: &str) -> Hash128 {
    hash128([uri])
}

/// The lines of a manifest.
#[must_use]
pub fn manifest(members: &[Member]) -> Vec<u8> {
    lines(members)
}

/// The lines of a part.
#[must_use]
pub fn part(lines_of_batches: &[PartLine]) -> Vec<u8> {
    lines(lines_of_batches)
}

fn lines<T: Serialize>(items: &[T]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(items.len() * 256);
    for item in items {
        serde_json::to_writer(&mut bytes, item)
            .expect("lines have string keys and no floats to refuse");
        bytes.push(b'\n');
    }
    bytes
}

/// Reads the members of a manifest.
///
/// # Errors
/// Names the line that cannot be read.
pub fn read_manifest(bytes: &[u8]) -> Result<Vec<Member>, String> {
    manifest_members(bytes).collect()
}

/// The members of a manifest one by one, as there may be a million. An error names the line that cannot be read.
pub fn manifest_members(bytes: &[u8]) -> impl Iterator<Item = Result<Member, String>> {
    read_lines(bytes)
}

/// The lines of a part one by one. An error names the line that cannot be read.
pub fn part_lines(bytes: &[u8]) -> impl Iterator<Item = Result<PartLine, String>> {
    read_lines(bytes)
}

/// The stored lines of open batches; each object they lie in is read once.
///
/// # Errors
/// Names the object that is missing, or the line of it that cannot be read.
pub fn stored_lines<'a>(
    state: &State,
    batches: impl IntoIterator<Item = BatchId>,
    object: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<BTreeMap<BatchId, Vec<Line>>, String> {
    let mut read = BTreeMap::new();
    let mut found = BTreeMap::new();
    for batch in batches {
        let mut lines = Vec::new();
        let parts = state.open_batch(batch).map_or(&[][..], |(_, open)| &open.parts);
        for part in parts {
            let of_part = match read.entry(&part.name) {
                Entry::Occupied(of_part) => of_part.into_mut(),
                Entry::Vacant(place) => place.insert(read_stored(part, &object)?),
            };
            // Runs of two triggers may have the same manifest, and so may the batches that take over their members.
            lines.extend(of_part.get(&part.batch).into_iter().flatten().cloned());
        }
        let told = parts.iter().filter(|part| part.batch.is_some());
        let told = told.filter_map(|part| read[&part.name].get(&None)).flatten();
        // What is to be merged may be of members that are to come, of a run the batch replaces.
        if parts.len() >= BATCH_PARTS_MAX {
            lines.extend(told.cloned());
        } else {
            add_told(&mut lines, told);
        }
        found.insert(batch, lines);
    }
    Ok(found)
}

/// The lines of what a batch refers to: of a part by the batch they were written for, none for those told to all that
/// refer to it; or of a manifest, of which all are for none.
fn read_stored<'a>(
    part: &PartRef,
    object: impl Fn(&str) -> Option<&'a [u8]>,
) -> Result<BTreeMap<Option<BatchId>, Vec<Line>>, String> {
    let wrong = |error: &str| format!("{error}: name=`{}`", part.name);
    let body = object(&part.name).ok_or_else(|| wrong("an object of the ledger is missing"))?;
    let read = if part.batch.is_some() {
        read_part(body)
    } else {
        read_manifest(body).map(|all| [(None, all.into_iter().map(Line::Member).collect())].into())
    };
    read.map_err(|error| wrong(&error))
}

/// Reads the lines of a part, by the batch they were written for; none for those told to all that refer to it.
///
/// # Errors
/// Names the line that cannot be read.
pub fn read_part(bytes: &[u8]) -> Result<BTreeMap<Option<BatchId>, Vec<Line>>, String> {
    let mut lines: BTreeMap<_, Vec<Line>> = BTreeMap::new();
    for line in part_lines(bytes) {
        let PartLine { batch, line } = line?;
        lines.entry(batch).or_default().push(line);
    }
    Ok(lines)
}

fn read_lines<T: for<'de> Deserialize<'de>>(
    bytes: &[u8],
) -> impl Iterator<Item = Result<T, String>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let read = |(at, line)| {
        serde_json::from_slice(line).map_err(|error| format!("line {}: {error}", at + 1))
    };
    lines.enumerate().map(read)
}

/// The longest folder all members lie in, as a URI that ends in `/`; empty where there is none.
#[must_use]
pub fn common_prefix(members: &[Member]) -> String {
    let mut uris = members.iter().filter_map(|member| member.uri.as_deref());
    let Some(first) = uris.next() else {
        return String::new();
    };
    let shared = uris.fold(first.len(), |shared, uri| {
        let same = first.bytes().zip(uri.bytes()).take_while(|(a, b)| a == b).count();
        shared.min(same)
    });
    let end = first.as_bytes()[..shared].iter().rposition(|byte| *byte == b'/');
    let prefix = end.map_or("", |at| &first[..=at]);
    if prefix.ends_with("://") { String::new() } else { prefix.to_owned() }
}

/// Bytes of a JSON value as it is written.
#[must_use]
pub fn json_bytes(value: &Value) -> usize {
    value.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn member(uri: &str, generation: &str, created: i64) -> Line {
        Line::Member(Member {
            uri: Some(uri.to_owned()),
            generation: Some(generation.to_owned()),
            size: None,
            checksum: None,
            created: Some(Timestamp::from_millis(created)),
            sequencer: None,
            event: Hash128(1),
            message: None,
            drift: None,
            firing: None,
            model: None,
        })
    }

    #[test]
    fn the_common_prefix_is_a_folder() {
        let of = |uris: &[&str]| {
            let lines = uris.iter().map(|uri| member(uri, "1", 1)).collect();
            common_prefix(&settle(lines).members)
        };
        assert_eq!(of(&["gs://b/in/day=1/a", "gs://b/in/day=2/b"]), "gs://b/in/");
        assert_eq!(of(&["gs://b/in/a"]), "gs://b/in/");
        assert_eq!(of(&["gs://b/a", "gs://c/a"]), "");
        assert_eq!(of(&["gs://b/ä1", "gs://b/ä2"]), "gs://b/");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn parts_and_manifests_are_read_back_and_name_the_line_that_cannot_be() {
        let id: BatchId = "b3.1".parse().unwrap();
        let other: BatchId = "b3".parse().unwrap();
        let all = [(id, "gs://b/x"), (other, "gs://b/y")];
        let all =
            all.map(|(batch, uri)| PartLine { batch: Some(batch), line: member(uri, "1", 1) });
        let written = part(&all);
        assert_eq!(read_part(&written).unwrap()[&Some(id)], [member("gs://b/x", "1", 1)]);
        let stored = PartRef { name: "parts/3".to_owned(), batch: Some(id), count: 1 };
        let missing = read_stored(&stored, |_| None).unwrap_err();
        assert_eq!(missing, "an object of the ledger is missing: name=`parts/3`");
        let members = settle(vec![member("gs://b/x", "1", 1)]).members;
        assert_eq!(read_manifest(&manifest(&members)).unwrap(), members);
        assert!(read_manifest(b"\n{\"event\":1}\n").unwrap_err().starts_with("line 1"));
    }
}
