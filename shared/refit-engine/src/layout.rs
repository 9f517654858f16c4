//! The names of the objects in a ledger. Numbers and times are padded so that they sort as they count.

use refit_core::time::Timestamp;

/// Folder of segments.
pub const INBOX: &str = "inbox/";
/// Folder of commits.
pub const LOG: &str = "log/";
/// Folder of snapshots, newest first.
pub const SNAPSHOT: &str = "snapshot/";
/// Folder of revisions of the rules.
pub const RULES: &str = "rules/";
/// Folders of objects named by the commit that depends on them.
pub const COMMIT_OBJECTS: [&str; 3] = ["manifests/", "parts/", "seen/"];

/// Digits of the number of a commit in a name.
const SEQ_DIGITS: usize = 20;
/// Characters of a SHA-256 in a name.
pub const DIGEST_LENGTH: usize = 64;

/// The name of a segment within the inbox: its time and its writer's nonce.
#[must_use]
pub fn segment(time: Timestamp, nonce: &str) -> String {
    format!("{}-{nonce}", time.compact())
}

/// The time in a segment's name.
#[must_use]
pub fn segment_time(name: &str) -> Option<Timestamp> {
    Timestamp::parse_compact(name.split_once('-')?.0)
}

/// The object of a segment.
#[must_use]
pub fn segment_object(name: &str) -> String {
    format!("{INBOX}{name}")
}

/// The object of a commit.
#[must_use]
pub fn commit(seq: u64) -> String {
    format!("{LOG}{seq:020}")
}

/// The number of the commit an object of the log is.
#[must_use]
pub fn commit_seq(name: &str) -> Option<u64> {
    name.strip_prefix(LOG)?.parse().ok()
}

/// The object of the snapshot after commit `seq`.
#[must_use]
pub fn snapshot(seq: u64) -> String {
    format!("{SNAPSHOT}{:020}", u64::MAX - seq)
}

/// The number of the commit a snapshot was made after.
#[must_use]
pub fn snapshot_seq(name: &str) -> Option<u64> {
    let reversed: u64 = name.strip_prefix(SNAPSHOT)?.parse().ok()?;
    Some(u64::MAX - reversed)
}

/// The object of a revision of the rules.
#[must_use]
pub fn rules(revision: &str) -> String {
    format!("{RULES}{revision}")
}

/// The number of the commit that may depend on an object of [`COMMIT_OBJECTS`].
#[must_use]
pub fn object_seq(name: &str) -> Option<u64> {
    let (_, file) = name.split_once('/')?;
    file.split_once('-')?.0.parse().ok()
}

/// The number and the digest in the name of an object of [`COMMIT_OBJECTS`]; none where the name is not of their form.
#[must_use]
pub fn object_digest(name: &str) -> Option<(u64, &str)> {
    let (folder, file) = name.split_once('/')?;
    let suffix = if folder == "manifests" { ".jsonl" } else { "" };
    let (seq, digest) = file.strip_suffix(suffix)?.split_once('-')?;
    let is_padded = seq.len() == SEQ_DIGITS && seq.bytes().all(|byte| byte.is_ascii_digit());
    let is_whole = is_padded && is_digest(digest);
    Some((seq.parse().ok().filter(|_| is_whole)?, digest))
}

/// Whether a text is of the form a SHA-256 is written in.
#[must_use]
pub fn is_digest(text: &str) -> bool {
    let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == DIGEST_LENGTH && text.bytes().all(is_hex)
}
