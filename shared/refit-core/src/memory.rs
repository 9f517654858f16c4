//! What the ledger has seen: the identities of everything intake stored within the window, refused or not.
//!
//! Beside them, for objects, which bytes the newest generation had. Up to a million entries live in the state;
//! older days move to *runs* beside it, found through a Bloom filter each.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::num::NonZeroU128;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bloom::Bloom;
use crate::key::{Hash128, hash128};
use crate::packed;
use crate::sequencer::{Sequencer, order};
use crate::time::{Day, Timestamp};

/// What is remembered of one identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Known {
    /// The day it was recorded.
    pub day: Day,
    /// Whether it became a member of any batch.
    pub accepted: bool,
}

/// What is remembered of the newest generation of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sighting {
    /// Which object: the hash of its place.
    pub place: Hash128,
    /// The first 64 bits of the hash of its checksum; zero where it is not known, [`Sighting::GONE`] where it was deleted.
    pub checksum: u64,
    /// When that generation was created.
    pub created: Timestamp,
    /// What orders the generations of this object, where its store says it.
    pub sequencer: Option<Sequencer>,
    /// Whether it became a member of any batch.
    pub accepted: bool,
}

/// What one commit adds to the memory, in sorted order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fresh {
    /// Identities, and whether each was accepted.
    pub identities: Vec<(Hash128, bool)>,
    /// Objects.
    pub objects: Vec<Sighting>,
}

/// A run of entries beside the state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenRun {
    /// The key of the object that holds it.
    pub name: String,
    /// The newest day in it.
    pub last: Day,
    /// Its entries: identities and places of objects.
    pub filter: Bloom,
}

/// The entries of a run as they are stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredRun {
    /// The format they are written in.
    pub v: u32,
    /// The entries.
    pub entries: Fresh,
}

/// The memory of a ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    identities: BTreeMap<Hash128, Known>,
    objects: BTreeMap<Hash128, (Day, Sighting)>,
    runs: Vec<SeenRun>,
}

/// What is remembered of a checksum: the first 64 bits of its hash.
#[must_use]
pub fn checksum_hash(checksum: &str) -> u64 {
    (hash128([checksum]).0 >> 64) as u64
}

impl Sighting {
    /// In the place of a checksum: that generation was deleted, and where there are none, whatever was uploaded before.
    pub const GONE: u64 = u64::MAX;

    /// Whether that generation was deleted.
    #[must_use]
    pub fn is_gone(self) -> bool {
        self.checksum == Self::GONE
    }

    /// Where it stands to a change of the same object, of which this is known.
    #[must_use]
    pub fn order(&self, created: Timestamp, sequencer: Option<Sequencer>) -> Ordering {
        order(&(self.sequencer, self.created), &(sequencer, created))
    }
}

impl Memory {
    /// What the state itself knows of an identity.
    #[must_use]
    pub fn identity(&self, id: Hash128) -> Option<Known> {
        self.identities.get(&id).copied()
    }

    /// What the state itself knows of an object.
    #[must_use]
    pub fn object(&self, place: Hash128) -> Option<Sighting> {
        self.objects.get(&place).map(|(_, sighting)| *sighting)
    }

    /// The runs that may hold an entry, newest first.
    pub fn runs_with(&self, entry: Hash128) -> impl Iterator<Item = &SeenRun> {
        self.runs.iter().rev().filter(move |run| run.filter.may_hold(entry))
    }

    /// The runs, oldest first.
    #[must_use]
    pub fn runs(&self) -> &[SeenRun] {
        &self.runs
    }

    /// How many entries live in the state.
    #[must_use]
    pub fn len(&self) -> usize {
        self.identities.len() + self.objects.len()
    }

    /// Whether nothing lives in the state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The newest day anything in the state itself was recorded.
    #[must_use]
    pub fn newest(&self) -> Option<Day> {
        self.identities.values().map(|known| known.day).max()
    }

    /// Everything recorded up to and including `last`, as a run holds it.
    #[must_use]
    pub fn until(&self, last: Day) -> Fresh {
        let identities = self.identities.iter().filter(|(_, known)| known.day <= last);
        let objects = self.objects.values().filter(|(day, _)| *day <= last);
        Fresh {
            identities: identities.map(|(id, known)| (*id, known.accepted)).collect(),
            objects: objects.map(|(_, sighting)| *sighting).collect(),
        }
    }

