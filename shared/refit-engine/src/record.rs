//! How segments, commits and snapshots are written.
//!
//! What is stored is versioned. A version this binary does not know makes it stop: it may read on elsewhere, but
//! must write nothing that depends on what it did not understand.

use bytes::Bytes;
use refit_core::commit::Commit;
use refit_core::error::{Error, ErrorKind};
use refit_core::event::Event;
use refit_core::key::sha256_hex;
use refit_core::memory::{Fresh, StoredRun};
use refit_core::state::{State, VERSION};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::layout::DIGEST_LENGTH;

/// Bytes a snapshot may unpack to.
const SNAPSHOT_BYTES_MAX: usize = 1 << 30;
/// Commits of a log at the most: more than there can be, and far from where counting ends.
const COMMITS_MAX: u64 = 1 << 60;
/// The compression of snapshots: the fastest that is worth it.
const SNAPSHOT_LEVEL: i32 = 1;

/// A segment as it is stored.
#[derive(Debug, Serialize, Deserialize)]
struct StoredSegment<E> {
    v: u32,
    events: E,
}

/// Just the version of a stored record.
#[derive(Debug, Deserialize)]
struct Version {
    v: u32,
}

/// A stored record says which version it is of.
trait Versioned {
    fn version(&self) -> u32;
}

impl<E> Versioned for StoredSegment<E> {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Versioned for Commit {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Versioned for StoredRun {
    fn version(&self) -> u32 {
        self.v
    }
}

impl Versioned for State {
    fn version(&self) -> u32 {
        self.v
    }
}

/// Writes a segment.
#[must_use]
pub fn write_segment(events: &[Event]) -> Bytes {
    to_json(&StoredSegment { v: VERSION, events })
}

/// Reads a segment.
///
/// # Errors
/// `Data` if it cannot be read, or is of a version this binary does not know.
pub fn read_segment(name: &str, body: &[u8]) -> Result<Vec<Event>, Error> {
    let stored: StoredSegment<Vec<Event>> = from_json(name, body)?;
    Ok(stored.events)
}

/// Writes a commit.
#[must_use]
pub fn write_commit(commit: &Commit) -> Bytes {
    to_json(commit)
}

/// Reads a commit.
///
/// # Errors
/// `Data` if it cannot be read, is another commit, or is of a version this binary does not know.
pub fn read_commit(seq: u64, body: &[u8]) -> Result<Commit, Error> {
    let name = crate::layout::commit(seq);
    let commit: Commit = from_json(&name, body)?;
    if commit.seq != seq {
        let message =
            format!("a commit is not the one its name says: name=`{name}`, seq=`{}`", commit.seq);
        return Err(Error::new(ErrorKind::Data, message));
    }
    Ok(commit)
}

/// Reads the entries of a run of the memory.
///
/// # Errors
/// `Data` if it cannot be read, or is of a version this binary does not know.
pub fn read_run(name: &str, body: &[u8]) -> Result<Fresh, Error> {
    let stored: StoredRun = from_json(name, body)?;
    Ok(stored.entries)
}

/// Writes a snapshot: a digest, then the packed state.
///
/// # Errors
/// `Internal` if it cannot be packed.
pub fn write_snapshot(state: &State) -> Result<Bytes, Error> {
    let packed = zstd::bulk::compress(&to_json(state), SNAPSHOT_LEVEL).map_err(|error| {
        Error::new(ErrorKind::Internal, "a snapshot cannot be packed").because(error)
    })?;
    let mut body = sha256_hex(&packed).into_bytes();
    body.extend(packed);
    Ok(Bytes::from(body))
}

/// Reads a snapshot.
///
/// # Errors
/// `Data` if it is damaged or of a version this binary does not know: another one, or the log, serves as well.
pub fn read_snapshot(name: &str, body: &[u8]) -> Result<State, Error> {
    let damaged =
        |what: &str| Error::new(ErrorKind::Data, format!("a snapshot is {what}: name=`{name}`"));
    let (digest, packed) =
        body.split_at_checked(DIGEST_LENGTH).ok_or_else(|| damaged("cut short"))?;
    if digest != sha256_hex(packed).as_bytes() {
        return Err(damaged("damaged"));
    }
    let json = zstd::bulk::decompress(packed, unpacked_bytes(packed))
        .map_err(|_| damaged("not readable"))?;
    let state: State = from_json(name, &json)?;
    if state.seq >= COMMITS_MAX || state.runs.values().any(|run| run.attempts.is_empty()) {
        return Err(damaged("of a state that cannot be"));
    }
    Ok(state)
}

/// What the packed content says it unpacks to, within bounds.
fn unpacked_bytes(packed: &[u8]) -> usize {
    let stated = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten();
    stated.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(0).min(SNAPSHOT_BYTES_MAX)
}

fn to_json(value: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(value).expect("stored records have string keys"))
}

fn from_json<T: DeserializeOwned + Versioned>(name: &str, body: &[u8]) -> Result<T, Error> {
    let unreadable = |error: serde_json::Error| {
        Error::new(ErrorKind::Data, format!("a record cannot be read: name=`{name}`"))
            .because(error)
    };
    let read = serde_json::from_slice::<T>(body);
    // Only what cannot be read is gone through once more for its version: it may be a newer one.
    let version = match &read {
        Ok(record) => record.version(),
        Err(_) => serde_json::from_slice::<Version>(body).map_err(unreadable)?.v,
    };
    if version > VERSION {
        let message = format!(
            "a record is of a newer version than this binary writes; use a newer refit: name=`{name}`, version=`{version}`, known=`{VERSION}`"
        );
        return Err(Error::new(ErrorKind::Data, message));
    }
    if version == 0 {
        let message = format!("a record is of no version there is: name=`{name}`, version=`0`");
        return Err(Error::new(ErrorKind::Data, message));
    }
    read.map_err(unreadable)
}