    /// Adds what a commit of `day` saw.
    pub(crate) fn add(&mut self, day: Day, fresh: &Fresh) {
        for (id, accepted) in &fresh.identities {
            let before = self.identities.get(id).is_some_and(|known| known.accepted);
            self.identities.insert(*id, Known { day, accepted: *accepted || before });
        }
        for sighting in &fresh.objects {
            self.objects.insert(sighting.place, (day, *sighting));
        }
    }

    /// Forgets everything recorded before `before`, and names the runs no longer needed.
    pub(crate) fn forget(&mut self, before: Day) -> Vec<String> {
        self.identities.retain(|_, known| known.day >= before);
        self.objects.retain(|_, (day, _)| *day >= before);
        let (old, kept): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.runs).into_iter().partition(|run| run.last < before);
        self.runs = kept;
        old.into_iter().map(|run| run.name).collect()
    }

    /// Moves everything up to and including `run.last` out of the state.
    pub(crate) fn spill(&mut self, run: SeenRun) {
        self.identities.retain(|_, known| known.day > run.last);
        self.objects.retain(|_, (day, _)| *day > run.last);
        self.runs.push(run);
    }
}

/// How a memory is written: one [`Fresh`] per day.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Days {
    days: BTreeMap<Day, Fresh>,
    runs: Vec<SeenRun>,
}

impl Serialize for Memory {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut days: BTreeMap<Day, Fresh> = BTreeMap::new();
        for (id, known) in &self.identities {
            days.entry(known.day).or_default().identities.push((*id, known.accepted));
        }
        for (day, sighting) in self.objects.values() {
            days.entry(*day).or_default().objects.push(*sighting);
        }
        Days { days, runs: self.runs.clone() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Memory {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = Days::deserialize(deserializer)?;
        let mut memory = Self { runs: written.runs, ..Self::default() };
        for (day, fresh) in &written.days {
            memory.add(*day, fresh);
        }
        Ok(memory)
    }
}

impl Fresh {
    /// Whether it adds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.identities.is_empty() && self.objects.is_empty()
    }

    /// Whether an identity is in it, and if it was accepted; for one that is sorted.
    #[must_use]
    pub fn identity(&self, id: Hash128) -> Option<bool> {
        let at = self.identities.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        Some(self.identities[at].1)
    }

    /// What it knows of an object; for one that is sorted.
    #[must_use]
    pub fn object(&self, place: Hash128) -> Option<Sighting> {
        let at = self.objects.binary_search_by_key(&place, |sighting| sighting.place).ok()?;
        Some(self.objects[at])
    }

    /// The filter of a run with these entries.
    #[must_use]
    pub fn filter(&self) -> Bloom {
        let identities = self.identities.iter().map(|(id, _)| *id);
        let objects = self.objects.iter().map(|sighting| sighting.place);
        Bloom::of(&identities.chain(objects).collect::<Vec<_>>())
    }
}

/// How a [`Fresh`] is written: fixed-width records as base64, since a commit may hold a hundred thousand.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Packed {
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    identities: Vec<u8>,
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    objects: Vec<u8>,
    /// One for each of the objects, in their order, zero for those that have none; nothing where none has.
    #[serde(with = "packed", default, skip_serializing_if = "Vec::is_empty")]
    sequencers: Vec<u8>,
}

const IDENTITY_BYTES: usize = 17;
const OBJECT_BYTES: usize = 33;
const SEQUENCER_BYTES: usize = 16;

impl Serialize for Fresh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut packed = Packed::default();
        for (id, accepted) in &self.identities {
            packed.identities.extend(id.0.to_be_bytes());
            packed.identities.push(u8::from(*accepted));
        }
        for sighting in &self.objects {
            packed.objects.extend(sighting.place.0.to_be_bytes());
            packed.objects.extend(sighting.checksum.to_be_bytes());
            packed.objects.extend(sighting.created.as_millis().to_be_bytes());
            packed.objects.push(u8::from(sighting.accepted));
        }
        if self.objects.iter().any(|sighting| sighting.sequencer.is_some()) {
            let sequencers = self.objects.iter().map(|sighting| sighting.sequencer);
            let bytes = sequencers.map(|it| it.map_or(0, |it| it.0.get()).to_be_bytes());
            packed.sequencers.extend(bytes.flatten());
        }
        packed.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fresh {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let packed = Packed::deserialize(deserializer)?;
        let identities = packed.identities.chunks_exact(IDENTITY_BYTES);
        let objects = packed.objects.chunks_exact(OBJECT_BYTES);
        let sequencers = packed.sequencers.chunks_exact(SEQUENCER_BYTES);
        let is_cut = [identities.remainder(), objects.remainder(), sequencers.remainder()]
            .iter()
            .any(|rest| !rest.is_empty());
        if is_cut || (sequencers.len() > 0 && sequencers.len() != objects.len()) {
            return Err(serde::de::Error::custom("a record of the memory is cut short"));
        }
        let mut objects: Vec<Sighting> = objects.map(sighting_at).collect();
        for (sighting, record) in objects.iter_mut().zip(sequencers) {
            sighting.sequencer = NonZeroU128::new(hash_at(record).0).map(Sequencer);
        }
        let identities = identities.map(|record| (hash_at(record), record[16] != 0)).collect();
        Ok(Self { identities, objects })
    }
}

fn hash_at(record: &[u8]) -> Hash128 {
    Hash128(u128::from_be_bytes(record[..16].try_into().expect("a record begins with 16 bytes")))
}

fn sighting_at(record: &[u8]) -> Sighting {
    let eight = |from: usize| record[from..from + 8].try_into().expect("a record has 33 bytes");
    Sighting {
        place: hash_at(record),
        checksum: u64::from_be_bytes(eight(16)),
        created: Timestamp::from_millis(i64::from_be_bytes(eight(24))),
        sequencer: None,
        accepted: record[32] != 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::hash128;

    fn fresh(names: &[&str], accepted: bool) -> Fresh {
        let mut identities: Vec<_> =
            names.iter().map(|name| (hash128([*name]), accepted)).collect();
        identities.sort_unstable();
        Fresh { identities, objects: Vec::new() }
    }

    #[test]
    fn an_identity_is_known_until_its_day_is_forgotten() {
        let mut memory = Memory::default();
        memory.add(Day(10), &fresh(&["a"], false));
        memory.add(Day(11), &fresh(&["a", "b"], true));
        let a = hash128(["a"]);
        memory.forget(Day(11));
        assert_eq!(memory.identity(a), Some(Known { day: Day(11), accepted: true }), "seen again");
        memory.forget(Day(12));
        assert!(memory.identity(a).is_none() && memory.is_empty());
    }

    #[test]
    fn spilled_days_are_found_through_their_run() {
        let mut memory = Memory::default();
        memory.add(Day(10), &fresh(&["a"], true));
        memory.add(Day(11), &fresh(&["b"], true));
        let run = memory.until(Day(10));
        memory.spill(SeenRun { name: "seen/1".into(), last: Day(10), filter: run.filter() });
        let a = hash128(["a"]);
        assert!(memory.identity(a).is_none() && memory.identity(hash128(["b"])).is_some());
        assert_eq!(memory.runs_with(a).count(), 1);
        assert_eq!(run.identity(a), Some(true));
        assert_eq!(memory.forget(Day(11)), ["seen/1"]);
    }

    #[test]
    fn it_is_the_same_after_it_was_written_and_read() {
        let mut memory = Memory::default();
        let mut seen = fresh(&["a", "b"], true);
        let place = hash128(["gs", "b", "x"]);
        let created = Timestamp::from_millis(5);
        let sighting =
            Sighting { place, checksum: u64::MAX, created, sequencer: None, accepted: true };
        seen.objects.push(sighting);
        memory.add(Day(3), &seen);
        let written = |memory: &Memory| {
            let text = serde_json::to_string(memory).unwrap();
            assert_eq!(&serde_json::from_str::<Memory>(&text).unwrap(), memory);
            text
        };
        assert!(!written(&memory).contains("sequencers"), "as it was before there were any");
        let (place, sequencer) = (hash128(["s3", "b", "x"]), "0A".parse().ok());
        seen.objects.push(Sighting { place, sequencer, ..sighting });
        memory.add(Day(3), &seen);
        assert!(written(&memory).contains("sequencers"));
        for cut in [r#"{"identities":"AAAA"}"#, r#"{"sequencers":"AAAAAAAAAAAAAAAAAAAAAA=="}"#] {
            assert!(serde_json::from_str::<Fresh>(cut).is_err(), "{cut}");
        }
    }
}
